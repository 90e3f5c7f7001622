"""What must be known before any number is read: how much of the study is there, and of what kind it is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from coordeval.analysis.base.grid import PRICE
from coordeval.analysis.base.numerals import number
from coordeval.analysis.differences.sequential import Sequences
from coordeval.analysis.words.phrases import counted

HINDSIGHT: Final = "HINDSIGHT-ANCHORED: forecasts were made for a time that depends on when the market resolved"

_IMPORTED: Final = (
    "These forecasts were made elsewhere: what their makers could see is not in the file, so nothing shows that it was "
    "known at the time, or that all were given the same."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What stands over every number, such as SIMULATED: a word for everywhere, a sentence for where there is room."""

    name: str
    label: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How much is there, and what kind of study this is. What of it is true is shown before anything else."""

    made: int
    """Forecasts that were answered or failed."""
    failed: int
    planned: int
    markets_scored: int
    markets: int
    amount: str
    """The first sentence of everything."""
    marks: tuple[Mark, ...]
    """In the order in which they matter."""

    @property
    def finished(self) -> bool:
        return self.made == self.planned


def standing(
    *,
    made: int,
    failed: int,
    planned: int,
    markets_scored: int,
    markets: int,
    study: Mapping[str, Any],
    simulated: bool,
    uncontrolled: str | None = None,
    substituted: str | None = None,
    looked: Sequences | None = None,
) -> Standing:
    """`study` may know `ahead` (it is prospective; `looked`: its intervals of any time), `hindsight`,
    `texts_of_unknown_age`, `roles_not_read`; `substituted`: another model answered."""
    return Standing(
        made=made,
        failed=failed,
        planned=planned,
        markets_scored=markets_scored,
        markets=markets,
        amount=_amount(made, failed, planned, markets_scored, markets, simulated=simulated),
        marks=tuple(
            _marks(
                study,
                simulated=simulated,
                unfinished=made < planned,
                uncontrolled=uncontrolled,
                substituted=substituted,
                looked=looked,
            )
        ),
    )


def _amount(made: int, failed: int, planned: int, scored: int, markets: int, *, simulated: bool) -> str:
    start = "In this simulation, " if simulated else ""
    broken = f", {failed:,} of them failed" if failed else ""
    if not made:
        said = f"no forecast is made yet: {counted(planned, 'forecast')} {'is' if planned == 1 else 'are'} still to be made"
    elif made < planned:
        said = f"{made:,} of {counted(planned, 'forecast')} are made{broken} ({made / planned:.0%}): nothing below is final"
    elif failed == made:
        said = f"{'the only forecast' if made == 1 else f'all {made:,} forecasts'} failed: nothing is scored"
    else:
        verb, of = "is" if planned == 1 else "are", counted(markets, "market")
        every = "the only forecast" if planned == 1 else f"all {planned:,} forecasts"
        said = f"{every} {verb} made{broken}; {scored:,} of {of} can be scored"
    text = f"{start}{said}."
    return text[0].upper() + text[1:]


_SEARCHED: Final = (
    "Agents searched the web on the model provider's servers; what they found passed no gate and nobody can find it again, "
    "but every query and page is stored. The outcome did not exist yet."
)
ONE_LOOK: Final = "Every other interval here holds for one look, on a day that was chosen beforehand."
"""Of a study that grows while it is looked at."""


def _ahead(ahead: Mapping[str, Any], looked: Sequences | None) -> str:
    """That it was forecast before the outcomes, and the intervals that hold although one looks at it every day."""
    days = counted(ahead["days"], "day")
    said = (
        f"Forecast before the outcomes and committed to, on {days} from {ahead['first']} to {ahead['last']}; "
        f"{ahead['awaiting']:,} of {counted(ahead['picked'], 'market')} await theirs, and what ends early is mostly YES."
    )
    rows = [] if looked is None else [row for row in looked.table.to_dicts() if row["second"] == PRICE and row["n_events"]]
    if not rows or looked is None:
        return f"{said} {ONE_LOOK}"
    each = "; ".join(f"{row['first']} {_any_time(row)}" for row in rows)
    return (
        f"{said} Who looks every day needs intervals that hold at any time, and these do ({1 - looked.alpha:.0%}, Brier "
        f"score minus that of the market price): {each}. {ONE_LOOK}"
    )


def _any_time(row: Mapping[str, Any]) -> str:
    ends = "no interval" if row["low"] is None else f"{number(row['low'], 3)} to {number(row['high'], 3)}"
    return f"{number(row['mean'], 3)} ({ends}, {counted(row['n_events'], 'event')})"


def _marks(
    study: Mapping[str, Any],
    *,
    simulated: bool,
    unfinished: bool,
    uncontrolled: str | None,
    substituted: str | None,
    looked: Sequences | None,
) -> Iterator[Mark]:
    if simulated:
        yield Mark(
            name="simulated",
            label="SIMULATED",
            sentence="A simulated world or a simulated model: no number here is about real models or markets.",
        )
    if unfinished:
        yield Mark(name="unfinished", label="UNFINISHED", sentence="What is still to come can change every answer.")
    if isinstance(ahead := study.get("ahead"), Mapping):
        yield Mark(name="prospective", label="PROSPECTIVE", sentence=_ahead(ahead, looked))
    if study.get("hindsight") is True:
        label, _, said = HINDSIGHT.partition(": ")
        yield Mark(name="hindsight", label=label, sentence=f"{said[0].upper()}{said[1:]}.")
    if uncontrolled:
        label, _, said = uncontrolled.partition(": ")
        yield Mark(name="uncontrolled", label=label, sentence=f"{said[0].upper()}{said[1:]}.")
    if substituted:
        yield Mark(name="served", label="ANOTHER MODEL ANSWERED", sentence=f"{substituted[0].upper()}{substituted[1:]}.")
    content = study.get("content")
    if isinstance(content, Mapping) and "web_search" in (content.get("agents") or {}).get("tools", ()):
        yield Mark(name="searched", label="SEARCHED THE WEB", sentence=_SEARCHED)
    if isinstance(content, Mapping) and "imported" in content:
        yield Mark(name="imported", label="IMPORTED", sentence=_IMPORTED)
    elif undated := study.get("texts_of_unknown_age"):
        yield Mark(
            name="undated",
            label="TEXTS OF UNKNOWN AGE",
            sentence=f"{counted(undated, 'market text')} may be younger than the moment that forecasts were made for.",
        )
    if unread := study.get("roles_not_read"):
        yield Mark(name="roles", label="ROLE TEXTS NOT READ", sentence=f"{unread}.")
