"""Which Prefect API a run talks to: the configured one, else Prefect's own ephemeral server, started here."""

import asyncio
import atexit
import contextlib
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from rich.console import Console

from coordeval.flows.run.stopping import Stop
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.home import own_folder
from coordeval.market_data.secrets import excerpt

STARTUP_SECONDS = 120
PREFECTS_APP, OWN_APP = "prefect.server.api.server:create_app", "coordeval.flows.orchestration.own_machine:create_app"
"""What Prefect starts, and the same for this machine's own programs only."""
ANSWER_SECONDS = 15.0
"""How long a configured API may take to its first answer."""


class PrefectNotReachable(CoordevalError):
    """There is no Prefect API to run under."""


def quiet_prefect() -> None:
    """No telemetry, a start-up limit that a slow machine can keep, and a terminal that belongs to the run's own output.

    Three tries of a call, which take 7 s: a run does without an API that is gone, and should soon know that it is.
    Set before Prefect is imported; what the user has set stays.
    """
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", str(STARTUP_SECONDS))
    os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", "3")
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")  # what goes wrong reaches the user as one message of ours
    os.environ.setdefault("PREFECT_INTERNAL_LOGGING_LEVEL", "CRITICAL")
    if own_folder("PREFECT_HOME", ".prefect") is None:  # Prefect and what it builds on look for a home as they are imported
        borrowed = tempfile.mkdtemp(prefix="coordeval-prefect-")
        atexit.register(shutil.rmtree, borrowed, ignore_errors=True)
        os.environ["HOME"] = borrowed


@contextlib.contextmanager
def prefect_api(console: Console, stop: Stop) -> Iterator[None]:
    """A Prefect API for the time of a run; an ephemeral server stops with the process, however `stop` ends it.

    Raises PrefectNotReachable where there is none, naming the address and where it comes from.
    """
    quiet_prefect()
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if url is None:
        console.print("starting Prefect's ephemeral server (10 to 25 s; `--inline` does without)", style="dim")
        _start_server(stop)
    else:
        check(url)
    yield


def _start_server(stop: Stop) -> None:
    """In a process group of its own: a signal to the run's group (a terminal's Ctrl-C, a service manager's SIGTERM) must not
    end the server to which the run still reports how it ended. Prefect stops it at exit. What it writes, such as the
    traceback of a request that its end cut short, is not for the run's terminal."""
    from prefect.server.api.server import SubprocessASGIServer

    log = tempfile.TemporaryFile()  # noqa: SIM115  the server's, as long as it lives

    class Server(SubprocessASGIServer):
        def _run_uvicorn_command(self) -> "subprocess.Popen[Any]":
            popen = subprocess.Popen

            def started(args: list[str], **options: Any) -> "subprocess.Popen[Any]":
                own = [OWN_APP if one == PREFECTS_APP else one for one in args]
                return popen(own, **options | {"process_group": 0, "stdout": log, "stderr": log})

            subprocess.Popen = started  # type: ignore[assignment, misc]
            try:
                return super()._run_uvicorn_command()
            finally:
                subprocess.Popen = popen  # type: ignore[misc]

    server = Server()
    stop.last_acts.append(server.stop)
    meanwhile = threading.Thread(target=_load, daemon=True)
    meanwhile.start()
    try:
        server.start(timeout=STARTUP_SECONDS)
        meanwhile.join()
    except Exception as error:
        server.stop()
        log.seek(0)
        last = excerpt(log.read().decode(errors="replace").strip().rpartition("\n")[2], 300)
        said = f"{type(error).__name__}: {error}" + (f"; its last words: {last}" if last else "")
        raise PrefectNotReachable(
            f"Prefect's ephemeral server did not start ({said}); `--inline` runs without Prefect"
        ) from error


def _load() -> None:
    """What the run will import, while its server starts."""
    with contextlib.suppress(Exception):  # whoever imports it next is told
        import_module("coordeval.flows.orchestration.evaluate")


def check(url: str, *, instead: str = "give `--inline`, which runs without Prefect") -> None:
    """Raises PrefectNotReachable unless an API answers there, with these credentials; `instead`: what else can be done."""
    source = "PREFECT_API_URL" if os.environ.get("PREFECT_API_URL") else "your Prefect profile (`prefect config view`)"
    try:
        asyncio.run(asyncio.wait_for(_ask(), ANSWER_SECONDS))
    except Exception as error:
        said = f"no answer within {ANSWER_SECONDS:g} s" if isinstance(error, TimeoutError) else _said(error)
        raise PrefectNotReachable(
            f"Prefect's API at {url}, which {source} names, cannot be used ({said}); start that server, unset or mend the "
            f"address (and PREFECT_API_KEY or PREFECT_API_AUTH_STRING), or {instead}. Nothing was begun"
        ) from error


async def _ask() -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        async with get_client() as client:
            await client.read_flows(limit=1)


def give_up() -> None:
    """No call to an API that is gone is tried again, and what still waits to be sent to it is dropped: at its end this
    process would try each event again, for 7 s each."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import get_current_settings

    get_current_settings().client.max_retries = 0
    services: list[Any] = [EventsWorker, APILogWorker]
    for service in services:
        for instance in list(service._instances.values()):
            with contextlib.suppress(queue.Empty):
                while True:
                    instance._queue.get_nowait()
                    instance._queue.task_done()


def _said(error: Exception) -> str:
    cause = error
    while (deeper := cause.__cause__ or cause.__context__) is not None and isinstance(deeper, Exception):
        cause = deeper
    return excerpt(f"{type(error).__name__}: {str(error) or cause}".splitlines()[0], 200)
