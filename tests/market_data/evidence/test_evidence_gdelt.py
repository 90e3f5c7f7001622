"""Headlines up to a date, from a service that answers errors with 200 and remembers three months."""

from datetime import timedelta

import pytest
from evidence_case import QUERY, a_client, a_gdelt, always, recorded, standin, utc

from coordeval.market_data.errors import DataError
from coordeval.market_data.evidence import Query
from coordeval.market_data.evidence.gdelt import OUTSIDE, search_words, seen
from coordeval.market_data.evidence.generated import LATER, MOMENT
from coordeval.market_data.http import FetchError

WIDE = Query(market_id="m1", text="Bank of Morgard")


async def search(server, as_of=MOMENT, limit=5, query=WIDE, **options):
    async with a_client(server) as client:
        return await a_gdelt(client, **options).search(query, as_of, limit)


def article(**changes):
    return {
        "articles": [{"url": "https://a.example/1", "title": "T", "seendate": "20260201T000000Z", "domain": "a"} | changes]
    }


async def test_headlines_up_to_as_of_come_with_the_time_they_were_seen():
    app, served = standin()
    found = await search(app)
    assert [d.knowable_at for d in found.documents] == [utc(2026, 2, day, 13) for day in (8, 15, 22)]
    assert not any(LATER in d.text for d in found.documents)
    assert all(d.text.startswith("Headline only: ") for d in found.documents)
    assert "enddatetime=20260301120000" in served.asked[0]
    assert (found.requests, found.refusals) == (1, ())


async def test_a_service_that_ignores_dates_is_refused_item_by_item():
    found = await search(standin(quirks={"gdelt ignores dates": 1})[0])
    assert all(d.knowable_at <= MOMENT for d in found.documents)
    assert [r.reason for r in found.refusals] == ["later than as-of"] * 3


async def test_before_the_window_it_refuses_rather_than_finds_nothing():
    found = await search(always(500), as_of=MOMENT, now=MOMENT + timedelta(days=91))
    assert found.requests == 0
    assert [r.reason.startswith(OUTSIDE) for r in found.refusals] == [True]


async def test_a_window_that_is_only_partly_open_is_noted():
    found = await search(standin()[0], now=MOMENT + timedelta(days=80))
    assert any("searched from 2026-02-19" in note for note in found.notes)
    assert [d.knowable_at for d in found.documents] == [utc(2026, 2, 22, 13)]


async def test_nothing_found_is_an_empty_object_and_no_error():
    found = await search(always(body={}))
    assert (found.documents, found.refusals, found.notes) == ((), (), ("GDELT: nothing found",))


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "text/plain"])
async def test_a_refused_query_comes_with_200_and_is_a_refusal(kind):
    body = recorded("gdelt_200_html_rejected.txt").encode()
    found = await search(always(200, body, {"content-type": kind}))
    assert [r.reason for r in found.refusals] == ["GDELT refused it: Your query was too short or too long."]


async def test_a_rate_limit_is_plain_text_and_is_tried_again():
    app, served = standin(quirks={"gdelt is busy": 1})
    assert len((await search(app)).documents) == 3
    assert len(served.asked) == 2
    with pytest.raises(FetchError, match="limit requests to one every 5 seconds"):
        await search(always(429, recorded("gdelt_429.txt").encode(), {"content-type": "text/plain"}))


@pytest.mark.parametrize("body", [b"", b'{"articles":[{', b'{"articles": ' + b"[" * 100_000])
async def test_a_cut_body_is_an_error(body):
    with pytest.raises(FetchError, match="failed 2 times"):
        await search(always(200, body, {"content-type": "application/json"}))


@pytest.mark.parametrize("body", [[], article(url=None), article(title=3), {"articles": {}}, {"status": "ok"}])
async def test_an_answer_of_another_shape_is_an_error(body):
    with pytest.raises(DataError):
        await search(always(body=body))


async def test_control_characters_in_json_are_read_and_removed():
    found = await search(standin(quirks={"gdelt sends control characters": 1})[0])
    assert len(found.documents) == 3
    assert not any(set("\x07\x1b") & set(d.title) for d in found.documents)


@pytest.mark.parametrize(
    ("why", "changes", "reason"),
    [
        ("undated", {"seendate": ""}, "undated"),
        ("no date at all", {"seendate": None}, "undated"),
        ("a date of another form", {"seendate": "2026-02-01"}, "undated"),
        ("later", {"seendate": "20260301T120001Z"}, "later than as-of"),
        ("no title", {"title": " \x00"}, "without a title"),
    ],
)
async def test_articles_that_cannot_be_shown_say_why(why, changes, reason):
    found = await search(always(body=article(**changes)))
    assert (found.documents, [r.reason for r in found.refusals]) == ((), [reason])


async def test_the_recorded_answer_is_read():
    found = await search(always(body=recorded("gdelt_artlist_live.json")), as_of=utc(2026, 9, 6), now=utc(2026, 9, 7))
    (document,) = found.documents
    assert document.knowable_at == utc(2026, 9, 5, 13, 15)
    assert document.title == "Top Apple - related stories for the week of August 31 - September 4"
    assert document.source.startswith("https://www.mactech.com/2026/09/05/")


def test_a_query_keeps_to_the_length_rule():
    words = search_words([f"word{i:03}" for i in range(100)])
    assert 240 <= len(words) <= 250
    assert search_words(["ab", "abc"]) == "abc"
    assert search_words(QUERY.words) == "Bank Morgard raise key rate"


async def test_a_question_without_words_asks_nothing():
    found = await search(always(500), query=Query(market_id="m", text="Will it?"))
    assert found.requests == 0
    assert "no word" in found.refusals[0].reason


@pytest.mark.parametrize("value", [None, 20260301, "", "20260301T101500", "20261301T000000Z", ["x"]])
def test_a_date_that_is_none_is_none(value):
    assert seen(value) is None
