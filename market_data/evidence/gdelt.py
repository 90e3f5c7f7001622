"""Headlines that GDELT had seen by a date: titles only, and only for about the last three months.

`seendate` is when GDELT crawled the article, so it is the moment from which the title was surely there. An as-of time
before the window is refused without a request: an empty answer would read as "nothing was written". An answer is
JSON (`{}` where nothing was found), plain text with 429, or an error as HTML or text with 200.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from coordeval.market_data.errors import DataError
from coordeval.market_data.evidence.answers import member
from coordeval.market_data.evidence.cdx import stamp
from coordeval.market_data.evidence.passages import clean_line
from coordeval.market_data.evidence.provider import Findings, Found
from coordeval.market_data.evidence.query import Query
from coordeval.market_data.http import BadAnswer, HttpClient, Service, excerpt

_LONGEST, _SHORTEST_WORD = 250, 3
"""Characters of a query, and of a word in it. The first is reported by users; the second is our caution."""
_MOST = 250
OUTSIDE = "outside GDELT's window"


def _now() -> datetime:
    return datetime.now(UTC)


class Gdelt:
    name = "gdelt"
    ranks_by_todays_index = False

    def __init__(
        self,
        client: HttpClient,
        service: Service,
        *,
        window: timedelta = timedelta(days=90),
        look_back: timedelta = timedelta(days=30),
        now: Callable[[], datetime] = _now,
    ) -> None:
        """`window`: how far back the service searches. `look_back`: how far before as-of headlines are wanted."""
        self._client, self._service = client, service
        self._window, self._look_back, self._now = window, look_back, now

    async def search(self, query: Query, as_of: datetime, limit: int) -> Found:
        findings = Findings(query, as_of, limit)
        opens = self._now() - self._window
        words = search_words(query.words)
        if findings.as_of < opens:
            findings.refuse("query", query.market_id, f"{OUTSIDE}: as-of is before {opens:%Y-%m-%d}, about three months ago")
        elif not words:
            findings.refuse("query", query.market_id, f"the question has no word of {_SHORTEST_WORD} letters to search for")
        else:
            start = max(opens, findings.as_of - self._look_back)
            if start == opens:
                findings.note(f"GDELT: searched from {opens:%Y-%m-%d} only, where its window opens")
            await self._ask(words, start, findings)
        return findings.found()

    async def _ask(self, words: str, start: datetime, findings: Findings) -> None:
        asked = [("query", words), ("mode", "artlist"), ("format", "json"), ("sort", "datedesc")]
        asked += [("maxrecords", str(min(findings.limit, _MOST)))]
        asked += [("startdatetime", stamp(start)), ("enddatetime", stamp(findings.as_of))]
        findings.requests += 1
        body = await self._client.get(self._service, "/api/v2/doc/doc", asked, read=read_answer)
        if isinstance(body, str):
            findings.refuse("query", findings.query.market_id, f"GDELT refused it: {body}")
            return
        articles = member(body, "articles", list, "GDELT") if body else []
        if not articles:
            findings.note("GDELT: nothing found")
        problems = []
        for article in articles[: findings.limit]:
            try:
                self._add(article, findings)
            except DataError as error:  # of this article alone
                problems.append(error)
        if problems and len(problems) == len(articles[: findings.limit]):
            raise problems[0]
        for problem in problems:
            findings.refuse("document", "a GDELT article", excerpt(str(problem).encode("utf-8", "replace")))

    def _add(self, article: Any, findings: Findings) -> None:
        url = clean_line(member(article, "url", str, "GDELT article"))
        title = clean_line(member(article, "title", str, "GDELT article"))
        told = (clean_line(str(article.get(name) or "")) for name in ("domain", "language", "sourcecountry"))
        about = ", ".join(filter(None, told))
        if not title:
            findings.refuse("document", url, "without a title")
            return
        findings.add(at=seen(article.get("seendate")), title=title, text=f"Headline only: {title} ({about})", source=url)


def read_answer(response: httpx.Response) -> dict[str, Any] | str:
    """The JSON object, or what the service said of a query that it refuses (with status 200). Raises BadAnswer."""
    text = response.content.decode("utf-8", "replace").strip()
    if "html" in response.headers.get("content-type", "") or not text.startswith(("{", "[")):
        if not text:
            raise BadAnswer("empty body", "status 200 with an empty body", status=200)
        return excerpt(text.encode())
    try:
        body = json.loads(text, strict=False)  # control characters within strings
    except (ValueError, RecursionError) as error:
        raise BadAnswer("cut body", f"{len(text)} characters that are not JSON ({error})", status=200) from error
    if not isinstance(body, dict):
        raise DataError(f"GDELT: an answer that is no object: {excerpt(text.encode())}; the service may have changed")
    return body


def search_words(words: Sequence[str]) -> str:
    """As many of the words, first ones first, as fit the service's limit; it wants all of them in an article."""
    chosen = ""
    for word in words:
        longer = f"{chosen} {word}".strip()
        if len(word) >= _SHORTEST_WORD and len(longer) <= _LONGEST:
            chosen = longer
    return chosen


def seen(value: Any) -> datetime | None:
    """`20260301T101500Z`; None for anything else, which the gate refuses as undated."""
    try:
        return datetime.strptime(value, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) if isinstance(value, str) else None
    except ValueError:
        return None
