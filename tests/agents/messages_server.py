"""The package's Messages API stand-in in a thread, with a script of what to answer next."""

import asyncio
import threading
from collections import deque
from typing import Any

from coordeval.agents.standin import Answer, Running, StandIn, error, message

__all__ = ["KEY", "Answer", "MessagesServer", "error", "message", "soon"]

KEY = "sk-ant-test-0123456789"

Json = dict[str, Any]


def soon(status: int, kind: str) -> Answer:
    """An error that asks to be retried in a millisecond."""
    return error(status, kind, retry_after_ms="1")


class MessagesServer(Running):
    """`script` says what to answer next; else every valid request gets `message()` from the model it names."""

    def __init__(self) -> None:
        self._script: deque[Answer] = deque()
        self.held = threading.Event()
        """While it is set a request is seen and gets no answer."""
        super().__init__(_Scripted(self))

    @property
    def seen(self) -> list[Any]:
        return self.standin.seen

    def script(self, *answers: Answer | Json) -> None:
        self._script = deque(Answer(body=answer) if isinstance(answer, dict) else answer for answer in answers)

    def reset(self) -> None:
        self.seen.clear()
        self._script.clear()
        self.held.clear()

    def answer(self, body: Json) -> Answer:
        """What a valid request gets; a subclass may make up its own."""
        return self._script.popleft() if self._script else Answer(body=message(model=body["model"]))


class _Scripted(StandIn):
    def __init__(self, server: MessagesServer) -> None:
        super().__init__(key=KEY)
        self._server = server

    async def answer(self, body: Json) -> Answer:
        answer = self._server.answer(body)
        while self._server.held.is_set():  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.02)
        return answer
