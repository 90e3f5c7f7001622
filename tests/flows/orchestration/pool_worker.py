"""What a Prefect worker does, as a thread: claims flow runs, and makes some of them die as a test says.

`python -m benchmarks work_pool` has a real one, and real processes.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx


@contextmanager
def worker(api: str, name: str, ends: list[str]) -> Iterator[list[str]]:
    """A thread that does what a worker of the pool does; of the flow runs the first end as `ends` says. Gives their ends."""
    over, became = threading.Event(), []

    def post(path: str, body: dict) -> httpx.Response:
        return httpx.post(f"{api}/{path}", json=body, timeout=60)

    def state(run: dict, kind: str) -> None:
        post(f"flow_runs/{run['id']}/set_state", {"state": {"type": kind, "message": "by the test"}, "force": True})

    def work() -> None:
        from coordeval.flows.orchestration.chunks import work_on_chunk

        while not over.wait(0.05):
            for given in post(f"work_pools/{name}/get_scheduled_flow_runs", {}).json():
                run = given["flow_run"]
                end = ends.pop(0) if ends else "works"
                state(run, "PENDING")
                became.append(end)
                if end.startswith("claimed"):
                    continue
                state(run, "RUNNING")
                if end == "works":
                    work_on_chunk.fn(**run["parameters"])
                state(run, {"works": "COMPLETED", "crashes": "CRASHED"}.get(end, "FAILED"))

    post("work_pools/", {"name": name, "type": "process"})
    post(f"work_pools/{name}/workers/heartbeat", {"name": "of the test"})
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield became
    finally:
        over.set()
        thread.join()
