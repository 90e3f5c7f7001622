"""Pages that a question names, as the Wayback Machine had captured them by a date.

Asked for a moment, the archive redirects to the NEAREST capture, which may be a later one. So the index is asked for
captures up to as-of, the latest of them is fetched by its exact timestamp, and an answer counts only if its
`Memento-Datetime` is that timestamp. With this header a status is the original page's: an archived 429 is not a rate limit.
Without it the answer is the archive's own, whatever its status. The availability API is not used: it, too, means nearest.
"""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.parse import parse_qsl

import httpx

from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.evidence.cdx import Capture, page_key, read_rows, stamp
from coordeval.market_data.evidence.html_text import decoded, page_text
from coordeval.market_data.evidence.passages import clean_line, relevant
from coordeval.market_data.evidence.provider import FAILED, Findings, Found
from coordeval.market_data.evidence.query import Query
from coordeval.market_data.http import BadAnswer, FetchError, HttpClient, Service, TooLarge, retry_after

_LAST = 10
"""How many captures are asked for, from the end; the latest may be unusable."""
_PAGES = 20
_LARGEST = 3_000_000
_ORIGINAL = re.compile(r"<([^<>]+)>;\s*rel=\"original\"")


class Unshown(CoordevalError):
    """A capture that cannot be shown, and why."""


class Wayback:
    """Evidence from captures of a question's own addresses; one that cannot be had is a failure of that address alone."""

    name = "wayback"
    ranks_by_todays_index = False

    def __init__(
        self, client: HttpClient, service: Service, *, characters: int = 4000, tries: int = 3, blocked_wait: float = 60.0
    ) -> None:
        """`tries`: captures of a page that are fetched until one can be shown. `blocked_wait`: seconds after a real 429."""
        self._client, self._service, self._characters = client, service, characters
        self._tries, self._blocked_wait = tries, blocked_wait

    async def search(self, query: Query, as_of: datetime, limit: int) -> Found:
        findings = Findings(query, as_of, limit)
        if not query.urls:
            findings.note("Wayback: the question names no address")
        for url in query.urls:
            if findings.full:
                findings.note(f"Wayback: the question names more addresses than the limit of {limit} documents")
                break
            try:
                await self._add(url, findings)
            except FetchError as error:
                findings.refuse(FAILED, f"{self.name}: {clean_line(url)}", str(error))
        return findings.found()

    async def captures(self, url: str, findings: Findings) -> list[Capture]:
        """Usable captures of `url` up to as-of, latest first. The rest is refused, each with its reason."""
        asked = [("url", url), ("to", stamp(findings.as_of)), ("filter", "statuscode:200"), ("filter", "mimetype:text/html")]
        asked += [("limit", str(-_LAST)), ("output", "json"), ("showResumeKey", "true")]
        rows: list[Capture] = []
        key, seen = "", set()
        for _ in range(_PAGES):
            findings.requests += 1
            page = [*asked, ("resumeKey", key)] if key else asked
            more, key = await self._client.get(self._service, "/cdx/search/cdx", page, read=lambda r: read_rows(r.content))
            rows += more
            if not key or key in seen:
                break
            seen.add(key)
        if key:
            raise FetchError(f"Wayback: the index of {url} repeats itself or goes on after {_PAGES} pages; ask for it later")
        usable = [row for row in dict.fromkeys(rows) if self._usable(row, url, findings)]
        return sorted(usable, key=lambda row: (row.timestamp, row.original), reverse=True)

    def _usable(self, row: Capture, url: str, findings: Findings) -> bool:
        reason = row.flaw
        if row.at is None:
            reason = "undated"
        elif row.at > findings.as_of:
            reason = "later than as-of"
        elif page_key(row.original) != page_key(url):
            reason = "a capture of another page"
        if reason:
            findings.refuse("capture", clean_line(f"{row.timestamp} of {url}"), reason)
        return not reason

    async def _add(self, url: str, findings: Findings) -> None:
        try:
            captures = await self.captures(url, findings)
        except FetchError as error:
            if error.status != httpx.codes.FORBIDDEN:
                raise
            findings.refuse("page", clean_line(url), "the archive does not show this site: its index answered 403")
            return
        for capture in captures[: self._tries]:
            try:
                title, text = await self._replay(capture, findings)
            except Unshown as refused:
                findings.refuse("capture", clean_line(f"{capture.timestamp} of {url}"), str(refused))
                continue
            text = relevant(text, findings.query.words, self._characters)
            source = f"{self._service.base_url}/web/{capture.timestamp}id_/{capture.original}"
            findings.add(at=capture.at, title=title or clean_line(url), text=text, source=source)
            return
        findings.refuse("page", clean_line(url), f"no capture up to as-of could be shown, of {len(captures)} in the index")

    async def _replay(self, capture: Capture, findings: Findings) -> tuple[str, str]:
        """Title and text of exactly this capture. Raises Unshown."""
        path, mark, query = f"/web/{capture.timestamp}id_/{capture.original}".partition("?")
        params = parse_qsl(query, keep_blank_values=True)
        if mark and httpx.URL(self._service.base_url, params=params).query.decode() != query:
            raise Unshown("its address cannot be asked for letter by letter")
        findings.requests += 1
        read = partial(self._judged, capture=capture)
        try:
            response = await self._client.get(
                self._service, path, params, read=read, accept=range(100, 600), most_bytes=_LARGEST
            )
        except TooLarge as error:
            raise Unshown(f"the page is larger than {_LARGEST} bytes") from error
        title, text = page_text(decoded(response.content, response.charset_encoding))
        if not text:
            raise Unshown("no text is left after the markup")
        return title, text

    def _judged(self, response: httpx.Response, capture: Capture) -> httpx.Response:
        """The response if it is the page as captured. Raises Unshown, and BadAnswer where the archive itself is busy."""
        memento = response.headers.get("memento-datetime")
        if memento is None:
            raise self._own_answer(response)
        original = _ORIGINAL.search(response.headers.get("link", ""))
        for wrong, reason in (
            (_moment(memento) != capture.at, "another capture was sent: its Memento-Datetime is not the one asked for"),
            (original and page_key(original.group(1)) != page_key(capture.original), "a capture of another page was sent"),
            (response.status_code != httpx.codes.OK, f"the original page answered {response.status_code}"),
            ("html" not in response.headers.get("content-type", "").lower(), "the capture is not HTML"),
        ):
            if wrong:
                raise Unshown(reason)
        return response

    def _own_answer(self, response: httpx.Response) -> CoordevalError:
        status, longest = response.status_code, self._client.patience.retry_after_max
        if status != httpx.codes.TOO_MANY_REQUESTS and status < httpx.codes.INTERNAL_SERVER_ERROR:
            if response.has_redirect_location:
                return Unshown("redirected to another capture")
            return Unshown(f"the archive's own answer {status}, not a capture: it has no Memento-Datetime")
        wait = retry_after(response.headers.get("retry-after"))
        if wait is None and status == httpx.codes.TOO_MANY_REQUESTS:
            wait = self._blocked_wait
        if wait is not None and wait > longest:
            told = f"the archive answered {status} and asks to wait {wait:.0f} s, more than the limit of {longest:.0f} s"
            return FetchError(f"Wayback: {told}; run the same command again after that", status)
        return BadAnswer(str(status), f"the archive's own {status}", status=status, wait=wait)


def _moment(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
