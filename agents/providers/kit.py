"""The conformance kit: asks a provider's model what the harness will ask, and says by name what it does otherwise.

    problems = await conformance(MyProvider, {"id": "my-model"})
    assert not problems

It makes some four calls, which cost what they cost. What it cannot see is whether the model forecasts well.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import ValidationError

from coordeval.agents.messages import Model, ModelError, Reply, Request, Slot, decode_reply
from coordeval.agents.providers.base import Around, Provider
from coordeval.agents.providers.registry import check
from coordeval.agents.scaffold import ANSWER_TOOLS, system_prompt
from coordeval.agents.toolbox import TOOLS
from coordeval.market_data.errors import CoordevalError

_ASK = "Question: Will it rain?\n\nAnswer by calling `submit_estimate`."
_SLOT = Slot(replicate=0, k=0, forecast_id="", market_id="", configuration="", ask=0, turn=0)
_STOPS = ("end_turn", "tool_use", "max_tokens", "stop_sequence", "pause_turn", "refusal", "model_context_window_exceeded")


async def conformance(provider: type[Provider], settings: Mapping[str, Any], around: Around | None = None) -> list[str]:
    """What is wrong with a provider and the model that it makes of `settings` (the keys of `[model]`); empty: nothing.

    Never raises for what the provider does.
    """
    try:
        check(provider, getattr(provider, "name", ""))
    except CoordevalError as error:
        return [str(error)]
    try:
        own = provider.settings.model_validate({"provider": provider.name, **settings})
    except ValidationError as error:
        return [f"settings {dict(settings)!r} are refused: {error.errors()[0]['msg']}"]
    problems = [] if own.model_id else ["settings.model_id is empty: requests need a model's id; give it a key `id`"]
    try:
        model = provider.model(own, around or Around())
    except Exception as error:
        return [*problems, f"model() raises {type(error).__name__}: {error}"]
    try:
        return [*problems, *_identity(provider, own, model), *await _replies(own.model_id, own.max_tokens, model)]
    finally:
        if (close := getattr(model, "aclose", None)) is not None:
            await close()


def _identity(provider: type[Provider], own: Any, model: Model) -> list[str]:
    try:
        first, again = dict(model.identity), dict(provider.model(own, Around()).identity)
        text = orjson.dumps(first).decode()
    except Exception as error:
        return [f"identity cannot be had as JSON: {type(error).__name__}: {error}"]
    problems = (
        [] if first == again else ["identity differs between two models of the same settings: nothing would be shared"]
    )
    if own.model_id and own.model_id not in text:
        problems.append(f"identity does not name the model id {own.model_id!r}: another model's replies would be handed out")
    return problems


async def _replies(model_id: str, most: int, model: Model) -> list[str]:
    """A first turn with tools, then what the model said sent back with the tools' results."""
    if not inspect.iscoroutinefunction(model.complete):
        return ["complete is no coroutine; write `async def complete(self, request, slot)`"]
    tools = [*(tool.spec for tool in TOOLS.values()), *ANSWER_TOOLS]
    say: dict[str, Any] = {"model": model_id, "system": system_prompt(), "tools": tools, "max_tokens": most, "sampling": {}}
    first = Request(messages=[{"role": "user", "content": _ASK}], **say)
    before = first.encoded
    try:
        reply = await model.complete(first, _SLOT)
    except ModelError as error:
        return [f"no reply to an ask: {error}"]
    except Exception as error:
        return [f"complete raises {type(error).__name__}: {error}; a failed call raises ModelError or ModelAccessError"]
    problems = _one(reply)
    if first.encoded != before:
        problems.append("complete changes the request that it is given")
    if problems or not (used := reply.tool_uses()):
        return problems
    results = [{"type": "tool_result", "tool_use_id": use["id"], "content": "{}", "is_error": False} for use in used]
    turns = [*first.messages, {"role": "assistant", "content": list(reply.content)}, {"role": "user", "content": results}]
    try:
        second = await model.complete(Request(messages=turns, **say), _SLOT)
    except Exception as error:
        return [f"what it said cannot be sent back to it: {type(error).__name__}: {error}"]
    return _one(second)


def _one(reply: Any) -> list[str]:
    if not isinstance(reply, Reply):
        return [f"complete returns {type(reply).__name__}; it must be a Reply"]
    problems = [f"stop_reason is {reply.stop_reason!r}; it must be one of {', '.join(_STOPS)}"] * (
        reply.stop_reason not in _STOPS
    )
    if reply.micro_usd is not None and (type(reply.micro_usd) is not int or reply.micro_usd < 0):
        problems.append(f"micro_usd is {reply.micro_usd!r}; it must be whole millionths of a dollar, or None where unknown")
    if not reply.seconds >= 0:
        problems.append(f"seconds is {reply.seconds!r}; it must be at least 0")
    for use in reply.tool_uses():
        if not isinstance(use.get("id"), str) or not isinstance(use.get("input"), Mapping):
            problems.append(f"a tool_use block needs a text `id` and an object `input`: {use!r:.120}")
    try:
        if decode_reply(reply.encoded()).content != list(reply.content):
            problems.append("a reply that is stored and read again is not the same")
    except Exception as error:
        problems.append(f"a reply cannot be stored: {type(error).__name__}: {error}")
    return problems
