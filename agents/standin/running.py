"""The stand-in in a thread of this process, at a free port of this machine."""

import socket
import threading
import time
from types import TracebackType

import uvicorn

from coordeval.agents.standin.app import StandIn


class Running:
    """Serves `standin` from construction to `stop` (or for a with-block). `url` is its address."""

    def __init__(self, standin: StandIn, *, port: int = 0) -> None:
        self.standin = standin
        socket_ = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{socket_.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(standin.app, log_level="critical", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [socket_]}, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=5)

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
