"""An hour of `coordeval serve` on loopback: what it is woken for is done once, and its memory is flat.

`python -m benchmarks.soak --minutes 60`. The real process with the Prefect server that it starts; the venue and the model
are stand-ins of this machine, and go wrong now and then. Every `--every` seconds somebody asks for a run of one of its
deployments, as a person does in Prefect's UI: pulls that go one more day back, and the four jobs of prospective studies,
some of them a second time. Every forecast that was picked has to be answered in the end. Memory is what the two processes
that stay hold, `serve` and Prefect's server: the median of the last sixth of the time against that of the sixth after the
first, within FLAT.
"""

import argparse
import itertools
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from coordeval.agents.standin import Faults, Running, StandIn
from coordeval.flows.orchestration.deployments import Deployed, planned
from coordeval.ledger import read
from coordeval.market_data import standin as venue

FLAT = 0.05
STARTED = 1200.0
"""Seconds that a very busy machine may take until all is deployed."""
QUIET = 0.9
"""The share of the time in which runs are asked for: what met a fault is tried again in the rest."""
RETRIED = 900.0
"""Seconds after which a run that met a fault twice has been tried again twice."""
STUDY = """
name = "soak-{number}"
replicates = 1
budget_usd = 50
configurations = ["single_agent", {{ name = "peer_critique_debate", agents = 2, rounds = 1 }}]
[markets]
source = "open"
venue = "simulated"
per_day = 2
seed = {number}
[model]
provider = "anthropic"
id = "claude-opus-4-6"
max_tokens = 500
base_url = "{url}"
"""
JOBS = ("forecast-open", "resolve-and-score", "monitor", "report")


@dataclass(slots=True)
class Soak:
    """What was seen."""

    began: float = field(default_factory=time.monotonic)
    memory: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    """(seconds since the start, MB by process)."""
    asked: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    """Runs by the state that they ended in."""
    forecasts: Counter[str] = field(default_factory=Counter)
    """Those that were picked, by how they stand in the end."""

    def grown(self, name: str) -> tuple[float, float, float]:
        """(MB in the sixth of the time after the first, MB in the last sixth, share by which it grew)."""
        whole = self.memory[-1][0]
        early = statistics.median(mb[name] for at, mb in self.memory if whole / 6 <= at <= whole / 3)
        late = statistics.median(mb[name] for at, mb in self.memory if at >= whole * 5 / 6)
        return early, late, late / early - 1


def soak(folder: Path, minutes: float, every: float, seed: int, studies: int) -> tuple[Soak, list[str]]:
    """What was seen in so many minutes, and what is wrong."""
    seen = Soak()
    spoilt = Faults({"529": 0.03, "500": 0.02, "reset": 0.02, "cut": 0.02}, seed=seed, seconds=0.05, spread=0.2)
    with Running(StandIn(spoilt, seed=seed)) as model, _venue(folder, seed) as address:
        files = [folder / f"soak-{number}.toml" for number in range(studies)]
        for number, file in enumerate(files):
            file.write_text(STUDY.format(number=number, url=model.url))
        with _served(folder, files, model.standin.key) as (process, api):
            _wait(lambda: _children(process.pid) and _ready(api, 1 + len(JOBS) * studies), process, STARTED)
            turns = _turns(planned(files, folder / "soak.duckdb", ["polymarket"]), api, address)
            seen.began = time.monotonic()
            due = seen.began
            while (passed := time.monotonic() - seen.began) < 60 * minutes:
                if process.poll() is not None:
                    return seen, [f"serve ended by itself with {process.returncode}"]
                if time.monotonic() >= due and passed < QUIET * 60 * minutes:
                    what, deployment, parameters = next(turns)
                    _post(api, f"deployments/{deployment}/create_flow_run", {"parameters": parameters})
                    seen.asked[what] += 1
                    due += every
                seen.memory.append((passed, {name: _resident(pid) for name, pid in _staying(process.pid).items()}))
                with (folder / "memory.jsonl").open("a") as file:
                    file.write(f"{json.dumps([round(passed), seen.memory[-1][1]])}\n")
                time.sleep(5)
            _wait(lambda: not _open(api), process, RETRIED)
            for run in _runs(api):
                seen.ended[run["state_name"]] += 1
            process.send_signal(signal.SIGTERM)
            status = process.wait(120)
    return seen, [*([] if status == 143 else [f"serve ended with {status} after SIGTERM"]), *_wrong(seen, folder, studies)]


