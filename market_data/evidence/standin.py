"""A local MediaWiki, Wayback Machine and GDELT in one ASGI app, with the quirks of the real ones.

Always: the search ranks on today's texts, `rvstart` is honoured, a moment without a capture redirects to the nearest one on
either side, an archived status is replayed, GDELT finds nothing with `{}`. `quirks` maps other ones to how many answers they
befall. `recordings` is a directory of recorded payloads, which are served where exactly their request comes.

    python -m coordeval.market_data.evidence.standin --port 8767
"""

import argparse
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from coordeval.market_data.errors import DataError
from coordeval.market_data.evidence.cdx import at_of, page_key
from coordeval.market_data.evidence.generated import Past, WikiPage, generated_past
from coordeval.market_data.evidence.query import key_words
from coordeval.market_data.standin.announced import serve

QUIRKS = (
    "wiki is lagged",
    "wiki warns",
    "wiki continues",
    "wiki ignores rvstart",
    "index as text",
    "index in pages",
    "index ignores to",
    "index refuses the site",
    "archive shows its own page",
    "archive is busy",
    "archive sends another capture",
    "gdelt refuses the query",
    "gdelt is busy",
    "gdelt ignores dates",
    "gdelt sends control characters",
)
_BUSY = "Please limit requests to one every 5 seconds or contact the operators for larger queries."
_REFUSED = "Your query was too short or too long.\n"
_OWN_PAGE = "<!DOCTYPE html><html><head><title>Wayback Machine</title></head><body>Blocked.</body></html>"


