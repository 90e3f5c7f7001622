"""A budget holds whatever replies cost: spent and in flight never exceed it, and nothing waits for ever."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from coordeval.agents.budget import BYTES_PER_TOKEN, SERVER_TOKENS, Budgeted, BudgetExhausted, worst_cases
from coordeval.agents.failures import ModelAccessError, RequestRefused, Unavailable
from coordeval.agents.messages import ModelError, Reply, Request, Slot, Usage
from coordeval.agents.prices import PriceBook
from coordeval.market_data.errors import CoordevalError

FREE_INPUT = {"input": "0", "output": "1", "cache_write_5m": "0", "cache_write_1h": "0", "cache_read": "0"}
BOOK = PriceBook.bundled().with_overrides({"m": FREE_INPUT})
"""A reply of model m costs at most its max_tokens, in micro-dollars."""
SLOT = Slot(replicate=0, k=0, forecast_id="f", market_id="m", configuration="c", ask=0, turn=0)


def request(max_tokens: int, model: str = "m", system: str = "") -> Request:
    return Request(model=model, system=system, messages=[], tools=[], max_tokens=max_tokens, sampling={})


def reply(micro_usd: int | None) -> Reply:
    tokens = Usage(input_tokens=1, output_tokens=1)
    return Reply(content=[], stop_reason="end_turn", model="m", usage=tokens, micro_usd=micro_usd, seconds=0)


class Priced:
    """A model whose replies cost what `cost` says of their max_tokens, after `turns` of the event loop."""

    def __init__(self, cost: Callable[[int], int | None], turns: Callable[[], int] = lambda: 3, model: str = "m") -> None:
        self.identity = {"model": model}
        self._cost, self._turns = cost, turns
        self.in_flight = self.most = self.calls = 0

    async def complete(self, request: Request, slot: Slot) -> Reply:
        self.calls += 1
        self.in_flight += request.max_tokens
        self.most = max(self.most, self.in_flight)
        try:
            for _ in range(self._turns()):
                await asyncio.sleep(0)
            return reply(self._cost(request.max_tokens))
        finally:
            self.in_flight -= request.max_tokens


def budgeted(model: Priced, limit: int | None, spent: int = 0) -> Budgeted:
    return Budgeted(model, limit_micro_usd=limit, spent_micro_usd=spent, price_book=BOOK, today=lambda: date(2026, 11, 15))


@pytest.mark.parametrize(
    ("spent", "max_tokens", "fits", "why"),
    [
        (0, 100, True, "exactly the limit"),
        (0, 101, False, "one micro-dollar more"),
        (60, 40, True, "what earlier runs spent counts"),
        (60, 41, False, "what earlier runs spent counts"),
        (120, 1, False, "an overspent budget"),
    ],
)
async def test_a_call_starts_only_if_its_worst_case_fits(spent, max_tokens, fits, why):
    model = Priced(lambda tokens: tokens)
    budget = budgeted(model, 100, spent)
    if fits:
        await budget.complete(request(max_tokens), SLOT)
        assert budget.spent_micro_usd == spent + max_tokens, why
    else:
        with pytest.raises(BudgetExhausted):
            await budget.complete(request(max_tokens), SLOT)
        assert model.calls == 0, why


async def test_the_refusal_names_budget_spent_worst_case_and_fix():
    budget = budgeted(Priced(lambda tokens: tokens), 5_000_000, 4_990_000)
    with pytest.raises(BudgetExhausted) as caught:
        await budget.complete(request(20_000), SLOT)
    assert str(caught.value) == (
        "the budget of $5.0000 is exhausted: $4.9900 is spent and the next call may cost up to $0.0200; "
        "raise budget_usd in the study and resume"
    )
    assert caught.value.retryable


async def test_a_call_waits_for_those_in_flight_and_runs_if_they_were_cheap():
    model = Priced(lambda tokens: tokens // 10)
    budget = budgeted(model, 100)
    async with asyncio.timeout(60):
        await asyncio.gather(*(budget.complete(request(80), SLOT) for _ in range(3)))
    assert (model.calls, model.most, budget.spent_micro_usd) == (3, 80, 24)


async def test_a_call_is_refused_once_those_in_flight_were_dear():
    budget = budgeted(Priced(lambda tokens: tokens), 100)
    async with asyncio.timeout(60):
        results = await asyncio.gather(*(budget.complete(request(80), SLOT) for _ in range(3)), return_exceptions=True)
    assert [isinstance(result, BudgetExhausted) for result in results] == [False, True, True]


@pytest.mark.parametrize("seed", range(20))
async def test_spent_and_in_flight_never_exceed_the_limit(seed):
    rng = random.Random(seed)
    model = Priced(lambda tokens: rng.choice([tokens, rng.randint(0, tokens), None]), lambda: rng.randint(0, 5))
    budget = budgeted(model, 1000)
    calls = [asyncio.create_task(budget.complete(request(rng.randint(1, 120)), SLOT)) for _ in range(60)]
    for call in rng.sample(calls, 10):
        asyncio.get_running_loop().call_later(rng.random() / 100, call.cancel)
    async with asyncio.timeout(60):
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert budget.spent_micro_usd <= 1000
    assert model.most <= 1000
    assert any(isinstance(result, Reply) for result in results)
    assert all(isinstance(result, Reply | BudgetExhausted | asyncio.CancelledError) for result in results)
    assert budget._whole.in_flight == 0


async def test_a_reply_without_a_price_counts_as_its_worst_case():
    budget = budgeted(Priced(lambda tokens: None), 100)
    await budget.complete(request(70), SLOT)
    assert budget.spent_micro_usd == 70


async def test_a_failed_call_gives_its_reservation_back():
    class Failing(Priced):
        async def complete(self, request: Request, slot: Slot) -> Reply:
            raise ModelError("overloaded", retryable=True)

    budget = budgeted(Failing(lambda tokens: 0), 100)
    for _ in range(3):
        with pytest.raises(ModelError, match="overloaded"):
            await budget.complete(request(100), SLOT)
    assert budget.spent_micro_usd == 0


async def test_the_prompt_is_bounded_by_its_bytes():
    model = Priced(lambda tokens: 0, model="claude-opus-4-6")
    asked = request(1, "claude-opus-4-6", system="word " * 2000)
    worst = (len(asked.encoded) // BYTES_PER_TOKEN + SERVER_TOKENS) * 10 + 25  # all of it written to the one-hour cache
    await budgeted(model, worst).complete(asked, SLOT)
    with pytest.raises(BudgetExhausted):
        await budgeted(model, worst - 1).complete(asked, SLOT)


def test_a_limit_without_a_price_is_refused_before_any_call():
    with pytest.raises(CoordevalError, match=r"price of model 'local' on 2026-11-15 is not known.* add \[prices\.local\]"):
        budgeted(Priced(lambda tokens: 0, model="local"), 100)


async def test_without_a_limit_nothing_is_refused_and_no_price_is_needed():
    budget = budgeted(Priced(lambda tokens: None, model="local"), None)
    assert (await budget.complete(request(10**9, "local"), SLOT)).micro_usd is None


def test_the_identity_is_the_models():
    model = Priced(lambda tokens: 0)
    assert budgeted(model, 1).identity is model.identity


# --- the books


class Kept:
    """A store that holds rows by table and key, in the order in which they came."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, dict]] = []

    async def put(self, table: str, row: dict) -> None:
        await asyncio.sleep(0)
        self.rows.append((table, row))

    def ends(self) -> list[str | None]:
        return [row["ended"] for row in {row["attempt_id"]: row for _, row in self.rows}.values()]


