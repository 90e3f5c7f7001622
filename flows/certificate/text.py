"""Text and prices out of the bytes of stored requests and tool results, told apart by who wrote them."""

import re
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any

import orjson

from coordeval.agents.messages import Request
from coordeval.agents.scaffold import ANSWER_TOOLS

_OF_THE_PANEL = re.compile(r'<statement from="the panel" role="statistic" round="\d+">\n(.*?)\n</statement>', re.DOTALL)


def request_of(body: Mapping[str, Any]) -> Request:
    """The request with this body: inverse of `Request.body`."""
    own = {name: body[name] for name in ("model", "system", "messages", "tools", "max_tokens")}
    return Request(**own, sampling={name: value for name, value in body.items() if name not in own})


def texts(body: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """(text, whether it is data) of a request; what agents wrote is shown inside <shown> or stands in their own turns."""
    if "userPrompt" in body:  # of the published study: the facts stand before the first blank line
        yield str(body.get("systemPrompt", "")), True
        head, _, rest = str(body["userPrompt"]).partition("\n\n")
        yield from ((head, True), (rest, False))
        return
    yield str(body.get("system", "")), True
    for message in _messages(body):
        mine = message.get("role") == "assistant"
        for block in _blocks(message):
            if block.get("type") == "text":
                for i, part in enumerate(re.split(r"<shown>\n(.*?)\n</shown>", str(block.get("text")), flags=re.DOTALL)):
                    for j, piece in enumerate(_OF_THE_PANEL.split(part)):  # a statistic: its words are a plugin's
                        yield unescape(piece), not mine and (i % 2 == 0 or j % 2 == 1)
            elif block.get("type") == "tool_result":
                yield from ((text, True) for text in leaves(read_result(block.get("content"))))
            else:
                yield from ((text, False) for text in leaves(block.get("input", block.get("thinking"))))


def _messages(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [message for message in body.get("messages") or [] if isinstance(message, dict)]


def _blocks(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content or [] if isinstance(block, dict)]


def opening(body: Mapping[str, Any]) -> str:
    """The first text of the first user message."""
    blocks = [block for message in _messages(body)[:1] for block in _blocks(message)]
    return str(blocks[0].get("text", "")) if blocks else ""


def asked(body: Mapping[str, Any]) -> str:
    """The text of the ask that a request belongs to: its opening, or what goes on with a conversation."""
    said = [b for m in _messages(body)[1:] if m.get("role") == "user" for b in _blocks(m) if b.get("type") == "text"]
    on = [text for block in said if (text := str(block.get("text", ""))).startswith('<role name="')]
    return on[-1] if on else opening(body)


def exchanges(body: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Any]]:
    """(tool call, its result's content) for each information tool used in the conversation that a request holds."""
    blocks = [block for message in _messages(body) for block in _blocks(message)]
    uses = {block.get("id"): block for block in blocks if block.get("type") == "tool_use"}
    answers = {tool["name"] for tool in ANSWER_TOOLS}
    for block in blocks:
        use = uses.get(block.get("tool_use_id"), {})
        if block.get("type") == "tool_result" and use.get("name") not in answers:
            yield use, block.get("content")


def read_result(content: Any) -> Any:
    """A tool result's JSON value, or the text itself where it is not JSON."""
    value = parsed(content) if isinstance(content, str) else content
    return content if value is None else value


def leaves(value: Any) -> Iterator[str]:
    """Every text in a JSON value; a plain value comes with its key."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner) if isinstance(inner, Mapping | list) else (f"{key}: {inner}",)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif value is not None:
        yield str(value)


def points_in(value: Any) -> Iterator[tuple[str, Any]]:
    """(date, price) of every object that has both."""
    if isinstance(value, Mapping):
        if "price" in value and "date" in value:
            yield str(value["date"]), value["price"]
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from points_in(inner)


def parsed(text: str | None) -> Any:
    """What was stored, or None where it is not JSON: the checks name what is wrong with it."""
    try:
        return None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def flat(text: str) -> str:
    """The text with every run of blanks as one."""
    return " ".join(text.split())
