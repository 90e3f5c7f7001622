"""One turn of the Messages API, as data: the seam between everything that asks and every model that answers.

`Request` and `Reply` mirror the public wire format (content is a list of blocks, as plain JSON), so that a live model
needs no translation and the stored bytes are what was sent.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import orjson

from coordeval.market_data.errors import CoordevalError

Block = Mapping[str, Any]
"""A content block: {"type": "text" | "tool_use" | "tool_result" | "thinking" ..., ...}."""


def canonical(value: Any) -> bytes:
    """The one JSON encoding that hashes are taken of: sorted keys, no spaces, UTF-8."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def content_hash(version: str, value: Any) -> str:
    """sha256 (64 hex digits) of a JSON value, prefixed by the version of the scheme that it belongs to."""
    return hashlib.sha256(version.encode() + b"\x1f" + canonical(value)).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one model call sends. Two requests with the same bytes have the same `key`."""

    model: str
    system: str
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]]
    max_tokens: int
    sampling: Mapping[str, Any]
    """Sampling parameters the study fixes (temperature, thinking, effort ...); empty: the model's defaults."""

    @cached_property
    def body(self) -> dict[str, Any]:
        """The JSON body in the Messages API's own names."""
        return {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "system": self.system,
            "messages": list(self.messages),
            "tools": list(self.tools),
            **self.sampling,
        }

    @cached_property
    def encoded(self) -> bytes:
        return canonical(self.body)

    @cached_property
    def key(self) -> str:
        """Content address of the request: sha256 of its canonical bytes."""
        return hashlib.sha256(b"request/1\x1f" + self.encoded).hexdigest()


STAND_IN_REPLY = '"stand_in":true'
"""What stands in the stored bytes of a reply that a stand-in made, and of no other."""
MOST_TOKENS = 2**40
"""No reply has more, of any kind; a larger number is no count of tokens."""


def count(value: Any) -> int | None:
    """`value` where it is a count of tokens: a whole number (not a truth value) from 0 to MOST_TOKENS; else None."""
    return value if type(value) is int and 0 <= value <= MOST_TOKENS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one reply, and what its provider did for it. Total input = input + cache writes + cache_read."""

    input_tokens: int
    output_tokens: int
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cache_read_tokens: int = 0
    web_searches: int = 0
    """Searches on the provider's servers."""

    @property
    def total_input_tokens(self) -> int:
        return self.input_tokens + self.cache_write_5m_tokens + self.cache_write_1h_tokens + self.cache_read_tokens


@dataclass(frozen=True, slots=True)
class Room:
    """What a rate limit still takes: `calls` of them, before it is renewed in `seconds`."""

    calls: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one model call returned, and what it cost."""

    content: Sequence[Block]
    stop_reason: str
    """end_turn, tool_use, max_tokens, refusal ... as the API names them."""
    model: str
    """The model that answered, by its own word; it can differ from the one asked."""
    usage: Usage
    micro_usd: int | None
    """Full price in millionths of a dollar; None where the price is not known."""
    seconds: float
    """Wall-clock time of the call that produced this reply."""
    draw_id: str = ""
    """Content address of the draw; set by the draw store."""
    paid: bool = True
    """False where the reply came from the draw store and had been paid for by another cell."""
    fault: str = ""
    """Why a reply that was served cannot be used ("": it can). It is stored and charged all the same."""
    discarded: tuple["Reply", ...] = ()
    """Replies with a fault that were bought before this one, for the sake of the cell that pays."""
    attempt: str = ""
    """The attempt in the books that brought it."""
    room: "Room | None" = None
    """What the server's rate limit still takes, by its own word at this reply."""
    batch: str = ""
    """The batch that brought it ("": none did); its price is then that of a batch."""
    stand_in: bool = False
    """By the server's own word it is made up: its price is what it would cost, and nobody pays it."""

    @property
    def text(self) -> str:
        return "\n".join(block["text"] for block in self.content if block["type"] == "text")

    def tool_uses(self) -> list[Block]:
        return [block for block in self.content if block["type"] == "tool_use"]

    def encoded(self) -> bytes:
        """Everything needed to hand out this reply again: inverse of `decode_reply`."""
        usage = {name: getattr(self.usage, name) for name in Usage.__slots__}
        if not usage["web_searches"]:  # as it was stored before there were any
            del usage["web_searches"]
        return orjson.dumps(
            {
                "content": list(self.content),
                "stop_reason": self.stop_reason,
                "model": self.model,
                "usage": usage,
                "micro_usd": self.micro_usd,
                "seconds": self.seconds,
                **({"stand_in": True} if self.stand_in else {}),
            }
        )

    def drawn(self, draw_id: str, *, paid: bool) -> "Reply":
        return replace(self, draw_id=draw_id, paid=paid)


def decode_reply(encoded: bytes | str) -> Reply:
    """The reply that `Reply.encoded` wrote. What an older version stored as usage and is none is 0, at an unknown price."""
    data = orjson.loads(encoded)
    usage = {name: count(value) for name, value in data["usage"].items()}
    price = data["micro_usd"]
    sound = None not in usage.values() and type(price) is int and price >= 0
    data["usage"] = Usage(**{name: value or 0 for name, value in usage.items()})
    return Reply(**{**data, "micro_usd": price if sound else None})


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Which draw of a request is wanted, and where it is asked.

    `replicate` and `k` (this is the k-th byte-identical ask within its cell) say which draw it is; the rest says where the
    call stands, and is part of a draw's identity only where a study keys its draws by configuration.
    """

    replicate: int
    k: int
    forecast_id: str
    """The cell for whose sake the call is made: it pays if the draw is new."""
    market_id: str
    configuration: str
    ask: int
    """Ordinal of the ask within its cell, from 0."""
    turn: int
    """Turn of the tool loop within the ask, from 0."""
    attempt: str = ""
    """Its attempt in the books, once there is one."""
    model: str = ""
    """Which of a study's models is asked: "" its own, else the name of another (`agents.several`)."""


class Model(Protocol):
    """Anything that answers a request. `identity` holds everything, beside the request, that could change a reply."""

    @property
    def identity(self) -> Mapping[str, Any]: ...

    async def complete(self, request: Request, slot: Slot) -> Reply:
        """One reply. Raises ModelError when there is none."""
        ...


class ModelError(CoordevalError):
    """No usable reply. `retryable`: asking again later may help, so a resumed run does; else the failure is final.

    `discarded` are replies that were served and charged, and cannot be used.
    """

    of_payer = False
    """It is the matter of the cell that would have paid: for another one the same call may be made."""
    parked = False
    """The call goes on without the run, and its reply can be taken up later."""

    def __init__(self, reason: str, *, retryable: bool, discarded: tuple[Reply, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retryable = retryable
        self.discarded = discarded
