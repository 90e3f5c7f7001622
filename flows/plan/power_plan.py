"""A second study, planned from a first one: what N markets and R replicates would see, and what a budget buys best."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from math import ceil, isfinite
from typing import Any, Final, Literal

import polars as pl

from coordeval.analysis.base.numerals import number, usd
from coordeval.analysis.plan.power import Best, best, power
from coordeval.analysis.plan.variance import Variance
from coordeval.analysis.study.family import ALPHA, QUESTIONS, family_size
from coordeval.analysis.words.phrases import counted
from coordeval.flows.plan.first_study import FirstStudy
from coordeval.market_data.errors import CoordevalError

MARKETS: Final = (100, 200, 400, 800)
REPLICATES: Final = (1, 2, 4)
_ENDLESS: Final = 1_000_000  # replicates, after which their noise is gone
End = Literal["low", "high"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked of the second study."""

    markets: Sequence[int] = MARKETS
    replicates: Sequence[int] = REPLICATES
    configurations: int | None = None
    """How many call a model; None: as many as in the first study."""
    delta: float = 0.005
    """The true difference to be seen, in Brier points."""
    budget_usd: float | None = None
    available_markets: int | None = None
    alpha: float = 0.05
    """Of all that a report on it states."""
    power: float = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerPlan:
    """What a second study would see of an average pair of configurations."""

    first: FirstStudy
    wanted: Wanted
    comparisons: int
    """Tests of the questions of a report on it, see `analysis.study.family`: their part of `alpha` is divided by it."""
    usd_per_cell: tuple[float, ...]
    """One price per configuration of the second study; empty where one is not known."""
    table: pl.DataFrame
    """The columns of `analysis.plan.power.power`; and power and detectable at the ends of the components' intervals.

    `power_low`, `detectable_high`: both components at their high ends, `power_high`, `detectable_low` at their low ends, so
    wider than the intervals; `ends_reason`: why these are null.
    """
    best: Best | None
    """None where no budget is given."""
    words: tuple[str, ...]
    """The plan in sentences, the most important first."""
    reasons: dict[str, str]
    """Part -> why it is null."""

    def as_json(self) -> dict[str, Any]:
        """JSON values; a null has its reason in its row, in `best` or in `reasons`."""
        spent = None
        if self.best is not None:
            spent = {f.name: getattr(self.best, f.name) for f in fields(self.best)} | {"table": self.best.table.to_dicts()}
        return {
            "study": self.first.name,
            "simulated": self.first.simulated,
            "labels": list(self.first.labels),
            "about": self.first.about,
            "wanted": asdict(self.wanted),
            "comparisons": self.comparisons,
            "configurations": list(self.first.configurations),
            "prices": asdict(self.first.prices),
            "usd_per_cell": list(self.usd_per_cell),
            "components": self.first.variance.components.to_dicts(),
            "design_effect": self.first.variance.design_effect,
            "resamples": self.first.variance.n,
            "seed": self.first.variance.seed,
            "table": self.table.to_dicts(),
            "best": spent,
            "words": list(self.words),
            "reasons": self.reasons,
        }


def power_plan(first: FirstStudy, wanted: Wanted) -> PowerPlan:
    """The plan. Raises CoordevalError naming the option that is out of its range."""
    _check(wanted)
    own = len(first.configurations)
    count = wanted.configurations or own
    comparisons = family_size(count, priced=first.priced, sampled=first.sampled)
    prices = _prices(first, count)
    options: dict[str, Any] = {"delta": wanted.delta, "comparisons": comparisons}
    options |= {"alpha": wanted.alpha * QUESTIONS / ALPHA}
    options |= {"wanted": wanted.power, "usd_per_cell": prices}
    limit = wanted.available_markets
    markets = [n for n in wanted.markets if limit is None or n <= limit]
    if limit is not None and len(markets) < len(wanted.markets):
        markets.append(limit)
    size: dict[str, Any] = {"markets": markets, "replicates": wanted.replicates}
    table = power(first.variance, **size, **options)
    ends: tuple[tuple[End, End], ...] = (("low", "high"), ("high", "low"))
    for end, other in ends:  # the higher the variances, the lower the power
        at = power(_at(first.variance, other), **size, **options)
        table = table.with_columns(at["power"].alias(f"power_{end}"), at["detectable"].alias(f"detectable_{other}"))
    table = table.with_columns(ends_reason=_ends_reason(table, first.variance))
    spent = None
    if wanted.budget_usd is not None and prices and sum(prices) > 0:
        spent = best(first.variance, budget_usd=wanted.budget_usd, available_markets=limit, **options)
    reasons = _reasons(first, wanted, prices)
    made = PowerPlan(
        first=first,
        wanted=wanted,
        comparisons=comparisons,
        usd_per_cell=prices,
        table=table,
        best=spent,
        words=(),
        reasons=reasons,
    )
    return replace(made, words=tuple(_words(made, options)))


