"""Were tools needed, useful, used? Per case, in total, and what the agent perceived against what is true.

Needed: the answer without tools is not good enough, its expected squared error is over a bar. Useful: with them the expected
score is better. Used: the agent called one when it could choose. Source of the terms: arXiv 2605.00737.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats
from coordeval.analysis.base.events import mean_of, summary
from coordeval.analysis.base.resampling import AMOUNT, APART, UNIT, Bounds, Resamples
from coordeval.analysis.base.scipy_parts import special
from coordeval.analysis.tools.answers import Paired, mean_of_rows
from coordeval.analysis.tools.posterior import ONE, Posterior, of_score, of_utility

GOOD: Final = 0.0625
"""Squared error up to which an answer is good enough: within a quarter of what happened."""
UNUSED: Final = "no draw called a tool, so what a call would have done is not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Per case and in total."""

    cases: pl.DataFrame
    """case, market_id, configuration, without, given, utility, utility_low, utility_high, p_needed, p_useful, p_harmful,
    called, calls, reason. `utility` is drawn towards the mean as far as noise asks for; the p are probabilities given all
    draws."""
    totals: pl.DataFrame
    """measure, estimate, low, high, reason: shares of cases needed, useful, harmful; share of draws used; Brier points."""
    perceived: pl.DataFrame
    """perceived (called or not), true (needed, useful), draws, share, low, high, reason: of the draws of that kind, the
    share that was needed, or useful."""
    spread: float | None
    """Standard deviation of true utilities between cases."""
    good: float
    n_cases: int
    n_events: int
    left_out: int
    n: int
    seed: int
    level: float


@asked
def need(found: Paired, *, good: float = GOOD, n: int = 2_000, seed: int = 0, level: float = 0.95) -> Need:
    """`good`: the squared error up to which an answer without tools is good enough. Intervals resample events.

    Raises:
        AnalysisError: `good` is no squared error, or `level` is not between 0 and 1.

    >>> import numpy as np
    >>> from coordeval.analysis import need
    >>> from coordeval.analysis.tools.example import tool_example
    >>> told = need(tool_example(), n=200)
    >>> told.totals.filter(measure="utility")["estimate"].round(3).to_list()
    [-0.047]
    """
    if not 0 <= good <= 1:
        raise AnalysisError(
            f"good is {good!r}: it is a squared error, from 0 to 1; 0.0625 is within a quarter of what happened"
        )
    if not 0 < level < 1:
        raise AnalysisError(f"level is {level!r}: it must lie strictly between 0 and 1, such as 0.95 for 95%")
    tried = found.tried
    utility = of_utility(found.without[tried], found.used[tried]) if tried.any() else None
    score = of_score(found.without)
    asked_tool = np.where(np.isnan(found.calls), np.nan, found.calls > 0)
    useful = None if utility is None else utility.above()
    needed = None if score is None else score.above(good)
    resamples = Resamples(events=found.events, n=n, seed=seed)
    every = np.ones(len(tried), dtype=np.bool_)

    def mean(values: Floats | None, of: NDArray[np.bool_], weight: Floats | None, bounds: Bounds) -> dict[str, Any]:
        if values is None or not of.any():
            return {"estimate": None, "low": None, "high": None, "reason": ONE if tried.any() else UNUSED}
        own = np.ones(int(of.sum())) if weight is None else weight[of]
        if not own.sum():
            return {"estimate": None, "low": None, "high": None, "reason": "no draw of this kind"}
        columns = np.zeros((len(of), 2))
        columns[of] = np.stack([own, own * values], axis=1)
        return summary(columns, found.event, mean_of, resamples=resamples, level=level, bounds=bounds)

    totals = [
        {"measure": "needed", **mean(needed, every, None, UNIT)},
        {"measure": "useful", **mean(useful, tried, None, UNIT)},
        {"measure": "harmful", **mean(None if useful is None else 1 - useful, tried, None, UNIT)},
        {"measure": "used", **mean(mean_of_rows(asked_tool), every, None, UNIT)},
        {"measure": "calls", **mean(mean_of_rows(found.calls), every, None, AMOUNT)},
        {"measure": "utility", **mean(found.utility[tried], tried, None, APART)},
    ]
    rows = []
    for truth, chance, of in (("needed", needed, every), ("useful", useful, tried)):
        for word, weight in (("called", np.nansum(asked_tool, axis=1)), ("did not call", np.nansum(1 - asked_tool, axis=1))):
            ends = mean(chance, of, weight, UNIT)
            rows.append(
                {"perceived": word, "true": truth, "draws": int(weight[of].sum()), "share": ends.pop("estimate"), **ends}
            )
    schema: dict[str, Any] = {"perceived": pl.String, "true": pl.String, "draws": pl.Int64}
    numbers = dict.fromkeys(("estimate", "low", "high"), pl.Float64)
    return Need(
        cases=_cases(found, utility, needed, useful, level),
        totals=pl.DataFrame(totals, schema={"measure": pl.String, **numbers, "reason": pl.String}),
        perceived=pl.DataFrame(
            rows, schema=schema | dict.fromkeys(("share", "low", "high"), pl.Float64) | {"reason": pl.String}
        ),
        spread=None if utility is None else utility.spread,
        good=good,
        n_cases=len(found.case),
        n_events=found.events,
        left_out=found.left_out,
        n=n,
        seed=seed,
        level=level,
    )


def _cases(
    found: Paired, utility: Posterior | None, needed: Floats | None, useful: Floats | None, level: float
) -> pl.DataFrame:
    tried = found.tried
    reach = float(special.ndtri((1 + level) / 2))

    def whole(values: Floats | None) -> list[float | None]:
        """Of the cases that were tried, None for the others."""
        if values is None:
            return [None] * len(tried)
        made = iter(values.tolist())
        return [next(made) if known else None for known in tried]

    seen = found.utility[tried]
    columns: dict[str, Any] = {
        "case": found.case,
        "market_id": found.market,
        "configuration": found.configuration,
        "without": mean_of_rows(found.without),
        "given": mean_of_rows(found.given),
        "utility": whole(seen if utility is None else utility.mean),
        "utility_low": whole(None if utility is None else utility.mean - reach * utility.sd),
        "utility_high": whole(None if utility is None else utility.mean + reach * utility.sd),
        "p_needed": [None] * len(tried) if needed is None else needed,
        "p_useful": whole(useful),
        "p_harmful": whole(None if useful is None else 1 - useful),
        "called": mean_of_rows(np.where(np.isnan(found.calls), np.nan, found.calls > 0)),
        "calls": mean_of_rows(found.calls),
        "reason": [UNUSED if not known else ONE if utility is None else None for known in tried],
    }
    text = dict.fromkeys(("case", "market_id", "configuration", "reason"), pl.String)
    return pl.DataFrame(columns, schema_overrides={**dict.fromkeys(columns, pl.Float64), **text})
