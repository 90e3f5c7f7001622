"""The coordination layer: the panel, the five reference configurations, two baselines, and the door for yours.

To write one, begin with a copy of `independent_ensemble.py`, put it beside your study file and name it there:
`plugins = ["mine.py"]`. A package offers one by the entry point group `coordeval.configurations`.
"""

from coordeval.configurations.base import Configuration
from coordeval.configurations.elements import Elements, Endpoint
from coordeval.configurations.panel import (
    Estimate,
    Forecast,
    NoAnswer,
    NoForecast,
    Panel,
    PanelError,
    Report,
    Said,
    Statistic,
    peers,
)
from coordeval.configurations.registry import Registry, load
from coordeval.market_data.plugins import PluginError

__all__ = [
    "Configuration",
    "Elements",
    "Endpoint",
    "Estimate",
    "Forecast",
    "NoAnswer",
    "NoForecast",
    "Panel",
    "PanelError",
    "PluginError",
    "Registry",
    "Report",
    "Said",
    "Statistic",
    "load",
    "peers",
]

if __name__ == "configurations":  # from a checkout, by its folder's name: the same modules, not copies
    from coordeval.folders import same

    same(__name__)
