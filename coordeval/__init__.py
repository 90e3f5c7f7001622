"""coordeval: what the way that agents are coordinated does to a forecast, and whether it is worth its cost.

The names that a plugin or a notebook needs, each imported when it is first used. The floors behind them are
`coordeval.market_data`, `agents`, `configurations`, `grounding`, `ledger`, `analysis` and `flows`; see ARCHITECTURE.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coordeval.analysis.report.page import Report
    from coordeval.configurations import (
        Configuration,
        Elements,
        Endpoint,
        Estimate,
        Forecast,
        NoAnswer,
        NoForecast,
        Panel,
        PanelError,
        Said,
        Statistic,
        peers,
    )
    from coordeval.flows.notebook import (
        certificate,
        conversation,
        import_dataset,
        import_forecasts,
        report,
        run,
        telemetry,
        trace,
    )
    from coordeval.ledger import read
    from coordeval.market_data.errors import CoordevalError

__all__ = [
    "Configuration",
    "CoordevalError",
    "Elements",
    "Endpoint",
    "Estimate",
    "Forecast",
    "NoAnswer",
    "NoForecast",
    "Panel",
    "PanelError",
    "Report",
    "Said",
    "Statistic",
    "certificate",
    "conversation",
    "import_dataset",
    "import_forecasts",
    "peers",
    "read",
    "report",
    "run",
    "telemetry",
    "trace",
]

_HOME = {
    "CoordevalError": "market_data.errors",
    "Report": "analysis.report.page",
    "read": "ledger",
    **dict.fromkeys(
        ("certificate", "conversation", "import_dataset", "import_forecasts", "report", "run", "telemetry", "trace"),
        "flows.notebook",
    ),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("coordeval")
    if name not in __all__:
        raise AttributeError(f"module 'coordeval' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"coordeval.{_HOME.get(name, 'configurations')}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
