"""Metaculus: the token, posts and their questions, four resolutions, and a prediction that may be hidden."""

from datetime import timedelta

import httpx
import pytest
from venue_case import ALL_TIME, NOW, answering, at, listed, metaculus_row, standin

from coordeval.market_data.errors import CoordevalError, DataError
from coordeval.market_data.http import FetchError
from coordeval.market_data.polymarket.completeness import Query
from coordeval.market_data.polymarket.fields import SchemaChange
from coordeval.market_data.venues import metaculus_client
from coordeval.market_data.venues.metaculus import history_points, parse_question, questions_of
from coordeval.market_data.venues.standin import TOKEN, venues_app
from coordeval.market_data.venues.standin_world import GeneratedVenues


@pytest.mark.parametrize(
    ("changes", "status", "value", "why"),
    [
        pytest.param({}, "resolved", 0, "", id="no"),
        pytest.param({"resolution": "yes"}, "resolved", 1, "", id="yes"),
        pytest.param({"resolution": "ambiguous"}, "voided", None, "ambiguous", id="ambiguous"),
        pytest.param({"resolution": "annulled"}, "voided", None, "annulled", id="annulled"),
        pytest.param({"resolution": None}, "unresolved", None, "may not see it", id="null: hidden from this token"),
        pytest.param({"resolution": "77289125.9"}, "contradictory", None, "none of yes", id="a number is no YES"),
        pytest.param({"status": "closed", "resolution": None}, "unresolved", None, "'closed'", id="closed"),
        pytest.param({"type": "numeric"}, "not_yes_no", None, "numeric", id="not binary"),
        pytest.param(
            {"actual_resolve_time": "2015-01-01T00:00:00Z"},
            "contradictory",
            None,
            "before it opened",
            id="a clock backwards",
        ),
    ],
)
def test_resolutions(changes, status, value, why):
    outcome = parse_question(metaculus_row(**changes)).outcome
    assert (outcome.status, outcome.value) == (status, value)
    assert why in outcome.reason


def test_the_scheduled_deadline_is_shown_and_not_the_actual_one():
    row = parse_question(metaculus_row())
    assert row.market.scheduled_close == at("2015-12-15T03:34:00")
    assert row.facts.closed_at == at("2015-12-10T03:34:00")


def test_a_group_is_several_markets_of_one_event_and_shares_its_text():
    questions = [metaculus_row(id=n, resolution_criteria=text) for n, text in ((8, ""), (9, "Its own."))]
    post = {"id": 4, "group_of_questions": {"resolution_criteria": "Of the group.", "questions": questions}}
    rows = [parse_question(row) for row in questions_of(post)]
    assert [row.market.id for row in rows] == ["8", "9"]
    assert {row.market.event_id for row in rows} == {"metaculus:4"}
    assert [row.market.description for row in rows] == ["Of the group.", "Its own."]


@pytest.mark.parametrize(
    ("post", "read"),
    [
        pytest.param({"id": 4, "conditional": {"id": 1}}, "conditional pair", id="conditional"),
        pytest.param({"id": 4, "notebook": {}}, "post without a question", id="notebook"),
    ],
)
def test_posts_without_a_question_are_passed_over_by_name(post, read):
    assert [parse_question(row) for row in questions_of(post)] == [read]


def test_a_group_that_lost_its_questions_is_refused_by_its_post():
    [row] = questions_of({"id": 4, "group_of_questions": {"questions": None}})
    with pytest.raises(SchemaChange, match="of the group in post 4"):
        parse_question(row)


# --- the token


@pytest.mark.parametrize("token", [None, "", "  ", "a\nb"])
def test_without_a_token_nothing_is_asked(monkeypatch, token):
    monkeypatch.delenv("METACULUS_TOKEN", raising=False)
    with pytest.raises(CoordevalError, match="METACULUS_TOKEN") as error:
        metaculus_client(token)
    assert "https://www.metaculus.com/accounts/settings/" in str(error.value)


async def test_the_token_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("METACULUS_TOKEN", TOKEN)
    client = metaculus_client(base_url="http://here", transport=httpx.ASGITransport(venues_app(GeneratedVenues(markets=3))))
    _, venue = standin("metaculus")
    venue._client = client
    rows, _, _ = await listed(client, venue)
    assert len(rows) == 3


