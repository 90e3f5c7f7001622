"""What the server says of its rate limit, a pace in tokens, and a breaker where nothing is answered any more."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar

import pytest

from coordeval.agents import rate_limits
from coordeval.agents.breaker import BREAKER
from coordeval.agents.failures import PatienceExhausted, RequestRefused
from coordeval.agents.messages import Room
from coordeval.agents.pacing import Paced
from coordeval.agents.tokens import Tokens
from tests.agents.test_pacing import REPLY, REQUEST, SLOT

A = "anthropic-ratelimit"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, None),
        ({f"{A}-requests-remaining": "7", f"{A}-requests-reset": "2026-11-30T00:00:30Z"}, (7, 30)),
        ({f"{A}-tokens-remaining": "900", f"{A}-tokens-reset": "2026-11-30T00:00:30Z"}, None),
        ({f"{A}-input-tokens-remaining": "0", f"{A}-input-tokens-reset": "2026-11-30T00:01:00Z"}, (0, 60)),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "1m30.5s"}, (3, 90.5)),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "20ms"}, (3, 0.02)),
        ({"x-ratelimit-remaining-requests": "many", "x-ratelimit-reset-requests": "soon"}, None),
        ({f"{A}-requests-remaining": "0", f"{A}-requests-reset": "yesterday"}, None),
        ({f"{A}-requests-remaining": "0", f"{A}-requests-reset": "2020-01-01T00:00:00Z"}, (0, 0)),
    ],
)
def test_what_a_rate_limit_still_takes_is_read_whatever_the_headers_hold(headers, found):
    room = rate_limits.room(headers, datetime(2026, 11, 30, tzinfo=UTC))
    assert (None if room is None else (room.calls, room.seconds)) == found


class Roomy:
    """Answers at once, and says `rooms` of its rate limit, one after the other."""

    identity: ClassVar = {"model": "m"}

    def __init__(self, *rooms: Room | None) -> None:
        self.rooms, self.calls = list(rooms), 0

    async def complete(self, request, slot):
        self.calls += 1
        room = self.rooms.pop(0) if self.rooms else None
        return replace(REPLY, room=room)


async def test_a_rate_limit_that_is_used_up_holds_the_next_call_before_it_is_refused():
    model = Roomy(Room(0, 0.05))
    paced = Paced(model, concurrency=4)
    await paced.complete(REQUEST, SLOT)
    assert paced.holding is not None
    assert "rate limit is used up" in paced.holding.reason
    async with asyncio.timeout(60):
        await paced.complete(REQUEST, SLOT)
    assert paced.holding is None


async def test_no_more_calls_run_at_once_than_the_rate_limit_still_takes():
    paced = Paced(Roomy(Room(2, 30.0)), concurrency=50)
    await paced.complete(REQUEST, SLOT)
    assert int(paced._places._allowed) == 2


async def test_calls_that_all_fail_stop_the_run_with_the_reason():
    class Refusing(Roomy):
        async def complete(self, request, slot):
            self.calls += 1
            raise RequestRefused("HTTP 400: tools are not supported")

    model = Refusing()
    paced = Paced(model, concurrency=4)
    results = await asyncio.gather(*(paced.complete(REQUEST, SLOT) for _ in range(400)), return_exceptions=True)
    stopped = [error for error in results if isinstance(error, PatienceExhausted)]
    assert BREAKER <= model.calls < BREAKER + 4
    assert len(stopped) == 400 - model.calls
    assert "50 calls in a row failed and none was answered" in str(stopped[0])
    assert "tools are not supported" in str(stopped[0])


async def test_one_answer_among_failures_keeps_a_run_going():
    class Mostly(Roomy):
        async def complete(self, request, slot):
            self.calls += 1
            if self.calls % 40:
                raise RequestRefused("HTTP 400: this one")
            return REPLY

    paced = Paced(Mostly(), concurrency=1)
    results = await asyncio.gather(*(paced.complete(REQUEST, SLOT) for _ in range(200)), return_exceptions=True)
    assert not any(isinstance(error, PatienceExhausted) for error in results)


async def test_a_pace_in_tokens_spaces_calls_by_what_they_hold(monkeypatch):
    waits = []

    async def sleep(seconds):
        waits.append(round(seconds, 3))

    tokens = Tokens(60_000)  # a thousand a second
    monkeypatch.setattr("coordeval.agents.tokens.asyncio.sleep", sleep)
    tokens.learn(100)
    own = len(REQUEST.encoded) / 4 + min(100, REQUEST.max_tokens)
    for _ in range(3):
        await tokens.take(REQUEST)
    assert waits == pytest.approx([0, own / 1000, 2 * own / 1000], abs=0.05)
