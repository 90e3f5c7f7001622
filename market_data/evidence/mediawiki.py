"""Wikipedia as of a date: the revision of a page that was current then.

Only the wikitext of a revision is of its time. TextExtracts ignores revision ids and rendering an old revision uses
today's templates, so neither is ever asked. Which pages are found is decided by today's search index, and a page's title
is today's too: the provider says so (`ranks_by_todays_index`), and a title is shown only where the revision attests it.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson

from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.evidence.answers import member
from coordeval.market_data.evidence.passages import clean_line, relevant
from coordeval.market_data.evidence.provider import Findings, Found
from coordeval.market_data.evidence.query import Query
from coordeval.market_data.evidence.wikitext import is_redirect, plain, subject
from coordeval.market_data.http import BadAnswer, FetchError, HttpClient, Service, excerpt, json_of, retry_after

_TEMPORARY = ("maxlag", "ratelimited", "readonly", "internal_api_error")
_MAXLAG_WAIT = 5.0
_CONTINUATIONS = 5
_FORM = (("action", "query"), ("format", "json"), ("formatversion", "2"), ("maxlag", "5"))
_SUFFIX = re.compile(r" \([^()]{1,80}\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What stood on a page from `at` on. `title` is the page's name of today."""

    page_id: int
    title: str
    id: int
    at: datetime
    wikitext: str


class NoRevision(CoordevalError):
    """A page that has no revision to show at as-of, and why."""


class MediaWiki:
    """Evidence from one wiki; requests are made one after the other, as its policy asks."""

    name = "mediawiki"
    ranks_by_todays_index = True

    def __init__(self, client: HttpClient, service: Service, *, characters: int = 4000) -> None:
        """`characters`: how much of a page is shown; the passages that bear on the question are chosen."""
        self._client, self._service, self._characters = client, service, characters
        self._serial = asyncio.Lock()

    async def search(self, query: Query, as_of: datetime, limit: int) -> Found:
        findings = Findings(query, as_of, limit)
        if not query.ladder:
            findings.refuse("query", query.market_id, "the question has no word to search for")
        asked: set[int] = set()
        for words in query.ladder:
            for page_id, title in await self.pages(words, limit, findings):
                if findings.full or page_id in asked:
                    continue
                asked.add(page_id)
                await self._add(page_id, title, findings)
            if findings.full:
                break
        return findings.found()

    async def pages(self, words: Sequence[str], limit: int, findings: Findings) -> list[tuple[int, str]]:
        """Ids and titles as today's index ranks them; its snippets are text of today and are not asked for."""
        asked = [("list", "search"), ("srsearch", " ".join(words)), ("srnamespace", "0"), ("srlimit", str(limit))]
        body = await self._ask([*asked, ("srprop", ""), ("srinfo", "totalhits")], findings)
        hits = member(member(body, "query", dict, "MediaWiki search"), "search", list, "MediaWiki search")
        if "continue" in body:
            findings.note(f"MediaWiki: more pages than the first {limit} match {' '.join(words)!r}")
        pages = [(member(h, "pageid", int, "MediaWiki search"), member(h, "title", str, "MediaWiki search")) for h in hits]
        return pages[:limit]

    async def revision_at(self, title: str, findings: Findings) -> Revision:
        """The revision of `title` that was current at as-of; today's redirects are followed. Raises NoRevision."""
        asked = [("prop", "revisions"), ("titles", title), ("redirects", "1"), ("rvlimit", "1"), ("rvdir", "older")]
        asked += [("rvstart", f"{findings.as_of:%Y-%m-%dT%H:%M:%SZ}"), ("rvslots", "main")]
        asked += [("rvprop", "ids|timestamp|content")]
        more: list[tuple[str, str]] = []
        for _ in range(_CONTINUATIONS):
            body = await self._ask(asked + more, findings)
            revision = read_revision(body, title)
            if revision is not None and revision.at > findings.as_of:
                raise NoRevision("later than as-of")
            if revision is not None:
                return revision
            more = [(name, str(value)) for name, value in member(body, "continue", dict, "MediaWiki").items()]
        raise NoRevision(f"no revision came in {_CONTINUATIONS} continued answers")

    async def _add(self, page_id: int, title: str, findings: Findings) -> None:
        try:
            revision = await self.revision_at(title, findings)
        except NoRevision as none:
            findings.refuse("page", f"page {page_id}", str(none))
            return
        text = plain(revision.wikitext)
        findings.add(
            at=revision.at,
            title=attested(revision.title, text) or subject(revision.wikitext) or f"Wikipedia revision {revision.id}",
            text=relevant(text, findings.query.words, self._characters),
            source=f"{self._service.base_url}/w/index.php?action=raw&oldid={revision.id}",
        )

    async def _ask(self, asked: Sequence[tuple[str, str]], findings: Findings) -> dict[str, Any]:
        async with self._serial:
            findings.requests += 1
            body = await self._client.get(self._service, "/w/api.php", [*_FORM, *asked], read=self._read)
        for warning in warnings(body):
            findings.note(f"MediaWiki: {warning}")
        return body

    def _read(self, response: httpx.Response) -> dict[str, Any]:
        """The body. An error comes with status 200; only those that pass are worth another try."""
        try:
            body = json_of(response)
        except BadAnswer as bad:
            if bad.kind != "error in body":
                raise
            raise self._refused(orjson.loads(response.content)["error"], response) from None
        if not isinstance(body, dict):
            raise BadAnswer("shape", f"the wiki sent no object: {excerpt(response.content)}", status=response.status_code)
        return body

    def _refused(self, error: Any, response: httpx.Response) -> Exception:
        code = str(error.get("code")) if isinstance(error, dict) else ""
        told = excerpt(orjson.dumps(error))
        if not code.startswith(_TEMPORARY):
            return FetchError(f"MediaWiki: {response.url} was refused with {told}; check the request", response.status_code)
        wait, longest = retry_after(response.headers.get("retry-after")), self._client.patience.retry_after_max
        if wait is not None and wait > longest:
            return FetchError(f"MediaWiki: {told} and a wait of {wait:.0f} s; the limit is {longest:.0f} s, try later", 200)
        return BadAnswer(code, told, status=200, wait=_MAXLAG_WAIT if wait is None and code == "maxlag" else wait)