async def test_a_refused_token_is_named_and_not_shown():
    transport = httpx.ASGITransport(venues_app(GeneratedVenues(markets=3)))
    client = metaculus_client("secret-of-mine", base_url="http://here", transport=transport)
    _, venue = standin("metaculus")
    venue._client = client
    with pytest.raises(CoordevalError, match=r"refuses the token of METACULUS_TOKEN \(status 401\)") as error:
        await listed(client, venue)
    assert "secret-of-mine" not in str(error.value) + str(error.value.__cause__)


@pytest.mark.parametrize("before", [0, 185, 195])  # the last two: what is kept of a body ends within the token
async def test_a_token_that_the_server_repeats_is_not_shown(before):
    def echo(request):
        return httpx.Response(400, text="-" * before + request.headers["authorization"])

    client = metaculus_client("0123456789abcdef-mine", base_url="http://here", transport=httpx.MockTransport(echo))
    _, venue = standin("metaculus")
    venue._client = client
    with pytest.raises(CoordevalError, match="400") as error:
        await listed(client, venue)
    assert "012345" not in str(error.value)


async def test_the_token_goes_to_one_host_only():
    seen = {}

    def note(request):
        seen[request.url.host] = request.headers.get("authorization")
        return httpx.Response(200, json={})

    async with metaculus_client("t", base_url="http://here", transport=httpx.MockTransport(note)) as client:
        for host in ("here", "elsewhere"):
            await client._client.get(f"http://{host}/")
    assert seen == {"here": "Token t", "elsewhere": None}


# --- listing


@pytest.mark.parametrize("page_limit", [1000, 13])
async def test_every_question_comes_once(page_limit):
    world = GeneratedVenues(markets=60, page_limit=page_limit)
    rows, refused, so_far = await listed(*standin("metaculus", world))
    assert not refused
    assert so_far.passed_over == {"conditional pair": 6}
    assert len({row.market.id for row in rows}) == len(rows) == 48 + 2 * 6
    assert set(so_far.statuses) == {"resolved", "voided"}
    for row in rows:
        if row.outcome.status == "resolved":
            assert row.outcome.value == world.yes(int(row.facts.post_id) - 1000)


async def test_a_post_that_resolves_meanwhile_makes_one_come_twice_and_none_is_lost():
    posts = [{"id": n, "published_at": f"2026-01-{n:02d}T00:00:00Z", "question": metaculus_row(id=n)} for n in (1, 2, 4, 5)]
    late = {"id": 3, "published_at": "2026-01-02T12:00:00Z", "question": metaculus_row(id=3)}

    def answer(request):
        offset = int(request.url.params["offset"])
        now = posts if offset == 0 else [*posts[:2], late, *posts[2:]]
        return {"next": "x" if offset + 3 < len(now) else None, "results": now[offset : offset + 3]}

    rows, _, so_far = await listed(*answering("metaculus", answer), Query(after=at("2010-01-01"), before=NOW))
    assert [row.market.id for row in rows] == ["1", "2", "4", "5"]
    assert so_far.passed_over == {"listed twice": 1}


@pytest.mark.parametrize(
    ("answer", "error", "why"),
    [
        pytest.param({"results": []}, SchemaChange, "next", id="no next: the list may be cut short"),
        pytest.param({"next": None}, SchemaChange, "results", id="no list"),
        pytest.param({"next": "x", "results": []}, FetchError, "the list goes on", id="empty, but not the last"),
        pytest.param(
            {"next": "x", "results": [{"id": 1, "question": metaculus_row()}]},
            FetchError,
            "second time",
            id="offset is ignored",
        ),
        pytest.param(
            {"next": None, "results": [{"id": n, "published_at": f"2026-01-0{n}T00:00:00Z"} for n in (2, 1)]},
            FetchError,
            "published_at",
            id="order_by is ignored: rows may be skipped",
        ),
    ],
)
async def test_a_listing_that_is_not_whole_is_an_error(answer, error, why):
    with pytest.raises(error, match=why):
        await listed(*answering("metaculus", lambda request: answer))


