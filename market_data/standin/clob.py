"""The CLOB's part of the stand-in."""

from typing import Any

import orjson
from starlette.datastructures import QueryParams

from coordeval.market_data.standin.catalogue import Catalogue

_WINDOW = 1_296_000
_MIN_FIDELITY = {"1w": 5, "1m": 10}


def prices_history(catalogue: Catalogue, name: str, params: QueryParams) -> tuple[int, Any]:
    """Windows only: `interval` serves nothing, as it was reported for resolved markets at fine fidelity."""
    fidelity = int(params.get("fidelity", 1))
    if (interval := params.get("interval", "")) and fidelity < _MIN_FIDELITY.get(interval, 1):
        least = _MIN_FIDELITY[interval]
        return 400, {"error": f"invalid filters: minimum 'fidelity' for '{interval}' range is {least}"}
    if "startTs" not in params or "endTs" not in params:
        return 200, {"history": []}
    start, end = int(params["startTs"]), int(params["endTs"])
    if end - start > _WINDOW:
        return 400, {"error": "invalid filters: 'startTs' and 'endTs' interval is too long"}
    return 200, {"history": catalogue.history(params.get("market", ""), start, end, fidelity)}


def clob_market(catalogue: Catalogue, name: str, params: QueryParams) -> tuple[int, Any]:
    index = catalogue.find("conditionId", name)
    if index is None:
        return 404, {"error": "market not found"}
    row = catalogue.row(index)
    labels, tokens = orjson.loads(row["outcomes"]), orjson.loads(row["clobTokenIds"])
    prices = [float(price) for price in orjson.loads(row["outcomePrices"])]
    final = row["closed"] and "umaResolutionStatus" in row
    return 200, {
        "condition_id": name,
        "closed": row["closed"],
        "is_50_50_outcome": final and prices[0] == 0.5,
        "end_date_iso": row["endDate"][:10] + "T00:00:00Z",
        "tokens": [
            {"token_id": token, "outcome": label, "price": price, "winner": final and price == 1}
            for token, label, price in zip(tokens, labels, prices, strict=True)
        ],
    }
