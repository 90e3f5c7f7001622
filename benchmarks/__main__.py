"""Every figure that the project promises, measured now: `python -m benchmarks`, or `python -m benchmarks NAME ...`."""

import sys
from importlib import import_module

NAMES = ("embedded", "large_report", "overhead", "published", "pull", "resampling")


def main() -> None:
    for name in sys.argv[1:] or NAMES:
        if name not in NAMES:
            sys.exit(f"unknown benchmark {name!r}: it must be one of {', '.join(NAMES)}")
        print(f"\n== {name} ==", flush=True)
        import_module(f"benchmarks.{name}").main()


main()