async def test_a_minimum_volume_is_refused_because_there_is_none():
    with pytest.raises(DataError, match="no volume"):
        await listed(*standin("metaculus"), Query(after=ALL_TIME.after, before=NOW, min_volume=1))


# --- the community prediction


OPEN = at("2015-10-02T02:34:00")


def history(*entries, **question):
    points = [{"start_time": (OPEN + timedelta(hours=h)).timestamp(), "end_time": None, "centers": [p]} for h, p in entries]
    inner = metaculus_row(aggregations={"recency_weighted": {"history": points}}) | question
    return {"id": 1, "question": inner}


def read(payload, hours=100, **changes):
    facts = parse_question(metaculus_row(**changes)).facts
    return history_points(payload, facts=facts, as_of=OPEN + timedelta(hours=hours))


def test_a_prediction_is_knowable_from_its_start_and_none_comes_from_after_as_of():
    prices = read(history((1, 0.2), (50, 0.3), (101, 0.99)))
    assert [(p.knowable_at - OPEN, p.price, p.kind) for p in prices.points] == [
        (timedelta(hours=1), 0.2, "unstated"),
        (timedelta(hours=50), 0.3, "unstated"),
    ]
    assert prices.dropped == {"after as-of": 1}


def test_a_prediction_is_not_turned_round_when_the_answer_is_no():
    """The recorded resolution is "no"; the price stays that of YES."""
    assert read(history((1, 0.03))).points[0].price == 0.03


def test_a_prediction_that_was_hidden_is_knowable_when_it_was_revealed():
    revealed = {"cp_reveal_time": "2015-10-04T02:34:00Z"}  # 48 hours after the opening
    prices = read(history((1, 0.2), (40, 0.3), (60, 0.4)), **revealed)
    assert [(p.knowable_at - OPEN, p.price) for p in prices.points] == [
        (timedelta(hours=48), 0.3),
        (timedelta(hours=60), 0.4),
    ]
    assert read(history((1, 0.2)), hours=47, **revealed).dropped == {"hidden until after as-of": 1}


@pytest.mark.parametrize(
    "aggregations",
    [
        pytest.param(None, id="absent"),
        pytest.param({}, id="empty"),
        pytest.param({"recency_weighted": None}, id="null"),
        pytest.param({"recency_weighted": {"history": []}}, id="nobody forecast"),
    ],
)
def test_a_history_that_is_not_shown_is_an_answer_with_a_reason(aggregations):
    prices = read({"id": 1, "question": metaculus_row(aggregations=aggregations)})
    assert prices.points == ()
    assert "not shown" in prices.reason


@pytest.mark.parametrize(
    ("payload", "error", "why"),
    [
        pytest.param(history((1, 0.2)) | {"id": 2}, DataError, "about post 2", id="another post"),
        pytest.param(history((1, 0.2), id=8), DataError, "no question 7", id="another question"),
        pytest.param(history((1, 20)), SchemaChange, "centers", id="percent"),
        pytest.param(
            {
                "id": 1,
                "question": metaculus_row(
                    aggregations={
                        "recency_weighted": {"history": [{"start_time": OPEN.timestamp() * 1000, "centers": [0.2]}]}
                    }
                ),
            },
            SchemaChange,
            "start_time",
            id="milliseconds",
        ),
    ],
)
def test_an_answer_that_cannot_be_trusted_is_an_error(payload, error, why):
    with pytest.raises(error, match=why):
        read(payload)


async def test_prices_of_the_stand_in_stop_at_as_of():
    world = GeneratedVenues(markets=12)
    client, venue = standin("metaculus", world)
    rows, _, _ = await listed(client, venue)
    client, venue = standin("metaculus", world)
    async with client:
        for row in rows:
            i, as_of = int(row.facts.post_id) - 1000, row.market.opened_at + timedelta(days=4)
            prices = await venue.prices(row, as_of)
            assert all(row.facts.revealed_at <= point.knowable_at <= as_of for point in prices.points)
            assert bool(prices.points) == (i % 6 != 5)
