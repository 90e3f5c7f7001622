"""The flow on a real Prefect server: few tasks, artifacts that people see, no telemetry; and one that dies."""

import contextlib
import io
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from coordeval.flows.cli.main import app
from coordeval.flows.orchestration.server import PrefectNotReachable, quiet_prefect
from coordeval.flows.run import guard
from coordeval.flows.run.stopping import Stop
from coordeval.flows.terminal import Terminal
from coordeval.ledger import read
from tests.flows.conftest import ROOT

FEW = (', "independent_ensemble", "peer_critique_debate", "consensus_alignment"]', "]")


@pytest.mark.prefect
@pytest.mark.parametrize(
    ("number", "send", "status"),
    [
        pytest.param(signal.SIGINT, os.killpg, 130, id="Ctrl-C at a terminal: to all", marks=pytest.mark.proof),
        pytest.param(signal.SIGTERM, os.killpg, 143, id="SIGTERM to all", marks=pytest.mark.proof),  # below of `serve`
    ],
)
def test_a_signal_ends_the_run_and_its_server_and_the_next_start_goes_on(study_file, tmp_path: Path, number, send, status):
    """What goes to the whole process group must not end the ephemeral server that the run still has to report to."""
    path, home = tmp_path / "ledger.duckdb", tmp_path / "prefect"
    study = study_file(("count = 6", "count = 60"), FEW)
    command = [sys.executable, "-m", "coordeval", "run", str(study), "--ledger", str(path)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PREFECT_HOME": str(home), "COLUMNS": "200"}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("forecasts"):
                assert _servers(home), "the server runs"
                answers_its_own_machine_only(f"http://127.0.0.1:{_port(home)}/api")
                send(process.pid, number)
                break
        rest, _ = process.communicate(timeout=300)
    assert process.returncode == status, "".join(lines) + rest
    assert "what was answered is stored" in rest
    assert "Traceback" not in rest
    assert "nanobind" not in rest
    assert _servers(home) == []
    assert read(path).query("SELECT status FROM runs")["status"].to_list() == ["stopped"]
    states = sqlite3.connect(home / "prefect.db").execute("SELECT state_name FROM flow_run").fetchall()
    assert states == [("Crashed",)], "Prefect was told"
    again = CliRunner().invoke(app, [*command[3:], "--inline"])
    assert again.exit_code == 0, again.output
    assert read(path).forecast_frame("small")["status"].is_in(["answered", "failed"]).all()


@pytest.mark.prefect
def test_a_signal_ends_serve_and_the_server_that_it_started(study_file, tmp_path: Path):
    home, study = tmp_path / "prefect", study_file()
    command = [
        sys.executable,
        "-m",
        "coordeval",
        "serve",
        str(study),
        "--no-catch-up",
        "--ledger",
        str(tmp_path / "l.duckdb"),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PREFECT_HOME": str(home), "COLUMNS": "200"}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("each day is done once"):
                assert _servers(home), "the server runs"
                answers_its_own_machine_only(re.search(r"UI: (http://127\.0\.0\.1:\d+)", "".join(lines))[1] + "/api")
                os.killpg(process.pid, signal.SIGTERM)
                break
        rest, _ = process.communicate(timeout=300)
    assert process.returncode == 143, "".join(lines) + rest
    assert "Prefect's UI: http://127.0.0.1:" in "".join(lines)
    assert "everything that was started has ended" in rest
    assert "Traceback" not in rest
    assert _servers(home) == []


def answers_its_own_machine_only(api: str):
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        assert httpx.post(f"{api}/deployments/filter", json={}, headers=headers).status_code == 403
    assert httpx.post(f"{api}/deployments/filter", json={}, timeout=60).status_code == 200


_SERVER = re.compile(rb"uvicorn|server\0start")


def _servers(home: Path) -> list[int]:
    """The processes of Prefect servers with this home."""
    mark = f"PREFECT_HOME={home}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if _SERVER.search((process / "cmdline").read_bytes()) and mark in (process / "environ").read_bytes():
                found.append(int(process.name))
    return found


def _port(home: Path) -> int:
    """Of the server that a run has started, which says its address nowhere."""
    lines = [(Path("/proc") / str(server) / "cmdline").read_bytes() for server in _servers(home)]
    return next(int(found[1]) for line in lines if (found := re.search(rb"--port\0(\d+)", line)))


UNREACHABLE = {
    "nobody listens": None,
    "nonsense": (200, b"<html>hello</html>"),
    "refused": (401, b'{"detail": "Unauthorized"}'),
    "broken": (500, b"oh no"),
}


@pytest.mark.parametrize("answer", UNREACHABLE.values(), ids=list(UNREACHABLE))
def test_an_address_at_which_no_prefect_answers_is_one_message(study_file, tmp_path: Path, monkeypatch, answer):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    monkeypatch.setattr(os, "environ", os.environ.copy())
    with serving(answer) as address:
        os.environ["PREFECT_API_URL"] = f"{address}/api"
        with temporary_settings({PREFECT_API_URL: f"{address}/api"}):
            done = CliRunner().invoke(app, ["run", str(study_file()), "--ledger", str(tmp_path / "l" / "l.duckdb")])
    assert done.exit_code == 1
    assert isinstance(done.exception, PrefectNotReachable), "which the command line prints as one message"
    assert "\n" not in str(done.exception)
    for part in (f"{address}/api", "PREFECT_API_URL", "--inline"):
        assert part in str(done.exception)
    assert not (tmp_path / "l").exists(), "nothing was begun"


@contextlib.contextmanager
def serving(answer: tuple[int, bytes] | None):
    """The address of a server that says the same to everybody; None: of nobody."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert answer is not None
            self.send_response(answer[0])
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(answer[1])

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{server.server_port}"
    if answer is None:
        server.server_close()
        yield address
        return
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield address
    server.shutdown()
    server.server_close()


def test_prefect_is_told_not_to_phone_home(monkeypatch):
    for name in ("DO_NOT_TRACK", "PREFECT_SERVER_ANALYTICS_ENABLED"):
        monkeypatch.delenv(name, raising=False)
    quiet_prefect()
    assert os.environ["DO_NOT_TRACK"] == "1"
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"


class Killing(Terminal):
    """Kills the server when the first forecasts are told."""

    def __init__(self, server) -> None:
        super().__init__(file=io.StringIO(), width=200)
        self.server = server

    def print(self, *what, **how) -> None:
        super().print(*what, **how)
        if what and str(what[0]).startswith("forecasts") and self.server.poll() is None:
            os.killpg(self.server.pid, signal.SIGKILL)
            self.server.wait(60)


@pytest.mark.prefect
@pytest.mark.proof
def test_a_run_whose_prefect_server_is_killed_goes_on_stores_everything_and_says_so(
    study_file, tmp_path: Path, server, capfd
):
    """The last of these tests: the server that they share is gone afterwards."""
    from prefect.events.worker import EventsWorker

    from coordeval.flows.orchestration.evaluate import run_as_flow

    console, path = Killing(server.process), tmp_path / "l.duckdb"
    end = guard.run(run_as_flow(study_file(("count = 6", "count = 30"), FEW), path, console, Stop()))
    said = console.file.getvalue()
    assert end.status == "complete", said
    assert end.page is not None
    assert end.page.is_file()
    assert set(read(path).forecast_frame("small")["status"]) == {"answered"}
    assert read(path).query("SELECT status FROM runs")["status"].to_list() == ["complete"]
    assert "Prefect" in said
    assert "the run goes on without it" in said or "the ledger has all of it" in said
    assert all(not worker._queue.qsize() for worker in EventsWorker._instances.values()), (
        "nothing is left that would be tried"
    )
    assert "EventsWorker" not in capfd.readouterr().err
