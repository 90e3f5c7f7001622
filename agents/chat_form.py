"""Between two ways to say one turn: the Messages API, which everything here speaks, and the OpenAI chat completions.

It is deterministic: equal requests become equal bytes. `FORM` is part of a model's identity, so a change of what is
sent needs another number.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import orjson

from coordeval.agents.messages import Block, Request

FORM = "chat/1"
UNPARSED = "unparsed"
"""The one key of a tool call's input whose arguments were no JSON object: what the model wrote, as text."""
OWN = frozenset({"model", "messages", "tools", "max_tokens", "max_completion_tokens", "stream", "n", "tool_choice"})
"""Parts of a request that are decided elsewhere, so they are no sampling parameters."""
_STOPS = {"stop": "end_turn", "tool_calls": "tool_use", "function_call": "tool_use", "length": "max_tokens"}
_STOPS |= {"content_filter": "refusal", "max_tokens": "max_tokens"}
_STOPS |= dict.fromkeys(("eos", "eos_token", "end_turn", "stop_sequence"), "end_turn")

Cap = Literal["max_tokens", "max_completion_tokens"]


def asked(request: Request, cap: Cap) -> dict[str, Any]:
    """The body of a chat completion: system, messages and tools in the endpoint's form, `cap` names the output cap."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": request.system}]
    for message in request.messages:
        messages += _messages(message)
    tools = [_tool(spec) for spec in request.tools]
    return {
        "model": request.model,
        "messages": messages,
        **({"tools": tools} if tools else {}),
        cap: request.max_tokens,
        **request.sampling,
    }


def _tool(spec: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": spec["name"], "description": spec["description"], "parameters": spec["input_schema"]}
    return {"type": "function", "function": {**function, **({"strict": True} if spec.get("strict") else {})}}


def _messages(message: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    content: str | Sequence[Block] = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    said = "\n\n".join(block["text"] for block in blocks if block["type"] == "text")
    if message["role"] == "assistant":
        calls = [_call(block) for block in blocks if block["type"] == "tool_use"]
        yield {"role": "assistant", "content": said or None, **({"tool_calls": calls} if calls else {})}
        return
    for block in blocks:  # results follow the calls that they answer at once, whatever else is said comes after
        if block["type"] == "tool_result":
            yield {"role": "tool", "tool_call_id": block["tool_use_id"], "content": block["content"]}
    if said:
        yield {"role": "user", "content": said}


def _call(block: Block) -> dict[str, Any]:
    given = block["input"]
    arguments = given[UNPARSED] if given.keys() == {UNPARSED} else orjson.dumps(given).decode()
    return {"id": block["id"], "type": "function", "function": {"name": block["name"], "arguments": arguments}}


def answered(value: Any) -> Any:
    """A chat completion as a message of the Messages API; anything else as it is. Never raises.

    A field that is missing or of another type stays so, for the reader of messages to name. A tool call without an id of its
    own gets one from its position. Reasoning that a server shows is kept as a thinking block, and not sent back.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("choices"), list) or not value["choices"]:
        return value
    choice = value["choices"][0]
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(message, Mapping) or choice.get("finish_reason") == "error":  # a router's word for a broken reply
        return {"model": value.get("model"), "usage": _usage(value.get("usage")), "stop_reason": None, "content": None}
    calls = message.get("tool_calls")
    calls = [] if calls is None else calls
    content: list[Any] = []
    if isinstance(thought := message.get("reasoning_content") or message.get("reasoning"), str) and thought:
        content.append({"type": "thinking", "thinking": thought})
    for text in (message.get("content"), message.get("refusal")):
        if text is not None and text != "":
            content.append({"type": "text", "text": text})
    content += [_use(call, i) for i, call in enumerate(calls)] if isinstance(calls, list) else [None]
    stop = choice.get("finish_reason")
    stop = _STOPS.get(stop, stop) if isinstance(stop, str) else stop
    if stop == "end_turn" and calls:  # some servers end a turn of tool calls with "stop"
        stop = "tool_use"
    return {
        "model": value.get("model"),
        "usage": _usage(value.get("usage")),
        "stop_reason": "refusal" if message.get("refusal") and not calls else stop,
        "content": content,
    }


def _use(call: Any, position: int) -> Any:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        return None
    arguments = function.get("arguments")
    given: Any = arguments if isinstance(arguments, Mapping) else None
    if isinstance(arguments, str):
        try:
            given = orjson.loads(arguments or "{}")
        except orjson.JSONDecodeError:
            given = None
    if not isinstance(given, Mapping):
        given = {UNPARSED: arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()}
    return {"type": "tool_use", "id": call.get("id") or f"call_{position}", "name": function.get("name"), "input": given}


_READ = ("cache_read_input_tokens", "prompt_cache_hit_tokens")
_WRITTEN = ("cache_creation_input_tokens",)
"""Where proxies and servers say at the top what others say in the details of the prompt, of which it is a part."""


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _usage(stated: Any) -> Any:
    """Tokens as the Messages API counts them: what was read from and written to a cache is apart from the rest."""
    if not isinstance(stated, Mapping):
        return stated
    details = stated.get("prompt_tokens_details")
    details = details if isinstance(details, Mapping) else {}
    prompt = stated.get("prompt_tokens")
    read = _first(details.get("cached_tokens"), *(stated.get(name) for name in _READ))
    written = _first(details.get("cache_write_tokens"), *(stated.get(name) for name in _WRITTEN))
    rest = prompt
    if type(prompt) is int:
        rest = prompt - sum(part for part in (read, written) if type(part) is int)
    return {
        "input_tokens": rest,
        "output_tokens": stated.get("completion_tokens"),
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
    }
