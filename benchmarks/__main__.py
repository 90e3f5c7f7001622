"""Every figure that the project promises, measured now: `python -m benchmarks`, or `python -m benchmarks NAME ...`."""

import sys
from importlib import import_module

NAMES = (
    "audit",
    "batches",
    "costs",
    "dashboard",
    "embedded",
    "grounding",
    "house",
    "isolation",
    "kills",
    "imports",
    "large_report",
    "live",
    "overhead",
    "prefect_share",
    "published",
    "pull",
    "resampling",
    "schedule",
    "simulate",
    "simulate_serve",
    "talk",
    "window",
    "work_pool",
    "workers",
)


def main() -> None:
    names = sys.argv[1:] or NAMES
    del sys.argv[1:]  # a benchmark that is run alone takes its own
    for name in names:
        if name not in NAMES:
            sys.exit(f"unknown benchmark {name!r}: it must be one of {', '.join(NAMES)}")
        print(f"\n== {name} ==", flush=True)
        import_module(f"benchmarks.{name}").main()


main()