async def test_an_attempt_is_on_disk_before_it_is_sent_and_its_reply_names_it():
    store = Kept()

    class Watching(Priced):
        async def complete(self, request: Request, slot: Slot) -> Reply:
            assert [row["worst_micro_usd"] for _, row in store.rows] == [70]
            return await super().complete(request, slot)

    model = Budgeted(Watching(lambda tokens: 5), limit_micro_usd=100, store=store, price_book=BOOK)
    answered = await model.complete(request(70), SLOT)
    assert [(table, row["attempt_id"], row["payer"]) for table, row in store.rows] == [("attempts", answered.attempt, "f")]
    assert store.ends() == [None], "the draw that names it says that it was answered"


@pytest.mark.parametrize(
    ("problem", "ended", "spent", "why"),
    [
        (Unavailable("529", overloaded=True), "refused", 0, "the server took nothing"),
        (Unavailable("broken", charged=True), "lost", 70, "it may have been answered"),
        (RequestRefused("400"), "refused", 0, "an error is not billed"),
        (RequestRefused("too large", charged=True), "lost", 70, "a body that was given up was answered"),
        (ModelAccessError("401"), "refused", 0, "nobody is let in"),
    ],
)
async def test_how_a_call_ended_is_in_the_books(problem, ended, spent, why):
    store = Kept()

    class Failing(Priced):
        async def complete(self, request: Request, slot: Slot) -> Reply:
            raise problem

    model = Budgeted(Failing(lambda tokens: 0), limit_micro_usd=100, store=store, price_book=BOOK)
    with pytest.raises(type(problem)):
        await model.complete(request(70), SLOT)
    assert (store.ends(), model.spent_micro_usd) == ([ended], spent), why


