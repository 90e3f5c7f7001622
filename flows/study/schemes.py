"""How ids are made. Apart from what makes them, so that who only checks an id imports nothing of a run."""

from typing import Final

FORECAST: Final = "forecast/1"
"""A forecast's id is the hash of its identity under this name."""
