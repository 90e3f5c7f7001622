"""Pulls from venues that misbehave: cursors without end, prices of one market that cannot be read, one bad file."""

import orjson
import pytest

from coordeval.flows.markets import endless
from coordeval.flows.markets.pulling import pull_files
from coordeval.ledger import Ledger, read
from coordeval.market_data.errors import CoordevalError, DataError
from coordeval.market_data.standin import polymarket_app
from tests.flows.pulling_world import World, count, pulled

ROW = {
    "id": "1",
    "question": "Will it?",
    "conditionId": "0x1",
    "outcomes": '["Yes", "No"]',
    "outcomePrices": '["1", "0"]',
    "closed": True,
    "createdAt": "2024-05-30T05:00:15Z",
    "closedTime": "2024-12-13 20:25:39+00",
    "umaResolutionStatus": "resolved",
}


class Answers:
    """An app of one answer: `make(path, n)` of the n-th request."""

    def __init__(self, make):
        self.make, self.asked = make, 0

    async def __call__(self, scope, receive, send):
        self.asked += 1
        body = orjson.dumps(self.make(scope["path"], self.asked))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})


def test_a_cursor_that_leads_nowhere_ends_the_pull_with_what_was_read(tmp_path):
    def page(path, n):
        if "resolutions" in path:
            return {"data": []}
        return {"markets": [ROW] if n == 1 else [], "next_cursor": f"c{n}"}

    path = tmp_path / "l.duckdb"
    error, _ = pulled(path, app=Answers(page))
    assert isinstance(error, DataError)
    assert f"{endless.MOST_EMPTY} pages came one after the other without a row" in str(error)
    assert count(path, "markets") == 1


def test_a_listing_that_does_not_end_is_left_at_its_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(endless, "MOST_PAGES", 7)
    closed = [f"2024-12-{31 - n:02} 00:00:00+00" for n in range(30)]

    def page(path, n):
        return {
            "markets": [
                ROW | {"id": str(n), "conditionId": f"0x{n}", "closedTime": closed[n], "umaResolutionStatus": "disputed"}
            ],
            "next_cursor": f"c{n}",
        }

    error, _ = pulled(tmp_path / "l.duckdb", app=Answers(page))
    assert "the listing does not end: 8 pages, the limit is 7" in str(error)


def test_prices_of_one_market_that_cannot_be_read_cost_no_other_market_its_prices(tmp_path):
    class OneBroken:
        def __init__(self, app):
            self.app, self.broken = app, None

        async def __call__(self, scope, receive, send):
            token = dict(p.split("=") for p in scope["query_string"].decode().split("&") if "=" in p).get("market")
            if scope["path"].endswith("prices-history") and self.broken in (None, token):
                self.broken = token
                await Answers(lambda path, n: {"history": "soon"})(scope, receive, send)
            else:
                await self.app(scope, receive, send)

    path = tmp_path / "l.duckdb"
    statement, _ = pulled(path, app=OneBroken(polymarket_app(World(120))), days=1.0)
    assert statement.ended
    refused = read(path).query("SELECT item, reason FROM refused_rows WHERE reason = 'prices cannot be read'")
    assert refused.height == 1
    with_prices = read(path).query("SELECT count(DISTINCT market_id) FROM prices").item()
    assert with_prices > 5
    again, _ = pulled(path, World(120), days=1.0, again=True)  # what could not be read is asked for again
    assert again.ended
    market = refused["item"][0].removeprefix("prices of market ")
    assert read(path).query("SELECT count(*) FROM price_fetches WHERE market_id = ?", [market]).item() > 0


def test_one_bad_file_of_a_folder_is_refused_by_name_and_the_other_rounds_are_read(tmp_path):
    for due in ("2026-03-01", "2026-04-01"):
        head = {"forecast_due_date": due, "question_set": f"{due}-llm.json"}
        for name, field in (
            (f"question_sets/{due}-llm.json", "questions"),
            (f"resolution_sets/{due}_resolution_set.json", "resolutions"),
        ):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(orjson.dumps(head | {field: []}))
    (tmp_path / "question_sets/2026-03-01-llm.json").write_text("version https://git-lfs.github.com/spec/v1\noid x\n")
    with Ledger.open(tmp_path / "l.duckdb", purpose="test") as ledger:
        told = pull_files(ledger, "forecastbench", tmp_path)
        assert "forecastbench 2026-04-01: 0 outcomes" in told
        assert "refused: " in told
        assert "Git LFS pointer" in told
        (tmp_path / "question_sets/2026-04-01-llm.json").write_text("")
        with pytest.raises(CoordevalError, match="none of the 2 rounds"):
            pull_files(ledger, "forecastbench", tmp_path)


@pytest.mark.parametrize("status", [404, 422])
def test_a_market_whose_prices_the_service_refuses_is_one_refused_row(tmp_path, status):
    class Refusing:
        def __init__(self, app):
            self.app, self.refused = app, 0

        async def __call__(self, scope, receive, send):
            if scope["path"].endswith("prices-history") and self.refused == 0:
                self.refused = 1
                await httpx_like(send, status)
            else:
                await self.app(scope, receive, send)

    async def httpx_like(send, code):
        await send({"type": "http.response.start", "status": code, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    path = tmp_path / "l.duckdb"
    statement, _ = pulled(path, app=Refusing(polymarket_app(World(120))), days=1.0)
    assert statement.ended
    assert read(path).query("SELECT count(*) FROM refused_rows WHERE detail LIKE ?", [f"%answered {status}%"]).item() == 1
