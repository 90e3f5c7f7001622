"""What a second study could see, planned from the variance components of a first one and the price of a cell."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isfinite, sqrt
from typing import Any, Final

import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, at_least
from coordeval.analysis.base.scipy_parts import special
from coordeval.analysis.plan.studies import studies, unfit
from coordeval.analysis.plan.variance import Variance

_POWER: Final[dict[str, Any]] = {
    **{"markets": pl.Int64, "replicates": pl.Int64},
    **dict.fromkeys(("delta", "sem", "power", "detectable", "usd"), pl.Float64),
    "reason": pl.String,
}
_TIE: Final = 0.01  # a first study does not know its components better, and whole markets leave change over


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best way to spend a budget."""

    markets: int | None
    """None where the budget buys no study of two markets, or the precision is unknown."""
    replicates: int | None
    usd: float | None
    power: float | None
    """Probability of seeing a true difference of `delta`."""
    detectable: float | None
    """Smallest true |Δ Brier| seen with the power wanted."""
    table: pl.DataFrame
    """The columns of `power`: what the budget buys at each number of replicates."""
    reason: str | None
    """Why there is none."""


@asked
def power(
    found: Variance,
    *,
    markets: Sequence[int],
    replicates: Sequence[int],
    delta: float = 0.005,
    usd_per_cell: Sequence[float] = (),
    alpha: float = 0.05,
    comparisons: int = 1,
    wanted: float = 0.8,
) -> pl.DataFrame:
    """markets, replicates, delta, sem, power, detectable, usd, reason: of one pair, for each N and R.

    se² = 2 D (σ²_mc + σ²_r/R)/N, the mean over pairs, D the design effect of events; `power` is that of a two-sided
    clustered t test at `alpha`/`comparisons` at the true difference `delta`, in Brier points; `detectable` =
    (z₁₋ₐ⸝₂ + z_wanted) se. `usd` = N R Σ of `usd_per_cell`, the mean price of one forecast, one per configuration; null
    if none is given. σ²_r of the first study is held to be that of the second: the same model, tools and kind of market.
    Source: Cohen (1988).

    `power` is the share of studies, drawn from the events of the first one (`plan.studies`), in which that test finds the
    difference with its right sign. Where the test would find a difference that is not there too often, because
    differences are skewed and markets few, `power` is null, and the reason says so; `detectable` leaves skewness out.

    Raises:
        AnalysisError: an option is out of its range.

    >>> import polars as pl
    >>> from coordeval.analysis import example, power, scored, variance
    >>> found = variance(scored(example()), n=500)
    >>> table = power(found, markets=[40, 400], replicates=[2], delta=0.02, usd_per_cell=[0.01, 0.06])
    >>> table.select("markets", pl.col("sem", "power", "detectable", "usd").round(3)).rows()
    [(40, 0.012, 0.349, 0.034, 5.6), (400, 0.004, 1.0, 0.011, 56.0)]
    """
    _in_range(delta=delta, alpha=alpha, comparisons=comparisons, wanted=wanted, usd_per_cell=usd_per_cell)
    rows: list[dict[str, Any]] = []
    for r in replicates:
        at_least("replicates", r, 1)
        half, reason = _half(found, r)
        for n in markets:
            at_least("markets", n, 2)
            row: dict[str, Any] = {"markets": n, "replicates": r, "delta": delta, "reason": reason}
            row["usd"] = n * r * sum(usd_per_cell) if usd_per_cell else None
            if half is not None and found.design_effect is not None:
                row |= _seen(found, half, n, delta=delta, alpha=alpha / comparisons, wanted=wanted)
            rows.append(row)
    return pl.DataFrame([{column: row.get(column) for column in _POWER} for row in rows], schema=_POWER)


