"""Pacing changes when a reply comes, never which."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from coordeval.agents.failures import ModelAccessError, PatienceExhausted, RequestRefused, Unavailable
from coordeval.agents.messages import ModelError, Reply, Request, Slot, Usage
from coordeval.agents.pacing import PAGES, Paced
from coordeval.market_data.errors import CoordevalError

REQUEST = Request(model="m", system="", messages=[], tools=[], max_tokens=1, sampling={})
SLOT = Slot(replicate=0, k=0, forecast_id="f", market_id="m", configuration="c", ask=0, turn=0)
REPLY = Reply(
    content=[], stop_reason="end_turn", model="m", usage=Usage(input_tokens=1, output_tokens=1), micro_usd=1, seconds=0
)


class Watched:
    """A model that counts the calls that run at once and notes when each started."""

    def __init__(self, seconds: float = 0.01) -> None:
        self.identity = {"provider": "test", "model": "m"}
        self.seconds, self.running, self.most = seconds, 0, 0
        self.starts: list[float] = []

    async def complete(self, request: Request, slot: Slot) -> Reply:
        self.starts.append(time.monotonic())
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(self.seconds)
        self.running -= 1
        return REPLY


async def run(model: Paced, calls: int) -> list[Reply]:
    return await asyncio.gather(*(model.complete(REQUEST, SLOT) for _ in range(calls)))


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_at_most_so_many_calls_run_at_once(concurrency):
    model = Watched()
    assert await run(Paced(model, concurrency=concurrency), 7) == [REPLY] * 7
    assert model.most == concurrency


async def test_starts_are_spaced_evenly_without_an_opening_burst():
    model = Watched(seconds=0)
    await run(Paced(model, concurrency=10, requests_per_minute=1200), 5)  # one each 50 ms
    gaps = [later - earlier for earlier, later in zip(model.starts, model.starts[1:], strict=False)]
    assert min(gaps) > 0.04
    assert sum(gaps) < 30  # a pace, not a pause of minutes; how long it is exactly is the clock of a busy machine


async def test_a_failed_or_cancelled_call_gives_its_place_back():
    model = Watched(seconds=10)
    paced = Paced(model, concurrency=1)
    call = asyncio.create_task(paced.complete(REQUEST, SLOT))
    await asyncio.sleep(0)
    call.cancel()
    model.seconds = 0
    async with asyncio.timeout(60):
        assert await paced.complete(REQUEST, SLOT) == REPLY


def test_the_identity_is_the_models():
    model = Watched()
    assert Paced(model, concurrency=1).identity is model.identity


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"concurrency": 0}, "concurrency is 0; it must be at least 1"),
        ({"concurrency": 1, "requests_per_minute": 0}, "requests_per_minute is 0; it must be above 0"),
    ],
)
def test_a_pace_that_cannot_be_kept_is_refused(options, message):
    with pytest.raises(CoordevalError, match=message):
        Paced(Watched(), **options)


# --- waiting


class Scripted:
    """A model that raises or answers what `script` says of the n-th call, and notes how many run at once, and when."""

    def __init__(self, script: Callable[[int], Exception | None]) -> None:
        self.identity = {"model": "m"}
        self.script, self.calls, self.running = script, 0, 0
        self.starts: list[float] = []
        self.together: list[int] = []

    async def complete(self, request: Request, slot: Slot) -> Reply:
        number, self.calls = self.calls, self.calls + 1
        self.starts.append(time.monotonic())
        self.running += 1
        self.together.append(self.running)
        try:
            await asyncio.sleep(0.002)
            if (problem := self.script(number)) is not None:
                raise problem
            return REPLY
        finally:
            self.running -= 1


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr("coordeval.agents.pacing.FIRST_WAIT", 0.002)
    monkeypatch.setattr("coordeval.agents.pacing.LONGEST_WAIT", 0.02)


def busy(wait: float | None = None) -> Unavailable:
    return Unavailable("HTTP 529", wait=wait, overloaded=True)


async def test_an_overload_fails_no_call_however_many_there_are_and_however_long_it_lasts():
    model = Scripted(lambda number: busy() if number < 40 else None)
    paced = Paced(model, concurrency=8)
    async with asyncio.timeout(20):
        assert await run(paced, 30) == [REPLY] * 30
    assert paced.holding is None


async def test_while_the_server_asks_to_wait_no_call_starts_and_the_reason_can_be_seen():
    model = Scripted(lambda number: busy(0.3) if number == 0 else None)
    paced = Paced(model, concurrency=8)
    calls = asyncio.create_task(run(paced, 20))
    await asyncio.sleep(0.1)
    hold = paced.holding
    assert hold is not None
    assert hold.reason == "HTTP 529"
    assert (hold.until - hold.since).total_seconds() == pytest.approx(0.3, abs=0.05)
    async with asyncio.timeout(5):
        assert await calls == [REPLY] * 20
    after = [start for start in model.starts if start > model.starts[0] + 0.05]
    assert min(after) - model.starts[0] >= 0.3
    assert paced.holding is None


async def test_after_an_overload_calls_come_back_one_by_one():
    model = Scripted(lambda number: busy(0.02) if number < 16 else None)
    await run(Paced(model, concurrency=16), 100)
    assert model.together[16] == 1, "the first that tries again is alone"
    assert model.together[17:19] == [1, 2], "each answer lets one more run beside it"
    assert max(model.together[19:]) > 4


async def test_one_fault_of_the_server_does_not_send_everybody_back_to_the_start():
    model = Scripted(lambda number: Unavailable("HTTP 500") if number == 0 else None)
    await run(Paced(model, concurrency=16), 60)
    assert max(model.together[16:30]) >= 7


async def test_failures_of_calls_that_were_under_way_are_one_overload_not_many():
    model = Scripted(lambda number: busy() if number < 64 else None)
    paced = Paced(model, concurrency=64)
    await run(paced, 64)
    assert model.calls == 128, "each was asked once more, after one pause"


@pytest.mark.parametrize(
    ("patience", "wait", "words"),
    [
        (0.05, None, r"the server took no call for 0 s; patience_minutes = .* in \[run\] is over\. Last it was: HTTP 529"),
        (60.0, 3600.0, r"it asks to wait 60 min more; patience_minutes = 1 in \[run\] is over"),
        (60.0, float("inf"), r"it asks to wait"),
        (0.0, None, r"patience_minutes = 0 in \[run\] is over"),
    ],
)
async def test_when_patience_is_over_every_call_says_so_and_none_is_a_failure_of_its_own(patience, wait, words):
    model = Scripted(lambda number: busy(wait))
    paced = Paced(model, concurrency=4, patience=patience)
    async with asyncio.timeout(5):
        results = await asyncio.gather(*(paced.complete(REQUEST, SLOT) for _ in range(50)), return_exceptions=True)
    assert {type(result) for result in results} == {PatienceExhausted}
    asked = model.calls
    with pytest.raises(PatienceExhausted, match=words):
        await paced.complete(REQUEST, SLOT)
    assert model.calls == asked


async def test_an_hour_is_waited_where_patience_allows_an_hour():
    paced = Paced(Scripted(lambda number: busy(3600.0)), concurrency=1, patience=3600.0)
    call = asyncio.create_task(paced.complete(REQUEST, SLOT))
    await asyncio.sleep(0.05)
    assert paced.holding is not None
    assert (paced.holding.until - paced.holding.since).total_seconds() == pytest.approx(3600, abs=1)
    call.cancel()
    await asyncio.wait([call])
    await paced.aclose()


async def test_what_stops_the_run_is_said_to_all_and_asked_once_each_at_most():
    model = Scripted(lambda number: ModelAccessError("HTTP 401"))
    paced = Paced(model, concurrency=3)
    results = await asyncio.gather(*(paced.complete(REQUEST, SLOT) for _ in range(50)), return_exceptions=True)
    assert {type(result) for result in results} == {ModelAccessError}
    assert model.calls == 3, "those that were under way, and no more"


async def test_a_call_that_fails_while_others_are_answered_is_left_open():
    class OneBad(Scripted):
        async def complete(self, request: Request, slot: Slot) -> Reply:
            self.script = lambda number: Unavailable("HTTP 500") if slot.k else None
            return await super().complete(request, slot)

    paced = Paced(OneBad(lambda number: None), concurrency=4, tries=3)
    bad = asyncio.create_task(paced.complete(REQUEST, replace(SLOT, k=1)))
    async with asyncio.timeout(20):
        while not bad.done():
            await paced.complete(REQUEST, SLOT)
    with pytest.raises(ModelError, match="HTTP 500, also in try 3 of 3") as caught:
        await bad
    assert caught.value.retryable


async def test_a_call_that_is_always_too_slow_is_left_open_although_nobody_else_asks():
    model = Scripted(lambda number: Unavailable("no reply within 600 s", own=True))
    with pytest.raises(ModelError, match="also in try 5 of 5"):
        await Paced(model, concurrency=1).complete(REQUEST, SLOT)
    assert model.calls == 5


async def test_pages_in_place_of_replies_stop_the_run_unless_the_address_answered_before():
    model = Scripted(lambda number: Unavailable("text/html", page=True))
    with pytest.raises(ModelAccessError, match="text/html: base_url is not the address of a Messages API"):
        await Paced(model, concurrency=1).complete(REQUEST, SLOT)
    assert model.calls == PAGES
    late = Scripted(lambda number: Unavailable("text/html", page=True) if 0 < number < 9 else None)
    paced = Paced(late, concurrency=1)
    assert await run(paced, 3) == [REPLY] * 3


async def test_a_refused_request_shows_that_the_server_is_there():
    script = [busy(), RequestRefused("HTTP 400"), None]
    paced = Paced(Scripted(lambda number: script[number]), concurrency=1)
    with pytest.raises(RequestRefused):
        await paced.complete(REQUEST, SLOT)
    assert paced.holding is None
    assert await paced.complete(REQUEST, SLOT) == REPLY


async def test_a_call_that_is_cancelled_while_it_waits_holds_nobody_up():
    model = Scripted(lambda number: busy(0.1) if number == 0 else None)
    paced = Paced(model, concurrency=1)
    calls = [asyncio.create_task(paced.complete(REQUEST, SLOT)) for _ in range(6)]
    await asyncio.sleep(0.05)
    for call in calls[1:4]:
        call.cancel()
    async with asyncio.timeout(5):
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(result, Reply) for result in results] == [True, False, False, False, True, True]


@pytest.mark.parametrize(("answered", "stops"), [(False, "nobody did before"), (True, "took no call")])
async def test_an_address_where_nobody_ever_answered_is_not_waited_for_as_long_as_one_that_did(monkeypatch, answered, stops):
    """A wrong port and a server that went down look alike, but for what was there before."""
    monkeypatch.setattr("coordeval.agents.pacing.FIRST_CONTACT", 0.1)
    monkeypatch.setattr("coordeval.agents.pacing.FIRST_WAIT", 0.05)

    class Gone(Watched):
        async def complete(self, request: Request, slot: Slot) -> Reply:
            if answered and not self.starts:
                return await super().complete(request, slot)
            raise Unavailable("connection refused", overloaded=True, unreachable=True)

    paced = Paced(Gone(seconds=0), concurrency=2, patience=1.0)
    if answered:
        await paced.complete(REQUEST, SLOT)
    with pytest.raises(PatienceExhausted, match=stops):
        await paced.complete(REQUEST, SLOT)


async def test_of_calls_that_wait_the_one_goes_first_that_most_others_have_to_follow():
    """Cells of "long" make three calls one after the other, those of "short" one, as is seen once one of each has ended."""
    order: list[str] = []

    class Named(Watched):
        async def complete(self, request: Request, slot: Slot) -> Reply:
            order.append(slot.forecast_id)
            return await super().complete(request, slot)

    paced = Paced(Named(), concurrency=1)

    async def cell(name: str, calls: int) -> None:
        for _ in range(calls):
            await paced.complete(REQUEST, replace(SLOT, forecast_id=name, configuration=name.rstrip("12345")))

    await cell("short1", 1)
    await cell("long1", 3)
    order.clear()
    await asyncio.gather(cell("short2", 1), cell("short3", 1), cell("long2", 3), cell("short4", 1), cell("long3", 3))
    assert order == ["short2", "long2", "long3", "long2", "long3", "short3", "short4", "long2", "long3"]
