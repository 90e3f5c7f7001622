"""Reading again: what a venue un-resolved, moved out of the window or deleted is asked for by its id, and said."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import product

import duckdb
import httpx
import pytest

from coordeval.flows.markets.listing import audit
from coordeval.flows.markets.pulling import pull_markets
from coordeval.ledger import Ledger, read
from coordeval.market_data.standin import GeneratedMarkets, polymarket_app
from coordeval.market_data.venues import Query
from coordeval.market_data.venues.standin import TOKEN, venues_app
from coordeval.market_data.venues.standin_world import GeneratedVenues, iso
from tests.flows.pulling_world import IMPATIENT
from tests.thinned import first_of

AFTER = datetime(2020, 1, 1, tzinfo=UTC)
WINDOW = Query(after=AFTER, before=datetime(2027, 1, 1, tzinfo=UTC))
TARGET = 3
"""Which generated market changes; it resolves to YES or NO."""


class Changing(GeneratedVenues):
    """Generated venues of which one market is `open`, `moved` before the window, or `gone`, as `state` says."""

    state = ""

    def _list(self, rows, id_of):
        if self.state in ("open", "gone"):
            return [row for row in rows if id_of(row) != TARGET]
        return rows

    @property
    def kalshi_rows(self):
        return [self.kalshi_row(i) for i in range(self.markets)]

    def kalshi_row(self, i):
        row = super().kalshi_row(i)
        if i != TARGET:
            return row
        if self.state == "open":
            return row | {"status": "active", "result": "", "settlement_value_dollars": None, "settlement_ts": None}
        return row | (
            {"settlement_ts": iso(AFTER - timedelta(days=9)), "open_time": "2019-01-01T00:00:00Z"}
            if self.state == "moved"
            else {}
        )

    def kalshi_markets(self, params, *, archived):
        rows = [row for row in self.kalshi_rows if row["ticker"] != "KXSIM-00001-T0" or self.state not in ("open", "gone")]
        rows = [row for row in rows if row["settlement_ts"] and archived]  # all of it is old enough for the archive
        return 200, {"markets": rows, "cursor": ""}

    def kalshi_market(self, ticker, *, archived):
        found = [row for row in self.kalshi_rows if row["ticker"] == ticker]
        return (404, {}) if not archived or self.state == "gone" else (200, {"market": found[0]})

    def manifold_row(self, i):
        row = super().manifold_row(i)
        if i != TARGET or not self.state:
            return row
        if self.state == "open":
            return row | {"isResolved": False, "resolution": None, "resolutionTime": None}
        return row | {"resolutionTime": int((AFTER - timedelta(days=9)).timestamp() * 1000)}

    def manifold_markets(self, params):
        status, rows = super().manifold_markets(params)
        return status, [
            row for row in rows if row["isResolved"] and not (self.state == "gone" and row["id"] == "mani000003")
        ]

    def manifold_market(self, id):
        return (404, {}) if self.state == "gone" else super().manifold_market(id)

    def metaculus_post(self, i, *, history):
        post = super().metaculus_post(i, history=history)
        if i == TARGET and self.state == "open":
            post["question"] |= {"status": "open", "resolution": None, "actual_resolve_time": None}
        if i == TARGET and self.state == "moved":
            post["question"]["actual_resolve_time"] = iso(AFTER - timedelta(days=9))
        if i == TARGET and self.state == "gone":
            post["question"] = None
        return post


class Gamma(GeneratedMarkets):
    state = ""

    def row(self, index):
        row = super().row(index)
        if index != TARGET or not self.state:
            return row
        if self.state == "open":
            return {k: v for k, v in row.items() if k not in ("closedTime", "umaEndDate", "umaResolutionStatus")} | {
                "closed": False
            }
        return row | {
            "closedTime": "2019-06-01 00:00:00+00",
            "umaEndDate": "2019-06-01T00:00:00Z",
            "createdAt": "2019-01-01T00:00:00Z",
        }


def pulled(path, venue, world, *, again=False):
    said = []
    app = polymarket_app(world) if venue == "polymarket" else venues_app(world)
    base = "http://stand-in" if venue == "polymarket" else f"http://stand-in/{venue}"
    options = {"base_url": base, "transport": httpx.ASGITransport(app), "patience": IMPATIENT, "again": again}
    with Ledger.open(path, purpose="test") as ledger:
        asyncio.run(pull_markets(ledger, venue, WINDOW, on_confirmed=said.append, **options))
    return said[0] if said else None


IDS = {"kalshi": "KXSIM-00001-T0", "manifold": "mani000003", "metaculus": str(5000 + 3 * TARGET)}


ONCE = [("kalshi", "open"), ("manifold", "moved"), ("metaculus", "gone")]


@pytest.mark.parametrize(
    ("venue", "state"),
    first_of([*ONCE, *(both for both in product(IDS, ("open", "moved", "gone")) if both not in ONCE)], len(ONCE)),
)
def test_what_a_listing_no_longer_confirms_is_asked_for_and_kept_with_its_date(venue, state, tmp_path, monkeypatch):
    monkeypatch.setenv("METACULUS_TOKEN", TOKEN)
    world, path, market = Changing(markets=24), tmp_path / "l.duckdb", IDS[venue]
    pulled(path, venue, world)
    first = read(path).query("SELECT status, resolved_at FROM current_outcomes WHERE market_id = ?", [market]).row(0)
    assert first[0] == "resolved"
    object.__setattr__(world, "state", state)
    told = pulled(path, venue, world, again=True)
    rows = read(path).query("SELECT status, resolved_at, reason FROM outcomes WHERE market_id = ? ORDER BY rowid", [market])
    assert rows.height == 2
    last = rows.row(1, named=True)
    if state == "moved":
        assert last["status"] in ("resolved", "contradictory")  # some say that it ended before it began
        assert last["resolved_at"] < AFTER
        assert told.asked == 0  # the row came, outside the window
    else:
        assert (last["status"], told.asked, told.gone) == ("unresolved", 1, 1)
    assert told.changed == 1
    assert any("resolutions changed" in words for words in told.words())
    assert market in audit(read(path)).changed["market_id"].to_list()
    assert pulled(path, venue, world, again=True).changed == 0  # what has not changed is no news


def test_polymarket_is_asked_by_condition_id_open_and_closed(tmp_path):
    path, world = tmp_path / "l.duckdb", Gamma(40)
    pulled(path, "polymarket", world)
    market = world.row(TARGET)["conditionId"]
    status = "SELECT status FROM current_outcomes WHERE market_id = ?"
    assert read(path).query(status, [market]).height == 1
    with duckdb.connect(str(path)) as con:  # as if it had been listed, and no longer is
        con.execute("INSERT INTO markets BY NAME SELECT * REPLACE ('0xgone' AS market_id) FROM markets LIMIT 1")
        gone = "'0xgone' AS market_id, 'resolved' AS status, 1 AS value"
        con.execute(f"INSERT INTO outcomes BY NAME SELECT * REPLACE ({gone}) FROM outcomes LIMIT 1")
        con.execute("INSERT INTO venue_facts BY NAME SELECT * REPLACE ('0xgone' AS market_id) FROM venue_facts LIMIT 1")
    told = pulled(path, "polymarket", world, again=True)
    assert (told.asked, told.gone) == (1, 1)
    assert read(path).query(status, ["0xgone"]).item() == "unresolved"
