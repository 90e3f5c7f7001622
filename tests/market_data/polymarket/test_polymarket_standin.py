"""The stand-in has the traps that the real services have, by name, and says the same thing every time."""

from collections import Counter

import httpx
import orjson
import pytest
from polymarket_case import ALL_TIME, AT, RECORDED, client_of, listing, markets, needs_recordings

from coordeval.market_data.errors import DataError
from coordeval.market_data.polymarket import markets_by_condition, parse_market
from coordeval.market_data.standin import FAULTS, Faults, Recorded, polymarket_app
from coordeval.market_data.standin.world import KINDS

WORLD = markets(2600)


async def ask(path, catalogue=WORLD, faults=None):
    app = httpx.ASGITransport(polymarket_app(catalogue, faults))
    async with httpx.AsyncClient(transport=app, base_url="http://stand-in") as client:
        answer = await client.get(path)
        return answer.status_code, answer.json()


def resolved():
    return next(i for i in range(100) if WORLD.truth(i).kind == "resolved")


class TestGammaTraps:
    async def test_an_unknown_parameter_is_ignored_and_the_default_list_served(self):
        _, default = await ask("/gamma/markets")
        for name in ("condition_id", "market", "conditionId"):
            assert await ask(f"/gamma/markets?{name}={WORLD.truth(resolved()).condition_id}") == (200, default)

    async def test_closed_is_false_unless_said(self):
        condition = WORLD.truth(resolved()).condition_id
        assert await ask(f"/gamma/markets?condition_ids={condition}") == (200, [])
        _, found = await ask(f"/gamma/markets?condition_ids={condition}&closed=true")
        assert [row["conditionId"] for row in found] == [condition]
        assert all(not row["closed"] for row in (await ask("/gamma/markets/keyset"))[1]["markets"])

    async def test_a_list_joined_by_commas_finds_nothing(self):
        a, b = (WORLD.truth(i).condition_id for i in range(2))
        assert await ask(f"/gamma/markets?closed=true&condition_ids={a},{b}") == (200, [])
        assert len((await ask(f"/gamma/markets?closed=true&condition_ids={a}&condition_ids={b}"))[1]) == 2

    @pytest.mark.parametrize("limit", [100, 500, 1000])
    async def test_a_limit_is_clamped_to_a_hundred(self, limit):
        assert len((await ask(f"/gamma/markets/keyset?closed=true&limit={limit}"))[1]["markets"]) == 100

    @pytest.mark.parametrize(
        ("path", "error"),
        [
            ("/gamma/markets?offset=3000", "offset too large"),
            ("/gamma/markets/keyset?offset=0", "offset is not allowed"),
            ("/gamma/markets/keyset?order=volume_num", "order fields are not valid"),
            ("/gamma/markets?order=closed_time", "order fields are not valid"),
        ],
    )
    async def test_what_is_refused_with_422(self, path, error):
        status, body = await ask(path)
        assert status == 422
        assert error in body["error"]

    @pytest.mark.parametrize("name", ["cursor", "next_cursor"])
    async def test_a_cursor_under_a_wrong_name_serves_page_one_for_ever(self, name):
        _, first = await ask("/gamma/markets/keyset?closed=true&limit=100")
        _, again = await ask(f"/gamma/markets/keyset?closed=true&limit=100&{name}={first['next_cursor']}")
        _, second = await ask(f"/gamma/markets/keyset?closed=true&limit=100&after_cursor={first['next_cursor']}")
        assert again == first
        assert not {row["id"] for row in first["markets"]} & {row["id"] for row in second["markets"]}

    async def test_the_last_page_has_no_cursor(self):
        assert "next_cursor" not in (await ask("/gamma/markets/keyset?closed=true&limit=100", markets(50)))[1]

    async def test_tags_come_only_when_asked_for(self):
        assert "tags" not in (await ask("/gamma/markets/keyset?closed=true"))[1]["markets"][0]
        assert "tags" in (await ask("/gamma/markets/keyset?closed=true&include_tag=true"))[1]["markets"][0]


