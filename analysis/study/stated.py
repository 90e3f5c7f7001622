"""All that a report states as found, in one place: sentences, verdicts, tables and results.json say no more than this."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import polars as pl

from coordeval.analysis.base.grid import PRICE
from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.base.scipy_parts import special
from coordeval.analysis.differences.comparisons import holm
from coordeval.analysis.study.diagnostics import Diagnostics
from coordeval.analysis.study.family import ALPHA, ASIDE
from coordeval.analysis.study.findings import Findings
from coordeval.analysis.study.leaderboard import Leaderboard

Kind = Literal[
    "market",
    "pair",
    "sampling",
    "prediction",
    "rel",
    "mcb",
    "mcb contrast",
    "dsc contrast",
    "talking",
    "blend",
    "cell",
    "pool",
    "look",
]
"""The first four are the questions that a report is asked."""
_Z95: Final = 1.959963984540054
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One thing that a report says is so."""

    kind: Kind
    of: str
    than: str | None
    """Another configuration, the market price, plain sampling, or where: a cell, a pool; None: chance."""
    estimate: float
    """Brier points, as the table of its kind has it: of `market` and `pair` negative where `of` is better."""


def stated(found: Findings, deeper: Diagnostics, board: Leaderboard) -> tuple[Statement, ...]:
    """Everything, the questions first. On a study in which nothing is to be found it is empty in 95% of all reports.

    >>> from coordeval.analysis import Record, diagnose, example, find, leaderboard, scored
    >>> from coordeval.analysis.study.stated import stated
    >>> cells, kept = example(), scored(example())
    >>> stated(find(cells, kept, n=200), diagnose(cells, kept, Record(), n=200), leaderboard(cells, resamples=100))
    ()
    """
    return (*_asked(found), *_aside(found, deeper, board))


def _asked(found: Findings) -> Iterator[Statement]:
    for row in found.comparisons.table.to_dicts() if found.comparisons else []:
        if is_shown(row):
            kind: Kind = "market" if row["second"] == PRICE else "pair"
            yield Statement(kind=kind, of=row["first"], than=row["second"], estimate=row["delta"])
    for row in sampled_apart(found):
        yield Statement(kind="sampling", of=row["configuration"], than="plain sampling", estimate=row["premium"])
    for row in found.predictions.table.filter("stands").to_dicts():
        yield Statement(kind="prediction", of=row["of"], than=row["than"], estimate=row["estimate"])


def _aside(found: Findings, deeper: Diagnostics, board: Leaderboard) -> Iterator[Statement]:
    measures: tuple[Literal["rel", "mcb"], ...] = ("rel", "mcb")
    for measure in measures:
        for row in uncalibrated(board, measure):
            yield Statement(kind=measure, of=row["configuration"], than=None, estimate=row["seen"])
    for row in found.contrasts.filter("differs").to_dicts():
        kind: Kind = "mcb contrast" if row["measure"] == "mcb" else "dsc contrast"
        yield Statement(kind=kind, of=row["first"], than=row["second"], estimate=row["delta"])
    for row in talked(deeper):
        yield Statement(kind="talking", of=row["configuration"], than="its pool", estimate=row["estimate"])
    for row in blends(deeper):
        yield Statement(kind="blend", of=row["configuration"], than=PRICE, estimate=row["estimate"])
    for row in cells_apart(deeper):
        yield Statement(kind="cell", of=row["configuration"], than=f"{row['by']} {row['cell']}", estimate=row["estimate"])
    for row in better_pools(deeper):
        yield Statement(kind="pool", of=row["configuration"], than=row["pool"], estimate=row["delta"])
    for row in looked_apart(deeper):
        yield Statement(kind="look", of=row["first"], than=row["second"], estimate=row["mean"])


def passes(row: Row) -> bool:
    """Whether a difference survives the correction for all that the report asks."""
    return row["p_whole"] is not None and row["p_whole"] < ALPHA


def beyond_noise(row: Row) -> bool | None:
    """Whether the difference exceeds what sampling the same configuration again changes; None where that is not known.

    A noise floor of 0 (see `base.numerals.SAME`) is known: the model answers alike each time.
    """
    if row["noise_floor"] is None:
        return None
    return bool(abs(row["delta"]) > row["noise_floor"] + SAME)


