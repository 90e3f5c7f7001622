"""The process that cells are forked from: it has loaded what every configuration needs, and no plugin.

It is started with an empty environment and knows no key, no ledger and no study. Commands come as lines of JSON over its
control socket: {"start": number, "file": path}, with the cell's socket beside it, and {"kill": number}. It answers with
{"ended": number, "status": wait status}. When the run that started it is gone, it ends what is left and itself.
"""

import asyncio  # noqa: F401 - loaded here once, not in every fork
import gc
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import orjson

from coordeval.configurations.isolation import inside
from coordeval.configurations.isolation.confine import confine, ruleset

MOST_SOCKETS = 64


class _Nursery:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._cells: dict[int, int] = {}
        """Number -> process id of what is alive."""
        self._rules: dict[str, int | None] = {}

    def serve(self) -> None:
        wake, waker = socket.socketpair()
        for end in (wake, waker):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        left = b""
        while True:
            ready, _, _ = select.select([self._control, wake], [], [])
            if wake in ready:
                with suppress(BlockingIOError):
                    wake.recv(4096)
                self._reap()
            if self._control in ready:
                given, sockets, _, _ = socket.recv_fds(self._control, 65536, MOST_SOCKETS)
                if not given:
                    break
                *lines, left = (left + given).split(b"\n")
                for line in lines:
                    command = orjson.loads(line)
                    if "start" in command:
                        self._start(command["start"], command["file"], sockets.pop(0))
                    elif (process := self._cells.get(command["kill"])) is not None:
                        os.kill(process, signal.SIGKILL)
        for process in self._cells.values():
            os.kill(process, signal.SIGKILL)

    def _start(self, number: int, file: str, descriptor: int) -> None:
        if file not in self._rules:
            self._rules[file] = ruleset([Path(file), Path(file).parent / "roles"])
        process = os.fork()
        if process:
            os.close(descriptor)
            self._cells[number] = process
            return
        status = 70
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.chdir("/")
            os.nice(5)  # what computes without end slows the run least
            own = socket.socket(fileno=os.dup2(descriptor, 3))
            rules = self._rules[file]
            rules = None if rules is None else os.dup2(rules, 4)
            os.closerange(5, 1 << 16)
            closed = confine(rules)
            if rules is not None:
                os.close(rules)
            status = inside.main(own, Path(file), closed)
        finally:
            os._exit(status)

    def _reap(self) -> None:
        while self._cells:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                return
            number = next(n for n, p in self._cells.items() if p == process)
            del self._cells[number]
            self._control.sendall(orjson.dumps({"ended": number, "status": status}) + b"\n")


def main() -> None:
    """Serves the socket that is descriptor 3, or whichever the first argument says."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the run's: it ends its cells, and this by leaving
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(ImportError):
        import configurations  # noqa: F401 - the name by which older plugins of a checkout import the panel
    gc.collect()
    gc.freeze()  # so that the collector of a fork does not touch, and so copy, what all have in common
    with suppress(BrokenPipeError, ConnectionResetError):
        _Nursery(socket.socket(fileno=int(sys.argv[1]))).serve()


if __name__ == "__main__":
    main()
