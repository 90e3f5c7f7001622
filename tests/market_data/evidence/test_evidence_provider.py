"""The contract of a provider: whatever a service or a plugin sends, what comes out was knowable at as-of."""

import asyncio
import json
from datetime import timedelta

import httpx
import pytest
from evidence_case import AT, MOMENT, QUERY, a_client, a_gdelt, always, findings, providers, standin, utc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordeval.market_data.errors import DataError
from coordeval.market_data.evidence import Composite, Found, MediaWiki, keyless
from coordeval.market_data.evidence.generated import LATER, Article, Edit, Past, Shot, WikiPage
from coordeval.market_data.evidence.standin import QUIRKS
from coordeval.market_data.gate import MarketView
from coordeval.market_data.types import Document, Market

RUNS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
BIG_WORDS = "Bank Morgard raise key rate"


class Plugin:
    """A provider that returns what it is told to, past any gate of its own."""

    ranks_by_todays_index = False

    def __init__(self, name, *documents):
        self.name = name
        self.documents = documents

    async def search(self, query, as_of, limit):
        return Found(documents=self.documents, refusals=(), requests=1)


def document(at, text="x", market_id="m1"):
    return Document(market_id=market_id, knowable_at=at, title="t", text=text, source="s")


async def ask(*plugins, as_of=MOMENT, limit=3):
    return await Composite(plugins).search(QUERY, as_of, limit)


async def test_the_three_providers_as_one():
    app, served = standin()
    async with a_client(app) as client:
        together = providers(client)
        found = await together.search(QUERY, MOMENT, 3)
    assert together.name == "mediawiki+wayback+gdelt"
    assert together.ranks_by_todays_index
    assert {d.source.split("/")[3] for d in found.documents} == {"w", "web"}
    assert [d.knowable_at for d in found.documents] == sorted(d.knowable_at for d in found.documents)
    assert found.requests == len(served.asked)
    assert found.complete


async def test_the_same_query_twice_gives_the_same_documents():
    async with a_client(standin()[0]) as client:
        together = providers(client)
        first, second = [await together.search(QUERY, MOMENT, 3) for _ in range(2)]
    assert [d.id for d in first.documents] == [d.id for d in second.documents]
    assert first.refusals == second.refusals


async def test_what_was_found_is_what_a_market_view_takes():
    market = Market(id="m1", source="s", event_id="e", simulated=True, question=QUERY.text)
    async with a_client(standin()[0]) as client:
        found = await providers(client).search(QUERY, MOMENT, 3)
    assert tuple(MarketView(market, MOMENT, [], found.documents).documents) == found.documents


async def test_a_plugin_cannot_pass_undated_or_later_documents():
    late, undated, good = document(MOMENT + timedelta(seconds=1)), document(None), document(MOMENT)
    found = await ask(Plugin("p", late, undated, good))
    assert found.documents == (good,)
    assert sorted(r.reason for r in found.refusals) == ["later than as-of", "undated"]


async def test_a_document_that_two_providers_bring_is_one():
    found = await ask(Plugin("p", document(MOMENT)), Plugin("q", document(MOMENT)))
    assert (len(found.documents), found.requests) == (1, 2)


async def test_a_failing_provider_is_a_refusal_and_the_others_still_answer():
    async with a_client(always(500)) as client:
        found = await ask(MediaWiki(client, AT.mediawiki), Plugin("p", document(MOMENT)))
    assert len(found.documents) == 1
    assert not found.complete
    assert [(r.kind, r.item) for r in found.refusals] == [("provider", "mediawiki")]
    assert "500" in found.refusals[0].reason


async def test_documents_of_another_market_are_a_failure_of_their_provider():
    found = await ask(Plugin("p", document(MOMENT, market_id="other")))
    assert (found.documents, found.complete) == ((), False)
    assert "market_id of the query" in found.refusals[0].reason


@pytest.mark.parametrize("plugins", [[], [Plugin("p"), Plugin("p")]])
def test_providers_need_names_of_their_own(plugins):
    with pytest.raises(DataError, match="each name only once"):
        Composite(plugins)


async def test_a_naive_as_of_or_no_documents_at_all_are_refused():
    with pytest.raises(DataError, match="no time zone"):
        await ask(Plugin("p"), as_of=MOMENT.replace(tzinfo=None))
    with pytest.raises(DataError, match="1 or more"):
        await ask(Plugin("p"), limit=0)


def test_a_document_without_text_is_a_refusal():
    gathered = findings()
    gathered.add(at=MOMENT, title="t", text="", source="http://a.example")
    assert [r.item for r in gathered.found().refusals] == ["http://a.example"]


async def test_the_keyless_providers_point_at_the_real_services():
    async with a_client(always()) as client:
        assert keyless(client).name == "mediawiki+wayback+gdelt"
        assert keyless(client, AT).ranks_by_todays_index


# ---- properties: a drawn past, and a server that breaks its answers -------------------------------------------------

