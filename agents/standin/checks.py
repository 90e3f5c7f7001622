"""What the stand-in refuses: what the SDK's own types or the API's published rules refuse."""

from collections.abc import Mapping
from typing import Any

from anthropic.types.message_count_tokens_params import MessageCountTokensParams
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from anthropic.types.messages.batch_create_params import BatchCreateParams
from pydantic import TypeAdapter, ValidationError

from coordeval.agents.capabilities import RANDOMNESS, randomness_version
from coordeval.agents.standin.answers import Answer, Json, error

MESSAGE: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsNonStreaming)
COUNT: TypeAdapter[Any] = TypeAdapter(MessageCountTokensParams)
BATCH: TypeAdapter[Any] = TypeAdapter(BatchCreateParams)


def refusal(headers: Mapping[str, str], body: Any, key: str, kind: TypeAdapter[Any] = MESSAGE) -> Answer | None:
    """The answer to a request that the API would not take; None where it would. `key`: the one that is good."""
    if headers.get("authorization") != f"Bearer {key}":
        return error(401, "authentication_error", "invalid bearer token")
    if not isinstance(body, dict):
        return error(400, "invalid_request_error", "the body is not a JSON object")
    if kind is not BATCH:
        return _unlike(headers, body, kind)
    items = body.get("requests")
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        return error(400, "invalid_request_error", "requests: List should have at least 1 item")
    ids = [item.get("custom_id") for item in items]
    if len(set(map(str, ids))) < len(ids):
        return error(400, "invalid_request_error", "requests: custom_id must be unique within a batch")
    return next((bad for item in items if (bad := _unlike(headers, item.get("params") or {}, MESSAGE))), None)


def _unlike(headers: Mapping[str, str], body: Json, kind: TypeAdapter[Any]) -> Answer | None:
    sampled = RANDOMNESS & body.keys()
    version = randomness_version(str(body.get("model")))
    if sampled and (version is None or headers.get("anthropic-version") != version):
        return error(400, "invalid_request_error", f"{min(sampled)}: Extra inputs are not permitted")
    known = {name: value for name, value in body.items() if name not in sampled}
    try:
        understood = plain(kind.validate_python(known))
    except ValidationError as problem:
        return error(400, "invalid_request_error", str(problem.errors()[0]))
    if understood != known:  # the types drop what they do not know
        return error(400, "invalid_request_error", "unknown fields in the request")
    return None


def plain(value: Any) -> Any:
    """Reads the types' lazy iterables to their end, which is what validates their items."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if value is None or isinstance(value, str | bytes | int | float):
        return value
    return [plain(item) for item in value]