async def test_a_call_that_is_cancelled_counts_as_its_worst_case_and_stays_in_the_books():
    store = Kept()
    model = Budgeted(Priced(lambda tokens: 0, lambda: 99), limit_micro_usd=100, store=store, price_book=BOOK)
    call = asyncio.create_task(model.complete(request(70), SLOT))
    for _ in range(5):
        await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call])
    assert (store.ends(), model.spent_micro_usd) == ([None], 70)


DEARER = PriceBook.bundled().with_overrides({"m": FREE_INPUT, "big": {**FREE_INPUT, "output": "3"}})


class Swapped(Priced):
    """Another model, three times as dear, answers."""

    async def complete(self, request: Request, slot: Slot) -> Reply:
        return replace(await super().complete(request, slot), model="big")


async def test_a_dearer_model_exceeds_a_budget_by_the_calls_then_in_flight_and_never_again():
    model = Swapped(lambda tokens: 3 * tokens)
    budget = Budgeted(model, limit_micro_usd=1000, price_book=DEARER)
    async with asyncio.timeout(5):
        await asyncio.gather(*(budget.complete(request(10), SLOT) for _ in range(200)), return_exceptions=True)
    assert budget.spent_micro_usd <= 1000 + 100 * 20, "what was in flight when it was seen, at the difference"
    before = model.calls
    with pytest.raises(BudgetExhausted):
        await budget.complete(request(10), SLOT)
    assert model.calls == before
    model.calls = 0
    again = Budgeted(model, limit_micro_usd=1000, served=frozenset({"big"}), price_book=DEARER)
    async with asyncio.timeout(5):
        await asyncio.gather(*(again.complete(request(10), SLOT) for _ in range(200)), return_exceptions=True)
    assert again.spent_micro_usd <= 1000
    assert model.calls == 33, "a model that answered before is reckoned with from the first call"


async def test_a_model_of_unknown_price_that_answers_changes_nothing_that_is_kept():
    budget = Budgeted(Swapped(lambda tokens: None), limit_micro_usd=100, price_book=BOOK)
    await budget.complete(request(60), SLOT)
    assert budget.spent_micro_usd == 60


async def test_a_call_that_a_batch_of_an_earlier_run_holds_counts_once():
    """It was counted as spent; while it is taken up it is in flight, and then what it cost."""

    class Holding(Priced):
        def held(self, request: Request, slot: Slot) -> dict[str, Any]:
            return {"attempt_id": "a", "payer": "f", "worst_micro_usd": 60}

    budget = budgeted(Holding(lambda tokens: tokens), 100, spent=90)
    await budget.complete(request(50), SLOT)
    assert budget.spent_micro_usd == 90 - 60 + 50


def test_stored_replies_without_a_price_count_with_their_worst_case():
    book, on = PriceBook.bundled(), date(2026, 11, 15)
    known, size, most = "claude-opus-4-6", 8000, 100
    worst = book.worst_case(known, on, input_tokens=size // BYTES_PER_TOKEN + SERVER_TOKENS, output_tokens=most)
    assert worst is not None
    assert worst_cases(book, [(known, size, most)], on) == worst > 0
    assert worst_cases(book, [(known, size, most), ("of no book", size, most)], on) == worst
