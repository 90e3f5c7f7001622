"""`coordeval --help` by what one wants to do, in the order in which one comes to it."""

from collections.abc import Mapping
from typing import Final

import typer
from typer.models import CommandInfo, TyperInfo

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "Begin": ("study", "run", "report", "dashboard", "notebook", "docs", "import", "grounding"),
    "Look closer": ("studies", "forecasts", "compare", "plan", "trace", "telemetry", "diagnose", "tools", "export"),
    "Trust it": ("audit", "certificate", "control", "leaks", "commitment", "verify", "recover", "backup", "selftest"),
    "Money and models": ("quote", "costs", "check-model", "models", "explain"),
    "Day by day": ("markets", "forecast-open", "resolve", "monitor", "serve", "deploy", "wake", "runs", "ctl"),
    "Extend": ("configurations",),
}


def arrange(app: typer.Typer) -> None:
    """Puts each command of `app` under its group, in the order given here."""
    place = {name: (group, number) for group, names in GROUPS.items() for number, name in enumerate(names)}
    order = list(GROUPS)
    every: list[CommandInfo | TyperInfo] = [*app.registered_commands, *app.registered_groups]
    for one in every:
        if (name := called(one)) in place:
            one.rich_help_panel = place[name][0]

    def rank(one: CommandInfo | TyperInfo) -> tuple[int, int]:
        group, number = place.get(called(one), ("", 0))
        return (order.index(group) if group else len(order), number)

    app.registered_commands.sort(key=rank)
    app.registered_groups.sort(key=rank)


def called(one: CommandInfo | TyperInfo) -> str:
    """What one types."""
    if one.name:
        return str(one.name)
    callback = one.callback
    return callback.__name__.replace("_", "-") if callback is not None else ""
