"""A quote: the calls, tokens, dollars and time that a study still takes, each with an interval, and whose calls say so."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import polars as pl

from coordeval.agents.prices import utc_today
from coordeval.agents.server_tools import MOST_SEARCHES, WEB_SEARCH
from coordeval.analysis.base.arms import MAIN
from coordeval.flows.costs.ahead import on_made_up_markets, picks
from coordeval.flows.costs.amounts import LEVEL, Amount, predicted, together
from coordeval.flows.costs.counting import counted
from coordeval.flows.costs.rehearsal import Rehearsed, rehearsed
from coordeval.flows.costs.sample import Sample, sample_of
from coordeval.flows.costs.worth import Rates, worth
from coordeval.flows.study.arms import Arm
from coordeval.flows.study.evaluation import Cell
from coordeval.flows.study.study import LoadedStudy
from coordeval.flows.study.wiring import price_book

GUESS: Final = 3.0
"""By how much a real model's use may differ from the simulator's, either way. An assumption: nothing was measured."""
MEASURES: Final = ("calls", "input_tokens", "output_tokens", "usd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one role of one configuration takes, all of it charged to it (attributed), in the way that the study is set."""

    arm: str
    configuration: str
    role: str
    calls: Amount
    input_tokens: Amount
    output_tokens: Amount
    usd: Amount

    def as_json(self) -> dict[str, Any]:
        row = {"arm": self.arm, "configuration": self.configuration, "role": self.role}
        return row | {name: getattr(self, name).as_json() for name in MEASURES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What the open cells of a study should take. Dollars are null where the model's price is not known."""

    study: str
    study_id: str
    money: str
    model: str
    priced_as: str
    priced_on: str
    source: str
    simulated: bool
    """True where the simulator's calls stand for those of another model: intervals are then a guess."""
    cells: int
    open: int
    markets: int
    parts: Sequence[Part]
    calls: Amount
    """Calls that are made: a draw that configurations share is one."""
    input_tokens: Amount
    output_tokens: Amount
    naive: Amount
    """USD where every configuration buys its own replies, live, without a cache."""
    shared: Amount
    cached: Amount
    batch: Amount
    caching: bool
    """Whether the study's own calls are sent with cache points."""
    seconds_live: Amount
    waves: int
    """Batches that would have to follow one another: the longest chain of dependent calls."""
    notes: Sequence[str]

    batched: bool
    """Whether the study is set to run in batches."""
    days: int | None = None
    """Of a prospective study: how many days of it; None: all that is open, or what is left of one day."""

    @property
    def live(self) -> Amount:
        """USD that a run as the study is set should pay."""
        if self.batched:
            return self.batch
        return self.cached if self.caching else self.shared

    def as_json(self) -> dict[str, Any]:
        plain = ("study", "study_id", "money", "model", "priced_as", "priced_on", "source", "simulated", "cells", "open")
        amounts = ("calls", "input_tokens", "output_tokens", "naive", "shared", "cached", "batch", "live", "seconds_live")
        return {
            **{name: getattr(self, name) for name in (*plain, "markets", "days", "caching", "batched", "waves")},
            **{name: getattr(self, name).as_json() for name in amounts},
            "level": LEVEL,
            "parts": [part.as_json() for part in self.parts],
            "notes": list(self.notes),
        }


def quote(
    loaded: LoadedStudy,
    ledger: Path,
    *,
    at_prices_of: str | None = None,
    markets: int | None = None,
    count_tokens: bool = False,
    days: int | None = None,
) -> Quote:
    """What a run of the study would take now. Asks no model, and only reads `ledger`. `markets`: of the first so many only.

    Of a prospective study it is what `days` further days take (None: one), or `markets` more of one day, on made-up
    markets in place of those that are yet to be picked.

    `count_tokens`: the study's server counts the tokens of some prompts, which is free of charge.
    `at_prices_of`: another model's prices, for a study that costs nothing itself. Raises what `plan` raises.
    """
    if days is not None or loaded.study.prospective:
        many = picks(loaded, days, markets)
        found = quote(on_made_up_markets(loaded, many), ledger, at_prices_of=at_prices_of, count_tokens=count_tokens)
        said = (
            "which markets are picked is known on their day only: this is for made-up ones in their place, whose texts may "
            "be shorter; evidence that is searched for is not in their prompts"
        )
        return replace(found, days=(days or 1) if markets is None else None, notes=[*found.notes, said])
    with rehearsed(loaded, ledger) as rehearsal:
        sample = sample_of(rehearsal)
        if count_tokens:
            sample = counted(sample, loaded)
        first = {view.market.id for view in rehearsal.views[:markets]}
        asked = replace(rehearsal, cells=[cell for cell in rehearsal.cells if cell.view.market.id in first])
        return quoted(asked, sample, at_prices_of)


def quoted(rehearsal: Rehearsed, sample: Sample, at_prices_of: str | None = None) -> Quote:
    loaded = rehearsal.evaluation.loaded
    study = loaded.study
    model = at_prices_of or loaded.model_names
    own = loaded.money == "simulated" and at_prices_of is None
    of_arms = {arm.name: _rates(arm, at_prices_of) for arm in loaded.arms}
    rates = of_arms[loaded.arms[0].name]
    calls = sample.calls
    if len(of_arms) == 1 or not calls.height:
        calls = worth(calls, rates)
    else:
        calls = pl.concat([worth(calls.filter(arm=name), of_arms[name]) for name in calls["arm"].unique().sort()])
    calls = calls.with_columns(which=pl.concat_str("arm", "configuration", separator=_APART))
    if own:  # the simulator has a price of its own, which nobody pays
        calls = calls.with_columns(**{way: pl.col("attributed_micro_usd") for way in ("plain", "cached", "batch")})
    guessed = sample.kind == "simulated" and loaded.money == "paid"
    widen: Callable[[Amount], Amount] = (lambda a: a.widened(GUESS)) if guessed else (lambda a: a)
    patterns = _patterns(rehearsal)
    frames = _Frames(calls)
    paid = {name: widen(together([frames.paid(name, p, k) for p, k in patterns.items()])) for name in _PAID}
    naive = widen(together([frames.attributed("plain", p, k) for p, k in patterns.items()])).scaled(1e-6)
    whole = [(arm.name, label) for arm in loaded.compared for label in arm.configurations]
    wanted = [which for which in whole if _APART.join(which) in frames.labels]
    open_cells = Counter(map(_which, rehearsal.open))
    seen: dict[str, set[str]] = defaultdict(set)
    for cell in rehearsal.open:
        seen[_which(cell)].add(cell.view.market.id)
    run = study.run
    caching = bool(getattr(study.model, "prompt_cache", loaded.money != "paid"))
    way = "batch" if run.batch else "cached" if caching else "plain"
    parts = [
        part
        for arm, label in wanted
        for which in (_APART.join((arm, label)),)
        for part in frames.parts(arm, label, open_cells[which], len(seen[which]), widen, way)
    ]
    busy = paid["seconds"].scaled(1 / run.concurrent_calls)
    if run.requests_per_minute is not None:
        slow = paid["calls"].scaled(60 / run.requests_per_minute)
        busy = slow if (slow.mean or 0) > (busy.mean or 0) else busy
    notes = []
    for unknown in dict.fromkeys(one.model for one in of_arms.values() if not own and not one.known):
        notes.append(f"the price of {unknown} is not known, so dollars are null; give it under [prices.{unknown!r}]")
    if guessed:
        notes.append(
            f"no call of {loaded.model_names} by these configurations is stored, so the simulator's stand for them: "
            f"intervals run from a third to {GUESS:g} times, which is a guess; --pilot 3 asks about the first three markets "
            "and tells"
        )
    if guessed and WEB_SEARCH in study.agents.tools:
        notes.append(f"searches of the provider are not in it: a call makes up to {MOST_SEARCHES}, at a price of their own")
    dearer, without = paid["cached"].mean, paid["plain"].mean
    if caching and loaded.money == "paid" and dearer and without and dearer > 1.005 * without:
        notes.append(
            f"with prompt caching it costs {dearer / without - 1:.0%} more: most of what is written to the cache is never "
            "read; prompt_cache = false in [model] changes no reply"
        )
    return Quote(
        study=study.name,
        study_id=loaded.id,
        money=loaded.money,
        model=loaded.model_names,
        priced_as="the simulator's own prices, which nobody pays" if own else model,
        priced_on=rates.on.isoformat(),
        source=sample.source,
        simulated=guessed,
        cells=len(rehearsal.cells),
        open=len(rehearsal.open),
        markets=len({cell.view.market.id for cell in rehearsal.open}),
        parts=parts,
        calls=paid["calls"],
        input_tokens=paid["total"],
        output_tokens=paid["output_tokens"],
        naive=naive,
        shared=paid["plain"].scaled(1e-6),
        cached=paid["cached"].scaled(1e-6),
        batch=paid["batch"].scaled(1e-6),
        caching=caching,
        seconds_live=busy,
        batched=run.batch,
        waves=frames.longest_chain if rehearsal.open else 0,
        notes=notes,
    )


_PAID: Final = ("calls", "total", "output_tokens", "seconds", "plain", "cached", "batch")
Pattern = tuple[frozenset[str], frozenset[str]]
"""(configurations in their arms that are open, those that are made) of one market in one replicate."""
_APART: Final = "\x1f"


def _which(cell: Cell) -> str:
    return f"{cell.arm}{_APART}{cell.label}"


def _rates(arm: Arm, at_prices_of: str | None) -> Rates:
    study = arm.study
    return Rates(book=price_book(study), model=at_prices_of or study.model_name, on=utc_today(), tools=study.agents.tools)


def _patterns(rehearsal: Rehearsed) -> dict[Pattern, tuple[int, int]]:
    """Each pattern -> (how many market-replicates have it, of how many markets)."""
    units: dict[tuple[str, int], tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for cell in rehearsal.cells:
        units[cell.view.market.id, cell.replicate][cell.forecast_id in rehearsal.made].add(_which(cell))
    counts: Counter[Pattern] = Counter()
    markets: dict[Pattern, set[str]] = defaultdict(set)
    for (market, _), (still, made) in units.items():
        if still:
            pattern = (frozenset(still), frozenset(made))
            counts[pattern] += 1
            markets[pattern].add(market)
    return {pattern: (n, len(markets[pattern])) for pattern, n in counts.items()}


class _Frames:
    """Sums over the sample's calls, by market."""

    def __init__(self, calls: pl.DataFrame) -> None:
        self._calls = calls.with_columns(calls=pl.lit(1))
        self.labels = set(calls["which"].unique())
        self._replicates = calls.group_by("market_id").agg(pl.col("replicate").n_unique())

    @property
    def longest_chain(self) -> int:
        """Calls that follow one another in the longest cell: turns of a round come one after the other, rounds too."""
        if self._calls.is_empty():
            return 0
        rounds = self._calls.group_by("forecast_id", "round").agg(turns=pl.col("turn").max() + 1)
        return int(rounds.group_by("forecast_id").agg(pl.col("turns").sum()).select(pl.col("turns").max()).item())

    def paid(self, name: str, pattern: Pattern, units: tuple[int, int]) -> Amount:
        """Of the open configurations, each draw once, without those that made ones have drawn."""
        still, made = pattern
        own = self._calls.filter(pl.col("which").is_in(list(still)))
        key = ["market_id", "replicate", "draw_id"]
        others = self._calls.filter(pl.col("which").is_in(list(made))).select(key).unique()
        return self._per_market(name, own.unique(key).join(others, on=key, how="anti"), units)

    def attributed(self, name: str, pattern: Pattern, units: tuple[int, int]) -> Amount:
        return self._per_market(name, self._calls.filter(pl.col("which").is_in(list(pattern[0]))), units)

    def parts(
        self, arm: str, label: str, cells: int, markets: int, widen: Callable[[Amount], Amount], way: str
    ) -> Iterable[Part]:
        own = self._calls.filter(arm=arm, configuration=label)
        for role in own["role"].unique(maintain_order=True).sort():
            of_role = own.filter(pl.col("role") == role)
            each = {name: widen(self._per_market(name, of_role, (cells, markets))) for name in _PAID}
            yield Part(
                arm=arm,
                configuration=label,
                role=role,
                calls=each["calls"],
                input_tokens=each["total"],
                output_tokens=each["output_tokens"],
                usd=each[way].scaled(1e-6),
            )

    def _per_market(self, name: str, calls: pl.DataFrame, units: tuple[int, int]) -> Amount:
        """The mean over a market's replicates, of every market of the sample, a market without such a call at 0."""
        known = pl.col(name).null_count() == 0
        sums = calls.group_by("market_id").agg(amount=pl.when(known).then(pl.col(name).sum()), there=pl.len())
        each = self._replicates.join(sums, on="market_id", how="left").with_columns(
            amount=pl.when(pl.col("there").is_null()).then(0).otherwise(pl.col("amount")) / pl.col("replicate")
        )
        return predicted(each["amount"].to_list(), *units)


def actual(parts: Sequence[Mapping[str, Any]], made: pl.DataFrame) -> list[dict[str, Any]]:
    """Each part of a stored quote beside what `made` (calls by configuration and role) came to, and how far off it was."""
    rows = {(row["arm"], row["configuration"], row["role"]): row for row in made.to_dicts()}
    beside = []
    for part in parts:
        row = rows.get((part.get("arm", MAIN), part["configuration"], part["role"]), dict.fromkeys(MEASURES, 0))
        beside.append(
            {
                "arm": part.get("arm", MAIN),
                "configuration": part["configuration"],
                "role": part["role"],
                **{
                    name: {**part[name], "actual": row[name], "off": off(part[name]["mean"], row[name])} for name in MEASURES
                },
            }
        )
    return beside


def off(expected: float | None, came: float | None) -> float | None:
    """How far a quote was off, as a share of what it came to: 0.1 is ten percent too much. None where that says nothing."""
    return None if expected is None or not came else expected / came - 1
