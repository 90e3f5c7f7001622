"""What is asked about a market comes from its question alone, the same every time, and as bare words."""

import pytest

from coordeval.market_data.errors import DataError
from coordeval.market_data.evidence import Query
from coordeval.market_data.evidence.query import addresses, key_words
from coordeval.market_data.types import Market


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Will the Bank of Japan raise rates before March 31, 2026?", ("Bank", "Japan", "raise", "rates")),
        ("Will Bitcoin be above $100k on 31 December 2025?", ("Bitcoin", "100k")),
        ("Will Theresa May resign in May 2026?", ("Theresa", "May", "resign")),
        ("Will the US leave WHO by Jan 20?", ("US", "leave", "WHO")),
        ("2026 FIFA World Cup: France's win?", ("2026", "FIFA", "World", "Cup", "France")),
        ("Will New York City's mayor win?", ("New", "York", "City", "mayor")),
        ("Gewinnt Köln gegen St. Pölten?", ("Gewinnt", "Köln", "gegen", "St", "Pölten")),
        ("Rate rate RATE?", ("Rate",)),
        ("Will it?", ()),
    ],
)
def test_key_words_are_the_words_that_carry_the_question(question, words):
    assert key_words(question) == words


@pytest.mark.parametrize(
    "hostile", ['intitle:"x" -foo AND insource:/a.*/', "~a* | domain:cnn.com (b OR c)", "a\x1b[31m\x00b"]
)
def test_no_search_operator_survives_from_a_question(hostile):
    for word in key_words(hostile):
        assert all(part.isalnum() for part in word.replace("-", ".").replace("'", ".").split("."))
        assert word not in ("AND", "OR") or word.isupper()


def test_a_query_is_built_from_what_was_known_at_opening_only():
    market = Market(
        id="m", source="s", event_id="secret-event", simulated=False, url="https://venue.example/secret",
        question="Will Foo ship?", description="Resolves by https://foo.example/news. See (https://bar.example/a#top).",
    )  # fmt: skip
    query = Query.of(market)
    assert query.urls == ("https://foo.example/news", "https://bar.example/a")
    assert "secret" not in repr((query.text, query.words, query.urls))


def test_addresses_lose_punctuation_and_fragments_and_come_once():
    text = (
        "See https://a.example/x?y=1&z=2, https://a.example/x?y=1&z=2. <https://b.example/> or http:// and ftp://c.example"
    )
    assert addresses(text) == ("https://a.example/x?y=1&z=2", "https://b.example/")


def test_the_ladder_goes_from_all_words_to_the_first_names():
    query = Query(market_id="m", text="Will the Bank of Japan raise its key rate twice?")
    assert query.ladder == (("Bank", "Japan", "raise", "key", "rate", "twice"), ("Bank", "Japan"))
    assert Query(market_id="m", text="will it?").ladder == ()


def test_a_query_without_a_market_is_refused():
    with pytest.raises(DataError, match="id of the market"):
        Query(market_id=" ", text="x")
