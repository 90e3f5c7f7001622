"""The silent-degradation monitor of a ledger: what the flow, the command and the page call."""

from coordeval.flows.monitor.watching import Kept, Watched, acknowledge, look, watch

__all__ = ["Kept", "Watched", "acknowledge", "look", "watch"]