def _check(wanted: Wanted) -> None:
    for option, values, least in (("markets", wanted.markets, 2), ("replicates", wanted.replicates, 1)):
        if not values or min(values) < least:
            raise CoordevalError(f"--{option} {','.join(map(str, values))}: each must be a whole number, {least} or more")
    for option, value in (("configurations", wanted.configurations), ("available-markets", wanted.available_markets)):
        if value is not None and value < 2:
            raise CoordevalError(f"--{option} {value}: it must be 2 or more, for a difference needs two")
    for option, share in (("alpha", wanted.alpha), ("power", wanted.power)):
        if not 0 < share < 1:
            raise CoordevalError(f"--{option} {share:g}: it must lie strictly between 0 and 1, such as 0.05 or 0.8")
    for option, amount in (("delta", wanted.delta), ("budget", wanted.budget_usd)):
        if amount is not None and not (isfinite(amount) and amount > 0):
            raise CoordevalError(f"--{option} {amount:g}: it must be a finite number over 0")


def _prices(first: FirstStudy, count: int) -> tuple[float, ...]:
    """What one forecast of each configuration will cost; empty where it is not known."""
    known = [price for price in first.prices.usd.values() if price is not None]
    if len(known) < len(first.prices.usd):
        return ()
    if count == len(known):
        return tuple(price * (first.prices.paid_share or 1) for price in known)
    return (sum(known) / len(known),) * count


def _reasons(first: FirstStudy, wanted: Wanted, prices: tuple[float, ...]) -> dict[str, str]:
    reasons = {}
    if not prices:
        reasons["usd"] = first.prices.reason or "no price is known"
    if wanted.budget_usd is None:
        reasons["best"] = "no budget was given"
    elif not prices:
        reasons["best"] = reasons["usd"]
    elif not sum(prices) > 0:
        reasons["best"] = "the forecasts of the first study cost nothing, so any number of them is within the budget"
    if first.variance.design_effect is None:
        reasons["design_effect"] = "the first study needs two events and differences that vary"
    return reasons


def _at(found: Variance, end: End) -> Variance:
    """The first study with its variances at an end of their intervals; null where they have none."""
    return replace(
        found,
        components=found.components.with_columns(variance=pl.col(end)),
        difference=found.difference_low if end == "low" else found.difference_high,
    )


def _ends_reason(table: pl.DataFrame, found: Variance) -> pl.Series:
    """Why the ends of a row are null, where they are."""
    parts = found.components.filter(pl.col("component").is_in(["market × configuration", "replicate"]))
    missing = parts.filter(pl.col("low").is_null()).select("component", "reason").rows()
    why = "; ".join(f"{name}: {reason}" for name, reason in missing) or "the variances are 0 at their low ends"
    null = table["power_low"].is_null() | table["power_high"].is_null()
    return pl.Series(
        [(row or why) if empty else None for row, empty in zip(table["reason"], null, strict=True)], dtype=pl.String
    )


def _words(plan: PowerPlan, options: dict[str, Any]) -> Iterator[str]:
    wanted = plan.wanted
    level = f"{wanted.power:.0%} power at the {wanted.alpha:.0%} level" + (
        f", corrected for {plan.comparisons} tests" if plan.comparisons > 1 else ""
    )
    known = plan.table.drop_nulls("detectable")
    if known.is_empty():
        yield f"What a second study would see is not known: {plan.table['reason'][0]}."
        return
    if wanted.budget_usd is not None:
        yield from _spending(plan, level)
    yield _enough(plan, known, level)
    yield from _smallest(plan, known, options)
    yield _doubt(plan, known)
    if missing := plan.table.filter(pl.col("power").is_null())["reason"].drop_nulls().to_list():
        yield f"Not all sizes can be told: {missing[0]}."
    yield _cost(plan)


