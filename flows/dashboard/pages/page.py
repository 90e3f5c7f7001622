"""What a page is. A capability that comes later brings a module with one of these and a line in `menu.PAGES`."""

from collections.abc import Callable
from dataclasses import dataclass

from dash import Dash

from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.dashboard.tags import Component
from coordeval.flows.dashboard.view import View


@dataclass(frozen=True, slots=True)
class Asked:
    """What a layout is made for."""

    view: View
    facts: Facts
    dark: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`layout` is called anew whenever the address, the colours or the ledger change; it must be quick."""

    path: str
    title: str
    layout: Callable[[Asked], list[Component]]
    callbacks: Callable[[Dash, Facts], None] = lambda app, facts: None
    """What the page's own components need beyond that; called once."""
    filters: tuple[str, ...] = ("policy", "category", "decile", "replicate")
    """Which of the filters this page follows."""
    in_menu: bool = True
    games: bool = False
    """Whether it is about studies of games, and not of forecasts."""
