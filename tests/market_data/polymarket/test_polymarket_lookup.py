"""Looking up by id: the answer is about what was asked, or it is an error."""

import httpx
import pytest
from polymarket_case import AT, a_row, answering, client_of, markets

from coordeval.market_data.errors import DataError
from coordeval.market_data.http import FetchError
from coordeval.market_data.polymarket import SchemaChange, clob_resolution, event, market, markets_by_condition, payouts

WORLD = markets(600)
OPEN = next(i for i in range(600) if WORLD.truth(i).kind == "open")
RESOLVED = next(i for i in range(600) if WORLD.truth(i).kind == "resolved")


def condition(index):
    return WORLD.truth(index).condition_id


async def test_resolved_and_open_markets_are_found_by_asking_twice():
    async with client_of(WORLD) as client:
        found = await markets_by_condition(
            client, AT.gamma, [condition(OPEN), condition(RESOLVED), condition(OPEN), "0xnone"]
        )
    assert set(found.listed) == {condition(OPEN), condition(RESOLVED)}
    assert found.missing == ("0xnone",)
    assert found.listed[condition(RESOLVED)].outcome.value == WORLD.truth(RESOLVED).value


async def test_any_number_of_ids_is_asked_for_in_requests_of_fifty():
    async with client_of(WORLD) as client:
        found = await markets_by_condition(client, AT.gamma, [condition(i) for i in range(600)])
        assert client.requests == 12 + 1  # the open ones are few
    assert len(found.listed) == 600
    assert not found.missing


async def test_a_parameter_that_is_ignored_serves_the_default_list_and_that_is_an_error():
    def misnamed(request):
        return [a_row(id="540816", conditionId="0x9c1a", closed=False, umaResolutionStatus=None)]

    async with answering(misnamed) as client:
        with pytest.raises(DataError, match=r"got 0x9c1a, which was not asked for.*condition_ids"):
            await markets_by_condition(client, AT.gamma, ["0xabc"])


async def test_the_same_market_twice_is_an_error():
    async with answering(lambda request: [a_row(), a_row()]) as client:
        with pytest.raises(DataError, match="not asked for once"):
            await markets_by_condition(client, AT.gamma, [a_row()["conditionId"]])


async def test_a_row_that_cannot_be_read_is_refused_and_not_called_missing(tmp_path):
    async with answering(lambda r: [a_row(question=None)] if r.url.params["closed"] == "true" else []) as client:
        found = await markets_by_condition(client, AT.gamma, [a_row()["conditionId"]], aside=tmp_path)
    assert (found.listed, found.missing) == ({}, ())
    assert "question" in found.refused[0].reason


async def test_one_market_by_gammas_number():
    async with client_of(WORLD) as client:
        read = await market(client, AT.gamma, WORLD.row(RESOLVED)["id"])
        assert read.market.id == condition(RESOLVED)
        with pytest.raises(FetchError, match="404") as caught:
            await market(client, AT.gamma, "1")
    assert caught.value.status == 404


async def test_another_market_than_asked_is_an_error():
    async with answering(lambda request: a_row(id="540816")) as client:
        with pytest.raises(DataError, match="market 7: the answer is about '540816'"):
            await market(client, AT.gamma, "7")


async def test_an_event_has_its_legs_in_its_cluster():
    first = next(i for i in range(600) if len(WORLD.legs(WORLD.row(i)["events"][0]["id"])) > 2)
    parent = WORLD.row(first)["events"][0]
    async with client_of(WORLD) as client:
        found = await event(client, AT.gamma, parent["id"])
    legs = WORLD.legs(parent["id"])
    assert {row.market.id for row in found.listed} == {condition(i) for i in legs}
    assert len({row.market.event_id for row in found.listed}) == 1
    assert found.listed[0].market.event_id == (
        f"neg-risk:{found.neg_risk_id}" if found.neg_risk_id else f"event:{parent['id']}"
    )


async def test_an_event_without_markets_is_a_changed_schema():
    async with answering(lambda request: {"id": "9"}) as client:
        with pytest.raises(SchemaChange, match="markets"):
            await event(client, AT.gamma, "9")


async def test_every_generated_resolution_is_confirmed_by_the_clob_and_the_payouts():
    async with client_of(WORLD) as client:
        ids = [condition(i) for i in range(60)]
        found = await markets_by_condition(client, AT.gamma, ids)
        paid = await payouts(client, AT.data, ids)
        assert set(paid) == set(ids)
        for id, read in found.listed.items():
            said = await clob_resolution(client, AT.clob, id)
            assert read.confirmed(clob=said, payouts=paid[id]) == read.outcome
        assert await clob_resolution(client, AT.clob, "0xnone") is None


async def test_another_resolution_than_asked_is_an_error():
    row = {"condition_id": "0xother", "status": "resolved", "payouts": [0, 1_000_000]}
    async with answering(lambda request: {"data": [row]}) as client:
        with pytest.raises(DataError, match="0xother"):
            await payouts(client, AT.data, ["0xasked"])


async def test_a_clob_error_other_than_unknown_is_not_taken_for_unknown():
    async with answering(lambda request: httpx.Response(401, json={"error": "Unauthorized/Invalid api key"})) as client:
        with pytest.raises(FetchError, match="401"):
            await clob_resolution(client, AT.clob, "0x1")
