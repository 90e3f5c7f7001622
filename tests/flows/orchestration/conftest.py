"""One Prefect server for all tests of a module that need a real one: its start takes longer than what they do with it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

import httpx
import pytest

from coordeval.flows.orchestration.server import quiet_prefect

PATIENCE = 300


@dataclass
class Server:
    """A real Prefect server with its services, and its process."""

    api: str
    process: "subprocess.Popen[bytes]"

    def post(self, path, body):
        return posted(f"{self.api}/{path}", body)

    def runs(self, *names):
        """(state, message) of the flow runs of these deployments."""
        asked = {"deployments": {"name": {"any_": list(names)}}} if names else {}
        return [(run["state_name"], run["state"]["message"]) for run in self.post("flow_runs/filter", asked)]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    """Within, the Prefect of this process talks to the server, quietly."""
    home = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch, (home / "server.log").open("w") as log:
        patch.setattr(os, "environ", os.environ.copy())  # what is set for Prefect is not there for the next module
        quiet_prefect()
        import_module("prefect")  # it keeps the settings of its first import: those of this server are not for other tests
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        api = f"http://127.0.0.1:{port}/api"
        own = {
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_API_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
        }
        for name, value in own.items():
            patch.setenv(name, value)
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ), start_new_session=True)
        try:
            until(lambda: healthy(api), process)
            from prefect.events.worker import EventsWorker
            from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, PREFECT_HOME, temporary_settings

            EventsWorker._instances.clear()  # one of an earlier test goes on trying the server that was there then
            with temporary_settings({PREFECT_API_URL: api, PREFECT_HOME: home, PREFECT_CLIENT_MAX_RETRIES: 3}):
                yield Server(api, process)
        finally:
            process.terminate()
            process.wait(60)


def healthy(api: str) -> bool:
    try:
        return httpx.get(f"{api}/health", timeout=30).status_code == 200
    except httpx.HTTPError:
        return False


def until(true, process=None):
    end = time.monotonic() + PATIENCE
    while not (found := true()):
        assert process is None or process.poll() is None, "the server ended by itself"
        assert time.monotonic() < end, "the server did not get so far"
        time.sleep(0.1)
    return found


def posted(url: str, body: dict):
    """What the server makes of it. A young server's database is locked now and then: 503 is asked again."""

    def answer():
        given = httpx.post(url, json=body, timeout=PATIENCE)
        return None if given.status_code == 503 else given

    return until(answer).raise_for_status().json()
