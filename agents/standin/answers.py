"""What the stand-in sends: a sensible message of whoever answers that form here, or an error, as data."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from threading import Lock
from typing import Any, Final
from uuid import uuid4

from coordeval.agents.messages import Model, Request, Slot
from coordeval.agents.simulated import SimulatedModel, SimulatedParameters

Json = dict[str, Any]

GROUP: Final = "coordeval.standin"
"""Entry points of models that answer in the stand-in: NAME is a form, and `make(seed)` gives the model by which a request
that offers `submit_NAME` is answered. All other requests are the simulated forecaster's."""
_OWN = {"model", "max_tokens", "system", "messages", "tools", "cache_control", "stream"}


@dataclass(frozen=True)
class Answer:
    """What is sent next. `body` is JSON, or the bytes as they are."""

    status: int = 200
    body: Json | bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str = "application/json"
    delay: float = 0.0
    """Seconds before the first byte."""
    cut: bool = False
    """The connection ends in the middle of the body."""
    reset: bool = False
    """The connection ends before anything was sent."""
    stream: Callable[[], AsyncIterator[bytes]] | None = None
    """A body in pieces, in place of `body`."""


def message(**changes: Any) -> Json:
    """A whole message, as the API sends it."""
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-6",
        "content": [{"type": "text", "text": "Hello."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 10},
        **changes,
    }


def error(status: int, kind: str, text: str = "no", **headers: str) -> Answer:
    """The API's error body; `headers` are written with underscores."""
    body = {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_01"}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, body=body, headers={"request-id": "req_01", **given})


class Answering:
    """Answers a valid request as a simulated model would: whose, its tools say. `sampled`: asked again, another draw."""

    def __init__(self, *, seed: int = 1, sampled: bool = True) -> None:
        calm = SimulatedParameters(seed=seed, malformed_rate=0.0, refusal_rate=0.0, truncation_rate=0.0)
        self._forecaster, self._sampled, self._seed = SimulatedModel(calm), sampled, seed
        self._doors = {entry.name: entry for entry in entry_points(group=GROUP)}
        self._others: dict[str, Model] = {}
        self._asked: Counter[str] = Counter()
        self._lock = Lock()

    async def message(self, body: Json) -> Json:
        request = Request(
            model=body["model"],
            system=str(body.get("system", "")),
            messages=body["messages"],
            tools=body.get("tools", ()),
            max_tokens=body["max_tokens"],
            sampling={name: value for name, value in body.items() if name not in _OWN},
        )
        with self._lock:
            k = self._asked[request.key] if self._sampled else 0
            self._asked[request.key] += 1
        slot = Slot(replicate=0, k=k, forecast_id="", market_id="", configuration="", ask=0, turn=0)
        reply = await self._of(request).complete(request, slot)
        usage = {"input_tokens": reply.usage.input_tokens, "output_tokens": reply.usage.output_tokens}
        return message(
            id=f"msg_{uuid4().hex}",
            model=body["model"],
            content=list(reply.content),
            stop_reason=reply.stop_reason,
            usage=usage,
        )

    def _of(self, request: Request) -> Model:
        """By the forms that the request offers."""
        offered = {str(tool.get("name", "")).removeprefix("submit_") for tool in request.tools}
        for form in offered & self._doors.keys():
            if form not in self._others:
                self._others[form] = self._doors[form].load()(self._seed)
            return self._others[form]
        return self._forecaster
