"""A local Polymarket with the real one's quirks: for tests, and as a server (`python -m coordeval.market_data.standin`)."""

from coordeval.market_data.standin.app import polymarket_app
from coordeval.market_data.standin.catalogue import Catalogue, Recorded
from coordeval.market_data.standin.faults import FAULTS, Faults
from coordeval.market_data.standin.world import GeneratedMarkets

__all__ = ["FAULTS", "Catalogue", "Faults", "GeneratedMarkets", "Recorded", "polymarket_app"]
