"""Common draws: one sample per request and k, whoever asks; paid once, on disk before anybody reads it, never lost."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordeval.agents.draws import CommonDraws
from coordeval.agents.messages import ModelError, Reply, Request, Slot, Usage, decode_reply
from coordeval.ledger import Ledger

REQUEST = Request(
    model="asked-1", system="s", messages=[{"role": "user", "content": "?"}], tools=[], max_tokens=9, sampling={}
)
SLOT = Slot(replicate=0, k=0, forecast_id="ensemble", market_id="m1", configuration="ensemble", ask=0, turn=0)
DEBATE = replace(SLOT, forecast_id="debate", configuration="debate")
USAGE = Usage(input_tokens=10, output_tokens=5)


def numbered(number: int) -> Reply:
    content = [{"type": "text", "text": f"reply {number}"}]
    return Reply(
        content=content, stop_reason="end_turn", model="served-1", usage=USAGE, micro_usd=number, seconds=0.5
    )  # the number is the price too, so that what was paid can be told


class Sampling:
    """A model whose every call is another sample. It waits for `gate` where one is set, and fails as often as told."""

    def __init__(self, gate: asyncio.Event | None = None, failures: int = 0, name: str = "sampling") -> None:
        self.identity = {"provider": name}
        self.calls = 0
        self._gate, self._failures = gate, failures

    async def complete(self, request: Request, slot: Slot) -> Reply:
        self.calls += 1
        number = self.calls
        if self._gate is not None:
            await self._gate.wait()
        if number <= self._failures:
            raise ModelError(f"failure {number}", retryable=True)
        return numbered(number)


class Disk:
    """A store that takes its time: a row counts once `put` has returned."""

    def __init__(self, before: Callable[[], Awaitable[None]] | None = None) -> None:
        self.rows: list[dict[str, Any]] = []
        self._before = before

    async def put(self, table: str, row: dict[str, Any]) -> None:
        assert table == "draws"
        await (self._before() if self._before else asyncio.sleep(0))
        self.rows.append(row)

    @property
    def known(self) -> dict[str, tuple[str, str]]:
        """What a restarted run reads back."""
        return {row["draw_id"]: (row["reply"], row["payer"]) for row in self.rows}


def draws(model: Sampling, disk: Disk, **options: Any) -> CommonDraws:
    return CommonDraws(model, disk, {}, **options)


# --- which draw is which


@pytest.mark.parametrize(
    ("request_", "slot", "common", "by_configuration", "why"),
    [
        (REQUEST, DEBATE, True, False, "another configuration shares it, unless recordings keep them apart"),
        (REQUEST, replace(SLOT, ask=4), True, False, "an ask that stands elsewhere in its cell"),
        (REQUEST, replace(SLOT, turn=2), True, False, "another turn"),
        (REQUEST, replace(SLOT, market_id="m2"), True, False, "a request with the same bytes about another market"),
        (REQUEST, replace(SLOT, forecast_id="other"), True, True, "who pays is no part of a draw"),
        (REQUEST, replace(SLOT, k=1), False, False, "the second draw of the same request"),
        (REQUEST, replace(SLOT, replicate=1), False, False, "another replicate samples again"),
        (replace(REQUEST, system="t"), SLOT, False, False, "another request"),
        (replace(REQUEST, sampling={"top_k": 1}), SLOT, False, False, "other sampling parameters"),
    ],
)
def test_which_asks_are_one_draw(request_, slot, common, by_configuration, why):
    for keyed, same in ((False, common), (True, by_configuration)):
        model = draws(Sampling(), Disk(), by_configuration=keyed)
        assert (model.draw_id(request_, slot) == model.draw_id(REQUEST, SLOT)) == same, (why, keyed)


def test_another_model_never_hands_out_this_ones_draws():
    one, other = (draws(Sampling(name=name), Disk()) for name in ("one", "other"))
    assert one.draw_id(REQUEST, SLOT) != other.draw_id(REQUEST, SLOT)


def test_the_identity_says_how_draws_are_keyed():
    assert draws(Sampling(), Disk()).identity == {"provider": "sampling", "draws": "common"}
    assert draws(Sampling(), Disk(), by_configuration=True).identity["draws"] == "by_configuration"


# --- paid once


async def test_two_configurations_share_a_draw_that_is_paid_once_and_attributed_twice():
    model, disk = Sampling(), Disk()
    shared = draws(model, disk)
    first, second = await shared.complete(REQUEST, SLOT), await shared.complete(REQUEST, DEBATE)
    assert (first.paid, second.paid) == (True, False)
    assert replace(first, paid=False) == second, "the same reply at the same full price"
    assert first.draw_id == shared.draw_id(REQUEST, SLOT)
    assert model.calls == 1
    (row,) = disk.rows
    assert (row["payer"], row["micro_usd"]) == ("ensemble", 1)


async def test_a_hundred_cells_at_once_make_one_call():
    gate = asyncio.Event()
    model, disk = Sampling(gate), Disk()
    shared = draws(model, disk)
    cells = [asyncio.create_task(shared.complete(REQUEST, replace(SLOT, forecast_id=f"f{i}"))) for i in range(100)]
    await asyncio.sleep(0)
    gate.set()
    replies = await asyncio.gather(*cells)
    assert (model.calls, len(disk.rows)) == (1, 1)
    assert [reply.paid for reply in replies] == [True] + [False] * 99, "the one that asked first pays"
    assert {reply.text for reply in replies} == {"reply 1"}


async def test_draws_kept_apart_by_configuration_are_each_paid():
    model, disk = Sampling(), Disk()
    apart = draws(model, disk, by_configuration=True)
    replies = await asyncio.gather(apart.complete(REQUEST, SLOT), apart.complete(REQUEST, DEBATE))
    assert [(reply.text, reply.paid) for reply in replies] == [("reply 1", True), ("reply 2", True)]
    assert [row["payer"] for row in disk.rows] == ["ensemble", "debate"]


async def test_the_row_holds_what_was_asked_and_what_came():
    disk = Disk()
    await draws(Sampling(), disk).complete(REQUEST, replace(SLOT, k=2, replicate=1))
    (row,) = disk.rows
    created_at = row.pop("created_at")
    assert created_at.tzinfo is UTC
    assert created_at <= datetime.now(UTC)
    assert decode_reply(row.pop("reply")) == numbered(1)
    assert orjson.loads(row.pop("request")) == REQUEST.body
    assert len(row.pop("draw_id")) == 64
    assert row == {
        "request_id": REQUEST.key,
        "market_id": "m1",
        "replicate": 1,
        "k": 2,
        "model": "asked-1",
        "served_model": "served-1",
        "micro_usd": 1,
        "payer": "ensemble",
        "attempt_id": None,
        "batch_id": None,
    }


# --- durable before it is read


async def test_nobody_reads_a_reply_before_it_is_on_disk():
    on_disk = asyncio.Event()
    disk = Disk(on_disk.wait)
    shared = draws(Sampling(), disk)
    asked = [asyncio.create_task(shared.complete(REQUEST, slot)) for slot in (SLOT, DEBATE)]
    for _ in range(20):  # far more turns of the loop than the call itself needs
        await asyncio.sleep(0)
    assert not any(task.done() for task in asked)
    on_disk.set()
    assert [reply.text for reply in await asyncio.gather(*asked)] == ["reply 1", "reply 1"]
    assert len(disk.rows) == 1


async def test_a_store_that_fails_is_heard_and_its_reply_is_handed_to_nobody():
    full = [OSError("disk full")]

    async def fail_once() -> None:
        if full:
            raise full.pop()

    model, disk = Sampling(), Disk(fail_once)
    shared = draws(model, disk)
    ends = await asyncio.gather(shared.complete(REQUEST, SLOT), shared.complete(REQUEST, DEBATE), return_exceptions=True)
    assert [str(end) for end in ends] == ["disk full", "disk full"]
    later = await shared.complete(REQUEST, DEBATE)
    assert (later.text, later.paid) == ("reply 2", True), "the reply that is not on disk counts as never made"
    assert [row["payer"] for row in disk.rows] == ["debate"]


# --- failures and cancellation


async def test_a_failed_call_is_not_stored_and_is_made_again_later():
    model, disk = Sampling(failures=1), Disk()
    shared = draws(model, disk)
    ends = await asyncio.gather(shared.complete(REQUEST, SLOT), shared.complete(REQUEST, DEBATE), return_exceptions=True)
    assert [str(end) for end in ends] == ["failure 1", "failure 1"], "one call, and all who waited for it hear of it"
    assert disk.rows == []
    assert (await shared.complete(REQUEST, SLOT)).text == "reply 2"


@pytest.mark.parametrize("leaves", [SLOT, DEBATE], ids=["the payer", "one who waits"])
async def test_a_cancelled_cell_does_not_cancel_the_call_that_others_wait_for(leaves):
    gate = asyncio.Event()
    model, disk = Sampling(gate), Disk()
    shared = draws(model, disk)
    asked = {slot.forecast_id: asyncio.create_task(shared.complete(REQUEST, slot)) for slot in (SLOT, DEBATE)}
    await asyncio.sleep(0)
    asked.pop(leaves.forecast_id).cancel()
    gate.set()
    (stays,) = asked.values()
    assert (await stays).text == "reply 1"
    assert model.calls == 1
    assert [row["payer"] for row in disk.rows] == ["ensemble"], "the one that asked first"


async def test_a_call_whose_every_asker_has_gone_is_stored_and_found_again():
    gate = asyncio.Event()
    model, disk = Sampling(gate), Disk()
    shared = draws(model, disk)
    asked = asyncio.create_task(shared.complete(REQUEST, SLOT))
    await asyncio.sleep(0)
    asked.cancel()
    assert await shared.settle(0.01) == 1, "still under way, and said so"
    gate.set()
    assert await shared.settle(5) == 0
    again = await CommonDraws(model, disk, disk.known).complete(REQUEST, SLOT)
    assert (again.text, again.paid, model.calls) == ("reply 1", True, 1), "paid for by the cell that now uses it"


async def test_nothing_under_way_settles_at_once():
    assert await draws(Sampling(), Disk()).settle(60) == 0


# --- after a restart


async def test_a_restarted_run_pays_nothing_and_says_again_who_paid(tmp_path):
    model = Sampling()
    path = tmp_path / "x.duckdb"
    with Ledger.open(path, purpose="first run") as ledger:
        first = await CommonDraws(model, ledger, {}).complete(REQUEST, SLOT)
    with Ledger.open(path, purpose="second run") as ledger:
        again = CommonDraws(model, ledger, ledger.known_draws(["m1"]))
        payer, other = await again.complete(REQUEST, SLOT), await again.complete(REQUEST, DEBATE)
        new = await again.complete(REQUEST, replace(SLOT, k=1))
    assert payer == first
    assert payer.encoded() == first.encoded()
    assert (payer.paid, other.paid) == (True, False)
    assert (new.text, model.calls) == ("reply 2", 2)


TOKENS = st.integers(0, 2**40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
REPLIES = st.builds(
    Reply,
    content=st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=4),
    stop_reason=st.text(),
    model=st.text(),
    usage=st.builds(
        Usage,
        input_tokens=TOKENS,
        output_tokens=TOKENS,
        cache_write_5m_tokens=TOKENS,
        cache_write_1h_tokens=TOKENS,
        cache_read_tokens=TOKENS,
    ),
    micro_usd=st.none() | TOKENS,
    seconds=st.floats(0, 1e6),
)


@given(REPLIES)
def test_a_stored_reply_comes_back_whole(reply):
    encoded = reply.encoded()
    again = decode_reply(encoded)
    assert again == reply
    assert again.encoded() == encoded


async def test_replies_that_cannot_be_used_are_kept_and_the_failure_says_that_they_were_charged():
    class Spoiled(Sampling):
        async def complete(self, request: Request, slot: Slot) -> Reply:
            return replace(await super().complete(request, slot), fault="it holds no text")

    model, disk = Spoiled(), Disk()
    with pytest.raises(
        ModelError, match="asked-1: a reply was served and charged, and cannot be used: it holds no text"
    ) as failed:
        await draws(model, disk).complete(REQUEST, SLOT)
    assert (model.calls, len(disk.rows), len(failed.value.discarded)) == (2, 2, 2)
