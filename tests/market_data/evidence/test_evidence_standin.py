"""The stand-in has the quirks of the services it stands in for, and serves recordings for their own requests."""

import asyncio
import os
import socket
import subprocess
import sys
import time

import httpx
import pytest
from evidence_case import BASE, MOMENT, QUERY, RECORDINGS, Services, a_client, recorded, standin

from coordeval.market_data.errors import DataError
from coordeval.market_data.evidence import Query, keyless
from coordeval.market_data.evidence.generated import LATER, generated_past
from coordeval.market_data.evidence.standin import QUIRKS
from coordeval.market_data.http import HttpClient


async def get(app, path):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=BASE) as client:
        return await client.get(path)


def test_later_texts_and_only_they_give_the_outcome_away():
    past = generated_past()
    for page in past.pages:
        assert [LATER in edit.text for edit in page.edits] == [edit.at > MOMENT for edit in page.edits]
    assert any(LATER in article.title for article in past.articles)
    assert past == generated_past()


async def test_the_search_ranks_todays_texts_which_is_the_leak_that_is_marked():
    """A word that only today's revision has finds the page: the choice of pages is of today, their text is not."""
    app, _ = standin()
    query = Query(market_id="m", text="Bank of Morgard settled after all")
    async with a_client(app) as client:
        found = await keyless(client, Services.at(BASE)).search(query, MOMENT, 3)
    assert any("w/index.php" in d.source for d in found.documents)
    assert not any(LATER in d.text for d in found.documents)


@pytest.mark.parametrize("asked", ["20260201000000", "20260226000000"])
async def test_a_moment_without_a_capture_redirects_to_the_nearest_on_either_side(asked):
    app, _ = standin()
    answer = await get(app, f"/web/{asked}id_/{QUERY.urls[0]}")
    assert answer.status_code == 302
    assert "found capture at" in answer.headers["x-archive-redirect-reason"]
    nearest = answer.headers["location"][5:19]
    assert (nearest > asked) is (asked == "20260226000000") or nearest != asked


async def test_an_unknown_quirk_is_refused():
    with pytest.raises(DataError, match="unknown quirks nonsense"):
        standin(quirks={"nonsense": 1})
    assert len(set(QUIRKS)) == len(QUIRKS)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("mediawiki_search.json", 200),
        ("mediawiki_query_missing_page.json", 200),
        ("wayback_cdx_plain_text.json", 200),
        ("wayback_cdx_filter_404.json", 200),
        ("wayback_cdx_page1_with_resumekey.json", 200),
        ("wayback_cdx_last_page.json", 200),
        ("wayback_memento_inexact_redirect.json", 302),
        ("wayback_memento_blocked_403.json", 200),
        ("wayback_memento_archived_429_not_a_rate_limit.json", 429),
    ],
)
async def test_a_recorded_answer_is_served_for_its_own_request(name, status):
    whole = recorded(name)
    (one,) = whole.get("interactions", [whole])
    app, _ = standin(recordings=RECORDINGS)
    answer = await get(app, "/" + one["request"]["uri"].split("/", 3)[3])
    body = one.get("response", one)["body"]
    assert answer.status_code == status
    assert answer.text == body if isinstance(body, str) else answer.json() == body
    memento = one.get("response", one)["headers"].get("memento-datetime", [None])[0]
    assert answer.headers.get("memento-datetime") == memento


def test_it_starts_as_a_server():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    served = subprocess.Popen(
        [sys.executable, "-m", "coordeval.market_data.evidence.standin", "--port", port],
        env=os.environ | {"PYTHONPATH": "."},
    )
    try:
        _until_up(int(port))
        found = asyncio.run(_search(f"http://127.0.0.1:{port}"))
        assert len([d for d in found.documents if d.source.startswith(f"http://127.0.0.1:{port}/")]) == 2
        assert not any(LATER in d.text for d in found.documents)
    finally:
        served.terminate()
        served.wait()


async def _search(base):
    async with HttpClient() as client:
        return await keyless(client, Services.at(base)).search(QUERY, MOMENT, 3)


def _until_up(port):
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the stand-in did not start within 20 s")
