"""Commands as `coordeval` runs them."""

from tests.flows.cli.conftest import coordeval

__all__ = ["coordeval"]
