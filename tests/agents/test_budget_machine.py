"""A budget and common draws under any order of asks, answers, losses, refusals, kills and raises."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import date
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from coordeval.agents.budget import Budgeted, BudgetExhausted, Shares
from coordeval.agents.draws import CommonDraws
from coordeval.agents.failures import RequestRefused, Unavailable
from coordeval.agents.messages import ModelError, Reply, Request, Slot
from tests.agents.test_budget import BOOK, SLOT, reply

CONFIGURATIONS = ("a", "b")
SHARES = {"a": 150}
CELL = 90


class Held:
    """A model whose calls end as the machine says."""

    identity: ClassVar[dict[str, str]] = {"model": "m"}

    def __init__(self) -> None:
        self.calls: list[tuple[Request, asyncio.Future[Reply]]] = []

    async def complete(self, request: Request, slot: Slot) -> Reply:
        future = asyncio.get_running_loop().create_future()
        self.calls.append((request, future))
        return await future


class Disk:
    """Rows that are durable at once, and outlive a kill."""

    def __init__(self) -> None:
        self.attempts: dict[str, dict[str, Any]] = {}
        self.draws: dict[str, dict[str, Any]] = {}

    async def put(self, table: str, row: dict[str, Any]) -> None:
        (self.attempts if table == "attempts" else self.draws).setdefault(row[f"{table[:-1]}_id"], {}).update(row)

    def counted(self) -> dict[str, tuple[str, int]]:
        """As the ledger counts: (configuration, prices of draws and worst cases of attempts without one) by cell."""
        priced = {row["attempt_id"]: row for row in self.draws.values()}
        found: dict[str, tuple[str, int]] = {}
        for attempt_id, row in self.attempts.items():
            draw = priced.get(attempt_id)
            known = draw["micro_usd"] if draw is not None else 0 if row["ended"] == "refused" else None
            spent = row["worst_micro_usd"] if known is None else known
            found[row["payer"]] = (row["payer"][0], found.get(row["payer"], ("", 0))[1] + spent)
        return found


class BudgetMachine(RuleBasedStateMachine):
    """One study at a time; a kill forgets everything but the disk."""

    @initialize(limit=st.integers(50, 400))
    def begin(self, limit: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.disk, self.limit, self.bought = Disk(), limit, 0
        self.open()

    def open(self) -> None:
        counted = self.disk.counted()
        self.model = Held()
        self.budget = Budgeted(
            self.model,
            limit_micro_usd=self.limit,
            spent_micro_usd=sum(spent for _, spent in counted.values()),
            store=self.disk,
            price_book=BOOK,
            today=lambda: date(2026, 11, 15),
            shares=Shares(cell=CELL, configurations=SHARES, spent=counted),
        )
        known = {draw_id: (row["reply"], row["payer"]) for draw_id, row in self.disk.draws.items()}
        self.draws = CommonDraws(self.budget, self.disk, known)
        self.asks: list[tuple[str, asyncio.Task[Reply]]] = []

    def turn(self, work: Coroutine[Any, Any, Any] | None = None) -> None:
        async def main() -> None:
            if work is not None:
                await work
            for _ in range(30):
                await asyncio.sleep(0)

        self.loop.run_until_complete(main())

    @rule(configuration=st.sampled_from(CONFIGURATIONS), cell=st.integers(0, 2), tokens=st.integers(1, 60))
    def ask(self, configuration: str, cell: int, tokens: int) -> None:
        request = Request(model="m", system="", messages=[], tools=[], max_tokens=tokens, sampling={})
        slot = replace(SLOT, forecast_id=f"{configuration}{cell}", configuration=configuration)
        stored = self.draws.draw_id(request, slot) in self.disk.draws
        calls = len(self.model.calls)
        self.asks.append((configuration, self.loop.create_task(self.draws.complete(request, slot))))
        self.turn()
        assert not stored or len(self.model.calls) == calls, "what is stored is not bought again"

    @precondition(lambda self: self.under_way())
    @rule(which=st.integers(0, 1000), share=st.floats(0, 1), end=st.sampled_from(["paid", "no price", "refused", "lost"]))
    def answer(self, which: int, share: float, end: str) -> None:
        under_way = self.under_way()
        request, future = under_way[which % len(under_way)]
        match end:
            case "refused":
                future.set_exception(RequestRefused("no"))
            case "lost":
                self.bought += request.max_tokens  # at the worst
                future.set_exception(Unavailable("gone", charged=True))
            case _:
                cost = int(share * request.max_tokens)
                self.bought += cost
                future.set_result(reply(None if end == "no price" else cost))
        self.turn()

    @rule(more=st.integers(0, 200))
    def raise_limit(self, more: int) -> None:
        self.limit += more
        self.turn(self.budget.raise_limit(self.limit))

    @rule()
    def kill(self) -> None:
        self.bought += sum(request.max_tokens for request, _ in self.under_way())  # they may all be charged
        self.end()
        self.open()

    def under_way(self) -> list[tuple[Request, asyncio.Future[Reply]]]:
        return [call for call in self.model.calls if not call[1].done()] if hasattr(self, "model") else []

    def end(self) -> None:
        """As `kill -9`: nothing that was going on is told of it, so nothing is written."""
        self.disk = replace_disk(self.disk)
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.turn()

    @invariant()
    def never_a_cent_over(self) -> None:
        if not hasattr(self, "budget"):
            return
        for purse in (self.budget._whole, *self.budget._of_configuration.values(), *self.budget._of_cell.values()):
            assert purse.spent >= 0
            assert purse.in_flight >= 0
            assert purse.limit is None or purse.spent + purse.in_flight <= purse.limit
        assert self.bought + sum(request.max_tokens for request, _ in self.under_way()) <= self.limit
        assert self.budget._whole.in_flight == sum(request.max_tokens for request, _ in self.under_way())

    @invariant()
    def nothing_waits_without_a_reason(self) -> None:
        """What waits for money waits for calls under way: else it is told that there is none."""
        if hasattr(self, "budget") and self.budget.waiting:
            assert self.under_way()

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            for _, task in self.asks:
                if task.done() and not task.cancelled() and task.exception() is not None:
                    assert isinstance(task.exception(), ModelError | BudgetExhausted)
            self.end()
            self.loop.close()


def replace_disk(disk: Disk) -> Disk:
    """What a killed process had on disk; whatever still runs writes to the old one."""
    kept = Disk()
    kept.attempts = {key: dict(row) for key, row in disk.attempts.items()}
    kept.draws = {key: dict(row) for key, row in disk.draws.items()}
    return kept


BudgetMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestBudget = BudgetMachine.TestCase
