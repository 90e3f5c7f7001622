"""What is due to coordination, what to the model, what to information: all of it for one study with arms."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from coordeval.analysis.arms.agreement import agreement, taus
from coordeval.analysis.arms.components import components
from coordeval.analysis.arms.crossing import Crossing, crossing
from coordeval.analysis.arms.effects import interactions, same_effect
from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.base.events import mean_of, summary
from coordeval.analysis.base.resampling import UNIT, Resamples


@dataclass(frozen=True, slots=True, kw_only=True)
class Separable:
    """Variance components, agreement of rankings, interactions, and each configuration's effect from arm to arm."""

    components: pl.DataFrame
    """component, kind, variance, low, high, share, estimate, reason: see `arms.components`."""
    interactions: pl.DataFrame
    """effect, f, df, df_noise, p_value, n_events, reason: see `arms.effects`."""
    agreement: pl.DataFrame
    """across, rankings, configurations, w, what it is by chance and if the ranking were one: see `arms.agreement`."""
    taus: pl.DataFrame
    """first, second (arms), tau, reason."""
    effects: pl.DataFrame
    """factor, first, second (arms), configuration, effect_first, effect_second, difference, low, high, p_value, p_holm,
    p_joint, reason: see `arms.effects`."""
    means: pl.DataFrame
    """arm, configuration, brier, low, high, reason: configurations in one order, the best on average first."""
    factors: dict[str, list[str]]
    """Factor -> its levels."""
    n_markets: int
    n_events: int
    replicates: int
    left_out: tuple[str, ...]
    """What is not in it, and why."""
    n: int
    seed: int
    level: float


@asked
def separable(cells: pl.DataFrame, arms: pl.DataFrame, *, n: int = 10_000, seed: int = 0, level: float = 0.95) -> Separable:
    """Of a frame of forecasts with a column `arm`, and one row of `arms` for each: what `crossing` asks for.

    `n` resamples, and random signs, of events from `seed`.

    Raises:
        AnalysisError: what `crossing` raises, or `level` is not between 0 and 1.

    >>> import polars as pl
    >>> from coordeval.analysis import example, separable
    >>> parts = [example(seed=1), example(seed=1).with_columns(probability=0.3 + 0.4 * pl.col("probability"))]
    >>> cells = pl.concat([part.with_columns(arm=pl.lit(arm)) for part, arm in zip(parts, ["all", "none"])])
    >>> found = separable(cells, pl.DataFrame({"arm": ["all", "none"], "tools": ["all", "none"]}), n=200)
    >>> found.components.filter(pl.col("share") > 0.1).select("component", pl.col("share").round(2)).rows()
    [('market', 0.74), ('market × tools', 0.12), ('sampling again', 0.13)]
    >>> found.agreement["w"].round(2).to_list()
    [1.0]
    """
    if not 0 < level < 1:
        raise AnalysisError(f"level is {level!r}: it must lie strictly between 0 and 1, such as 0.95 for 95%")
    made = crossing(cells, arms)
    return Separable(
        components=components(made, n=n, seed=seed, level=level),
        interactions=interactions(made, n=n, seed=seed),
        agreement=agreement(made, n=n, seed=seed),
        taus=taus(made),
        effects=same_effect(made, n=n, seed=seed, level=level),
        means=_means(made, n=n, seed=seed, level=level),
        factors={name: list(dict.fromkeys(levels)) for name, levels in made.levels.items()},
        n_markets=len(made.event),
        n_events=made.events,
        replicates=made.errors.shape[2],
        left_out=made.left_out,
        n=n,
        seed=seed,
        level=level,
    )


def _means(made: Crossing, *, n: int, seed: int, level: float) -> pl.DataFrame:
    x = made.x.reshape(len(made.event), len(made.arms), len(made.configurations))
    how: dict[str, Any] = {"resamples": Resamples(events=made.events, n=n, seed=seed), "level": level}
    order = np.argsort(x.mean(axis=(0, 1)), kind="stable")
    rows: list[dict[str, Any]] = []
    for a, arm in enumerate(made.arms):
        for c in order:
            columns = np.stack([np.ones(len(x)), x[:, a, c]], axis=1)
            ends = summary(columns, made.event, mean_of, bounds=UNIT, outcome=made.outcome, **how)
            row = {"arm": arm, "configuration": made.configurations[c], "brier": ends.pop("estimate")}
            rows.append(row | ends)
    schema: dict[str, Any] = {"arm": pl.String, "configuration": pl.String}
    schema |= dict.fromkeys(("brier", "low", "high"), pl.Float64)
    return pl.DataFrame(rows, schema=schema | {"reason": pl.String})