@asked
def best(
    found: Variance,
    *,
    budget_usd: float,
    usd_per_cell: Sequence[float],
    delta: float = 0.005,
    alpha: float = 0.05,
    comparisons: int = 1,
    wanted: float = 0.8,
    available_markets: int | None = None,
    most_replicates: int = 20,
) -> Best:
    """The (N, R) with the smallest standard error that `budget_usd` buys; of those within 1% of it, the fewest replicates.

    For each R, N is what the budget buys, at most `available_markets`. Without that limit more markets always see more than
    more replicates, which share their market's part of the noise; replicates are then worth it only to know the noise.

    Raises:
        AnalysisError: an option is out of its range.

    >>> from coordeval.analysis import best, example, scored, variance
    >>> found = variance(scored(example()), n=500)
    >>> plan = best(found, budget_usd=50, usd_per_cell=[0.01, 0.06], delta=0.005, available_markets=300)
    >>> plan.markets, plan.replicates, round(plan.usd, 2), round(plan.power, 2), round(plan.detectable, 3)
    (238, 3, 49.98, 0.22, 0.011)
    """
    if not (isfinite(budget_usd) and budget_usd > 0):
        raise AnalysisError(f"budget_usd is {budget_usd!r}: it must be a positive number of dollars")
    if not usd_per_cell or not sum(usd_per_cell) > 0:
        raise AnalysisError(f"usd_per_cell is {usd_per_cell!r}: give the price of one forecast of each configuration")
    at_least("most_replicates", most_replicates, 1)
    if available_markets is not None:
        at_least("available_markets", available_markets, 2)
    _in_range(delta=delta, alpha=alpha, comparisons=comparisons, wanted=wanted, usd_per_cell=usd_per_cell)
    options = {"delta": delta, "alpha": alpha, "comparisons": comparisons, "wanted": wanted, "usd_per_cell": usd_per_cell}
    tables = []
    for r in range(1, most_replicates + 1):
        n = floor(budget_usd / (r * sum(usd_per_cell)) * (1 + 1e-12))
        n = n if available_markets is None else min(n, available_markets)
        if n >= 2:
            tables.append(power(found, markets=[n], replicates=[r], **options))  # type: ignore[arg-type]
    table = pl.concat(tables) if tables else pl.DataFrame(schema=_POWER)
    near = pl.col("sem") <= pl.col("sem").min() * (1 + _TIE)
    known = table.filter(pl.col("sem").is_not_null()).filter(near).sort("replicates", "usd")
    if known.is_empty():
        need = 2 * sum(usd_per_cell)
        reason = f"two markets cost {need:.4g} USD" if table.is_empty() else str(table["reason"][0])
        return Best(markets=None, replicates=None, usd=None, power=None, detectable=None, table=table, reason=reason)
    row = known.row(0, named=True)
    return Best(
        **{name: row[name] for name in ("markets", "replicates", "usd", "power", "detectable")}, table=table, reason=None
    )


def _half(found: Variance, replicates: int) -> tuple[float | None, str | None]:
    """Half the variance of one market's difference at that many replicates, or why it is unknown."""
    parts = dict(found.components.select("component", "variance").iter_rows())
    interaction, resampling = parts.get("market × configuration"), parts.get("replicate")
    if found.design_effect is None or found.difference is None:
        return None, "the first study needs two configurations, two events and differences that vary"
    if interaction is not None and resampling is not None:
        half: float = interaction + resampling / replicates
        return (half, None) if half > 0 else (None, "the differences of the first study do not vary")
    if replicates == found.replicates:
        return found.difference, None
    return None, "sampling noise is unknown: the first study had one replicate"


def _seen(found: Variance, half: float, markets: int, *, delta: float, alpha: float, wanted: float) -> dict[str, Any]:
    design = found.design_effect or 1.0
    sem = sqrt(2 * design * half / markets)
    z = -float(special.ndtri(alpha / 2) + special.ndtri(1 - wanted))
    row: dict[str, Any] = {"sem": sem, "detectable": z * sem}
    if found.shape is None:
        return row | {"reason": "power: the differences of the first study do not vary between events"}
    seen = studies(found.shape, markets, size=delta / sqrt(2 * half), alpha=alpha)
    reason = unfit(seen, alpha)
    return row | ({"reason": f"power: {reason}"} if reason else {"power": seen.power})


def _in_range(*, delta: float, alpha: float, comparisons: int, wanted: float, usd_per_cell: Sequence[float]) -> None:
    at_least("comparisons", comparisons, 1)
    if not (isfinite(delta) and delta > 0):
        raise AnalysisError(f"delta is {delta!r}: it must be a positive number of Brier points, such as 0.005")
    for option, value in (("alpha", alpha), ("wanted", wanted)):
        if not 0 < value < 1:
            raise AnalysisError(f"{option} is {value!r}: it must lie strictly between 0 and 1")
    if wrong := [price for price in usd_per_cell if not (isfinite(price) and price >= 0)]:
        raise AnalysisError(f"usd_per_cell holds {wrong[0]!r}: a price must be finite and not negative")
