"""One Prefect server for all tests that need a real one: its start takes longer than what they do with it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

PATIENCE = 300


@dataclass
class Server:
    """A real Prefect server with its services."""

    api: str
    process: "subprocess.Popen[bytes]"


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("prefect")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    api = f"http://127.0.0.1:{port}/api"
    own = {
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    with (folder / "server.log").open("w") as log:
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | own, start_new_session=True)
    try:
        until(lambda: healthy(api), process)
        yield Server(api, process)
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def prefect(prefect_server, monkeypatch) -> Iterator[str]:
    """Within, the Prefect of this process talks to the server, quietly; its API's address."""
    from coordeval.flows.orchestration.server import quiet_prefect

    monkeypatch.setattr(os, "environ", os.environ.copy())  # what is set for Prefect is not there for the next test
    quiet_prefect()
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    with temporary_settings({PREFECT_API_URL: prefect_server.api, PREFECT_CLIENT_MAX_RETRIES: 3}):
        yield prefect_server.api


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
