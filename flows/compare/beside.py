"""A backtest and a prospective study beside each other: they share no market, so each is held against its own market price.

A backtest can leak, a forecast before the outcome cannot. So a configuration that beats the price by more there than ahead
of the outcome is what a leak looks like; it can also come of other markets, other days, or another price.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import polars as pl

from coordeval.analysis.base.arms import content_in
from coordeval.analysis.base.frames import Policy, scored
from coordeval.analysis.base.grid import PRICE
from coordeval.analysis.differences.sequential import sequences
from coordeval.flows.compare.settings import different_settings
from coordeval.flows.study.in_arms import Looked, in_arm, one_of
from coordeval.flows.study.names import PROBE
from coordeval.ledger import Reader
from coordeval.ledger.information import told_times
from coordeval.ledger.reader import Study
from coordeval.market_data.errors import CoordevalError

ALPHA: Final = 0.05
_SAID_ELSEWHERE: Final = ("name", "predictions", "replicates", "markets", "configurations", "as_of")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A configuration of both studies; Δ is its Brier score minus that of the market price, below 0 where it is better.

    Intervals hold at 95% however often one looks. `gap`: Δ ahead − Δ in the backtest; above 0 the backtest flattered it. Its
    interval holds at 90%. None where a study has no scored market of it; `reason` says which.
    """

    configuration: str
    backtest: float | None
    backtest_low: float | None
    backtest_high: float | None
    backtest_events: int
    ahead: float | None
    ahead_low: float | None
    ahead_high: float | None
    ahead_events: int
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Both studies, each on its own markets."""

    backtest: str
    ahead: str
    study_ids: tuple[str, str]
    """Of the backtest, and of the prospective study."""
    arms: tuple[Looked, Looked]
    """The arm of each, and its others."""
    answer: str
    rows: tuple[Row, ...]
    differs: tuple[str, ...]
    """What differs between the two, in words."""
    labels: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def prospective(study: Study) -> bool:
    """Whether a stored study was forecast before its outcomes."""
    return study.source == "open"


def beside(
    reader: Reader,
    first: str,
    second: str,
    *,
    arms: tuple[str | None, str | None] = (None, None),
    policy: Policy = "available",
) -> Beside:
    """`first` and `second` in any order: one is prospective, the other is not. Raises CoordevalError otherwise.

    `arms`: of the first and of the second, in which arm; None: `in_arms.one_of`.
    """
    named = [(reader.study(name), arm) for name, arm in zip((first, second), arms, strict=True)]
    named.sort(key=lambda one: prospective(one[0]))
    studies = [study for study, _ in named]
    back, ahead = studies
    if prospective(back) or not prospective(ahead):
        raise CoordevalError(f"{back.name} and {ahead.name}: one of the two must be prospective, and the other a backtest")
    looked = [one_of(reader, study.study_id, arm) for study, arm in named]
    frames = [_frame(reader, study, one) for study, one in zip(studies, looked, strict=True)]
    pairs = [_against_the_price(reader, frame, policy) for frame in frames]
    configurations = sorted({*frames[0]["configuration"]} & {*frames[1]["configuration"]} - {"market_price"})
    if not configurations:
        raise CoordevalError(
            f"{back.name} and {ahead.name} have no configuration in common, so there is nothing to set beside"
        )
    rows = tuple(_row(name, pairs[0].get(name), pairs[1].get(name)) for name in configurations)
    return Beside(
        backtest=back.name,
        ahead=ahead.name,
        study_ids=(back.study_id, ahead.study_id),
        arms=(looked[0], looked[1]),
        answer=_answer(rows),
        rows=rows,
        differs=tuple(_differs(studies, looked, frames)),
        labels=tuple(f"{study.name}: SIMULATED" for study in studies if study.simulated),
    )


def _frame(reader: Reader, study: Study, looked: Looked) -> pl.DataFrame:
    with in_arm(reader, study.study_id, looked.arm) as held:
        return held.forecast_frame(study.study_id).filter(pl.col("configuration") != PROBE)


def _against_the_price(reader: Reader, frame: pl.DataFrame, policy: Policy) -> dict[str, dict[str, Any]]:
    made = frame.filter(pl.col("status") != "pending", pl.col("configuration") != "market_price")
    if made.is_empty() or made["outcome"].is_null().all():
        return {}
    kept = scored(made, policy=policy)
    if not kept.n_markets:
        return {}
    told = told_times(reader, kept.frame["market_id"].unique().to_list())
    order = sorted(told, key=lambda market: (told[market], market))
    rows = sequences(kept, alpha=ALPHA, order=order).table.to_dicts()
    return {row["first"]: row for row in rows if row["second"] == PRICE and row["n_events"]}


def _row(name: str, back: dict[str, Any] | None, ahead: dict[str, Any] | None) -> Row:
    missing = [side for side, row in (("the backtest", back), ("the prospective study", ahead)) if row is None]
    one, two = back or {}, ahead or {}
    known = None not in (one.get("low"), one.get("high"), two.get("low"), two.get("high")) and not missing
    return Row(
        configuration=name,
        backtest=one.get("mean"),
        backtest_low=one.get("low"),
        backtest_high=one.get("high"),
        backtest_events=one.get("n_events", 0),
        ahead=two.get("mean"),
        ahead_low=two.get("low"),
        ahead_high=two.get("high"),
        ahead_events=two.get("n_events", 0),
        gap=two["mean"] - one["mean"] if not missing else None,
        gap_low=two["low"] - one["high"] if known else None,
        gap_high=two["high"] - one["low"] if known else None,
        reason=f"no market of it is scored in {' or '.join(missing)}" if missing else None,
    )


def _answer(rows: Sequence[Row]) -> str:
    known = [row for row in rows if row.gap is not None]
    if not known:
        return "Nothing can be told yet: no configuration has scored markets in both."
    flattered = [row.configuration for row in known if row.gap_low is not None and row.gap_low > 0]
    if flattered:
        return (
            f"The backtest flattered {', '.join(flattered)}: against the price it did better there than ahead of the "
            "outcome, which a leak would explain"
        )
    top = max(known, key=lambda row: row.gap or 0.0)
    return (
        f"Cannot tell that the backtest flattered anybody: the largest gap is that of {top.configuration}, {top.gap:+.4f}, "
        "which chance alone could do."
    )


def _differs(studies: Sequence[Study], looked: Sequence[Looked], frames: Sequence[pl.DataFrame]) -> Iterator[str]:
    yield "when: the backtest was made after the outcomes, the prospective study before them, committed to day by day"
    for study, frame in zip(studies, frames, strict=True):
        times, scored_ = frame["as_of"], frame.filter(pl.col("outcome").is_not_null())["market_id"].n_unique()
        first, last = (str(at)[:10] for at in (times.min(), times.max()))
        yield (
            f"{study.name}: {frame['market_id'].n_unique()} markets from {study.source}, {scored_} scored, forecast as of "
            f"{first} to {last}, {frame['category'].n_unique()} categories"
        )
    contents = [content_in(study.content, one.arm) for study, one in zip(studies, looked, strict=True)]
    models = [
        str((content.get("model") or {}).get("id") or study.model) if "models" in study.content else study.model
        for study, content in zip(studies, contents, strict=True)
    ]
    if models[0] != models[1]:
        yield f"model: {models[0]} → {models[1]}"
    yield from different_settings(*contents, but=_SAID_ELSEWHERE)
