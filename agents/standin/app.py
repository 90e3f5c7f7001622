"""The stand-in's routes: messages, token counts, models and batches, as one ASGI app."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from coordeval.agents.capabilities import EFFORTS, base_id, listed
from coordeval.agents.standin.answers import Answer, Answering, Json, error
from coordeval.agents.standin.batches import Batches
from coordeval.agents.standin.checks import BATCH, COUNT, MESSAGE, refusal
from coordeval.agents.standin.faults import Faults

KEY = "stand-in-key-0123456789"
"""The key that the stand-in takes where it is given none; it is nobody's."""


class StandIn:
    """What is served, and what was seen. `seen` holds (headers, body) of every call of /v1/messages, refused ones too."""

    def __init__(self, faults: Faults | None = None, *, key: str = KEY, seed: int = 1, sampled: bool = True) -> None:
        self.key = key
        self.faults = faults or Faults(seed=seed)
        self.seen: list[tuple[Mapping[str, str], Json]] = []
        self.under_way = self.most_under_way = 0
        self._answering = Answering(seed=seed, sampled=sampled)
        self.batches = Batches(self.answer, self.faults)

    @property
    def app(self) -> ASGIApp:
        one = "/v1/messages/batches/{id}"
        routes = [
            self._route("/v1/messages", "POST", self._message),
            self._route("/v1/chat/completions", "POST", self._chat),
            self._route("/v1/messages/count_tokens", "POST", self._count),
            self._route("/v1/messages/batches", "POST", self._create),
            self._route("/v1/messages/batches", "GET", self._get(lambda asked: self.batches.listed())),
            self._route(one, "GET", self._get(lambda asked: self.batches.retrieve(asked.path_params["id"]))),
            self._route(f"{one}/cancel", "POST", self._get(lambda asked: self.batches.cancel(asked.path_params["id"]))),
            self._route(f"{one}/results", "GET", self._results),
            self._route("/v1/models/{id}", "GET", self._get(lambda asked: _model(asked.path_params["id"]))),
        ]
        return _with_resets(Starlette(routes=routes))

    async def answer(self, body: Json) -> Answer:
        """What a valid request, or an item of a batch, gets before anything befalls it."""
        return Answer(body=await self._answering.message(body))

    def _route(self, path: str, method: str, handler: Callable[[Request], Awaitable[Answer]]) -> Route:
        async def served(request: Request) -> Response:
            answer = await handler(request)
            if answer.delay:
                await asyncio.sleep(answer.delay)
            content = answer.body if isinstance(answer.body, bytes) else orjson.dumps(answer.body)
            if answer.reset:
                return Response(headers={_RESET: "1"})
            if answer.stream is not None:
                return StreamingResponse(answer.stream(), headers=dict(answer.headers), media_type=answer.kind)
            if not answer.cut:
                return Response(content, answer.status, dict(answer.headers), answer.kind)
            return StreamingResponse(_half(content), headers={"content-length": str(len(content))}, media_type=answer.kind)

        return Route(path, served, methods=[method])

    async def _message(self, request: Request) -> Answer:
        begins = time.monotonic()
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            body = _parsed(await request.body())
            self.seen.append((dict(request.headers), body))
            if (refused := refusal(request.headers, body, self.key, MESSAGE)) is not None:
                return refused
            ends = begins + self.faults.delay()
            answer = self.faults.spoilt(self.faults.draw(), body, await self.answer(body))
            await _until(ends)
            return answer
        finally:
            self.under_way -= 1

    async def _chat(self, request: Request) -> Answer:
        """The same through an endpoint for chat completions."""
        from coordeval.agents.standin import chat

        begins = time.monotonic()
        body = _parsed(await request.body())
        self.seen.append((dict(request.headers), body))
        if (refused := chat.refusal(request.headers, body, self.key)) is not None:
            return refused
        asked = chat.as_message(body)
        answer = self.faults.spoilt(self.faults.draw(), asked, await self.answer(asked))
        await _until(begins + self.faults.delay())
        return chat.as_completion(answer)

    async def _count(self, request: Request) -> Answer:
        content = await request.body()
        body = _parsed(content)
        refused = refusal(request.headers, body, self.key, COUNT)
        return refused or Answer(body={"input_tokens": len(content) // 4})

    async def _create(self, request: Request) -> Answer:
        content = await request.body()
        body = _parsed(content)
        refused = refusal(request.headers, body, self.key, BATCH)
        if refused is not None:
            return refused
        if (fault := self.faults.draw()) in ("429", "429 with retry-after", "529", "500", "no credit", "401", "404", "400"):
            return self.faults.spoilt(fault, body, Answer())
        return self.batches.create(body, len(content))

    async def _results(self, request: Request) -> Answer:
        return self._refused(request) or await self.batches.results(request.path_params["id"])

    def _get(self, handler: Callable[[Request], Answer]) -> Callable[[Request], Awaitable[Answer]]:
        async def answered(request: Request) -> Answer:
            return self._refused(request) or handler(request)

        return answered

    def _refused(self, request: Request) -> Answer | None:
        wrong = request.headers.get("authorization") != f"Bearer {self.key}"
        return error(401, "authentication_error", "invalid bearer token") if wrong else None


async def _until(ends: float) -> None:
    """What making an answer takes is part of how long it takes."""
    if (left := ends - time.monotonic()) > 0:
        await asyncio.sleep(left)


def _parsed(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None


def _model(id_: str) -> Answer:
    """What it takes is what the table of known models says; of the others it says nothing."""
    known = next((row for row in listed() if row["id"] == base_id(id_)), None)
    told: Json = {"id": id_, "type": "model", "display_name": id_, "created_at": "2026-01-01T00:00:00Z"}
    if known is not None and known["effort"] is not None:
        levels = {level: {"supported": level in known["effort"]} for level in EFFORTS}
        told["capabilities"] = {"effort": {"supported": bool(known["effort"]), **levels}}
    return Answer(body=told)


async def _half(content: bytes) -> Any:
    yield content[: len(content) // 2]


_RESET = "x-stand-in-reset"


def _with_resets(app: ASGIApp) -> ASGIApp:
    """`app`, but that an answer which is marked so ends the connection instead (uvicorn's own, not an in-process one)."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        async def watched(event: Any) -> None:
            if event["type"] == "http.response.start" and any(name == _RESET.encode() for name, _ in event["headers"]):
                transport = getattr(getattr(send, "__self__", None), "transport", None)
                if transport is not None:
                    transport.abort()
            await send(event)

        await app(scope, receive, watched)

    return served