class StandIn:
    """The handlers; `asked` keeps every request's path and query."""

    def __init__(self, past: Past, quirks: Mapping[str, int], recordings: Path | None) -> None:
        if unknown := set(quirks) - set(QUIRKS):
            raise DataError(f"stand-in: unknown quirks {', '.join(sorted(unknown))}; there are {', '.join(QUIRKS)}")
        self.past = past
        self.left = Counter(quirks)
        self.asked: list[str] = []
        self._recorded = recorded_answers(recordings) if recordings else {}

    def quirk(self, name: str) -> bool:
        befalls = self.left[name] > 0
        self.left[name] -= befalls
        return befalls

    async def answer(self, request: Request) -> Response:
        path, query = request.scope["raw_path"].decode().partition("?")[0], request.url.query
        self.asked.append(f"{path}?{query}" if query else path)
        if recorded := self._recorded.get(_request_key(path, query)):
            status, headers, body = recorded
            return Response(body, status, headers)
        match path.split("/")[1]:
            case "w":
                return self.wiki(request.query_params)
            case "cdx":
                return self.index(request.query_params)
            case "web":
                return self.replay(f"{path}?{query}" if query else path)
            case _:
                return self.gdelt(request.query_params)

    def wiki(self, params: QueryParams) -> Response:
        if self.quirk("wiki is lagged"):
            error = {"code": "maxlag", "info": "Waiting for a database server: 5.2 seconds lagged.", "lag": 5.2}
            return _json({"error": error}, {"Retry-After": "0", "X-Database-Lag": "5"})
        body = self._search(params) if params.get("list") == "search" else self._revision(params)
        if self.quirk("wiki warns"):
            body["warnings"] = {"main": {"warnings": "Unrecognized parameter: rvsince."}}
        return _json(body)

    def _search(self, params: QueryParams) -> dict[str, Any]:
        """Pages whose text of today has every word; with the most of them first."""
        words = [word.lower() for word in params["srsearch"].split()]
        texts = {page: f"{page.title} {page.edits[-1].text}".lower() for page in self.past.pages if page.edits}
        hits = [page for page, text in texts.items() if all(word in text for word in words)]
        hits.sort(key=lambda page: (-sum(texts[page].count(word) for word in words), page.id))
        limit = int(params.get("srlimit", 10))
        found = [{"ns": 0, "title": page.title, "pageid": page.id} for page in hits[:limit]]
        more = {"continue": {"sroffset": limit, "continue": "-||"}} if len(hits) > limit else {}
        return {"batchcomplete": True, **more, "query": {"searchinfo": {"totalhits": len(hits)}, "search": found}}

    def _revision(self, params: QueryParams) -> dict[str, Any]:
        asked = params["titles"]
        page = next((p for p in self.past.pages if asked == p.title or asked in p.was), None)
        if page is None:
            return {"batchcomplete": True, "query": {"pages": [{"ns": 0, "title": asked, "missing": True}]}}
        query: dict[str, Any] = {"redirects": [{"from": asked, "to": page.title}]} if asked != page.title else {}
        told: dict[str, Any] = {"pageid": page.id, "ns": 0, "title": page.title}
        if "rvcontinue" not in params and self.quirk("wiki continues"):
            return {"continue": {"rvcontinue": "20200101000000|1", "continue": "||"}, "query": query | {"pages": [told]}}
        start = params.get("rvstart", "9999")
        if self.quirk("wiki ignores rvstart"):
            start = "9999"
        if edits := [i for i, edit in enumerate(page.edits) if f"{edit.at:%Y-%m-%dT%H:%M:%SZ}" <= start]:
            told["revisions"] = [_told(page, edits[-1])]
        return {"batchcomplete": True, "query": query | {"pages": [told]}}

    def index(self, params: QueryParams) -> Response:
        if self.quirk("index refuses the site"):
            return PlainTextResponse("org.archive.wayback.exception.AdministrativeAccessControlException: Blocked Site", 403)
        last = "9" * 14 if self.quirk("index ignores to") else params.get("to", "9" * 14)
        wanted = dict(value.split(":", 1) for value in params.getlist("filter"))
        rows = [
            [page_key(shot.url), shot.timestamp, shot.url, shot.mimetype, str(shot.status or "-"), "X" * 32, "512"]
            for shot in sorted(self.past.shots, key=lambda shot: shot.timestamp)
            if page_key(shot.url) == page_key(params["url"]) and shot.timestamp <= last
        ]
        rows = [
            row for row in rows if row[4] == wanted.get("statuscode", row[4]) and row[3] == wanted.get("mimetype", row[3])
        ]
        limit = int(params.get("limit", 1000))
        rows, key = (rows[limit:] if limit < 0 else rows[:limit]), ""
        if "resumeKey" not in params and len(rows) > 1 and self.quirk("index in pages"):
            rows, key = rows[:1], "com%2Cexample%29%2F+20260101000000"
        elif "resumeKey" in params:
            rows = rows[1:]
        if self.quirk("index as text"):
            return PlainTextResponse("".join(" ".join(row) + "\n" for row in rows) + (f"\n{key}\n" if key else ""))
        header = [["urlkey", "timestamp", "original", "mimetype", "statuscode", "digest", "length"]] if rows else []
        return _json([*header, *rows, *([[], [key]] if key else [])])

    def replay(self, path: str) -> Response:
        moment, _, url = path.removeprefix("/web/").partition("id_/")
        if self.quirk("archive is busy"):
            return PlainTextResponse("Too Many Requests", 429, {"Retry-After": "0"})
        if self.quirk("archive shows its own page"):
            return Response(_OWN_PAGE, media_type="text/html")
        shots = [shot for shot in self.past.shots if page_key(shot.url) == page_key(url)]
        if not shots:
            return Response(_OWN_PAGE, 404, media_type="text/html")
        asked = at_of(moment) or datetime.now(UTC)
        nearest = min(shots, key=lambda shot: abs(((at_of(shot.timestamp) or asked) - asked).total_seconds()))
        if nearest.timestamp != moment:
            reason = f"found capture at {nearest.timestamp}"
            location = f"/web/{nearest.timestamp}id_/{nearest.url}"
            return Response(status_code=302, headers={"Location": location, "X-Archive-Redirect-Reason": reason})
        if self.quirk("archive sends another capture"):
            nearest = max(shots, key=lambda shot: shot.timestamp)
        at = at_of(nearest.timestamp) or asked
        headers = {"Memento-Datetime": format_datetime(at, usegmt=True), "Link": f'<{nearest.url}>; rel="original"'}
        return Response(nearest.html, nearest.status, headers, f"{nearest.mimetype}; charset=utf-8")

    def gdelt(self, params: QueryParams) -> Response:
        if self.quirk("gdelt is busy"):
            return PlainTextResponse(_BUSY, 429)
        if self.quirk("gdelt refuses the query") or not 3 <= len(params["query"]) <= 250:
            return Response(_REFUSED, media_type="text/html")
        words = [word.lower() for word in key_words(params["query"])]
        start, end = params.get("startdatetime", ""), params.get("enddatetime", "9")
        if self.quirk("gdelt ignores dates"):
            start, end = "", "9"
        hits = [a for a in self.past.articles if all(word in a.title.lower() for word in words)]
        hits = [a for a in hits if start <= a.seendate.replace("T", "").rstrip("Z") <= end]
        hits.sort(key=lambda article: article.seendate, reverse=True)
        rows = [
            {"url": a.url, "url_mobile": "", "title": a.title, "seendate": a.seendate, "socialimage": "",
             "domain": "wire.example", "language": "English", "sourcecountry": "Nowhere"}
            for a in hits[: int(params.get("maxrecords", 75))]
        ]  # fmt: skip
        body = orjson.dumps({"articles": rows} if rows else {})
        if self.quirk("gdelt sends control characters"):
            body = body.replace(b'"title":"', b'"title":"\x07\x1b')
        return Response(body, media_type="application/json")