def _turns(deployed: Sequence[Deployed], api: str, address: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(job, deployment's id, parameters) of what is asked for next: a pull of one more day, then the jobs of a study in
    their order; each study twice in a row."""
    [pull, *others] = [(one.job.name, _get(api, f"deployments/name/{one.full_name}")["id"]) for one in deployed]
    studies = [others[n : n + len(JOBS)] for n in range(0, len(others), len(JOBS))]
    today = datetime.now(UTC).date()
    twice = [jobs for jobs in studies for _ in range(2)]
    for back, jobs in enumerate(itertools.cycle(twice), start=1):
        yield *pull, {"base_url": address, "since": str(today - timedelta(days=back)), "prices": 2.0}
        for job in jobs:
            yield *job, {}


def _wrong(seen: Soak, folder: Path, studies: int) -> list[str]:
    found = []
    for name in ("serve", "prefect"):
        early, late, share = seen.grown(name)
        if share > FLAT:
            found.append(f"the memory of {name} grew from {early:.1f} to {late:.1f} MB, by {share:.1%}")
    days = read(folder / "soak.duckdb").query(
        "SELECT job, study, day, count(*) AS n FROM days WHERE status = 'done' GROUP BY ALL"
    )
    found += [f"{row['job']} of {row['day']} was done {row['n']} times" for row in days.to_dicts() if row["n"] > 1]
    picked = read(folder / "soak.duckdb").query(
        "SELECT coalesce(f.status, 'not there') AS status, count(*) AS n FROM picks JOIN cells USING (study_id, market_id) "
        "LEFT JOIN forecasts f USING (forecast_id) GROUP BY ALL"
    )
    seen.forecasts.update({row["status"]: row["n"] for row in picked.to_dicts()})
    if set(seen.forecasts) != {"answered"}:
        found.append(f"of {seen.forecasts.total()} picked forecasts {seen.forecasts['answered']} are answered")
    asked = [_command(), "verify", "--ledger", str(folder / "soak.duckdb")]
    verified = subprocess.run(asked, capture_output=True, text=True, check=False)
    if verified.returncode:
        found.append(f"coordeval verify: {verified.stdout.strip().splitlines()[0]}")
    return found


@contextmanager
def _served(folder: Path, files: Sequence[Path], key: str) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    port = _free()
    own = {"PREFECT_HOME": str(folder / "prefect"), "ANTHROPIC_API_KEY": key, "PYTHONWARNINGS": "ignore"}
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"} | own
    command = [_command(), "serve", *map(str, files), "--source", "polymarket", "--no-catch-up", "--port", str(port)]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--ledger", str(folder / "soak.duckdb")], stdout=log, stderr=log, env=environment, cwd=folder
        )
    try:
        yield process, f"http://127.0.0.1:{port}/api"
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(120)


@contextmanager
def _venue(folder: Path, seed: int) -> Iterator[str]:
    """A stand-in Polymarket in a thread, of which some answers are spoilt."""
    import uvicorn

    app = venue.polymarket_app(venue.GeneratedMarkets(3000, seed), venue.Faults(0.01, seed, seconds=0.1))
    port = _free()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


def _command() -> str:
    return str(Path(sys.executable).with_name("coordeval"))


def _free() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def _post(api: str, path: str, body: dict[str, Any]) -> Any:
    """A server whose database is locked says 503, and is asked again."""
    while (answer := httpx.post(f"{api}/{path}", json=body, timeout=120, trust_env=False)).status_code == 503:
        time.sleep(0.5)
    return answer.raise_for_status().json()


def _get(api: str, path: str) -> Any:
    return httpx.get(f"{api}/{path}", timeout=120, trust_env=False).raise_for_status().json()


def _ready(api: str, count: int) -> bool:
    try:
        return len(_post(api, "deployments/filter", {})) >= count
    except httpx.HTTPError:
        return False


def _runs(api: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while page := _post(api, "flow_runs/filter", {"offset": len(found), "limit": 200, "sort": "ID_DESC"}):
        found += page
    return [run for run in found if not run["auto_scheduled"]]


def _open(api: str) -> bool:
    return any(run["state_type"] in ("SCHEDULED", "PENDING", "RUNNING") for run in _runs(api))


def _wait(true: Any, process: "subprocess.Popen[bytes]", seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"it did not get so far in {seconds:g} s (status {process.returncode})")
        time.sleep(1)


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _staying(pid: int) -> dict[str, int]:
    """`serve` and the server that it started; the processes of its runs come and go."""
    server = [one for one in _children(pid) if b"server\0start" in Path(f"/proc/{one}/cmdline").read_bytes()]
    return {"serve": pid, "prefect": server[0]}


def _resident(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def main(minutes: float, every: float, seed: int, studies: int, kept: Path | None) -> int:
    with tempfile.TemporaryDirectory() as temporary:
        folder = kept or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        seen, wrong = soak(folder, minutes, every, seed, studies)
        asked = ", ".join(f"{count} {name}" for name, count in seen.asked.items())
        ended = ", ".join(f"{count} {name}" for name, count in seen.ended.items())
        print(f"{seen.memory[-1][0] / 60:.0f} minutes of serve, {seen.asked.total()} runs asked for ({asked}): {ended}")
        print(f"  forecasts: {', '.join(f'{count} {name}' for name, count in seen.forecasts.items())}")
        for name in ("serve", "prefect"):
            early, late, share = seen.grown(name)
            print(
                f"  memory of {name}: {early:.1f} MB at first, {late:.1f} MB in the end, {share:+.1%} (at most {FLAT:.0%})"
            )
        for one in wrong:
            print(f"  WRONG: {one}")
    return int(bool(wrong))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--every", type=float, default=25, help="seconds between two runs that are asked for")
    parser.add_argument("--studies", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kept", type=Path, metavar="FOLDER", help="an empty one, for the ledger and what serve says")
    given = parser.parse_args()
    raise SystemExit(main(given.minutes, given.every, given.seed, given.studies, given.kept))
