"""The same days on the stand-ins of real venues: picked while they trade, scored when the venue says how they ended."""

from datetime import UTC, datetime, timedelta

import httpx
import numpy as np
import pytest

from coordeval.flows.prospective.forecasting import forecast_open
from coordeval.flows.prospective.resolving import resolve_and_score
from coordeval.ledger import read
from coordeval.market_data.http import FetchError, Patience
from coordeval.market_data.standin.app import polymarket_app
from coordeval.market_data.standin.world import KINDS, GeneratedMarkets
from coordeval.market_data.venues.standin import venues_app
from coordeval.market_data.venues.standin_world import GeneratedVenues
from tests.flows.prospective.conftest import STUDY, written
from tests.thinned import first_of

NOW = datetime(2026, 2, 1, tzinfo=UTC)
ONCE = Patience(attempts=2, wait_initial=0.0, wait_max=0.0, wait_jitter=0.0)


def kalshi_or_manifold(at):
    return venues_app(GeneratedVenues(markets=900, now=at))


def polymarket(at):
    """A catalogue in which what closes later than `at` is open, and its nominal deadline is its closing."""
    world = GeneratedMarkets(1500, seed=3)
    later = world._closing > at.timestamp()
    world._kind = np.where(later, list(KINDS).index("open"), list(KINDS).index("resolved"))
    world.closed = ~later
    world.closed_at = np.where(later, np.nan, world._closing)
    world._draw = np.full(1500, 0.25)
    return polymarket_app(world)


VENUES = {"polymarket": polymarket, "kalshi": kalshi_or_manifold, "manifold": kalshi_or_manifold}


@pytest.fixture(params=first_of(list(VENUES)))
def venue(request, tmp_path):
    path = "" if request.param == "polymarket" else f"/{request.param}"
    rule = (
        f'venue = "{request.param}"\nbase_url = "http://127.0.0.1:9{path}"\ncloses_within_days = 90\nclose'
        + "s_after_days = 2"
    )
    return written(tmp_path, STUDY.replace('venue = "simulated"', rule)), VENUES[request.param]


def by(app):
    return {"transport": httpx.ASGITransport(app), "patience": ONCE}


def test_open_markets_of_a_venue_are_forecast_now_and_scored_when_they_have_resolved(venue, tmp_path):
    study, app = venue
    ledger = tmp_path / "l.duckdb"
    opened = forecast_open(study, ledger, now=NOW, **by(app(NOW)))
    assert (opened.status, opened.picked, opened.answered) == ("complete", 2, 4)
    assert opened.simulated  # from this machine, so it is made up
    reader = read(ledger)
    [as_of] = reader.query("SELECT DISTINCT as_of FROM picks")["as_of"].to_list()
    assert NOW <= as_of < NOW + timedelta(minutes=5)
    assert reader.query("SELECT max(knowable_at) FROM prices").item() <= as_of
    assert reader.query("SELECT max(text_known_at) FROM markets").item() <= as_of
    assert reader.query("SELECT DISTINCT value FROM outcomes")["value"].to_list() == [None]
    early = resolve_and_score(study, ledger, now=NOW + timedelta(hours=1), **by(app(NOW)))
    assert (early.asked, early.awaiting, early.scored) == (2, 2, 0)
    later = NOW + timedelta(days=100)
    late = resolve_and_score(study, ledger, now=later, **by(app(later)))
    assert late.awaiting == 0
    assert late.scored + sum(late.not_scored.values()) == 2
    assert resolve_and_score(study, ledger, now=later, **by(app(later))).changed == 0


def test_a_venue_that_is_down_leaves_nothing_and_the_same_step_goes_on_later(venue, tmp_path):
    study, app = venue
    ledger = tmp_path / "l.duckdb"

    async def down(scope, receive, send):
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with pytest.raises(FetchError):
        forecast_open(study, ledger, now=NOW, **by(down))
    assert forecast_open(study, ledger, now=NOW + timedelta(hours=1), **by(app(NOW))).status == "complete"
    with pytest.raises(FetchError):
        resolve_and_score(study, ledger, now=NOW + timedelta(hours=2), **by(down))
    assert resolve_and_score(study, ledger, now=NOW + timedelta(hours=3), **by(app(NOW))).awaiting == 2
