"""The ASGI app: `/gamma`, `/clob` and `/data`, which answer as the real services were seen to, traps included.

Every trap served here has its source in the facts collected about the APIs: a parameter that is not known is ignored,
`closed` defaults to false, `limit` is clamped to 100, comma lists find nothing, large offsets and windows of more than
15 days are refused, an unknown token has an empty history, and a resolved series ends in a settlement point.
"""

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from coordeval.market_data.standin.announced import announced
from coordeval.market_data.standin.catalogue import Catalogue, Json
from coordeval.market_data.standin.clob import clob_market, prices_history
from coordeval.market_data.standin.data_api import resolutions, trades, v2_prices
from coordeval.market_data.standin.faults import Faults
from coordeval.market_data.standin.world import NOW

_LIMIT, _DEFAULT_LIMIT, _MAX_OFFSET = 100, 20, 2000
_SORTS = {"volumeNum", "liquidityNum", "volume24hr", "startDate", "endDate", "createdAt", "id", "closedTime"}
Handler = Callable[[Catalogue, str, QueryParams], tuple[int, Any]]


def polymarket_app(catalogue: Catalogue, faults: Faults | None = None) -> Starlette:
    """Serve `catalogue`; `faults` befall its answers."""

    def route(path: str, handler: Handler) -> Route:
        async def answer(request: Request) -> Response:
            name, params = request.path_params.get("name", ""), request.query_params
            fault = faults.draw() if faults else ""
            if fault == "repeated page" and "after_cursor" in params:
                params = _previous(params)
            status, payload = handler(catalogue, name, params)
            if fault == "late point" and isinstance(payload, dict) and "history" in payload:
                payload = payload | {"history": [*payload["history"], {"t": int(NOW.timestamp()), "p": 0.0215}]}
            if fault == "slow" and faults:
                await asyncio.sleep(faults.seconds)
            return _spoilt(fault) or _sent(status, payload, cut=fault == "cut body")

        return Route(path, answer)

    app = Starlette(
        routes=[
            route("/gamma/markets/keyset", keyset),
            route("/gamma/markets", markets),
            route("/gamma/markets/{name}", one_market),
            route("/gamma/events/{name}", one_event),
            route("/clob/prices-history", prices_history),
            route("/clob/markets/{name}", clob_market),
            route("/data/v2/prices-history", v2_prices),
            route("/data/v2/resolutions", resolutions),
            route("/data/v2/trades", trades),
        ]
    )
    app.add_middleware(announced)
    return app


def keyset(catalogue: Catalogue, name: str, params: QueryParams) -> tuple[int, Any]:
    """`cursor` and `next_cursor` are not its parameters, so they are ignored: page 1 for ever."""
    if "offset" in params:
        return 422, {"type": "validation error", "error": "offset is not allowed on keyset endpoints"}
    if params.get("order", "id") not in _SORTS:
        return 422, {"type": "validation error", "error": "order fields are not valid"}
    chosen = catalogue.select(params.get("order", "id"), _closed(params), float(params.get("volume_num_min", 0)))
    start, limit = _position(params.get("after_cursor", "")), _limit(params)
    rows = [_tagged(catalogue.row(int(index)), params) for index in chosen[start : start + limit]]
    page: Json = {"$schema": "https://gamma-api.polymarket.com/schemas/MarketsKeysetListResponse.json", "markets": rows}
    if start + limit < len(chosen):
        page["next_cursor"] = _cursor(start + limit, max(0, start))
    return 200, page


def markets(catalogue: Catalogue, name: str, params: QueryParams) -> tuple[int, Any]:
    if params.get("order", "id").split(",")[0] not in _SORTS:
        return 422, {"type": "validation error", "error": "order fields are not valid"}
    offset = int(params.get("offset", 0))
    if offset > _MAX_OFFSET:
        error = "offset too large, use /markets/keyset for deeper pagination"
        return 422, {"type": "validation error", "error": error}
    for parameter, field in (("condition_ids", "conditionId"), ("id", "id"), ("clob_token_ids", "token")):
        if parameter in params:
            found = {catalogue.find(field, value) for value in params.getlist(parameter)} - {None}
            rows = [catalogue.row(index) for index in sorted(i for i in found if i is not None)]
            return 200, [_tagged(row, params) for row in rows if row["closed"] == _closed(params)][: _limit(params)]
    chosen = catalogue.select(params.get("order", "id"), _closed(params), float(params.get("volume_num_min", 0)))
    return 200, [_tagged(catalogue.row(int(index)), params) for index in chosen[offset : offset + _limit(params)]]


def one_market(catalogue: Catalogue, name: str, params: QueryParams) -> tuple[int, Any]:
    index = catalogue.find("id", name)
    return (404, {"type": "not found error", "error": "id not found"}) if index is None else (200, catalogue.row(index))


def one_event(catalogue: Catalogue, name: str, params: QueryParams) -> tuple[int, Any]:
    """The event with its legs; the legs do not name it."""
    rows = [catalogue.row(index) for index in catalogue.legs(name)]
    if not rows:
        return 404, {"type": "not found error", "error": "id not found"}
    parent = next(event for event in rows[0]["events"] if event["id"] == name)
    return 200, parent | {"markets": [{key: value for key, value in row.items() if key != "events"} for row in rows]}


def _tagged(row: Json, params: QueryParams) -> Json:
    if params.get("include_tag") == "true":
        return row
    return {key: value for key, value in row.items() if key != "tags"}


def _closed(params: QueryParams) -> bool:
    return params.get("closed", "false") == "true"


def _limit(params: QueryParams) -> int:
    return min(int(params.get("limit", _DEFAULT_LIMIT)), _LIMIT)


def _cursor(position: int, previous: int) -> str:
    return base64.urlsafe_b64encode(orjson.dumps({"k": "markets", "at": position, "from": previous})).decode()


def _position(cursor: str) -> int:
    return int(orjson.loads(base64.urlsafe_b64decode(cursor))["at"]) if cursor else 0


def _previous(params: QueryParams) -> QueryParams:
    """The parameters of the page before, whose rows and cursor are then sent a second time."""
    before = int(orjson.loads(base64.urlsafe_b64decode(params["after_cursor"]))["from"])
    kept = [(name, value) for name, value in params.multi_items() if name != "after_cursor"]
    return QueryParams([*kept, ("after_cursor", _cursor(before, max(0, before - _limit(params))))])


def _spoilt(fault: str) -> Response | None:
    """An answer in the place of the right one."""
    match fault:
        case "429":
            return Response(b"error code: 1015", 429, media_type="text/plain")
        case "429 with Retry-After":
            return Response(b'{"error":"Too Many Requests"}', 429, {"Retry-After": "0"}, "application/json")
        case "500":
            body = b'{"type":"internal error","error":"cannot get the information"}'
            return Response(body, 500, media_type="application/json")
        case "error with 200":
            return Response(b'{"error":"Too Many Requests"}', media_type="application/json")
        case "html with 200":
            return Response(b"<html><title>Just a moment...</title></html>", media_type="text/html")
    return None


def _sent(status: int, payload: Any, *, cut: bool) -> Response:
    body = orjson.dumps(payload)
    if not cut:
        return Response(body, status, media_type="application/json")

    async def half() -> Any:
        yield body[: len(body) // 2]

    return StreamingResponse(half(), status, {"Content-Length": str(len(body))}, "application/json")
