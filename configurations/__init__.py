"""The coordination layer: the panel, the five reference configurations, two baselines, and the door for yours.

To write one, begin with a copy of `independent_ensemble.py`, put it beside your study file and name it there:
`plugins = ["mine.py"]`. A package offers one by the entry point group `coordeval.configurations`.
"""

from configurations.base import Configuration
from configurations.elements import Elements, Endpoint
from configurations.panel import Estimate, Forecast, NoForecast, Panel, PanelError, Report, Said, peers
from configurations.registry import Registry, load
from market_data.plugins import PluginError

__all__ = [
    "Configuration",
    "Elements",
    "Endpoint",
    "Estimate",
    "Forecast",
    "NoForecast",
    "Panel",
    "PanelError",
    "PluginError",
    "Registry",
    "Report",
    "Said",
    "load",
    "peers",
]
