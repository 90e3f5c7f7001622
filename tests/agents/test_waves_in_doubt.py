"""Calls in a batch that the endpoint has stay in the books, whatever ends the run: they are charged."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from coordeval.agents.batching import Item, OpenBatch
from coordeval.agents.budget import Budgeted
from coordeval.agents.failures import PatienceExhausted, RequestRefused, Unavailable
from coordeval.agents.messages import ModelError, Reply, Request, Slot
from coordeval.agents.waves import Waves

REQUEST = Request(model="claude-opus-4-6", system="", messages=(), tools=(), max_tokens=10, sampling={})
SLOT = Slot(replicate=0, k=0, forecast_id="f1", market_id="m1", configuration="c", ask=0, turn=0)


class Endpoint:
    """Takes a batch, and then does as a test says."""

    most, most_bytes = 10, 1_000_000
    identity: ClassVar = {"model": "claude-opus-4-6"}

    def __init__(self, *, create: Exception | None = None, ended: Exception | None = None, results: Exception | None = None):
        self.fails = {"create": create, "ended": ended, "results": results}

    async def create(self, items: Sequence[Item]) -> str:
        return self._or("create", "batch-1")

    async def ended(self, batch_id: str) -> bool:
        return self._or("ended", True)

    async def results(self, batch_id: str) -> AsyncIterator[tuple[str, Reply | Exception]]:
        self._or("results", None)
        if False:
            yield "", RequestRefused("")

    async def since(self, moment: datetime, size: int) -> list[str]:
        return ["batch-1"]

    def _or(self, name: str, value: Any) -> Any:
        if (error := self.fails[name]) is not None:
            raise error
        return value


class Store:
    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}

    async def put(self, table: str, row: dict[str, Any]) -> None:
        if table == "attempts":
            self.rows[row["attempt_id"]] = row


LOST = Unavailable("the connection was closed", charged=True)
DOWN = Unavailable("HTTP 503")
ENDS = {
    "its end is never heard of": (Endpoint(ended=DOWN), PatienceExhausted, None),
    "its results cannot be read": (Endpoint(results=DOWN), PatienceExhausted, None),
    "its results are refused": (Endpoint(results=RequestRefused("HTTP 400")), ModelError, None),
    "whether it was taken is not known": (Endpoint(create=LOST, results=DOWN), PatienceExhausted, None),
    "it was never taken": (Endpoint(create=DOWN), PatienceExhausted, "refused"),
    "it ended without a result": (Endpoint(), Unavailable, "refused"),
}
"""What happens -> (the endpoint, what is raised, how the call stands in the books; None: in doubt, and counted)."""


def books(endpoint: Endpoint, store: Store, open_batches: Sequence[OpenBatch] = ()) -> Budgeted:
    waves = Waves(
        endpoint, endpoint, store, study_id="s", patience=0.0, quiet=0.001, first_look=0.001, open_batches=open_batches
    )
    return Budgeted(waves, limit_micro_usd=10_000_000, store=store, batch=True)


@pytest.mark.parametrize("what", ENDS)
async def test_a_call_in_a_batch_is_in_doubt_until_its_batch_says(what):
    endpoint, raised, ended = ENDS[what]
    store = Store()
    with pytest.raises(raised):
        await books(endpoint, store).complete(REQUEST, SLOT)
    [row] = store.rows.values()
    assert row["ended"] == ended


async def test_a_batch_of_an_earlier_run_that_cannot_be_looked_for_stays_in_doubt():
    store = Store()
    row = {
        "attempt_id": "a1", "payer": "f1", "request_id": REQUEST.key, "model": REQUEST.model, "worst_micro_usd": 90,
        "asked_at": datetime.now(UTC), "ended": None, "reason": None,
    }  # fmt: skip
    left = OpenBatch("w1", None, datetime.now(UTC), 1, {(REQUEST.key, 0, 0): row})
    with pytest.raises(PatienceExhausted):
        await books(Endpoint(results=DOWN), store, [left]).complete(REQUEST, SLOT)
    assert store.rows == {}, "nothing says that it was refused"