def evidence_app(
    past: Past | None = None, quirks: Mapping[str, int] | None = None, recordings: Path | None = None
) -> Starlette:
    """The app; `app.state.standin` is its StandIn."""
    standin = StandIn(past or generated_past(), quirks or {}, recordings)
    paths = ("/w/api.php", "/cdx/search/cdx", "/web/{rest:path}", "/api/v2/doc/doc")
    app = Starlette(routes=[Route(path, standin.answer) for path in paths])
    app.state.standin = standin
    return app


def recorded_answers(directory: Path) -> dict[str, tuple[int, dict[str, str], bytes]]:
    """Recorded answers by their request; files that do not hold their request are left out."""
    answers = {}
    for path in sorted(directory.glob("*.json")):
        whole = orjson.loads(path.read_bytes())
        for one in whole.get("interactions", [whole] if "request" in whole else []):
            answer = one.get("response", one)
            body, headers = answer["body"], {k.lower(): v[0] for k, v in answer["headers"].items()}
            kept = {k: v for k, v in headers.items() if k in ("content-type", "location", "memento-datetime", "link")}
            sent = body.encode() if isinstance(body, str) else orjson.dumps(body)
            uri = urlsplit(one["request"]["uri"])
            answers[_request_key(uri.path, uri.query)] = (answer["status"]["code"], kept, sent)
    return answers


def _request_key(path: str, query: str) -> str:
    return f"{unquote(path)}?{sorted(parse_qsl(query, keep_blank_values=True))}"


def _told(page: WikiPage, index: int) -> dict[str, Any]:
    """Revision ids grow with time, as the real ones do."""
    edit, number = page.edits[index], page.id * 1000 + index
    main = {"contentmodel": "wikitext", "contentformat": "text/x-wiki", "content": edit.text}
    slots = {"slots": {"main": main}}
    return {"revid": number, "parentid": number - 1 if index else 0, "timestamp": f"{edit.at:%Y-%m-%dT%H:%M:%SZ}", **slots}


def _json(body: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), 200, dict(headers or {}), "application/json")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m coordeval.market_data.evidence.standin", description="A local stand-in")
    parser.add_argument("--recorded", type=Path, help="a directory of recorded payloads to serve for their own requests")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8767)
    asked = parser.parse_args()
    serve(evidence_app(recordings=asked.recorded), asked.host, asked.port, "[evidence] base_url takes it")


if __name__ == "__main__":
    main()