def read_revision(body: dict[str, Any], asked: str) -> Revision | None:
    """The one revision in an answer about the page `asked`. None: the answer is not whole and says how it goes on.

    Raises NoRevision with the reason, and DataError for a shape that is not documented. Reads forms 1 and 2 of the format.
    """
    query = body.get("query", {})
    pages = query.get("pages", []) if isinstance(query, dict) else []
    pages = list(pages.values()) if isinstance(pages, dict) else pages
    unfinished = "batchcomplete" not in body and "continue" in body
    if not pages and unfinished:
        return None
    if not isinstance(pages, list) or len(pages) != 1:
        raise NoRevision("the answer is not about one page")
    item = f"MediaWiki page {asked!r}"
    if member(pages[0], "title", str, item) != _followed(query, asked):
        raise NoRevision("the answer is about another page")
    for flaw, reason in (("missing", "missing: deleted or never created"), ("invalid", "not a possible title")):
        if pages[0].get(flaw, False) is not False:
            raise NoRevision(reason)
    if not pages[0].get("revisions"):
        if unfinished:
            return None
        raise NoRevision("not yet created at as-of")
    return _revision(pages[0], item)


def _revision(page: dict[str, Any], item: str) -> Revision:
    revision = member(page, "revisions", list, item)[0]
    at, slots = _instant(member(revision, "timestamp", str, item)), revision.get("slots")
    slot = slots.get("main") if isinstance(slots, dict) else None
    slot = slot if isinstance(slot, dict) else {}
    content = slot.get("content", slot.get("*"))
    model = slot.get("contentmodel", "wikitext")
    if at is None:
        raise NoRevision("undated")
    if not isinstance(content, str):
        hidden = "texthidden" in slot or "texthidden" in revision
        raise NoRevision("the revision's text was hidden" if hidden else "the revision came without its text")
    if model != "wikitext" or is_redirect(content):
        raise NoRevision("was a redirect at as-of" if model == "wikitext" else f"{clean_line(str(model))}, not wikitext")
    page_id, number = (member(holder, name, int, item) for holder, name in ((page, "pageid"), (revision, "revid")))
    return Revision(page_id=page_id, title=str(page["title"]), id=number, at=at, wikitext=content)


def attested(title: str, text: str) -> str:
    """A page's title of today where the text of then holds it, with or without its "(…)"; else "".

    A page that was moved since tells in its new name what happened ("Trial of X" became "Conviction of X").
    """
    known = text.casefold()
    return next((t for t in (title, _SUFFIX.sub("", title)) if t.casefold() in known), "")


def warnings(body: dict[str, Any]) -> list[str]:
    """Of both forms of the format, one line each."""
    modules = body.get("warnings", {})
    if not isinstance(modules, dict):
        return []
    texts = (m.get("warnings", m.get("*", "")) if isinstance(m, dict) else m for m in modules.values())
    return [f"{name}: {excerpt(str(text).encode())}" for name, text in zip(modules, texts, strict=True)]


def _followed(query: dict[str, Any], asked: str) -> str:
    """The title that the answer says `asked` leads to: first normalised, then redirected."""
    title = asked
    for step in ("normalized", "converted", "redirects"):
        moves = query.get(step)
        pairs = [m for m in moves if isinstance(m, dict)] if isinstance(moves, list) else []
        ways = {str(m.get("from")): str(m.get("to")) for m in pairs}
        for _ in range(len(ways)):
            title = ways.get(title, title)
    return title


def _instant(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
