"""`coordeval serve`: one process that serves the deployments, with a Prefect server of its own where none is configured.

It ends all that it started: the runs that are under way are told to stop and store what they have, then the server goes.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from coordeval.flows.orchestration.deployments import Deployed, made_of, put_alarms
from coordeval.flows.orchestration.server import STARTUP_SECONDS, PrefectNotReachable, check, quiet_prefect
from coordeval.flows.run.stopping import Stop
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.secrets import taken

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.deployments.runner import RunnerDeployment

PORT = 4200
"""Prefect's own; where it is taken, a free one."""
STOP_SECONDS, AGAIN_SECONDS = 30, 30
_DIES_WITH_ITS_PARENT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
"""On Linux the kernel ends the server (PR_SET_PDEATHSIG, SIGTERM) also where this process was killed on the spot."""


def serve(
    deployed: Sequence[Deployed], ledger: Path, console: Console, *, port: int | None, catch_up: bool, stop: Stop
) -> None:
    """Serves until a signal comes. Then raises KeyboardInterrupt, after all has ended; `stop` says which signal it was."""
    quiet_prefect()
    with server(console, port) as (ui, alive):
        console.print(f"Prefect's UI: {ui}", style="bold")
        for one in deployed:
            console.print(f"{one.full_name}  (cron {one.job.cron} UTC): {one.job.about}", soft_wrap=True)
        console.print("each day is done once; Ctrl-C ends all of it", style="dim")
        made = [made_of(one) for one in deployed]
        # Reading the studies took the keys out of the environment; the runs are processes of our own, and take them again.
        os.environ.update(taken())
        asyncio.run(_serve(made, ledger, catch_up, stop, console, alive))


@contextlib.contextmanager
def server(console: Console, port: int | None) -> Iterator[tuple[str, Callable[[], bool]]]:
    """The address of the UI of the Prefect server that is configured, or of one that is started here and ended again; and
    whether that process lives, which of one that is configured is always taken to be so.

    Raises PrefectNotReachable where the configured one does not answer or none can be started.
    """
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if url is not None:
        check(url, instead="unset it, and one is started here")
        yield get_current_settings().ui_url or url.removesuffix("/api"), lambda: True
        return
    port = port or _free(PORT)
    api = f"http://127.0.0.1:{port}/api"
    console.print("starting Prefect's server (10 to 25 s)", style="dim")
    with _started(port, get_current_settings().home / "coordeval-server.log", api) as process:
        os.environ["PREFECT_API_URL"] = api
        try:
            from prefect.settings import PREFECT_API_URL, temporary_settings

            with temporary_settings({PREFECT_API_URL: api}):
                yield api.removesuffix("/api"), lambda: process.poll() is None
        finally:
            del os.environ["PREFECT_API_URL"]


@contextlib.contextmanager
def _started(port: int, log: Path, api: str) -> Iterator["subprocess.Popen[bytes]"]:
    start = [
        "-m",
        "coordeval.flows.orchestration.own_machine",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    command = [sys.executable, *(["-c", _DIES_WITH_ITS_PARENT] if sys.platform == "linux" else []), *start]
    log.parent.mkdir(parents=True, exist_ok=True)
    # A group of its own: a terminal's Ctrl-C must not end the server to which runs still report how they ended.
    with log.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(
            command,
            stdout=said,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            process_group=0,
            env=os.environ | {"PREFECT_LOGGING_LEVEL": "WARNING", "PREFECT_API_URL": api},
        )
    try:
        _await(process, api, log)
        yield process
    finally:
        _end(process)


def _await(process: "subprocess.Popen[bytes]", api: str, log: Path) -> None:
    import httpx

    deadline = time.monotonic() + STARTUP_SECONDS
    while True:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{api}/health", timeout=5, trust_env=False).status_code == 200:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            what = (
                f"it ended with status {process.returncode}" if process.poll() is not None else f"after {STARTUP_SECONDS} s"
            )
            raise PrefectNotReachable(
                f"Prefect's server did not start ({what}); {log} has its words, --port gives it another port"
            )
        time.sleep(0.25)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """The whole group, politely and then not."""
    for number, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return


def _free(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as trial, contextlib.suppress(OSError):
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(("127.0.0.1", port))
            return int(trial.getsockname()[1])
    raise PrefectNotReachable("this machine gives no port on 127.0.0.1; --port names one")


async def _serve(
    deployed: "Sequence[RunnerDeployment]",
    ledger: Path,
    catch_up: bool,
    stop: Stop,
    console: Console,
    alive: Callable[[], bool],
) -> None:
    """Until a signal. A server that went away is waited for: it may be restarted by others, and no day is lost meanwhile."""
    asked, served = _signals(stop), asyncio.Event()
    while not asked.is_set():
        try:
            await _once(deployed, ledger, catch_up, asked, served)
        except Exception as error:
            if not served.is_set():
                raise
            if not alive():
                raise PrefectNotReachable(
                    "the Prefect server that was started here has ended by itself; what was done is in the ledger, and "
                    "`coordeval serve` goes on with it (coordeval-server.log in Prefect's home has its words)"
                ) from error
            console.print(f"Prefect's server does not answer; it is asked again in {AGAIN_SECONDS} s", style="yellow")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), AGAIN_SECONDS)
    raise KeyboardInterrupt


def _signals(stop: Stop) -> asyncio.Event:
    """Is set by Ctrl-C and SIGTERM."""
    asked = asyncio.Event()

    def ask(number: signal.Signals) -> None:
        stop.signal = stop.signal or number
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ask, number)
    return asked


