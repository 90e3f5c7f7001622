"""The books of a run: each attempt is noted before it is sent, and starts only if its worst case still fits the budget."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

from coordeval.agents.draws import DrawStore
from coordeval.agents.failures import ModelAccessError
from coordeval.agents.messages import Model, ModelError, Reply, Request, Slot
from coordeval.agents.prices import PriceBook, utc_today
from coordeval.agents.server_tools import most_searches
from coordeval.agents.wrapped import Wrapped
from coordeval.market_data.errors import CoordevalError

BYTES_PER_TOKEN = 2
"""Text has three to four bytes per token; two bound it from above in tokens."""
SERVER_TOKENS = 1_000
"""What the server itself adds to a prompt, such as the instructions for tool use."""
SEARCH_TOKENS = 20_000
"""What one search of the provider is taken to add to a prompt. Nothing promises that it is not more."""


EXHAUSTED = "the budget of"
"""How the reason begins of a forecast for which no money was left."""


class BudgetExhausted(ModelError):
    """The next call might exceed the budget. A resumed run with a larger one goes on from here."""

    def __init__(self, reason: str, *, retryable: bool = True, of_payer: bool = False) -> None:
        super().__init__(reason, retryable=retryable)
        self.of_payer = of_payer


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """The most that parts of a study may cost, in millionths of a dollar, beside what all of it may."""

    cell: int | None = None
    """Each cell; None: no limit of its own."""
    configurations: Mapping[str, int] = field(default_factory=dict)
    """Configuration -> its limit, of those that have one."""
    spent: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """forecast_id -> (configuration, what earlier runs spent for its sake)."""


@dataclass(slots=True)
class Purse:
    """What one limit is kept by. Invariant: spent + in_flight <= limit where there is one."""

    of: str
    """Whose it is, in words."""
    setting: str
    """Where its limit is raised."""
    limit: int | None
    spent: int = 0
    in_flight: int = 0

    def short(self, worst: int) -> bool:
        """Whether a call of this worst case does not fit now."""
        return self.limit is not None and self.spent + self.in_flight + worst > self.limit


class Budgeted(Wrapped):
    """A model whose attempts are in the books, and cost no more than `limit_micro_usd`, `spent_micro_usd` included.

    Invariant: spent + worst cases of the calls in flight <= limit, as long as no reply costs more than the worst case of
    the models that are known to answer: the one that is asked, and those in `served`. When another, dearer one answers, the
    calls then in flight may cost more than was kept for them; from then on its price is kept for every call.

    A call that does not fit beside those in flight waits for them, since most cost less than their worst case; one that
    does not fit alone raises BudgetExhausted. A reply without a known price counts as its worst case, and so does a call
    that may have been charged although no reply arrived (lost, out of time, cancelled); what the server refused counts as
    nothing. With `limit_micro_usd` None nothing is refused.

    `shares` are limits of single configurations and cells, kept in the same way. With `batch` worst cases are those of a
    batch. A call that a batch of an earlier run holds (`held` of the model within) is in the books already, and in
    `spent_micro_usd`: it is taken up under its old row, whatever the limit says.

    With a `store` each attempt is a row on disk before it is sent, and its reply carries the row's id: what was in flight
    when a process was killed can be counted.

    Raises CoordevalError at construction where there is a limit and the model's price is not known.
    """

    def __init__(
        self,
        model: Model,
        *,
        limit_micro_usd: int | None,
        spent_micro_usd: int = 0,
        served: frozenset[str] = frozenset(),
        store: DrawStore | None = None,
        price_book: PriceBook | None = None,
        today: Callable[[], date] = utc_today,
        shares: Shares | None = None,
        batch: bool = False,
    ) -> None:
        super().__init__(model)
        self._store, self._batch = store, batch
        self._whole = Purse("", "budget_usd", limit_micro_usd, spent_micro_usd)
        self._shares = shares or Shares()
        self._of_configuration = {
            name: Purse(f" of {name}", f"budget.configurations.{name}", limit)
            for name, limit in self._shares.configurations.items()
        }
        self._of_cell: dict[str, Purse] = {}
        for configuration, spent in self._shares.spent.values():
            if configuration in self._of_configuration:
                self._of_configuration[configuration].spent += spent
        self._prices, self._today = price_book or PriceBook.bundled(), today
        self._served = set(served)
        self._calls: dict[str, _Call] = {}
        self.waiting = 0
        """Calls that wait for those in flight, because their worst case does not fit beside them."""
        self._changed = asyncio.Condition()
        if self._limited and (name := model.identity.get("model")) is not None:
            self._kept(name, 1, 1)

    @property
    def spent_micro_usd(self) -> int:
        """What counts against the limit, earlier runs included; without a limit what is priced is counted all the same."""
        return self._whole.spent

    @property
    def limit_micro_usd(self) -> int | None:
        """What all of it may cost; None: no limit."""
        return self._whole.limit

    async def raise_limit(self, limit_micro_usd: int | None) -> None:
        """Another limit from now on, higher or lower. Raises CoordevalError where there is one and a price is not known."""
        before, self._whole.limit = self._whole.limit, limit_micro_usd
        try:
            if limit_micro_usd is not None and (name := self._model.identity.get("model")) is not None:
                self._kept(name, 1, 1)
        except CoordevalError:
            self._whole.limit = before
            raise
        async with self._changed:
            self._changed.notify_all()

    async def complete(self, request: Request, slot: Slot) -> Reply:
        held = getattr(self._model, "held", None)
        known = held(request, slot) if held is not None else None
        attempt = known["attempt_id"] if known is not None else uuid4().hex
        row: dict[str, Any] | None = None
        if known is None:
            await self._reserve(attempt, request, slot)
        else:
            row = dict(known)
            self._take_up(row, request, slot)
        cost = self._calls[attempt].kept if known is not None else 0
        try:
            if self._store is not None and row is None:
                row = self._row(attempt, request, slot)
                await self._store.put("attempts", row)
            cost = self._calls[attempt].kept  # until it is known: a call that is cancelled or lost may have been charged
            reply = await self._model.complete(request, replace(slot, attempt=attempt))
            self._learn(reply.model)
            cost = self._calls[attempt].kept if reply.micro_usd is None else reply.micro_usd
        except (ModelError, ModelAccessError) as error:
            if getattr(error, "parked", False):
                raise
            charged = getattr(error, "charged", False)
            cost = self._calls[attempt].kept if charged else 0
            if self._store is not None and row is not None:
                await self._store.put("attempts", {**row, "ended": "lost" if charged else "refused", "reason": str(error)})
            raise
        finally:
            call = self._calls.pop(attempt)  # before anything is awaited, so that nothing can lose it
            for purse in call.purses:
                purse.in_flight -= call.kept
                purse.spent += cost
            async with self._changed:
                self._changed.notify_all()
        return replace(reply, attempt=attempt)

    def _purses(self, cell: str, configuration: str) -> list[Purse]:
        """Those that pay for a call: the study's, and its configuration's and its cell's where these have limits."""
        purses = [self._whole]
        if (own := self._of_configuration.get(configuration)) is not None:
            purses.append(own)
        if self._shares.cell is not None:
            if cell not in self._of_cell:
                spent = self._shares.spent.get(cell, ("", 0))[1]
                self._of_cell[cell] = Purse(" of one forecast", "budget.cell_usd", self._shares.cell, spent)
            purses.append(self._of_cell[cell])
        return purses

    async def _reserve(self, attempt: str, request: Request, slot: Slot) -> None:
        purses = self._purses(slot.forecast_id, slot.configuration)
        worst = self._worst_case(request)
        if any(purse.limit is not None for purse in purses):
            async with self._changed:
                while True:
                    worst = self._worst_case(request)
                    short = [purse for purse in purses if purse.short(worst)]
                    if not short:
                        break
                    for purse in short:
                        if not purse.in_flight:
                            raise _exhausted(purse, worst)
                    self.waiting += 1
                    try:
                        await self._changed.wait()
                    finally:
                        self.waiting -= 1
        self._calls[attempt] = _Call(request, worst, purses)
        for purse in purses:
            purse.in_flight += worst

    def _take_up(self, row: Mapping[str, Any], request: Request, slot: Slot) -> None:
        """A call that an earlier run made: what counted as spent for it is from now on in flight."""
        kept = row["worst_micro_usd"] or 0
        configuration = self._shares.spent.get(row["payer"], (slot.configuration, 0))[0]
        purses = self._purses(row["payer"], configuration)
        for purse in purses:
            purse.spent -= kept
            purse.in_flight += kept
        self._calls[row["attempt_id"]] = _Call(request, kept, purses)

    def _learn(self, served: str) -> None:
        """From now on what `served` costs is kept too, also for the calls in flight."""
        if served in self._served:
            return
        self._served.add(served)
        for call in self._calls.values():
            before, call.kept = call.kept, self._worst_case(call.request)
            for purse in call.purses:
                purse.in_flight += call.kept - before

    def _worst_case(self, request: Request) -> int:
        tokens = len(request.encoded) // BYTES_PER_TOKEN + SERVER_TOKENS
        searches = most_searches(request.tools)
        return self._kept(request.model, tokens + searches * SEARCH_TOKENS, request.max_tokens, searches)

    def _kept(self, model: str, input_tokens: int, output_tokens: int, searches: int = 0) -> int:
        """The worst case among the model that is asked and all that have answered; 0 where none has a price."""
        on = self._today()
        cases = {
            name: self._prices.worst_case(
                name,
                on,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                searches=searches,
                batch=self._batch,
            )
            for name in (model, *self._served)
        }
        if cases[model] is None and self._limited:
            raise CoordevalError(
                f"a budget is set, but the price of model {model!r} on {on} is not known, so it cannot be kept; add "
                f"[prices.{model}] with input, output, cache_write_5m, cache_write_1h and cache_read in USD per million "
                f"tokens to the study, or remove budget_usd"
            )
        return max((case for case in cases.values() if case is not None), default=0)

    @property
    def _limited(self) -> bool:
        shares = self._shares
        return self._whole.limit is not None or shares.cell is not None or bool(shares.configurations)

    def _row(self, attempt: str, request: Request, slot: Slot) -> dict[str, Any]:
        return {
            "attempt_id": attempt,
            "payer": slot.forecast_id,
            "request_id": request.key,
            "model": request.model,
            "worst_micro_usd": self._calls[attempt].kept or None,
            "asked_at": datetime.now(UTC),
            "ended": None,
            "reason": None,
        }


@dataclass(slots=True)
class _Call:
    """A call in flight: what is kept for it, and in which purses."""

    request: Request
    kept: int
    purses: Sequence[Purse]


def _exhausted(purse: Purse, worst: int) -> BudgetExhausted:
    assert purse.limit is not None
    return BudgetExhausted(
        f"{EXHAUSTED} {_usd(purse.limit)}{purse.of} is exhausted: {_usd(purse.spent)} is spent and the next "
        f"call may cost up to {_usd(worst)}; raise {purse.setting} in the study and resume",
        of_payer=bool(purse.of),
    )


def worst_cases(book: PriceBook, calls: list[tuple[str, int, int]], on: date) -> int:
    """The worst case of stored replies without a price: (model, bytes of the request, max_tokens) each."""
    cases = (
        book.worst_case(model, on, input_tokens=size // BYTES_PER_TOKEN + SERVER_TOKENS, output_tokens=most)
        for model, size, most in calls
    )
    return sum(case for case in cases if case is not None)


def _usd(micro_usd: int) -> str:
    return f"${micro_usd / 1_000_000:.4f}"
