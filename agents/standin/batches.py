"""Message Batches of the stand-in: created, looked at, read in any order, cancelled; all in memory."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson

from coordeval.agents.standin.answers import Answer, Json, error
from coordeval.agents.standin.faults import FAULTS, ITEM_FAULTS, Faults

MOST, MOST_BYTES = 100_000, 256_000_000
"""The API's own limits of one batch: https://docs.claude.com/en/docs/build-with-claude/batch-processing"""


@dataclass(slots=True)
class Batch:
    id: str
    items: list[Json]
    created: datetime
    ends: float
    canceled: bool = False
    lines: bytes | None = None
    """Its results, made once."""
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.canceled or time.monotonic() >= self.ends


class Batches:
    """`answer(body)` is what one item gets; an error of it is the item's."""

    def __init__(self, answer: Callable[[Json], Awaitable[Answer]], faults: Faults) -> None:
        self._answer, self._faults = answer, faults
        self.made: dict[str, Batch] = {}
        self._writing = asyncio.Lock()

    def create(self, body: Json, size: int) -> Answer:
        if len(body["requests"]) > MOST or size > MOST_BYTES:
            return error(413, "request_too_large", f"a batch has at most {MOST} requests and {MOST_BYTES} bytes")
        now = datetime.now(UTC)
        batch = Batch(f"msgbatch_{uuid4().hex}", body["requests"], now, time.monotonic() + self._faults.batch_seconds)
        self.made[batch.id] = batch
        return Answer(body=self._seen(batch))

    def retrieve(self, id_: str) -> Answer:
        return Answer(body=self._seen(self.made[id_])) if id_ in self.made else _unknown(id_)

    def cancel(self, id_: str) -> Answer:
        if id_ not in self.made:
            return _unknown(id_)
        batch = self.made[id_]
        batch.canceled = batch.canceled or not batch.ended
        return Answer(body=self._seen(batch))

    def listed(self) -> Answer:
        newest = [self._seen(batch) for batch in reversed(self.made.values())]
        ends = {"first_id": newest[0]["id"], "last_id": newest[-1]["id"]} if newest else {"first_id": None, "last_id": None}
        return Answer(body={"data": newest, "has_more": False, **ends})

    async def results(self, id_: str) -> Answer:
        if id_ not in self.made:
            return _unknown(id_)
        batch = self.made[id_]
        if not batch.ended:
            return error(400, "invalid_request_error", f"batch {id_} has not ended")
        async with self._writing:
            if batch.lines is None:
                lines = [await self._line(batch, item) for item in batch.items]
                batch.lines = b"".join(self._faults.shuffled(lines))
        return Answer(body=batch.lines, kind="application/x-jsonl")

    async def _line(self, batch: Batch, item: Json) -> bytes:
        fault = "canceled" if batch.canceled else self._faults.draw(item=True)
        result: Json | None = None
        if fault not in ITEM_FAULTS:
            made = await self._answer(item["params"])
            made = self._faults.spoilt(fault, item["params"], made) if fault in FAULTS else made
            if isinstance(made.body, bytes):  # JSON that no encoder of ours would write: put in as it is
                head = orjson.dumps({"custom_id": item["custom_id"]})[:-1]
                return head + b',"result":{"type":"succeeded","message":' + made.body + b"}}\n"
            if made.status == 200 and made.body.get("type") == "message":
                result = {"type": "succeeded", "message": made.body}
            elif made.body.get("type") == "error":
                result = {"type": "errored", "error": made.body}
        if result is None:
            problem = {"type": "error", "error": {"type": "api_error", "message": "Internal server error"}}
            result = {"type": fault} if fault in ("expired", "canceled") else {"type": "errored", "error": problem}
        return orjson.dumps({"custom_id": item["custom_id"], "result": result}) + b"\n"

    def _seen(self, batch: Batch) -> Json:
        total, ended = len(batch.items), batch.ended
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": {
                "processing": 0 if ended else total,
                "succeeded": total if ended and not batch.canceled else 0,
                "errored": 0,
                "canceled": total if batch.canceled else 0,
                "expired": 0,
            },
            "created_at": batch.created.isoformat(),
            "expires_at": (batch.created + timedelta(hours=24)).isoformat(),
            "ended_at": datetime.now(UTC).isoformat() if ended else None,
            "cancel_initiated_at": None,
            "archived_at": None,
            "results_url": f"/v1/messages/batches/{batch.id}/results" if ended else None,
        }


def _unknown(id_: Any) -> Answer:
    return error(404, "not_found_error", f"message batch {id_} not found")
