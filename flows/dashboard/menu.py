"""The pages, in the order of the menu."""

from typing import Final

from coordeval.flows.dashboard.pages import (
    ahead,
    arms,
    audit,
    calibration,
    compare,
    components,
    coordination,
    costs,
    forecast,
    games,
    live,
    market,
    markets,
    monitor,
    overview,
    schedule,
    tools,
    trust,
)
from coordeval.flows.dashboard.pages.page import Page

PAGES: Final[tuple[Page, ...]] = (
    overview.PAGE,
    markets.PAGE,
    components.PAGE,
    calibration.PAGE,
    coordination.PAGE,
    arms.PAGE,
    tools.PAGE,
    costs.PAGE,
    trust.PAGE,
    audit.PAGE,
    compare.PAGE,
    ahead.PAGE,
    live.PAGE,
    schedule.PAGE,
    monitor.PAGE,
    games.PAGE,
    market.PAGE,
    forecast.PAGE,
)
