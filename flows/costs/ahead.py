"""A prospective study's markets are picked day by day, so a quote of it is of made-up ones, as many as it is asked for."""

from typing import Final

from coordeval.flows.study.open_markets import OpenMarkets
from coordeval.flows.study.sections import EvidenceSection, SimulatedMarkets
from coordeval.flows.study.study import LoadedStudy
from coordeval.market_data.errors import CoordevalError

SEED: Final = 71


def picks(loaded: LoadedStudy, days: int | None, markets: int | None = None) -> int:
    """How many markets `days` days of the study pick (None: one day), or the `markets` of a day that are left.

    Raises CoordevalError where days are said of a study whose markets are known.
    """
    rule = loaded.study.markets
    if not isinstance(rule, OpenMarkets):
        raise CoordevalError(
            f"--days {days}: {loaded.study.name} forecasts markets that are known, all in one run; only a study with "
            "markets.source = 'open' is forecast by days"
        )
    return rule.per_day * (days or 1) if markets is None else markets


def on_made_up_markets(loaded: LoadedStudy, markets: int) -> LoadedStudy:
    """The study, under its own name and id, on so many markets of the simulated world."""
    study = loaded.study.model_copy(
        update={
            "markets": SimulatedMarkets(source="simulated", count=markets, seed=SEED),
            "max_price_age_hours": None,
            "evidence": EvidenceSection(),
        }
    )
    made = LoadedStudy(study, loaded.directory)
    made.id, made.content = loaded.id, loaded.content
    return made
