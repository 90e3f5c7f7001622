"""Forms in which others publish forecasts, each read by one small class. One of your own is a class and an entry point."""

from coordeval.market_data.forecasts.base import SOURCE, Form, FormError, Row, load

__all__ = ["SOURCE", "Form", "FormError", "Row", "load"]