moments = st.datetimes(utc(2026, 2, 20).replace(tzinfo=None), utc(2026, 3, 10).replace(tzinfo=None)).map(
    lambda t: utc(t.year, t.month, t.day, t.hour, t.minute, t.second)
)


@st.composite
def pasts(draw):
    """Texts that are later than the moment say so."""

    def told(at):
        return f"{BIG_WORDS} {draw(st.text(max_size=20))} " + (LATER if at > MOMENT else "before")

    times = st.lists(moments, max_size=5, unique=True).map(sorted)
    today = Edit(utc(2026, 11, 1), f"'''{BIG_WORDS}''' {LATER}")
    pages = [WikiPage(i, f"{BIG_WORDS} {i}", (*(Edit(t, told(t)) for t in draw(times)), today)) for i in range(2)]
    shots = [
        Shot(QUERY.urls[0], f"{t:%Y%m%d%H%M%S}", f"<p>{told(t)}", draw(st.sampled_from([200, 200, 404, 0])))
        for t in draw(times)
    ]
    articles = [Article(f"https://a.example/{i}", told(t), f"{t:%Y%m%dT%H%M%SZ}") for i, t in enumerate(draw(times))]
    return Past(tuple(pages), tuple(shots), tuple(articles))


@RUNS
@given(pasts(), st.dictionaries(st.sampled_from(QUIRKS), st.integers(1, 3)))
def test_no_text_that_is_later_than_as_of_comes_out_of_a_server_that_looks_ahead(past, quirks):
    async def run():
        async with a_client(standin(past, quirks)[0]) as client:
            return await providers(client).search(QUERY, MOMENT, 4)

    found = asyncio.run(run())
    for document in found.documents:
        assert document.knowable_at <= MOMENT
        assert LATER not in f"{document.title} {document.text}"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | moments.map(lambda t: f"{t:%Y-%m-%dT%H:%M:%SZ}"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
stamps = st.one_of(
    moments.map(lambda t: f"{t:%Y-%m-%dT%H:%M:%SZ}"),
    moments.map(lambda t: f"{t:%Y%m%dT%H%M%SZ}"),
    moments.map(lambda t: f"{t:%Y%m%d%H%M%S}"),
)
mutations = st.one_of(
    st.just(("keep",)),
    st.tuples(st.just("value"), st.integers(0, 400), json_values | stamps),
    st.tuples(st.just("drop"), st.integers(0, 400)),
    st.tuples(st.just("status"), st.sampled_from([200, 204, 301, 302, 403, 404, 429, 500, 503])),
    st.tuples(
        st.just("header"),
        st.sampled_from(["memento-datetime", "content-type", "link", "retry-after", "location"]),
        st.sampled_from(
            ["", "x", "0", "text/html", "text/html; charset=utf-16", "Sun, 01 Mar 2026 13:00:00 GMT", "/web/2/x"]
        ),
    ),
    st.tuples(st.just("cut"), st.floats(0, 1)),
    st.tuples(st.just("body"), st.binary(max_size=40)),
)


@RUNS
@given(pasts(), st.lists(mutations, min_size=1, max_size=8), moments)
def test_nothing_later_than_as_of_ever_comes_out_whatever_the_server_sends(past, changes, as_of):
    """And no answer, however broken, ends in anything but documents and refusals."""
    app, served = standin(past)
    inner = httpx.ASGITransport(app=app)

    async def server(request):
        response = await inner.handle_async_request(request)
        await response.aread()
        return mutated(response, changes[len(served.asked) % len(changes)])

    async def run():
        async with a_client(server) as client:
            return await providers(client).search(QUERY, as_of, 4)

    found = asyncio.run(run())
    assert all(document.knowable_at is not None and document.knowable_at <= as_of for document in found.documents)
    assert all(refusal.reason for refusal in found.refusals)


def mutated(response, change):
    status, headers, body = response.status_code, dict(response.headers), response.content
    headers.pop("content-length", None)
    match change:
        case ("status", code):
            status = code
        case ("header", name, value):
            headers[name] = value
        case ("cut", share):
            body = body[: int(len(body) * share)]
        case ("body", other):
            body = other
        case ("value" | "drop", place, *value) if "json" in headers.get("content-type", ""):
            body = json.dumps(changed(json.loads(body), place, *value)).encode()
    return httpx.Response(status, headers=headers, content=body)


def changed(tree, place, *value):
    """The tree with its `place`-th node replaced, or left out."""
    nodes = [(None, None), *walk(tree)]
    holder, key = nodes[place % len(nodes)]
    if holder is None:
        return value[0] if value else None
    if value:
        holder[key] = value[0]
    else:
        del holder[key]
    return tree


def walk(tree):
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(pairs):
        yield tree, key
        yield from walk(value)


async def test_a_broken_gdelt_does_not_hide_behind_its_window():
    async with a_client(always(200, b"")) as client:
        found = await ask(a_gdelt(client))
    assert not found.complete
