"""How far one cell may go: a configuration that talks without end is stopped, and its cell says by which bound."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The most that one cell may use. A bound that is not the usual one is part of a forecast's identity."""

    asks: int = 500
    """Asks, answered or not. A hundred agents in a debate of the usual length are 300."""
    tokens: int = 2_000_000
    """Tokens of all its calls, input and output. Looked at before each call, so the calls that are under way may pass it."""
    seconds: float = 3600.0
    """Wall-clock seconds that the configuration itself takes: the clock stands while it waits for an answer."""

    def identity(self) -> dict[str, Any]:
        """The bounds that are not the usual ones: forecasts that were made before there were bounds keep their ids."""
        usual = Bounds()
        return {name: value for name, value in asdict(self).items() if value != getattr(usual, name)}
