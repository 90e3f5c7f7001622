"""What the stand-in sends: a sensible message of the simulated forecaster, or an error, as data."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from uuid import uuid4

from coordeval.agents.messages import Request, Slot
from coordeval.agents.simulated import SimulatedModel, SimulatedParameters

Json = dict[str, Any]

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


class Forecaster:
    """Answers a valid request as the simulated forecaster would. `sampled`: the same request again is another draw."""

    def __init__(self, *, seed: int = 1, sampled: bool = True) -> None:
        calm = SimulatedParameters(seed=seed, malformed_rate=0.0, refusal_rate=0.0, truncation_rate=0.0)
        self._model, self._sampled = SimulatedModel(calm), sampled
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
        reply = await self._model.complete(request, slot)
        usage = {"input_tokens": reply.usage.input_tokens, "output_tokens": reply.usage.output_tokens}
        return message(
            id=f"msg_{uuid4().hex}",
            model=body["model"],
            content=list(reply.content),
            stop_reason=reply.stop_reason,
            usage=usage,
        )
