"""The Data API's part of the stand-in: prices at an instant, trades, resolutions."""

from typing import Any

import orjson
from starlette.datastructures import QueryParams

from coordeval.market_data.polymarket.fields import instant
from coordeval.market_data.standin.catalogue import Catalogue, Json

_BUCKET, _TRADE_EVERY, _TRADES, _PAGE = 43_200, 1_800, 3_000, 1_000


def v2_prices(catalogue: Catalogue, name: str, params: QueryParams) -> tuple[int, Any]:
    """The latest observation: the bucket that holds `as_of`, so it may end later; after the closing the settlement."""
    if ("as_of" in params) + ("start" in params) + ("interval" in params) != 1:
        return 400, _error("invalid_request", "exactly one of start, interval and as_of is required", "as_of")
    index = catalogue.find("token", params.get("token_id", ""))
    if index is None or "as_of" not in params:
        return 200, _page([])
    row, as_of = catalogue.row(index), int(params["as_of"])
    closed = instant(row.get("closedTime"))
    if closed is not None and as_of >= closed.timestamp():
        token = orjson.loads(row["clobTokenIds"]).index(params["token_id"])
        payout = float(orjson.loads(row["outcomePrices"])[token])
        return 200, _page([{"timestamp": int(closed.timestamp()), "price": payout, "resolution_seconds": 0}])
    start = as_of // _BUCKET * _BUCKET - (_BUCKET if index % 2 else 0)
    points = catalogue.history(params["token_id"], start, start + _BUCKET, 60)
    return 200, _page([{"timestamp": start, "price": points[0]["p"], "resolution_seconds": _BUCKET}] if points else [])


def trades(catalogue: Catalogue, name: str, params: QueryParams) -> tuple[int, Any]:
    """Newest first; `start` and `end` are ignored for a market. One in twenty has an outcome that nobody could name."""
    condition = params.get("condition", "")
    index = catalogue.find("conditionId", condition)
    closed = None if index is None else instant(catalogue.row(index).get("closedTime"))
    if index is None or closed is None:
        return 200, _page([])
    tokens = orjson.loads(catalogue.row(index)["clobTokenIds"])
    first = int(params.get("cursor", 0))
    rows: list[Json] = []
    for number in range(first, min(first + _PAGE, _TRADES)):
        at, side = int(closed.timestamp()) - 60 - number * _TRADE_EVERY, number % 2
        points = catalogue.history(tokens[side], at - 60, at, 1)
        if not points:
            break
        row = {"condition_id": condition, "token_id": tokens[side], "outcome_index": 999 if number % 20 == 7 else side}
        rows.append(row | {"price": points[-1]["p"], "size": 10.0 + number % 7, "side": "BUY", "timestamp": at})
    more = str(first + _PAGE) if len(rows) == _PAGE else None
    return 200, _page(rows, more)


def resolutions(catalogue: Catalogue, name: str, params: QueryParams) -> tuple[int, Any]:
    """Condition ids joined by commas, at most 20; what is not known is left out."""
    asked = params.get("condition", "").split(",")
    if len(asked) > 20:
        return 400, _error("invalid_request", "at most 20 distinct values", "condition")
    answer: list[Json] = []
    for condition in asked:
        index = catalogue.find("conditionId", condition)
        if index is None:
            continue
        row = catalogue.row(index)
        status = row.get("umaResolutionStatus", "posed")
        found = {"condition_id": condition, "status": status, "last_update_timestamp": row["updatedAt"]}
        if status == "resolved":
            found["payouts"] = [int(float(price) * 1_000_000) for price in orjson.loads(row["outcomePrices"])]
        answer.append(found)
    return 200, {"data": answer}


def _page(rows: list[Json], cursor: str | None = None) -> Json:
    paging = {"limit": _PAGE, "offset": 0, "has_more": cursor is not None, "next_cursor": cursor}
    return {"data": rows, "pagination": paging}


def _error(code: str, text: str, parameter: str) -> Json:
    return {"error": text, "code": code, "parameter": parameter, "retryable": False, "trace_id": "stand-in"}
