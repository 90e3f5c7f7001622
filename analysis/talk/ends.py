"""How a group's exchange ends, and two numbers that an agreement has: that there is one (liveness), that it is valid.

Sources: validity and liveness as in arXiv 2603.01213, after the consensus of distributed systems (Lamport, Shostak & Pease
1982): an agreed value lies within what its members held before they spoke. Typed ends after arXiv 2606.07316.
"""

from typing import Any, Final, Literal

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.base.estimates import CELL, numbered
from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.base.resampling import UNIT
from coordeval.analysis.talk.credit import TOLERANCE
from coordeval.analysis.talk.telling import NUMBERS, Telling, table

End = Literal["agreement", "verdict", "divided", "alone", "abort"]
"""agreement: the last estimates are within the tolerance; verdict: on one side of even odds; divided: neither, so the
forecast pools what was not agreed; alone: fewer than two agents estimate last; abort: there is no forecast."""
ENDS: Final = ("agreement", "verdict", "divided", "alone", "abort")
MEASURES: Final = (*ENDS, "liveness", "validity", "wrong_together")
_CELLS: Final = ("configuration", "market_id", "event_id", "replicate", "status", "probability", "reason", "outcome")
_SCHEMA: Final[dict[str, Any]] = {"configuration": pl.String, "measure": pl.String, **NUMBERS}


@asked
def ends_of(said: pl.DataFrame, cells: pl.DataFrame, *, tolerance: float = TOLERANCE) -> pl.DataFrame:
    """configuration, market_id, event_id, replicate, end (End), reason (of an abort), spread, valid, wrong: a row per cell.

    `said`: a frame of estimates; `cells`: the frame of forecasts, unresolved ones too, without what is pending. valid:
    whether the forecast of an agreement lies within the estimates of round 0; wrong: whether it is on the side of
    even odds that did not come true (null: no agreement, or not resolved). A configuration that asks nobody has no row.

    Raises AnalysisError where a column is absent.

    >>> from coordeval.analysis import ends_of, example, example_estimates
    >>> found = ends_of(example_estimates(), example()).filter(configuration="independent_ensemble")
    >>> sorted(found["end"].value_counts().rows())
    [('agreement', 7), ('divided', 34), ('verdict', 39)]
    """
    if absent := [name for name in _CELLS if name not in cells.columns]:
        raise AnalysisError(f"the frame of forecasts lacks {', '.join(absent)}: it needs the columns {', '.join(_CELLS)}")
    p = pl.col("probability")
    last = (
        said.filter(pl.col("round") == pl.col("round").max().over(CELL))
        .group_by(CELL)
        .agg(agents=pl.len(), least=p.min(), most=p.max())
    )
    first = said.filter(pl.col("round") == 0).group_by(CELL).agg(low=p.min(), high=p.max())
    asked_some = said["configuration"].unique().implode()
    made = cells.filter(pl.col("status") != "pending", pl.col("configuration").is_in(asked_some)).select(_CELLS)
    found = made.join(last, on=CELL, how="left", maintain_order="left").join(
        first, on=CELL, how="left", maintain_order="left"
    )
    least, most = pl.col("least"), pl.col("most")
    one_side = (least > 0.5 + SAME) | (most < 0.5 - SAME)
    end = (
        pl.when(p.is_null()).then(pl.lit("abort"))
        .when(pl.col("agents").fill_null(0) < 2).then(pl.lit("alone"))
        .when(most - least <= tolerance + SAME).then(pl.lit("agreement"))
        .when(one_side).then(pl.lit("verdict"))
        .otherwise(pl.lit("divided"))
    )  # fmt: skip
    agreed = pl.col("end") == "agreement"
    within = p.is_between(pl.col("low") - SAME, pl.col("high") + SAME)
    away = pl.when((p - 0.5).abs() <= SAME).then(0.5).otherwise(((p > 0.5) != (pl.col("outcome") == 1)).cast(pl.Float64))
    return (
        found.with_columns(end=end, spread=most - least)
        .with_columns(
            valid=pl.when(agreed).then(within),
            wrong=pl.when(agreed & pl.col("outcome").is_not_null()).then(away),
            reason=pl.when(pl.col("end") == "abort").then("reason"),
        )
        .select("configuration", "market_id", "event_id", "replicate", "end", "reason", "spread", "valid", "wrong")
        .sort("configuration", "market_id", "replicate")
    )


@asked
def ends(
    said: pl.DataFrame,
    cells: pl.DataFrame,
    *,
    tolerance: float = TOLERANCE,
    n: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> pl.DataFrame:
    """configuration, measure (MEASURES), estimate, low, high, n_markets, reason, of `ends_of`.

    The five ends as shares of cells; liveness: the share of cells that could agree, so not alone, that end in agreement;
    validity: the share of agreements that are valid; wrong_together: the share of resolved agreements on the side that did
    not come true, 0.5 counted half. The replicates of a market share its weight of 1.

    >>> import polars as pl
    >>> from coordeval.analysis import ends, example, example_estimates
    >>> found = ends(example_estimates(), example(), n=500).filter(configuration="peer_critique_debate")
    >>> found.filter(pl.col("measure").is_in(["liveness", "validity"])).select("measure", pl.col("estimate").round(2)).rows()
    [('liveness', 0.31), ('validity', 0.94)]
    """
    every = numbered(ends_of(said, cells, tolerance=tolerance))
    tell = Telling(n, seed, level)
    rows: list[dict[str, Any]] = []
    for name in said["configuration"].unique().sort():
        mine = every.filter(configuration=name)
        for end in ENDS:
            share = (mine["end"] == end).cast(pl.Float64).to_numpy()
            why = "no cell is made"
            rows.append({"configuration": name, "measure": end} | tell.mean(mine, share, why=why, bounds=UNIT))
        together = mine.filter(pl.col("end") != "alone")
        agreed = mine.filter(end="agreement")
        told = agreed.drop_nulls("wrong")
        for measure, of, values, why in (
            ("liveness", together, together["end"] == "agreement", "no two agents estimate in one round"),
            ("validity", agreed, agreed["valid"].fill_null(False), "no cell ends in agreement"),
            ("wrong_together", told, told["wrong"], "no resolved cell ends in agreement"),
        ):
            column = np.asarray(values.cast(pl.Float64).to_numpy(), np.float64)
            rows.append({"configuration": name, "measure": measure} | tell.mean(of, column, why=why, bounds=UNIT))
    return table(rows, _SCHEMA)
