"""What is due to coordination, to the model and to information, in sentences that claim no more than the numbers do."""

from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from coordeval.analysis.arms.components import AGAIN, MARKET
from coordeval.analysis.arms.crossing import TIMES
from coordeval.analysis.arms.separable import Separable
from coordeval.analysis.base.numerals import counted, number
from coordeval.analysis.differences.comparisons import holm
from coordeval.analysis.study.family import ALPHA
from coordeval.analysis.words.phrases import listed

_HERE: Final = "corrected for the tests of this question"
_MOST: Final = 3


def on_separable(found: Separable) -> Iterator[str]:
    """Shares first, then whether effects hang on the arm, whether the ranking holds, and what was left out."""
    yield from _shares(found)
    yield from _interactions(found)
    yield from _ranking(found)
    yield from _moved(found)
    if found.left_out:
        yield f"Not in it: {'; '.join(found.left_out)}."


def _shares(found: Separable) -> Iterator[str]:
    rows = {row["component"]: row for row in found.components.to_dicts()}
    if all(row["share"] is None for row in rows.values()):
        yield "Nothing varies: every forecast has the same squared error."
        return
    parts = [f"{_share(rows[name])} to the {name}" for name in found.factors]
    mixed = [row for name, row in rows.items() if TIMES in name and not name.startswith(MARKET)]
    if mixed:
        parts.append(f"{sum(row['share'] or 0.0 for row in mixed):.1%} to what these do together")
    parts.append(f"{_share(rows[MARKET])} to the market")
    beside = sum(row["share"] or 0.0 for name, row in rows.items() if name.startswith(f"{MARKET}{TIMES}"))
    parts.append(f"{beside:.1%} to what differs from market to market in all of these")
    if rows[AGAIN]["share"] is not None:
        parts.append(f"{_share(rows[AGAIN])} to sampling again")
    yield (
        f"Of the variance of one forecast's squared error, {', '.join(parts[:-1])} and {parts[-1]} is due "
        f"({counted(found.n_markets, 'market')}, {counted(found.n_events, 'event')})."
    )
    sizes = [row for name in found.factors if (row := rows[name])["high"] is not None]
    if sizes:
        told = "; ".join(
            f"{row['component']} {number(row['variance'] ** 0.5, 3)} ({number(row['low'] ** 0.5, 3)} to "
            f"{number(row['high'] ** 0.5, 3)})"
            for row in sizes
        )
        yield f"As standard deviations of mean Brier scores, with {found.level:.0%} intervals: {told}."


def _share(row: dict[str, Any]) -> str:
    return f"{row['share']:.1%}"


def _interactions(found: Separable) -> Iterator[str]:
    rows = [row for row in found.interactions.to_dicts() if row["effect"].startswith(f"configuration{TIMES}")]
    known = [row for row in rows if row["p_value"] is not None]
    if not known:
        yield "Whether the effect of a configuration hangs on the arm is not known: one configuration, or no spread."
        return
    for row, p in zip(known, holm([row["p_value"] for row in known]), strict=True):
        other = row["effect"].removeprefix(f"configuration{TIMES}").replace(TIMES, " and the ")
        told = f"interaction, signs of events, p = {_p(p)}, {_HERE}"
        if p is not None and p <= ALPHA:
            yield f"What a configuration does hangs on the {other}: {told}."
        else:
            yield f"That what a configuration does hangs on the {other} is not shown: {told}."


def _ranking(found: Separable) -> Iterator[str]:
    for row in found.agreement.to_dicts():
        across = "arms" if row["across"] == "arms" else f"levels of {row['across']}"
        if row["w"] is None:
            yield f"Whether the ranking holds across {across} is not known: {row['reason']}."
            continue
        said = (
            f"Across {row['rankings']} {across} the rankings of {counted(row['configurations'], 'configuration')} agree "
            f"with W = {number(row['w'], 2)} (1: all alike); by chance it would be {number(row['w_chance'], 2)}, and over "
            f"{number(row['w_chance_high'], 2)} in 5%"
        )
        if row["p_value"] > ALPHA:
            yield f"{said}: this is no more than noise gives (p = {_p(row['p_value'])}), so no ranking is shown to hold."
        elif row["p_one"] <= ALPHA:
            yield (
                f"{said}, so they have something in common (p = {_p(row['p_value'])}), but less than one ranking everywhere "
                f"would give (W under {number(row['w_one_low'], 2)} in 5%)."
            )
        else:
            yield f"{said}: the ranking holds (p = {_p(row['p_value'])}), as well as one ranking everywhere would."


def _moved(found: Separable) -> Iterator[str]:
    if found.effects.is_empty():
        yield "No two arms differ in one thing alone, so what a configuration does in one is not set beside another."
        return
    moved = found.effects.filter(pl.col("p_holm") <= ALPHA).sort(
        "p_holm", pl.col("difference").abs(), descending=[False, True]
    )
    pairs = found.effects.select("factor", "first", "second").unique(maintain_order=True)
    fields = listed(pairs["factor"].unique(maintain_order=True).to_list())
    compared = f"{counted(pairs.height, 'pair')} of arms that differ in one thing alone ({fields})"
    if moved.is_empty():
        yield f"In {compared} no configuration's effect is shown to differ, {_HERE}: not shown is not the same."
        return
    each = "; ".join(
        f"{row['configuration']} by {number(abs(row['difference']))} ({'worse' if row['difference'] > 0 else 'better'} in "
        f"{row['first']} than in {row['second']}, {row['factor']})"
        for row in moved.head(_MOST).to_dicts()
    )
    more = f"; and {moved.height - _MOST} more" if moved.height > _MOST else ""
    yield f"In {compared} the effect of these differs, {_HERE}: {each}{more}."


def _p(p: float | None) -> str:
    return "not defined" if p is None else "under 0.001" if p < 0.001 else f"{p:.3f}"
