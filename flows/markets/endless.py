"""Listings that lead nowhere: each page may be new, and the cursor still never come to an end."""

from coordeval.market_data.errors import DataError
from coordeval.market_data.venues import Statement

MOST_PAGES = 200_000
"""Of one listing; the longest known venue lists a million markets by the hundred."""
MOST_EMPTY = 50
"""Pages in a row without a single row: a cursor that leads nowhere."""


class EndlessListing(DataError):
    """A listing that leads nowhere; what was read of it is stored."""


class Endless:
    """A listing that does not end: each page may be new, and the cursor still lead nowhere."""

    def __init__(self, venue: str, endpoint: str) -> None:
        self._where = f"{venue}{f' at {endpoint}' if endpoint else ''}"
        self._rows, self._empty = -1, 0

    def check(self, so_far: Statement) -> None:
        """Raises EndlessListing."""
        self._empty = self._empty + 1 if so_far.rows == self._rows and not so_far.ended else 0
        self._rows = so_far.rows
        if self._empty >= MOST_EMPTY:
            raise EndlessListing(
                f"{self._where}: {self._empty} pages came one after the other without a row, the limit is {MOST_EMPTY}; the "
                "cursor leads nowhere: what was read is stored, so try again later, or look at what the service sends"
            )
        if so_far.pages > MOST_PAGES:
            raise EndlessListing(
                f"{self._where}: the listing does not end: {so_far.pages} pages, the limit is {MOST_PAGES:,}; pull a "
                "shorter window, or look at what the service sends"
            )
