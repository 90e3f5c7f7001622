"""How long the house itself takes: help, a command that reads, a report for the first time and again. Nothing is asked.

CPU seconds (user and system) are comparable on a busy machine, wall-clock seconds only on a quiet one. The middle of five.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
RUNS = 5


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        own = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": folder, "XDG_CACHE_HOME": folder}
        ledger = ["--ledger", str(Path(folder) / "embedded.duckdb")]
        command = [sys.executable, "-m", "coordeval"]
        _timed([*command, "run", "studies/embedded.toml", "--inline", *ledger], own)
        computed = Path(folder) / ".computed"

        def forget() -> None:
            for path in computed.glob("*"):
                path.unlink()

        one = _forecast(command, ledger, own)
        rows = [
            ("python -c 'import typer'", [sys.executable, "-c", "import typer"], None, ""),
            ("coordeval --help", [*command, "--help"], None, "at most 0.3"),
            ("coordeval studies", [*command, "studies", *ledger], None, "at most 1"),
            ("coordeval control", [*command, "control", "embedded", *ledger], None, "at most 1"),
            (
                "coordeval certificate",
                [*command, "certificate", one, *ledger],
                None,
                "at most 1",
            ),
            ("coordeval report, first", [*command, "report", *ledger], forget, ""),
            ("coordeval report, again", [*command, "report", *ledger], None, "at most 2"),
        ]
        print(f"{'':26}{'CPU s':>8}{'wall s':>8}")
        for name, arguments, before, limit in rows:
            taken = []
            for _ in range(RUNS):
                if before is not None:
                    before()
                taken.append(_timed(arguments, own))
            cpu, wall = (median(each) for each in zip(*taken, strict=True))
            print(f"{name:26}{cpu:8.2f}{wall:8.2f}   {limit}", flush=True)


def _forecast(command: list[str], ledger: list[str], environment: dict[str, str]) -> str:
    """The id of one forecast."""
    listed = [*command, "forecasts", "embedded", "--configuration", "peer_critique_debate", "--json", *ledger]
    found = subprocess.run(listed, env=environment, capture_output=True, check=True, text=True)
    return str(json.loads(found.stdout)[0]["forecast_id"])


def _timed(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """CPU and wall-clock seconds of a command, from its start to its end."""
    start = time.perf_counter()
    null = os.open(os.devnull, os.O_WRONLY)
    actions = [(os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)]
    pid = os.posix_spawn(sys.executable, command, environment, file_actions=actions)
    os.close(null)
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        sys.exit(f"it failed with status {os.waitstatus_to_exitcode(status)}: {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - start