def _spending(plan: PowerPlan, level: str) -> Iterator[str]:
    budget, limit = usd(plan.wanted.budget_usd), plan.wanted.available_markets
    chosen = plan.best
    if chosen is None or chosen.markets is None or chosen.replicates is None:
        why = plan.reasons.get("best") or (chosen and chosen.reason) or "not known"
        yield f"How to spend {budget} best cannot be said: {why}."
        return
    how_often = "" if chosen.power is None else f", and one of {plan.wanted.delta:g} in {chosen.power:.0%} of such studies"
    yield (
        f"The best way to spend {budget} is {_size(chosen.markets, chosen.replicates)} for {usd(chosen.usd)}: it sees true "
        f"differences of {number(chosen.detectable)} and more ({level}){how_often}."
    )
    if chosen.replicates > 1:
        yield (
            f"Why: there are only {limit:,} markets. Of all that the money buys this has the smallest standard error, and "
            "with fewer replicates it would be over 1% larger."
        )
    elif chosen.markets == limit:
        yield f"Why: these are all {limit:,} markets, and a second replicate costs too much or gains under 1%."
    else:
        yield (
            "Why: another market adds all of its information, another replicate only averages the sampling noise of markets "
            "that are there already."
        )
    two = chosen.table.filter(replicates=2)
    if chosen.replicates == 1 and two.height and two["detectable"][0] is not None:
        yield (
            f"With one replicate the noise floor stays unknown. With two the money is enough for "
            f"{counted(int(two['markets'][0]), 'market')}, which see {number(two['detectable'][0])} and more."
        )


def _enough(plan: PowerPlan, known: pl.DataFrame, level: str) -> str:
    delta = f"{plan.wanted.delta:g}"
    seeing = known.filter(pl.col("power") >= plan.wanted.power).sort("usd", "markets", "replicates", nulls_last=True)
    if seeing.height:
        row = seeing.row(0, named=True)
        price = "" if row["usd"] is None else f", for {usd(row['usd'])}"
        size = _size(row["markets"], row["replicates"])
        return f"Of the sizes asked for, {size} is the least that sees {delta} ({level}){price}."
    top = known.sort("detectable").row(0, named=True)
    needed = ceil(top["markets"] * (top["detectable"] / plan.wanted.delta) ** 2)
    price = f", about {usd(needed * top['replicates'] * sum(plan.usd_per_cell))}" if plan.usd_per_cell else ""
    return (
        f"None of the sizes asked for sees {delta} ({level}): it takes about {needed:,} markets with "
        f"{counted(top['replicates'], 'replicate')}{price}."
    )


def _smallest(plan: PowerPlan, known: pl.DataFrame, options: dict[str, Any]) -> Iterator[str]:
    top = known.sort("detectable").row(0, named=True)
    yield (
        f"The smallest difference that could be seen with any of them is {number(top['detectable'])}, by "
        f"{_size(top['markets'], top['replicates'])}."
    )
    limit = plan.wanted.available_markets
    if limit is not None:
        size: dict[str, Any] = {"markets": [limit], "replicates": [_ENDLESS]}
        found = plan.first.variance
        least, most = (power(each, **size, **options)["detectable"][0] for each in (found, _at(found, "high")))
        if least is not None and most is not None:
            some = "any difference" if least < 5e-5 else f"differences of {number(least)} and more"
            yield (
                f"With {limit:,} markets, replicates without end would show {some}, as far as the first study can tell: "
                f"at the high end of its interval it would be {number(most)} and more."
            )


def _doubt(plan: PowerPlan, known: pl.DataFrame) -> str:
    found = plan.first.variance
    estimated = f"The variances are estimates from {counted(found.n_markets, 'market')}"
    row = known.sort("detectable").row(0, named=True)
    if row["detectable_low"] is None or row["detectable_high"] is None:
        return f"{estimated}; how far the plan may be off is not known ({row['ends_reason']})."
    ends = f"{number(row['detectable_low'])} or {number(row['detectable_high'])}"
    return (
        f"{estimated}: with all at an end of their {found.level:.0%} intervals that smallest difference would be {ends}. "
        "All is for an average pair of configurations, on markets of the same kind; one pair may be easier or harder."
    )


def _cost(plan: PowerPlan) -> str:
    prices = plan.first.prices
    if not plan.usd_per_cell:
        return f"What it would cost is not known: {plan.reasons['usd']}."
    each = usd(sum(plan.usd_per_cell))
    said = f"A market costs {each} per replicate, {prices.source}"
    if len(plan.usd_per_cell) != len(prices.usd):
        return f"{said}: {len(plan.usd_per_cell)} times the mean of the first study's configurations, nothing of it shared."
    if prices.paid_share is not None and prices.paid_share < 1:
        full = usd(sum(price or 0 for price in prices.usd.values()))
        return f"{said}, where draws that configurations share are paid once: {prices.paid_share:.0%} of their full {full}."
    return f"{said}."


def _size(markets: int, replicates: int) -> str:
    return f"{counted(markets, 'market')} × {counted(replicates, 'replicate')}"
