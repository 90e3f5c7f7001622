"""From the body of a success to a reply.

Whatever was served is a reply with its stated usage, so that it is booked and stored before it is judged; what makes it
unusable is its `fault`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from coordeval.agents.messages import Block, Reply, Usage, count
from coordeval.market_data.secrets import excerpt, redacted

RAW_LIMIT = 200_000
"""Characters that are kept of a body that cannot be used."""
_DEPTH = 48
"""Levels of lists that content is wrapped in when its depth is tried: what is stored or sent around it has fewer."""

Pricing = Callable[[str, Usage], int | None]
"""(served model, usage) -> its price in micro-dollars at list price; None: not known."""


@dataclass(frozen=True, slots=True)
class NoMessage:
    """A body that is no message. With `error` it is the API's own error body: (type, what it says)."""

    problem: str
    error: tuple[str, str] | None = None


Form = Callable[[Any], Any]
"""From a success of another API to a message of the Messages API; what it does not know, it gives back as it is."""


def read_reply(
    body: bytes,
    *,
    kind: str,
    asked: str,
    seconds: float,
    pricing: Pricing,
    form: Form = lambda value: value,
    batch: str = "",
) -> Reply | NoMessage:
    """The reply in a body of content type `kind` to a request for the model `asked`, perhaps by a batch.

    Never raises (nor may `form`).
    """
    message, fault = _parsed(body)
    message = form(message)
    if message is None and not body.lstrip().startswith(b"{"):
        return NoMessage(f"{kind or 'no content type'} instead of a message in JSON" if body.strip() else "an empty body")
    if message is not None and (not isinstance(message, dict) or not message.keys() & {"usage", "content", "stop_reason"}):
        return _no_message(message)
    stated = message or {}
    usage, known = read_usage(stated.get("usage"), batch=bool(batch))
    served = stated.get("model")
    served = redacted(_sayable(served)) if isinstance(served, str) else ""
    price = pricing(served or asked, usage) if known else None
    fault = fault or _fault(stated)
    content: list[Block] = []
    if not fault:
        content, fault = _storable(stated["content"])
    if fault:
        content = [{"type": "unreadable", "text": excerpt(body.decode("utf-8", "replace"), RAW_LIMIT)}]
    stop = stated.get("stop_reason")
    return Reply(
        content=content,
        stop_reason=redacted(_sayable(stop)) if isinstance(stop, str) else "none",
        model=served or asked,
        usage=usage,
        micro_usd=price,
        seconds=seconds,
        fault=fault,
        batch=batch,
    )


def read_usage(stated: Any, *, batch: bool = False) -> tuple[Usage, bool]:
    """(tokens, whether the price book speaks of them). What is no count of tokens is 0, and then nothing is known."""
    if not isinstance(stated, Mapping):
        return Usage(input_tokens=0, output_tokens=0), False
    split = stated.get("cache_creation")
    written, known = _counts({} if split is None else split, ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"))
    total = stated.get("cache_creation_input_tokens")
    rest = max(0, (count(total) or 0) - sum(written))  # what the split leaves out was written as asked, for five minutes
    plain, sound = _counts(stated, ("input_tokens", "output_tokens", "cache_read_input_tokens"))
    known = known and sound and (total is None or count(total) is not None)
    usage = Usage(
        input_tokens=plain[0],
        output_tokens=plain[1],
        cache_write_5m_tokens=written[0] + rest,
        cache_write_1h_tokens=written[1],
        cache_read_tokens=plain[2],
        web_searches=_searches(stated),
    )
    required = all(count(stated.get(name)) is not None for name in ("input_tokens", "output_tokens"))
    return usage, known and required and _at_list_price(stated, batch=batch)


def _counts(stated: Any, names: tuple[str, ...]) -> tuple[list[int], bool]:
    if not isinstance(stated, Mapping):
        return [0] * len(names), False
    values = [stated.get(name) for name in names]
    return [count(value) or 0 for value in values], all(value is None or count(value) is not None for value in values)


def _searches(stated: Mapping[str, Any]) -> int:
    tools = stated.get("server_tool_use")
    return (count(tools.get(_SEARCHES)) or 0) if isinstance(tools, Mapping) else 0


_SEARCHES = "web_search_requests"


def _at_list_price(usage: Mapping[str, Any], *, batch: bool) -> bool:
    """Whether the price book speaks of this call: not fast mode, priority tier, one region only, or other server tools
    than search."""
    tools = usage.get("server_tool_use")
    if isinstance(tools, Mapping) and count(tools.get(_SEARCHES, 0)) is not None:
        tools = {name: used for name, used in tools.items() if name != _SEARCHES}
    return (
        usage.get("speed") in (None, "standard")
        and usage.get("service_tier") in (None, "standard", *(("batch",) if batch else ()))
        and usage.get("inference_geo") in (None, "global", "not_available")
        and (not tools or (isinstance(tools, Mapping) and all(used is None or count(used) == 0 for used in tools.values())))
    )


def _parsed(body: bytes) -> tuple[Any, str]:
    """(value, "") or, of JSON that no ledger can hold, (value, fault); (None, fault) where nothing can be read."""
    try:
        return orjson.loads(body), ""
    except orjson.JSONDecodeError as error:
        problem = str(error)
    try:
        return json.loads(body.decode("utf-8", "replace")), f"JSON that breaks the standard ({problem})"
    except (ValueError, RecursionError):
        return None, f"malformed JSON ({problem})"


def _no_message(value: Any) -> NoMessage:
    if not isinstance(value, dict):
        return NoMessage("JSON that is no object")
    error = value.get("error")
    if isinstance(error, dict):
        kind, says = (_sayable(str(error.get(name) or "")) for name in ("type", "message"))
        return NoMessage(f"an error body: {kind}: {says}", (kind, says))
    return NoMessage("an error body" if value.get("type") == "error" else "JSON that is no message")


def _fault(message: Mapping[str, Any]) -> str:
    """The part of a message without which nobody can go on."""
    for name in ("model", "stop_reason"):
        if not isinstance(message.get(name), str):
            return f"a message whose {name} is {excerpt(repr(message.get(name)), 80)}"
    content = message.get("content")
    if not isinstance(content, list) or not all(isinstance(block, dict) and _whole(block) for block in content):
        return "a message without whole content blocks"
    return ""


_PARTS: dict[str, dict[str, type]] = {
    "text": {"text": str},
    "tool_use": {"id": str, "name": str, "input": dict},
}


def _whole(block: Mapping[str, Any]) -> bool:
    kind = block.get("type")
    return isinstance(kind, str) and all(isinstance(block.get(name), of) for name, of in _PARTS.get(kind, {}).items())


def _storable(content: list[Block]) -> tuple[list[Block], str]:
    """(content without any known secret, ""), or ([], fault) where it is nested too deeply to be stored and sent back."""
    wrapped: Any = content
    for _ in range(_DEPTH):
        wrapped = [wrapped]
    try:
        text = orjson.dumps(wrapped).decode()
    except orjson.JSONEncodeError as error:
        return [], f"content that cannot be stored ({error})"
    if (safe := redacted(text)) is text:
        return content, ""
    for _ in range(_DEPTH):
        safe = safe[1:-1]
    return orjson.loads(safe), ""


def _sayable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
