"""The guide to a source of one's own works as it is written there."""

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from typer.testing import CliRunner

from coordeval.flows.cli.main import app
from coordeval.flows.markets.pulling import pull_markets
from coordeval.ledger import Ledger, read
from coordeval.market_data.http import Patience
from coordeval.market_data.venues import Query

GUIDE = (Path(__file__).parents[1] / "docs" / "sources.md").read_text()
[SOURCE] = [b for b in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL) if b.startswith("# almanac.py")]
WINDOW = Query(after=datetime(2026, 1, 1, tzinfo=UTC), before=datetime(2026, 3, 1, tzinfo=UTC))


def question(number, **changes):
    """As the guide says that the site answers."""
    asked = {"opened": "2026-01-05T00:00:00Z", "deadline": "2026-02-01T00:00:00Z", "settled": "2026-02-01T09:00:00Z"}
    return {"id": f"a{number}", "group": f"g{number // 2}", "text": "Will it rain?", "answer": "yes", **asked, **changes}


QUESTIONS = [
    *(question(n, answer=["yes", "no"][n % 2]) for n in range(5)),
    question(5, answer="void"),
    question(6, answer="perhaps"),
    question(7, settled="2026-05-01T00:00:00Z"),
    question(8, text=8),
]


def site():
    async def listing(request):
        start = int(request.query_params.get("after", "0"))
        more = str(start + 4) if start + 4 < len(QUESTIONS) else ""
        return JSONResponse({"questions": QUESTIONS[start : start + 4], "next": more})

    async def quotes(request):
        return JSONResponse([{"at": f"2026-01-{day}T10:00:00Z", "yes": day / 100} for day in range(20, 32)]
                            + [{"at": "2026-02-02T00:00:00Z", "yes": 1.0}])  # fmt: skip

    return Starlette(routes=[Route("/questions", listing), Route("/questions/{id}/quotes", quotes)])


@pytest.fixture
def pulled(tmp_path):
    """The ledger into which the guide's source was pulled, and the statement."""
    path, source = tmp_path / "results" / "ledger.duckdb", tmp_path / "almanac.py"
    source.write_text(SOURCE)
    with Ledger.open(path, purpose="test") as ledger:
        statement = asyncio.run(
            pull_markets(
                ledger,
                str(source),
                WINDOW,
                base_url="http://site",
                price_days=15,
                patience=Patience(attempts=1),
                transport=httpx.ASGITransport(site()),
            )
        )
    return path, statement


def test_the_source_of_the_guide_fills_a_ledger(pulled):
    path, statement = pulled
    assert (statement.rows, statement.kept, statement.passed_over) == (9, 7, {"resolved after the window": 1})
    assert sum(statement.refused.values()) == 1
    assert "text" in next(iter(statement.refused))
    statuses = dict(read(path).query("SELECT status, count(*) FROM current_outcomes GROUP BY ALL").iter_rows())
    assert statuses == {"resolved": 5, "voided": 1, "contradictory": 1}
    assert set(read(path).query("SELECT venue FROM pulls")["venue"]) == {"almanac"}
    last = read(path).query("SELECT max(knowable_at) AS at, max(price) AS p, count(*) AS n FROM prices").row(0)
    assert last == (datetime(2026, 1, 31, 10, tzinfo=UTC), 0.31, 12 * 7), "no price after the markets ended"


def test_its_markets_are_sampled_like_any_other(pulled, tmp_path):
    options = ["--size", "2", "--as-of", "hours_before_close=24", "--ledger", str(pulled[0])]
    done = CliRunner().invoke(app, ["markets", "sample", str(tmp_path / "s.json"), "--source", "almanac", *options])
    assert done.exit_code == 0, done.output
    assert "2 markets" in done.output


def test_markets_sources_lists_every_source_with_what_it_needs_and_was_held_against():
    done = CliRunner().invoke(app, ["markets", "sources"], env={"COLUMNS": "300"})
    assert done.exit_code == 0
    words = " ".join(done.output.split())
    for name in ("polymarket", "kalshi", "manifold", "metaculus", "forecastbench", "dataset"):
        assert f"{name} " in words
    assert "METACULUS_TOKEN" in words
    assert words.count("documentation only") == 3
