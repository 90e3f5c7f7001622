"""What is made up is marked at its row, not drawn beside real markets unless asked, and marks every study that holds it."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from typer.testing import CliRunner

from coordeval.flows.cli.main import app
from coordeval.flows.markets.listing import MADE_UP, eligible, listed, nearest_rules
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.study.as_of import rule_of
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read, row_of
from coordeval.market_data.http import on_this_machine
from coordeval.market_data.standin import polymarket_app
from coordeval.market_data.types import Market, Outcome, PricePoint
from tests.flows.pulling_world import BASE, World, pulled

OPEN = datetime(2026, 1, 1, tzinfo=UTC)
CLOSE = OPEN + timedelta(days=30)


@pytest.mark.parametrize(
    ("url", "made_up"),
    [
        ("http://127.0.0.1:8765", True),
        ("http://localhost/x", True),
        ("http://[::1]:9", True),
        ("https://gamma-api.polymarket.com", False),
        (None, False),
    ],
)
def test_a_loopback_address_is_no_venue(url, made_up):
    assert on_this_machine(url) == made_up


def test_rows_of_a_stand_in_say_that_they_are_made_up_and_those_of_a_proxy_do_not(tmp_path):
    pulled(tmp_path / "standin.duckdb", World(60), base=BASE)
    assert read(tmp_path / "standin.duckdb").query("SELECT DISTINCT simulated FROM markets")["simulated"].to_list() == [True]
    inner = polymarket_app(World(60))

    async def proxy(scope, receive, send):  # the venue's own answers, without the stand-in's header
        async def passed(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [h for h in message["headers"] if h[0] != b"x-coordeval-stand-in"]}
            await send(message)

        await inner(scope, receive, passed)

    pulled(tmp_path / "proxy.duckdb", app=proxy, base="http://proxy.example")
    assert read(tmp_path / "proxy.duckdb").query("SELECT DISTINCT simulated FROM markets")["simulated"].to_list() == [False]


def market(key, simulated):
    return Market(
        id=key,
        source="x",
        event_id=key,
        simulated=simulated,
        question="Will it?",
        opened_at=OPEN,
        scheduled_close=CLOSE,
        category="AI",
    )


@pytest.fixture
def mixed(tmp_path):
    """A ledger of two real and two made-up markets, all eligible."""
    path = tmp_path / "l.duckdb"
    markets = [market(key, key.startswith("s")) for key in ("r1", "r2", "s1", "s2")]
    with Ledger.open(path, purpose="test") as ledger:
        ledger.write_all(
            {
                "markets": [row_of(m) for m in markets],
                "outcomes": [
                    row_of(Outcome(market_id=m.id, status="resolved", value=1, resolved_at=CLOSE)) for m in markets
                ],
                "prices": [
                    row_of(PricePoint(market_id=m.id, knowable_at=CLOSE - timedelta(hours=25), price=0.4, kind="mid"))
                    for m in markets
                ],
            }
        )
    return path


def drawn(path, **options):
    frame = eligible(read(path), listed(read(path)), rule_of("hours_before_close=24"), max_price_age_hours=24, **options)
    return sorted(frame.filter(pl.col("reason") == "")["market_id"]), set(frame["reason"]) - {""}


def test_made_up_markets_are_not_drawn_beside_real_ones_unless_asked(mixed):
    assert drawn(mixed) == (["r1", "r2"], {MADE_UP})
    assert drawn(mixed, include_simulated=True) == (["r1", "r2", "s1", "s2"], set())


def test_a_study_that_holds_a_made_up_market_is_simulated(mixed, tmp_path, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    found = {}
    for name, ids in (("real", ["r1", "r2"]), ("mixed", ["r1", "s1"])):
        (tmp_path / "sample.json").write_text(json.dumps({"spec": {"as_of": {"hours_before_close": 24}}, "market_ids": ids}))
        (tmp_path / "study.toml").write_text(
            f'name = "{name}"\nconfigurations = ["market_price"]\n[markets]\nsource = "ledger"\nsample = "sample.json"\n'
            '[model]\nprovider = "anthropic"\nid = "claude-opus-4-6"\n'
        )
        loaded = load_study(tmp_path / "study.toml")
        with Ledger.open(mixed, purpose="test") as ledger:
            evaluation = open_evaluation(loaded, mixed, ledger)
            plan(evaluation, pull(evaluation))
        found[name] = read(mixed).query("SELECT simulated FROM studies WHERE study_id = ?", [loaded.id]).item()
    assert found == {"real": False, "mixed": True}


def test_a_sample_of_nothing_says_why_and_what_would_not_be_empty(mixed):
    done = CliRunner().invoke(app, ["markets", "sample", "--as-of", "fraction_of_life=0.5", "--ledger", str(mixed)])
    assert "not one of 4 markets is eligible" in done.output
    assert "hours_before_close=24 (2)" in " ".join(done.output.split())
    rules = nearest_rules(
        read(mixed), listed(read(mixed)), max_price_age_hours=24, include_simulated=False, but=rule_of("source")
    )
    assert dict(rules)["hours_before_close=6"] == 2
