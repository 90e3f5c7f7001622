"""The flow that works on one chunk of a study, in a process that a Prefect worker starts for it."""

import pickle
import threading
from contextlib import suppress

from prefect import flow

from coordeval.flows.orchestration.pool import ENDED, TAKEN, TASK
from coordeval.flows.run.workers.chunk import BEACON, Chunk, WorkerError, run_chunk
from coordeval.flows.run.workers.places import Place, PlaceError, place
from coordeval.market_data.secrets import redacted

ALIVE_SECONDS = 10.0
"""How often such a process says that it lives."""


@flow(name="work-on-chunk", persist_result=False, retries=0)
def work_on_chunk(shards: str, task: str) -> None:
    """Work on the chunk whose description is called `task` in the place `shards`; how it ended stands beside it.

    Does nothing where the description is gone: the run has ended, or has given the chunk to another. Raises WorkerError
    where this machine does not see the place.
    """
    kept = place(shards)
    folder = task.split("/")
    content = kept.read(task)
    if content is None:
        if kept.read(f"{'/'.join(folder[:2])}/{BEACON}") is None and not kept.names(f"{folder[0]}/"):
            raise WorkerError(
                f"this worker does not see {shards}/{folder[0]}, where the run writes, or the run has ended: give a place "
                "that all machines can reach with --shards, such as a shared folder or s3://bucket/path"
            )
        return
    chunk = pickle.loads(content)
    assert isinstance(chunk, Chunk)
    name, over = task.removesuffix(TASK), threading.Event()
    alive = threading.Thread(target=_say, args=(kept, f"{name}{TAKEN}", over), daemon=True)
    alive.start()
    try:
        ended = run_chunk(chunk)
    finally:
        over.set()
        alive.join()
    kept.write(f"{name}{ENDED}", pickle.dumps(ended))
    if ended.error is not None:
        raise WorkerError(redacted(str(ended.error)))


def _say(kept: Place, name: str, over: threading.Event) -> None:
    """That this process lives, until it is over."""
    number = 0
    while True:
        with suppress(PlaceError):  # one that is away for a moment
            kept.write(name, str(number).encode())
        number += 1
        if over.wait(ALIVE_SECONDS):
            return
