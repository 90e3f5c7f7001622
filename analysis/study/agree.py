"""Where two numbers tell of one thing they tell the same: one interval for one difference, a p-value and its interval."""

from dataclasses import replace
from typing import Any, Final

import polars as pl

from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.cost.compute_matched import ComputeMatched
from coordeval.analysis.quality.bootstrap import Bootstrap
from coordeval.analysis.study.diagnostics import Diagnostics
from coordeval.analysis.study.family import ALPHA
from coordeval.analysis.study.findings import Findings
from coordeval.analysis.study.leaderboard import Leaderboard
from coordeval.analysis.study.stated import is_shown

_TESTED: Final = {"mcb": "mcb", "rel": "rel", "rel_corrected": "rel"}
"""Measure with a bound at 0 -> the component whose null tests that it is 0."""
_ONE_SIDED: Final = 1.645 / 1.96  # of the reach of a normal law's 97.5%, what its 95% has


def agreed(found: Findings, deeper: Diagnostics, board: Leaderboard) -> tuple[Findings, Diagnostics]:
    """The same findings, with the intervals that they share.

    A pair restated without one market has the interval that the comparisons give it, whose resamples are more. The interval
    of MCB or REL, whose least value is 0, holds 0 where its null, the sharper test of that, is not rejected at 5%, and not
    where it is: then it begins no lower than the estimate less the 95% point of the null. What costs no more than one
    forecast of the baseline is set against one such forecast, as the comparisons do: that premium is their difference, with
    their interval and their test, and the first point of the curve is the baseline's Brier score.
    """
    nulls: dict[tuple[str, str], dict[str, Any]] = {}
    if board.nulls is not None:
        nulls = {(row["configuration"], row["measure"]): row for row in board.nulls.table.drop_nulls("p_value").to_dicts()}
    measures, corp = (None if part is None else _bounded(part, nulls) for part in (found.measures, found.corp))
    found = replace(found, measures=measures, corp=corp)
    return replace(found, matched=_sampled(found)), _restated(found, deeper)


def _bounded(part: Bootstrap, nulls: dict[tuple[str, str], dict[str, Any]]) -> Bootstrap:
    rows = part.table.to_dicts()
    for row in rows:
        null = nulls.get((row["configuration"], _TESTED.get(row["measure"], "")))
        if null is None or row["low"] is None:
            continue
        if null["p_value"] >= ALPHA:
            row["low"] = 0.0
        elif row["low"] <= 0:
            point = null["mean"] + _ONE_SIDED * (null["high"] - null["mean"])
            row["low"] = min(max(null["seen"] - point, 2 * SAME), max(row["estimate"], 2 * SAME))
    return replace(part, table=pl.DataFrame(rows, schema=part.table.schema))


def _sampled(found: Findings) -> ComputeMatched | None:
    matched, pairs, name = found.matched, found.comparisons, found.baseline
    if matched is None or pairs is None or name is None:
        return matched
    rows, curve = matched.table.to_dicts(), matched.curve.to_dicts()
    for row in rows:
        other = {row["configuration"], name}
        for pair in pairs.table.to_dicts():
            if {pair["first"], pair["second"]} != other or pair["delta"] is None or row["premium"] is None:
                continue
            sign = -1 if pair["first"] == row["configuration"] else 1
            if abs(row["premium"] - sign * pair["delta"]) <= SAME and pair["n_markets"] == row["n_markets"]:
                ends = [None if end is None else sign * end for end in (pair["low"], pair["high"])]
                row["low"], row["high"] = ends[::sign]
                row["apart"] = None if row["low"] is None else is_shown(pair)
                row["reason"] = pair["reason"] if row["low"] is None else None
    own = [] if found.measures is None else found.measures.table.filter(configuration=name).to_dicts()
    for point in curve:
        for row in own:
            if row["measure"] == "brier" and point["k"] == 1 and _one(point["brier"], row["estimate"]):
                point |= {end: row[end] for end in ("low", "high", "reason")}
    return replace(
        matched,
        table=pl.DataFrame(rows, schema=matched.table.schema),
        curve=pl.DataFrame(curve, schema=matched.curve.schema),
    )


def _one(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and abs(a - b) <= SAME


def _restated(found: Findings, deeper: Diagnostics) -> Diagnostics:
    if deeper.influence is None or found.comparisons is None:
        return deeper
    own = found.comparisons.table.select("first", "second", own_low="low", own_high="high")
    restated = deeper.influence.restated
    told = restated.join(own, on=["first", "second"], how="left", maintain_order="left").with_columns(
        low="own_low", high="own_high", excludes_zero=(pl.col("own_low") > 0) | (pl.col("own_high") < 0)
    )
    return replace(deeper, influence=replace(deeper.influence, restated=told.select(restated.columns)))
