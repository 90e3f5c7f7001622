"""A local Kalshi, Manifold and Metaculus: generated payloads of the documented shapes, with the documented quirks.

`/kalshi`, `/manifold` and `/metaculus` of one ASGI app, for tests in process (httpx.ASGITransport) and as a server:
`python -m coordeval.market_data.venues.standin --port 8766`, then `--base-url http://127.0.0.1:8766/kalshi`. All that
is served is made up. Quirks: limits are clamped in silence, the archive takes no time filter, several markets share a
millisecond, a cursor is "" at the end, a history may be missing, and with `leaky` a candle comes that ends after the window.
"""

import argparse
import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from coordeval.market_data.standin.announced import announced, serve
from coordeval.market_data.standin.faults import Faults
from coordeval.market_data.venues.standin_world import BORDER, Answer, GeneratedVenues, iso

TOKEN = "stand-in"


def venues_app(world: GeneratedVenues | None = None, faults: Faults | None = None) -> Starlette:
    """Serve `world`; of `faults` the kinds that befall any answer (429, 500, cut body, error or HTML with 200, slow)."""
    served = world or GeneratedVenues()

    def route(path: str, handler: Callable[[Request], Answer]) -> Route:
        async def answer(request: Request) -> Response:
            fault = faults.draw() if faults else ""
            if fault == "slow" and faults:
                await asyncio.sleep(faults.seconds)
            return _spoilt(fault, *handler(request))

        return Route(path, answer)

    def metaculus(handler: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
        refused = 401, {"detail": "Authentication credentials were not provided."}
        return lambda asked: handler(asked) if asked.headers.get("authorization") == f"Token {TOKEN}" else refused

    def post(asked: Request) -> Answer:
        i = int(asked.path_params["id"]) - 1000
        known = 0 <= i < served.markets
        return (200, served.metaculus_post(i, history=True)) if known else (404, {"detail": "Not found."})

    def candles(asked: Request) -> Answer:
        archived = "historical" in asked.url.path
        return served.kalshi_candles(asked.path_params["ticker"], asked.query_params, archived=archived)

    app = Starlette(
        routes=[
            route("/kalshi/historical/cutoff", lambda asked: (200, {"market_settled_ts": iso(BORDER)})),
            route("/kalshi/markets", lambda asked: served.kalshi_markets(asked.query_params, archived=False)),
            route("/kalshi/historical/markets", lambda asked: served.kalshi_markets(asked.query_params, archived=True)),
            route("/kalshi/series/{series}/markets/{ticker}/candlesticks", candles),
            route("/kalshi/historical/markets/{ticker}/candlesticks", candles),
            route("/manifold/search-markets", lambda asked: served.manifold_markets(asked.query_params)),
            route("/manifold/bets", lambda asked: served.manifold_bets(asked.query_params)),
            route("/metaculus/posts/", metaculus(lambda asked: served.metaculus_posts(asked.query_params))),
            route("/metaculus/posts/{id}/", metaculus(post)),
            route(
                "/kalshi/markets/{ticker}", lambda asked: served.kalshi_market(asked.path_params["ticker"], archived=False)
            ),
            route(
                "/kalshi/historical/markets/{ticker}",
                lambda asked: served.kalshi_market(asked.path_params["ticker"], archived=True),
            ),
            route("/manifold/market/{id}", lambda asked: served.manifold_market(asked.path_params["id"])),
        ]
    )
    app.add_middleware(announced)
    return app


def _spoilt(fault: str, status: int, payload: Any) -> Response:
    body = orjson.dumps(payload)
    match fault:
        case "429" | "429 with Retry-After":
            return Response(b"slow down", 429, {"Retry-After": "0"} if "Retry" in fault else None)
        case "500":
            return Response(b'{"message": "internal error"}', 500)
        case "error with 200":
            return Response(b'{"error": "Too Many Requests"}', media_type="application/json")
        case "html with 200":
            return Response(b"<html><title>Just a moment...</title></html>", media_type="text/html")
        case "cut body":
            body = body[: len(body) // 2]
    return Response(body, status, media_type="application/json")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m coordeval.market_data.venues.standin", description=__doc__)
    parser.add_argument("--markets", type=int, default=500, help="how many markets of each venue to generate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault-rate", type=float, default=0.0, help="share of answers that each kind of fault befalls")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8766)
    asked = parser.parse_args()
    faults = Faults(asked.fault_rate, asked.seed) if asked.fault_rate else None
    app = venues_app(GeneratedVenues(asked.markets, asked.seed), faults)
    serve(app, asked.host, asked.port, "/kalshi, /manifold and /metaculus")


if __name__ == "__main__":
    main()
