"""A step of a prospective study as a day's job: the day is claimed, so that overlapping wake-ups do it once, and kept.

What is caught up differs: outcomes of days that were missed come with the next resolve, forecasts of days that were missed
never come. Such a day is stated as missed.
"""

from datetime import datetime
from pathlib import Path
from typing import Any, Final

from coordeval.flows.prospective.forecasting import Opened, forecast_open
from coordeval.flows.prospective.ground import ProspectiveError, Say, clock_of, prospective_study, silent, writer
from coordeval.flows.prospective.resolving import Resolved, resolve_and_score
from coordeval.flows.schedule.days import claim, day_of, due, miss
from coordeval.flows.study.study import LoadedStudy
from coordeval.ledger import Ledger

FORECAST: Final = "forecast-open"
RESOLVE: Final = "resolve-and-score"
PAST: Final = "nothing was forecast on this day, and a day that is past is not forecast"


class Incomplete(ProspectiveError):
    """Forecasts of the day are open; the day is not done, and the same step goes on with it."""

    def __init__(self, opened: Opened) -> None:
        super().__init__(f"{opened.words()}; the same command goes on with the open ones until the day is over")
        self.opened = opened


def forecast_day(
    study: Path | LoadedStudy, ledger: Path | Ledger, *, now: datetime, say: Say = silent, by: str = "", **options: Any
) -> Opened:
    """`forecast_open` as the job of a day. Raises what it raises, and Incomplete where forecasts are open."""
    loaded, rule = prospective_study(study)
    clock_of(rule, now)  # before anything is written: a moment that cannot be leaves no ledger
    today = day_of(now)
    with writer(ledger, f"coordeval forecast-open {loaded.study.name}") as book:
        past = [day for day in due(book, FORECAST, loaded.id, now) if day < today]
        with claim(book, FORECAST, loaded.id, today, now=now, by=by) as mine:
            opened = forecast_open(study, book, now=now, say=say, **options)  # where it is done it says so, and asks nothing
            if mine is not None:
                if opened.status == "incomplete":
                    raise Incomplete(opened)
                mine.said = opened.words()
        miss(book, FORECAST, loaded.id, past, now=now, why=PAST, by=by, found=False)  # forecast_open has told of them
    return opened


def resolve_day(
    study: Path | LoadedStudy, ledger: Path | Ledger, *, now: datetime, say: Say = silent, by: str = "", **options: Any
) -> Resolved:
    """`resolve_and_score` as the job of a day. It may be asked again on the same day: a venue's answer changes."""
    loaded, rule = prospective_study(study)
    clock_of(rule, now)
    today = day_of(now)
    with writer(ledger, f"coordeval resolve {loaded.study.name}") as book:
        with claim(book, RESOLVE, loaded.id, today, now=now, by=by) as mine:
            resolved = resolve_and_score(study, book, now=now, say=say, **options)
            if mine is not None:
                mine.said = resolved.words()
        past = [day for day in due(book, RESOLVE, loaded.id, now) if day < today]
        miss(book, RESOLVE, loaded.id, past, now=now, why=f"its outcomes came with {today}", by=by, found=False)
    return resolved
