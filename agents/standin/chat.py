"""The stand-in's other tongue: chat completions, checked by the OpenAI SDK's own types, answered by the same models."""

from collections.abc import Mapping
from typing import Any

import orjson

from coordeval.agents.chat_form import UNPARSED
from coordeval.agents.standin.answers import Answer, Json
from coordeval.agents.standin.checks import plain
from coordeval.market_data.errors import CoordevalError

_STOPS = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length", "refusal": "content_filter"}
_CAPS = ("max_completion_tokens", "max_tokens")


def refusal(headers: Mapping[str, str], body: Any, key: str) -> Answer | None:
    """The answer to a request that an endpoint would not take; None where it would. Raises CoordevalError without SDK."""
    try:
        from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
    except ModuleNotFoundError as error:
        raise CoordevalError(
            "the stand-in's chat completions need the official SDK: pip install 'coordeval[openai]'"
        ) from error
    from pydantic import TypeAdapter, ValidationError

    if headers.get("authorization") != f"Bearer {key}":
        return error_of(401, "invalid_request_error", "Incorrect API key provided", "invalid_api_key")
    try:
        understood = plain(TypeAdapter(CompletionCreateParamsNonStreaming).validate_python(body))
    except ValidationError as problem:
        return error_of(400, "invalid_request_error", str(problem.errors()[0]), None)
    if understood != body:  # the types drop what they do not know
        return error_of(400, "invalid_request_error", "Unrecognized request argument supplied", None)
    calls = {call["id"] for message in body["messages"] for call in message.get("tool_calls") or ()}
    for message in body["messages"]:
        if message["role"] == "tool" and message["tool_call_id"] not in calls:
            return error_of(400, "invalid_request_error", "a tool message must follow the call that it answers", None)
    return None


def error_of(status: int, kind: str, text: str, code: str | None) -> Answer:
    body = {"error": {"message": text, "type": kind, "param": None, "code": code}}
    return Answer(status=status, body=body, headers={"x-request-id": "req_01"})


def as_message(body: Json) -> Json:
    """A chat completion's request as one of the Messages API."""
    messages: list[Json] = []
    system = ""
    for message in body["messages"]:
        match message["role"]:
            case "system":
                system = message["content"]
            case "assistant":
                blocks = [{"type": "text", "text": message["content"]}] if message.get("content") else []
                blocks += [_use(call) for call in message.get("tool_calls") or ()]
                messages.append({"role": "assistant", "content": blocks})
            case "tool":
                result = {"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": message["content"]}
                _user(messages, result)
            case _:
                _user(messages, message["content"])
    tools = [
        {"name": f["name"], "description": f["description"], "input_schema": f["parameters"]}
        for f in (tool["function"] for tool in body.get("tools", ()))
    ]
    cap = next((body[name] for name in _CAPS if name in body), 4096)
    return {"model": body["model"], "system": system, "messages": messages, "tools": tools, "max_tokens": cap}


def _user(messages: list[Json], said: Any) -> None:
    """What the user's side says; a text alone stays text, as the scaffold sends it."""
    blocks = said if isinstance(said, str) else [said]
    if messages and messages[-1]["role"] == "user":
        before = messages[-1]["content"]
        before = [{"type": "text", "text": before}] if isinstance(before, str) else before
        messages[-1]["content"] = [*before, *([{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks)]
        return
    messages.append({"role": "user", "content": blocks})


def _use(call: Json) -> Json:
    arguments = call["function"]["arguments"]
    try:
        given = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        given = {UNPARSED: arguments}
    return {"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": given}


def as_completion(answer: Answer) -> Answer:
    """What the stand-in would send to the Messages API, as an endpoint for chat completions would say it."""
    body = answer.body
    if not isinstance(body, dict):
        return answer
    if body.get("type") == "error":
        failed = error_of(answer.status, body["error"]["type"], body["error"]["message"], None)
        return Answer(failed.status, failed.body, {**answer.headers, **failed.headers}, delay=answer.delay)
    if not isinstance(body.get("content"), list):
        return answer
    calls = [
        {
            "id": block["id"],
            "type": "function",
            "function": {"name": block["name"], "arguments": orjson.dumps(block["input"]).decode()},
        }
        for block in body["content"]
        if block["type"] == "tool_use"
    ]
    text = "".join(block["text"] for block in body["content"] if block["type"] == "text")
    message = {"role": "assistant", "content": text or None, "refusal": None, **({"tool_calls": calls} if calls else {})}
    choice = {"index": 0, "message": message, "finish_reason": _STOPS.get(body["stop_reason"], "stop"), "logprobs": None}
    used = body["usage"]
    usage = {
        "prompt_tokens": used["input_tokens"],
        "completion_tokens": used["output_tokens"],
        "total_tokens": used["input_tokens"] + used["output_tokens"],
    }
    told = {"id": body["id"], "object": "chat.completion", "created": 0, "model": body["model"]}
    return Answer(
        answer.status, {**told, "choices": [choice], "usage": usage}, answer.headers, answer.kind, answer.delay, answer.cut
    )
