"""`forecast-open` and `resolve-and-score`: a prospective study, a day at a time."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

from coordeval.flows.jobs.job import Done, Job, Say
from coordeval.flows.prospective.forecasting import forecast_open
from coordeval.flows.prospective.resolving import resolve_and_score
from coordeval.flows.study.study import LoadedStudy, load_study
from coordeval.market_data.errors import CoordevalError


class DayNotOver(CoordevalError):
    """Forecasts of the day are open: the next wake-up goes on with them."""


def forecast(study: Path | None, ledger: Path, *, day: date, now: datetime, say: Say, **options: Any) -> Done:
    """Picks open markets, forecasts them and commits to the forecasts. Raises DayNotOver where some are not made yet.

    A model that costs money is asked only within a bound: `max_usd`, which all of the study may cost, or the study file's.
    """
    assert study is not None
    bound = options.get("max_usd")
    loaded = load_study(study, changes={} if bound is None else {"budget_usd": bound})
    opened = forecast_open(loaded, ledger, now=now, say=say)
    if opened.status == "incomplete":
        raise DayNotOver(f"{opened.words()}; the next wake-up on this day goes on with what is open")
    return Done(said=opened.words())


def resolve(study: Path | None, ledger: Path, *, day: date, now: datetime, say: Say, **options: Any) -> Done:
    """Asks the venue what became of the markets that were forecast, and scores what was committed to in time."""
    assert study is not None
    return Done(said=resolve_and_score(study, ledger, now=now, say=say).words())


def _is_prospective(loaded: LoadedStudy) -> bool:
    return loaded.study.markets.source == "open"


FORECAST = Job(
    name="forecast-open",
    about="Forecasts markets that are open now, and commits to the forecasts before their outcome exists.",
    do=forecast,
    cron="0 6 * * *",
    of="study",
    catch_up="never",
    options={"max_usd": None},
    fits=_is_prospective,
)
RESOLVE = Job(
    name="resolve-and-score",
    about="Asks the venue what became of the markets that were forecast, and scores the forecasts.",
    do=resolve,
    cron="0 7 * * *",
    of="study",
    catch_up="last",
    fits=_is_prospective,
)
