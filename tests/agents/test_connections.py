"""Hundreds of calls at once go by several clients of one kind; together they behave as one."""

import asyncio

import httpx2

from coordeval.agents.anthropic_model import SpreadClient
from coordeval.agents.connections import MOST
from coordeval.agents.standin import Faults, Running, StandIn

NOBODY = {"authorization": "Bearer x"}


async def test_each_client_has_few_calls_and_all_are_answered_and_closed():
    with Running(StandIn(Faults(seconds=0.2))) as server:
        client = SpreadClient()
        asked = [client.get(f"{server.url}/v1/models/m{n}", headers=NOBODY) for n in range(2 * MOST + 1)]
        replies = await asyncio.gather(*asked)
        assert [reply.status_code for reply in replies] == [401] * len(asked)
        assert len(client._all) == 3
        assert [one._under_way for one in client._all] == [0, 0, 0]
        again = await client.get(f"{server.url}/v1/models/m", headers=NOBODY)
        assert again.status_code == 401
        assert len(client._all) == 3
        await client.aclose()
    assert all(one.is_closed for one in client._all)


async def test_a_call_that_fails_gives_its_place_back():
    client = SpreadClient()
    for _ in range(3):
        try:
            await client.get("http://127.0.0.1:9/")
        except httpx2.ConnectError:
            continue
    assert [one._under_way for one in client._all] == [0]
    await client.aclose()