class TestOtherTraps:
    async def test_more_than_fifteen_days_is_refused(self):
        token = WORLD.truth(resolved()).yes_token
        path = f"/clob/prices-history?market={token}&fidelity=1&startTs=1700000000&endTs="
        assert (await ask(f"{path}{1_700_000_000 + 1_296_000}"))[0] == 200
        status, body = await ask(f"{path}{1_700_000_000 + 1_296_001}")
        assert (status, body["error"]) == (400, "invalid filters: 'startTs' and 'endTs' interval is too long")

    async def test_the_least_fidelity_of_an_interval(self):
        assert (await ask("/clob/prices-history?market=1&interval=1w&fidelity=1"))[0] == 400

    async def test_an_unknown_token_has_an_empty_history(self):
        assert await ask("/clob/prices-history?market=5&startTs=1&endTs=2&fidelity=1") == (200, {"history": []})

    async def test_one_way_of_asking_the_data_api_at_a_time(self):
        status, body = await ask("/data/v2/prices-history?token_id=1&as_of=5&interval=max")
        assert (status, body["code"], body["parameter"]) == (400, "invalid_request", "as_of")

    @pytest.mark.parametrize("path", ["/gamma/markets/1", "/gamma/events/nine", "/clob/markets/0x0"])
    async def test_what_is_not_known(self, path):
        assert (await ask(path))[0] == 404


class TestGenerator:
    def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(self):
        first, again, other = markets(40, seed=3), markets(40, seed=3), markets(40, seed=4)
        rows = [orjson.dumps([world.row(i) for i in range(40)]) for world in (first, again, other)]
        assert rows[0] == rows[1] != rows[2]

    def test_every_kind_and_both_positions_of_yes_occur(self):
        truths = [WORLD.truth(i) for i in range(len(WORLD))]
        assert {truth.kind for truth in truths} == set(KINDS)
        firsts = Counter(WORLD.row(i)["outcomes"] for i in range(300))
        assert min(firsts['["Yes","No"]'], firsts['["No","Yes"]']) > 100

    def test_ids_find_their_market_and_nothing_else(self):
        for index in (0, 7, 2599):
            row = WORLD.row(index)
            assert WORLD.find("id", row["id"]) == index
            assert WORLD.find("conditionId", row["conditionId"]) == index
            assert all(WORLD.find("token", token) == index for token in orjson.loads(row["clobTokenIds"]))
        for name, value in (
            ("id", "500001"),
            ("id", "x"),
            ("conditionId", "0x" + "0" * 64),
            ("token", "1" * 77),
            ("token", ""),
        ):
            assert WORLD.find(name, value) is None

    def test_tokens_have_as_many_digits_as_real_ones(self):
        assert {len(token) for i in range(200) for token in orjson.loads(WORLD.row(i)["clobTokenIds"])} <= {76, 77}

    def test_at_most_one_leg_of_a_negative_risk_event_wins(self):
        wins = Counter()
        for index in range(len(WORLD)):
            read = parse_market(WORLD.row(index))
            if read.facts.neg_risk_id:
                wins[read.facts.neg_risk_id] += read.outcome.value or 0
        assert max(wins.values()) == 1


class TestFaults:
    @pytest.mark.parametrize("kind", [kind for kind in FAULTS if kind not in ("slow", "repeated page", "late point")])
    async def test_each_kind_spoils_an_answer(self, kind):
        app = httpx.ASGITransport(polymarket_app(WORLD, Faults(rate=1.0, seed=1, kinds=(kind,))))
        async with httpx.AsyncClient(transport=app, base_url="http://stand-in") as client:
            answer = await client.get("/gamma/markets")
        assert answer.status_code != 200 or b"<html>" in answer.content or not answer.content.endswith(b"]")

    def test_rates_are_kept_and_the_same_seed_draws_the_same(self):
        faults, again = Faults(rate=0.02, seed=5), Faults(rate=0.02, seed=5)
        drawn = [faults.draw() for _ in range(20_000)]
        assert drawn == [again.draw() for _ in range(20_000)]
        assert all(0.015 < faults.injected[kind] / 20_000 < 0.025 for kind in FAULTS)

    def test_no_rate_no_faults(self):
        assert Faults(rate=0.0, seed=1).draw() == ""

    @pytest.mark.parametrize("changes", [{"rate": 0.2}, {"rate": -1}, {"kinds": ("fire",)}])
    def test_faults_that_make_no_sense_are_refused(self, changes):
        with pytest.raises(DataError, match="faults:"):
            Faults(**{"rate": 0.01, "seed": 1} | changes)


@needs_recordings
class TestRecordings:
    async def test_recorded_markets_are_listed_like_any_other(self):
        catalogue = Recorded(RECORDED)
        async with client_of(catalogue) as client:
            rows, page = await listing(client, ALL_TIME)
            everything = await markets_by_condition(client, AT.gamma, [row["conditionId"] for row in catalogue.rows])
        closed = {row["id"] for row in catalogue.rows if row["closed"] and row["closedTime"] > "2023"}
        assert {row.facts.gamma_id for row in rows} == closed
        assert not page.so_far.refused
        assert len(everything.listed) == len(catalogue.rows)
        assert not everything.missing
