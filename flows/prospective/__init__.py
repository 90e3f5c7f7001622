"""Forecasts made before the outcome exists: picked by a rule, committed to, never changed, scored once resolved."""

from coordeval.flows.prospective.forecasting import Opened, forecast_open
from coordeval.flows.prospective.resolving import Resolved, resolve_and_score

__all__ = ["Opened", "Resolved", "forecast_open", "resolve_and_score"]