async def _once(
    deployed: "Sequence[RunnerDeployment]", ledger: Path, catch_up: bool, asked: asyncio.Event, served: asyncio.Event
) -> None:
    """Serves until it is asked to end, which ends the runs under way too (Prefect's own handler of SIGTERM leaves those
    alone), or raises what Prefect raises where its server is away for long."""
    from prefect.client.orchestration import get_client
    from prefect.runner import Runner
    from prefect.states import Scheduled
    from prefect.types import DateTime

    # One at a time: all of these deployments write to one ledger. Schedules go on after a restart.
    runner: Any = Runner(name="coordeval", limit=1, pause_on_shutdown=False)
    runner.handle_sigterm = lambda *_: None  # it is set as Python's handler, beside the loop's
    ids = [await _added(runner, one) for one in deployed]
    await put_alarms(ledger, None)
    async with get_client() as client:
        await drop_late(client, ids)
        if catch_up or served.is_set():
            for place, made in enumerate(ids):  # in the order of the table: what is forecast is reported afterwards
                at = DateTime.now("UTC").add(seconds=place)
                await client.create_flow_run_from_deployment(made, state=Scheduled(scheduled_time=at), tags=["catch-up"])
    served.set()
    running = asyncio.ensure_future(runner.start())
    waiting = asyncio.ensure_future(asked.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if asked.is_set():
        await runner.astop()
    await running


async def _applied(one: Deployed, work_pool: str) -> "UUID":
    def apply() -> Any:  # in a thread without an event loop Prefect's functions are plain ones
        return made_of(one, work_pool=work_pool).apply(work_pool_name=work_pool)

    made: UUID = await asyncio.to_thread(apply)
    return made


async def _added(runner: Any, one: "RunnerDeployment") -> "UUID":
    made: UUID = await runner.add_deployment(one)
    return made


async def drop_late(client: Any, ids: "Sequence[UUID]") -> int:
    """Deletes the runs that fell due, or hang in being submitted, while nobody served: the days they were for are in the
    ledger, and one wake-up does them all. Those that went with an earlier `serve` are said to have crashed. Returns how many
    there were."""
    from datetime import UTC

    from prefect.client.schemas.filters import (
        DeploymentFilter,
        DeploymentFilterId,
        FlowRunFilter,
        FlowRunFilterNextScheduledStartTime,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.states import Crashed
    from prefect.types import DateTime

    due = FlowRunFilterNextScheduledStartTime(before_=DateTime.now(UTC))
    waiting = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])), next_scheduled_start_time=due
    )
    hanging = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PENDING])))
    begun = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.CANCELLING]))
    )
    ours = DeploymentFilter(id=DeploymentFilterId(any_=list(ids)))
    count = 0
    for which in (waiting, hanging, begun):
        for run in await client.read_flow_runs(flow_run_filter=which, deployment_filter=ours):
            if which is begun:
                gone: Any = Crashed(message="its process was killed, or its machine stopped; the ledger has what was done")
                with contextlib.suppress(PrefectHTTPStatusError):  # it holds a limit that an earlier version made: gone too
                    await client.set_flow_run_state(run.id, gone, force=True)
            else:
                await client.delete_flow_run(run.id)
            count += 1
    return count


def deploy(
    deployed: Sequence[Deployed], ledger: Path, work_pool: str, notify: str | None
) -> tuple[list[tuple[str, str]], list[str]]:
    """Makes or renews the deployments, the queue of the ledger, and the automations, on a server and work pool that exist.

    Returns ((full name, id) of each deployment, the automations' names). Raises PrefectNotReachable, and CoordevalError for
    a work pool or a notification block that is not there.
    """
    quiet_prefect()
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if url is None:
        raise CoordevalError(
            "no Prefect server is configured: set PREFECT_API_URL (or `prefect profile`), or use `coordeval serve`, which "
            "starts one of its own"
        )
    check(url, instead="use `coordeval serve`, which starts one of its own")
    return asyncio.run(_deploy(deployed, ledger, work_pool, notify))


async def _deploy(
    deployed: Sequence[Deployed], ledger: Path, work_pool: str, notify: str | None
) -> tuple[list[tuple[str, str]], list[str]]:
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    async with get_client() as client:
        try:
            await client.read_work_pool(work_pool)
        except ObjectNotFound:
            pools = ", ".join(pool.name for pool in await client.read_work_pools()) or "none"
            raise CoordevalError(
                f"there is no work pool {work_pool!r} (there are: {pools}); `prefect work-pool create --type process "
                f"{work_pool}` makes it"
            ) from None
        block = None if notify is None else await _block(client, notify)
        for queue in {one.queue for one in deployed}:
            try:
                await client.create_work_queue(queue, work_pool_name=work_pool, concurrency_limit=1)
            except ObjectAlreadyExists:
                known = await client.read_work_queue_by_name(queue, work_pool_name=work_pool)
                await client.update_work_queue(known.id, concurrency_limit=1)
    made = [(one.full_name, str(await _applied(one, work_pool))) for one in deployed]
    return made, await put_alarms(ledger, block)


async def _block(client: Any, slug: str) -> "UUID":
    from prefect.exceptions import ObjectNotFound

    kind, _, name = slug.partition("/")
    try:
        found = await client.read_block_document_by_name(name, block_type_slug=kind)
    except ObjectNotFound:
        raise CoordevalError(
            f"--notify {slug!r}: there is no such block; give TYPE/NAME, such as slack-webhook/alarms; "
            "`prefect block ls` lists them"
        ) from None
    block: UUID = found.id
    return block
