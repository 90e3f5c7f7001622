"""Which call is urgent: the one after which most others still have to follow, one after the other.

Who goes first come, first served, ends with the longest forecasts alone, and most places empty.
"""

from collections import defaultdict

from coordeval.agents.messages import Slot


class Chains:
    """How far each cell has come, and how far a cell of its configuration may have to go, as seen in this run."""

    def __init__(self) -> None:
        self._come: defaultdict[str, int] = defaultdict(int)
        self._longest: defaultdict[str, int] = defaultdict(int)

    def urgency(self, slot: Slot) -> int:
        """Calls that followed, in the longest cell of this configuration so far, where this cell stands now."""
        return self._longest[slot.configuration] - self._come[slot.forecast_id]

    def place(self, slot: Slot) -> int:
        """The call's place in its cell's chain, from 1: one more than those that ended before it began."""
        return self._come[slot.forecast_id] + 1

    def ended(self, slot: Slot, place: int) -> None:
        """A call that stood there has ended."""
        self._come[slot.forecast_id] = max(self._come[slot.forecast_id], place)
        self._longest[slot.configuration] = max(self._longest[slot.configuration], place)
