"""Worker processes from the run's side: how they are started and ended, and what a plugin file is asked before a run."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from coordeval.configurations.isolation.frames import LENGTH, MOST_BYTES, frame, object_in, too_long
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.plugins import PluginError

LOAD_SECONDS = 60.0
"""How long a plugin file may take to be loaded."""


class WorkerEnded(CoordevalError):
    """A worker process was gone before its configuration came to an end."""


class Worker:
    """One worker process: its end of the cell's socket, and how it ended, once it has."""

    def __init__(self, nursery: "Nursery", number: int, sock: socket.socket) -> None:
        self._nursery, self._number, self.socket = nursery, number, sock
        self.ended: Future[int] = Future()

    def end(self) -> None:
        self._nursery.kill(self._number)


class Nursery:
    """The process that forks workers, and how it is spoken to. Can be used from every thread and event loop."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        python = [sys.executable, "-I", "-m", "coordeval.configurations.isolation.nursery", str(theirs.fileno())]
        nowhere = subprocess.DEVNULL
        with theirs:
            self._process = subprocess.Popen(
                python, env={}, cwd="/", stdin=nowhere, stdout=nowhere, stderr=nowhere, pass_fds=[theirs.fileno()]
            )
        self._lock = threading.Lock()
        self._number = 0
        self._workers: dict[int, Worker] = {}
        threading.Thread(target=self._listen, name="coordeval worker processes", daemon=True).start()

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def start(self, file: Path) -> Worker:
        """A new worker process. Raises WorkerEnded where none can be had."""
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            self._number += 1
            worker = self._workers[self._number] = Worker(self, self._number, ours)
            command = orjson.dumps({"start": self._number, "file": str(file)}) + b"\n"
            try:
                socket.send_fds(self._control, [command], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise WorkerEnded(f"no worker process can be started ({error}); run again") from error
        return worker

    def kill(self, number: int) -> None:
        with self._lock, suppress(OSError):  # the nursery is gone, and with it all its processes
            if number in self._workers:
                self._control.sendall(orjson.dumps({"kill": number}) + b"\n")

    def _listen(self) -> None:
        left = b""
        while given := self._control.recv(65536):
            *lines, left = (left + given).split(b"\n")
            for line in lines:
                told = orjson.loads(line)
                with self._lock:
                    worker = self._workers.pop(told["ended"], None)
                if worker is not None:
                    worker.ended.set_result(told["status"])


nurseries: list[Nursery] = []
_starting = threading.Lock()


def nursery() -> Nursery:
    with _starting:
        if not nurseries or not nurseries[-1].alive:
            nurseries.append(Nursery())
        return nurseries[-1]


def asked(file: Path, question: Mapping[str, Any]) -> dict[str, Any]:
    """What a plugin file's own process answers to `describe` or `create`, and what is closed to it."""
    worker = nursery().start(file)
    until = time.monotonic() + LOAD_SECONDS
    try:
        with worker.socket as sock:
            sock.sendall(frame(question))
            first = _received(sock, until)
            answer = first | _received(sock, until)
    except TimeoutError as error:
        raise PluginError(
            f"plugin file {file} was not loaded within {LOAD_SECONDS:g} s, which is what it may take"
        ) from error
    except (OSError, EOFError) as error:
        raise PluginError(f"plugin file {file} cannot be loaded: its worker process {how(_status(worker))}") from error
    except (ValueError, TypeError) as error:
        raise PluginError(f"plugin file {file}: its worker process sent what is no answer ({error})") from error
    finally:
        worker.end()
    if "refused" in answer:
        raise PluginError(str(answer["refused"]))
    return answer


def _received(sock: socket.socket, until: float) -> dict[str, Any]:
    (length,) = LENGTH.unpack(_exactly(sock, LENGTH.size, until))
    if length > MOST_BYTES:
        raise ValueError(too_long(length))
    return object_in(_exactly(sock, length, until))


def _exactly(sock: socket.socket, size: int, until: float) -> bytes:
    taken = b""
    while len(taken) < size:
        sock.settimeout(max(until - time.monotonic(), 0.001))
        if not (given := sock.recv(size - len(taken))):
            raise EOFError
        taken += given
    return taken


def _status(worker: Worker) -> int | None:
    try:
        return worker.ended.result(timeout=5)
    except TimeoutError:
        return None


def how(status: int | None) -> str:
    if status is None:
        return "closed its socket"
    if os.WIFSIGNALED(status):
        return f"was killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"ended with exit status {os.WEXITSTATUS(status)}"
