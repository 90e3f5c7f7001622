"""Message Batches of the Messages API: created, looked at and read by the official SDK, each attempt once."""

import json
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx2
import orjson

from coordeval.agents.batching import Item
from coordeval.agents.failures import End, ModelAccessError, RequestRefused, Unavailable, ending
from coordeval.agents.messages import Reply, Usage
from coordeval.agents.replies import read_reply
from coordeval.market_data.http import STAND_IN
from coordeval.market_data.secrets import redacted

MOST, MOST_BYTES = 100_000, 250_000_000
"""Calls and bytes of one batch, a little under the API's 256 MB: https://docs.claude.com/en/docs/build-with-claude/batch-processing"""

_CUSTOM_ID = re.compile(rb'"custom_id"\s*:\s*"([A-Za-z0-9_-]{1,64})"')

Send = Callable[..., Any]
"""(method, path, body, headers) -> the response, or what `agents.failures` makes of it."""


class MessageBatches:
    """The batches of one model. `send` makes one HTTP call with its failures as errors; `price` is that of a batch."""

    most, most_bytes = MOST, MOST_BYTES

    def __init__(self, model_id: str, send: Send, price: Callable[[str, Usage], int | None]) -> None:
        self._model_id, self._send, self._price = model_id, send, price

    async def create(self, items: Sequence[Item]) -> str:
        """Sends the bytes that were hashed, as they are."""
        parts = (b'{"custom_id":%b,"params":%b}' % (orjson.dumps(i.id), i.request.encoded) for i in items)
        body = b'{"requests":[' + b",".join(parts) + b"]}"
        made = await self._json("POST", "", body, items[0].request.sampling)
        if not isinstance(made.get("id"), str):
            raise Unavailable("an answer without the id of a batch", charged=True, page=True)
        return str(made["id"])

    async def ended(self, batch_id: str) -> bool:
        seen = await self._json("GET", f"/{batch_id}")
        return seen.get("processing_status") == "ended"

    async def since(self, moment: datetime, size: int) -> list[str]:
        """Looks at the newest thousand."""
        found: list[str] = []
        after = ""
        for _ in range(10):
            page = await self._json("GET", f"?limit=100{after}")
            for batch in page.get("data") or []:
                if datetime.fromisoformat(batch["created_at"]) < moment:
                    return found
                if sum(batch["request_counts"].values()) == size:
                    found.append(batch["id"])
            if not page.get("has_more"):
                break
            after = f"&after_id={page['last_id']}"
        return found

    async def results(self, batch_id: str) -> AsyncIterator[tuple[str, Reply | Exception]]:
        began = time.perf_counter()
        response: httpx2.Response = await self._send("GET", f"/{batch_id}/results", None, {})
        for line in response.content.splitlines():
            if line.strip():
                item, reply = self._read(batch_id, line, time.perf_counter() - began)
                made_up = isinstance(reply, Reply) and STAND_IN in response.headers
                yield item, replace(reply, stand_in=True) if made_up and isinstance(reply, Reply) else reply

    def _read(self, batch_id: str, line: bytes, seconds: float) -> tuple[str, Reply | Exception]:
        try:
            told = orjson.loads(line)
        except (
            orjson.JSONDecodeError
        ):  # such as NaN, or half a character: the fault is the message's, so it is read all the same
            try:
                told = json.loads(line)
            except (ValueError, RecursionError):
                found = _CUSTOM_ID.search(line)
                broken = RequestRefused(f"batch {batch_id}: a result that is no JSON", charged=True)
                return (found[1].decode() if found else ""), broken
        result = told.get("result") or {}
        if result.get("type") != "succeeded":
            return told["custom_id"], _no_reply(batch_id, result)
        reply = read_reply(
            json.dumps(result.get("message")).encode(),
            kind="application/json",
            asked=self._model_id,
            seconds=seconds,
            pricing=self._price,
            batch=batch_id,
        )
        if isinstance(reply, Reply):
            return told["custom_id"], reply
        return told["custom_id"], RequestRefused(f"batch {batch_id}: {reply.problem}", charged=True)

    async def _json(
        self, method: str, path: str, body: bytes | None = None, sampling: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        response: httpx2.Response = await self._send(method, path, body, sampling or {})
        try:
            seen = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            seen = None
        if not isinstance(seen, dict):
            raise Unavailable("a page in place of a batch", page=True, charged=method == "POST")
        return seen


def _no_reply(batch_id: str, result: Mapping[str, Any]) -> Exception:
    """Nothing of it is charged. An error ends as the same error of a single call does, by the table in `failures`."""
    if result.get("type") != "errored":
        return Unavailable(f"batch {batch_id}: {result.get('type')}", own=True)
    error = result.get("error") or {}
    error = error.get("error") or error
    kind, says = (redacted(str(error.get(name) or "")) for name in ("type", "message"))
    what = f"batch {batch_id}: errored: {kind}: {says}"
    rule = ending("answer", status=200, kind=kind, text=says)
    match rule.end:
        case End.STOP:
            return ModelAccessError(f"{what}; {rule.then}")
        case End.AGAIN:
            return Unavailable(what, own=True)
        case _:
            return RequestRefused(what)
