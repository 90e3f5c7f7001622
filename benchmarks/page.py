"""The page of a study of 1,000 markets, 10,000 forecasts: under 8 MB, and made again from what is kept within 2 s of CPU.

`coordeval report --html`, complete in itself: Plotly alone is 4.8 MB. The ledger (`benchmarks.large_ledger`) is made before.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import large_ledger

MARKETS, MEGABYTES, AGAIN = 1_000, 8.0, 2.0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger, page = Path(folder) / "ledger.duckdb", Path(folder) / "page.html"
        forecasts = large_ledger.make(ledger, markets=MARKETS)
        own = {**os.environ, "XDG_STATE_HOME": folder, "XDG_CACHE_HOME": folder}
        command = [sys.executable, "-m", "coordeval", "report", "--ledger", str(ledger), "--html", str(page)]
        for name in ("first", "again"):
            wall, before = time.perf_counter(), _cpu()
            subprocess.run(command, check=True, capture_output=True, env=own)
            cpu = _cpu() - before
            print(f"{forecasts} forecasts, {name:5}: {cpu:5.2f} s of CPU, {time.perf_counter() - wall:5.2f} s")
        size = page.stat().st_size / 1e6
        print(f"the page: {size:.1f} MB (at most {MEGABYTES:g}); made again: {cpu:.2f} s of CPU (at most {AGAIN:g})")
    over = [f"{size:.1f} MB"] * (size > MEGABYTES) + [f"{cpu:.2f} s of CPU again"] * (cpu > AGAIN)
    if over:
        sys.exit(f"the page of {MARKETS:,} markets is over its limits: {', '.join(over)}")


def _cpu() -> float:
    used = os.times()
    return used.children_user + used.children_system


if __name__ == "__main__":
    main()
