"""A world of generated markets, the wire to it, and a pull of it: what the tests of pulling share."""

import asyncio
from datetime import UTC, datetime

import httpx

from coordeval.flows.markets.pulling import pull_markets
from coordeval.ledger import Ledger, read
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.http import Patience
from coordeval.market_data.standin import GeneratedMarkets, polymarket_app
from coordeval.market_data.venues import Query

AFTER, BEFORE = datetime(2024, 6, 1, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC)
WINDOW = Query(after=AFTER, before=BEFORE)
OPEN_END = datetime(2100, 1, 1, tzinfo=UTC)
IMPATIENT = Patience(wait_initial=0, wait_max=0, wait_jitter=0, timeout=60)
BASE = "http://stand-in"
TWO_HOURS = 1 / 12
TABLES = {
    # table: (columns that say when it was fetched, or what was dropped on the way)
    "markets": ("text_known_at",),
    "outcomes": ("recorded_at",),
    "venue_facts": ("seen_at",),
    "prices": (),
    "price_fetches": ("fetched_at", "dropped"),
    "refused_rows": (),
    "market_edits": ("seen_at",),
}


class World(GeneratedMarkets):
    """Generated markets, some of which the venue changed: `changes` maps a position to other fields."""

    def __init__(self, count=400, changes=None):
        super().__init__(count)
        self.changes = changes or {}

    def row(self, index):
        return super().row(index) | self.changes.get(index, {})

    def within(self, after=AFTER, before=BEFORE):
        """Positions of the closed markets of a window, by the generator's own record."""
        times = self.closed_at
        return [i for i in range(len(self)) if after.timestamp() <= times[i] < before.timestamp()]


class Wire(httpx.AsyncBaseTransport):
    """The way to a server in this process: counts what is asked, and is cut for good after so many requests."""

    def __init__(self, app, cut_after=None):
        self.inner, self.cut_after, self.asked = httpx.ASGITransport(app), cut_after, []

    async def handle_async_request(self, request):
        if self.cut_after is not None and len(self.asked) >= self.cut_after:
            raise httpx.ConnectError("the wire is cut")
        self.asked.append(str(request.url))
        return await self.inner.handle_async_request(request)


def pulled(
    path,
    world=None,
    query=WINDOW,
    *,
    venue="polymarket",
    app=None,
    faults=None,
    cut_after=None,
    days=0.0,
    base=BASE,
    again=False,
    **options,
):
    """(statement or the error that ended it, the requests that were made)."""
    wire = Wire(app or polymarket_app(world or World(), faults), cut_after)

    async def go():
        return await pull_markets(
            ledger, venue, query, base_url=base, price_days=days, transport=wire, patience=IMPATIENT, again=again, **options
        )  # fmt: skip

    with Ledger.open(path, purpose="test") as ledger:
        try:
            return asyncio.run(go()), wire.asked
        except CoordevalError as error:
            return error, wire.asked


def stored(path, table):
    columns = f"* EXCLUDE ({', '.join(TABLES[table])})" if TABLES[table] else "*"
    return read(path).query(f"SELECT {columns} FROM {table} ORDER BY ALL")


def same_rows(one, other, tables=TABLES):
    for table in tables:
        assert stored(one, table).equals(stored(other, table)), table


def told(statement):
    """The statement without the moment of its listing."""
    return {name: value for name, value in statement.as_json().items() if name != "started_at"}


def count(path, table):
    return read(path).query(f"SELECT count(*) FROM {table}").item()
