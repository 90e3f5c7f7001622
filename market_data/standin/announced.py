"""What every stand-in does: it says in each answer that it is one, and prints its address when it begins."""

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coordeval.market_data.http import STAND_IN


def announced(app: ASGIApp) -> ASGIApp:
    """`app`, with the header that marks what it serves as made up."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), (STAND_IN.encode(), b"1")]}
            await send(message)

        await app(scope, receive, marked)

    return served


def serve(app: Any, host: str, port: int, paths: str) -> None:
    """Serve until it is stopped; its address is printed first, so that nobody has to guess it."""
    import uvicorn

    print(f"made-up data at http://{host}:{port} ({paths}); Ctrl-C ends it", flush=True)
    uvicorn.run(app, host=host, port=port, log_level="warning")