def is_shown(row: Row) -> bool:
    """Whether a difference is stated: it survives correction and is not within the noise floor.

    Where nothing was sampled twice there is no floor; the test over events counts the noise of sampling all the same, for
    each event brings its own.
    """
    return passes(row) and beyond_noise(row) is not False


def shown(rows: Sequence[Row], column: str = "p_value") -> list[Row]:
    """The rows whose p-value in `column` survives Holm's correction over all of them, at `ASIDE`."""
    return [row for row, p in zip(rows, told_p(rows, column), strict=True) if p is not None and p < ALPHA]


def told_p(rows: Sequence[Row], column: str = "p_value") -> list[float | None]:
    """p-values as they are told, beside 5%: Holm's over all the rows, and for what the report asks besides."""
    adjusted = holm([row[column] for row in rows])
    return [None if p is None else min(1.0, p * ALPHA / ASIDE) for p in adjusted]


def off_zero(row: Row, *, estimate: str = "estimate", low: str = "low", high: str = "high") -> float | None:
    """The p-value of 0 that a 95% interval implies: of a normal law whose 97.5% reaches from the estimate to the end nearer
    to 0; None without an interval."""
    if row[low] is None or row[high] is None or row[estimate] is None:
        return None
    reach = row[estimate] - row[low] if row[estimate] > 0 else row[high] - row[estimate]
    return 1.0 if reach <= 0 else float(2 * special.ndtr(-abs(row[estimate]) / reach * _Z95))


def sampled_apart(found: Findings) -> list[Row]:
    """Configurations whose premium over plain sampling is told from 0, at the level of one question."""
    if found.matched is None or found.matched.reason:
        return []
    return found.matched.table.drop_nulls("premium").filter("apart").to_dicts()


def null_rows(board: Leaderboard, measure: str) -> list[Row]:
    """A component of every configuration beside its null, where it can be tested."""
    return board.nulls.table.filter(measure=measure).drop_nulls("p_value").to_dicts() if board.nulls else []


def uncalibrated(board: Leaderboard, measure: str) -> list[Row]:
    """Of REL or MCB, what exceeds its null."""
    return shown(null_rows(board, measure))


def gains(deeper: Diagnostics) -> list[Row]:
    """What talking gained, of every configuration that talks."""
    if deeper.coordination is None:
        return []
    spoke = deeper.coordination.rounds.filter(pl.col("round") > 0)["configuration"].unique().implode()
    mine = pl.col("measure").eq("gain") & pl.col("configuration").is_in(spoke) & pl.col("estimate").is_not_null()
    return deeper.coordination.gain.filter(mine).to_dicts()


def talked(deeper: Diagnostics) -> list[Row]:
    """Gains that are told from 0."""
    return shown([row | {"p_value": off_zero(row)} for row in gains(deeper)])


def blends(deeper: Diagnostics) -> list[Row]:
    """Configurations whose blend with the price beats the price."""
    if deeper.tracking is None:
        return []
    rows = deeper.tracking.table.filter(pl.col("estimate").is_not_null(), measure="blend_gain").to_dicts()
    return [row for row in shown([row | {"p_value": off_zero(row)} for row in rows]) if row["estimate"] > 0]


def cells_told(deeper: Diagnostics) -> list[Row]:
    """Categories and price deciles in which a configuration can be held against the price."""
    if deeper.subgroups is None:
        return []
    rows = deeper.subgroups.table.filter(pl.col("low").is_not_null(), measure="delta_market")
    return rows.filter(pl.col("configuration") != PRICE).to_dicts()


def cells_apart(deeper: Diagnostics) -> list[Row]:
    """Those in which it differs, the largest difference first."""
    return sorted(shown(cells_told(deeper)), key=lambda row: -abs(row["estimate"]))


def better_pools(deeper: Diagnostics) -> list[Row]:
    """Pools of stored estimates that score better than what was concluded, the best first."""
    if deeper.pooling is None:
        return []
    ends = {"estimate": "delta", "low": "delta_low", "high": "delta_high"}
    rows = [row | {"p_value": off_zero(row, **ends)} for row in deeper.pooling.table.drop_nulls("delta").to_dicts()]
    return sorted((row for row in shown(rows) if row["delta"] < 0), key=lambda row: row["delta"])


def looked_apart(deeper: Diagnostics) -> list[Row]:
    """Pairs that differ however often one looks."""
    rows = [] if deeper.sequences is None else deeper.sequences.table.to_dicts()
    return [row for row in shown(rows) if row["excluded_at"] is not None]
