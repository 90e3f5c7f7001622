"""Where every call fails and none is answered, the next ones will too: the run stops before ten thousand cells failed."""

BREAKER = 50
"""Calls in a row that failed, none answered between them, before the run stops."""


class Breaker:
    """Counts failures since the last answer."""

    def __init__(self) -> None:
        self._failed = 0

    def answered(self) -> None:
        self._failed = 0

    def failed(self, reason: str) -> str | None:
        """What to stop the run with; None: go on."""
        self._failed += 1
        if self._failed < BREAKER:
            return None
        return (
            f"{self._failed} calls in a row failed and none was answered, so the rest is not asked. Last it was: {reason}. "
            "Mend that, or wait, and run the same command again: what is open is taken up"
        )
