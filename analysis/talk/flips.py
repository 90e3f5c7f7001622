"""Why agents change their minds: second thoughts, the stance of peers, or their reasons, told apart by arms of a study.

Source: arXiv 2606.00820, whose arms are: asked again alone; shown what others estimate; shown their reasons too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.base.estimates import CELL, resolved
from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.base.resampling import APART, UNIT
from coordeval.analysis.talk.telling import NUMBERS, Telling, table

ARMS: Final[Mapping[str, str]] = {
    "alone": "self_revision",
    "stance": "stance_only",
    "reasons": "peer_critique_debate",
    "empty": "empty_reasons",
}
"""Arm -> the configuration that is it; the last is a control, and no part of the others needs it."""
PARTS: Final[Mapping[str, tuple[str, str | None]]] = {
    "in_all": ("reasons", None),
    "second_thoughts": ("alone", None),
    "stance": ("stance", "alone"),
    "reasons": ("reasons", "stance"),
    "empty_reasons": ("empty", "stance"),
}
"""Part -> the arm that has it, and the one that lacks it."""
QUANTITIES: Final = ("flips", "movement", "harm")
_SCHEMA: Final[dict[str, Any]] = {"part": pl.String, "measure": pl.String, **NUMBERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """The first revision of each agent, by what it was shown."""

    table: pl.DataFrame
    """part (PARTS), measure (QUANTITIES), estimate, low, high, n_markets, reason.

    Of an agent that went from q in round 0 to p in its first revision: flips 1 where it changed sides of even odds, movement
    |p − q|, harm (p − y)² − (q − y)², positive where the revision was for the worse; means over agents, cells and markets.
    second_thoughts: of the arm alone; stance: that arm less alone; reasons: that arm less stance. These add up to in_all.
    Each difference is paired: over the markets that both arms have.
    """
    arms: Mapping[str, str]
    n: int
    seed: int
    level: float


@asked
def flips(
    frame: pl.DataFrame, *, arms: Mapping[str, str] = ARMS, n: int = 10_000, seed: int = 0, level: float = 0.95
) -> Flips:
    """Flips split by cause, of a frame of estimates (`analysis.ESTIMATES`); `arms` names the configuration of each arm.

    A part whose arm is not in the study is null with that reason. All three parts are of the markets that all of these arms
    have, so they add up. Scored are resolved cells with a forecast.

    Raises:
        AnalysisError: the frame breaks a rule, or `arms` names an arm that there is not.

    >>> import polars as pl
    >>> from coordeval.analysis import example_estimates, flips
    >>> found = flips(example_estimates(), n=500).table.filter(measure="flips")
    >>> found.select("part", pl.col("estimate").round(2), "reason").rows()[:2]
    [('in_all', 0.12, None), ('second_thoughts', None, 'the study has no arm alone: self_revision')]
    """
    if unknown := sorted(set(arms) - set(ARMS)):
        raise AnalysisError(f"arms has {', '.join(unknown)}: an arm is one of {', '.join(ARMS)}")
    cells = resolved(frame)
    said = {arm: _revisions(cells.filter(configuration=arms[arm])) for arm in ARMS if arm in arms}
    tell = Telling(n, seed, level)
    there = [arm for arm in ("alone", "stance", "reasons") if arm in said and said[arm].height]
    common = _markets(said, there)
    rows: list[dict[str, Any]] = []
    for part, (arm, less) in PARTS.items():
        for measure in QUANTITIES:
            row: dict[str, Any] = {"part": part, "measure": measure}
            lacking = [one for one in (arm, less) if one and (one not in said or said[one].is_empty())]
            if lacking:
                named = ", ".join(f"{one}: {arms[one]}" if one in arms else f"{one}: none is named" for one in lacking)
                rows.append(row | {"n_markets": 0, "reason": f"the study has no arm {named}"})
                continue
            own = said[arm].join(common, on="market_id", how="semi") if arm in there else said[arm]
            values = own.select("market_id", "event_id", value=measure)
            if less is not None:
                other = said[less].select("market_id", less=measure)
                values = values.join(other, on="market_id", how="inner", maintain_order="left").with_columns(
                    value=pl.col("value") - pl.col("less")
                )
            bounds = UNIT if less is None and measure != "harm" else APART
            rows.append(row | tell.mean(values, values["value"].to_numpy(), why="no market has all arms", bounds=bounds))
    return Flips(table=table(rows, _SCHEMA), arms=dict(arms), n=n, seed=seed, level=level)


def _markets(said: Mapping[str, pl.DataFrame], arms: Sequence[str]) -> pl.DataFrame:
    """The markets that all of these arms have."""
    if not arms:
        return pl.DataFrame(schema={"market_id": pl.String})
    found = said[arms[0]].select("market_id")
    for arm in arms[1:]:
        found = found.join(said[arm], on="market_id", how="semi")
    return found


def _revisions(mine: pl.DataFrame) -> pl.DataFrame:
    """market_id, event_id and QUANTITIES: means over the agents of a cell, then over the cells of a market."""
    first = mine.filter(pl.col("round") == 0).select(*CELL, "agent", q="probability").unique([*CELL, "agent"], keep="last")
    later = mine.filter(pl.col("round") > 0).sort(*CELL, "ask").group_by(*CELL, "agent", maintain_order=True).first()
    q, p, y = pl.col("q"), pl.col("probability"), pl.col("outcome")
    sides = (pl.when((at - 0.5).abs() > SAME).then((at - 0.5).sign()).otherwise(0.0) for at in (p, q))
    return (
        later.join(first, on=[*CELL, "agent"], how="inner", maintain_order="left")
        .with_columns(
            flips=(next(sides) * next(sides) < 0).cast(pl.Float64),
            movement=(p - q).abs(),
            harm=(p - y) ** 2 - (q - y) ** 2,
        )
        .group_by(CELL, maintain_order=True)
        .agg(pl.col("event_id").first(), pl.col(QUANTITIES).mean())
        .group_by("market_id", maintain_order=True)
        .agg(pl.col("event_id").first(), pl.col(QUANTITIES).mean())
        .sort("market_id")
    )
