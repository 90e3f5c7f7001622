"""A venue serves its text of today: what of it reaches a prompt, and what the certificate says of it, venue by venue."""

import asyncio
import json
from datetime import UTC, datetime

import duckdb
import httpx
import orjson
import pytest

from coordeval.flows.certificate.certificate import certificate
from coordeval.flows.certificate.leaks import details, leaks
from coordeval.flows.markets.pulling import pull_markets
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read
from coordeval.market_data.errors import DataError
from coordeval.market_data.standin import GeneratedMarkets, polymarket_app
from coordeval.market_data.venues import Query
from coordeval.market_data.venues.standin import TOKEN, venues_app
from coordeval.market_data.venues.standin_world import GeneratedVenues
from tests.flows.pulling_world import IMPATIENT
from tests.thinned import first_of

WINDOW = Query(after=datetime(2020, 1, 1, tzinfo=UTC), before=datetime(2027, 1, 1, tzinfo=UTC))
VENUES = {
    # the fields of its payload that a prompt may show
    "polymarket": ("description",),
    "kalshi": ("rules_primary",),
    "manifold": ("question",),
    "metaculus": ("resolution_criteria",),
}
DATED = "Additional context (Jan 5, 2037): the vote passed, resolves YES"
BARE = "The vote passed, resolves YES."


class Edited(httpx.AsyncBaseTransport):
    """The way to a stand-in whose market texts somebody has added `words` to."""

    def __init__(self, app, fields, words):
        self.inner, self.fields, self.words = httpx.ASGITransport(app), fields, words

    def _changed(self, value):
        if isinstance(value, list):
            return [self._changed(inner) for inner in value]
        if isinstance(value, dict):
            changed = {name: self._changed(inner) for name, inner in value.items()}
            for name in self.fields:
                if isinstance(changed.get(name), str):
                    changed[name] = f"{changed[name]}\n\n{self.words}" if self.words else changed[name]
            return changed
        return value

    async def handle_async_request(self, request):
        answer = await self.inner.handle_async_request(request)
        body = orjson.dumps(self._changed(orjson.loads(await answer.aread())))
        return httpx.Response(answer.status_code, content=body, headers={"content-type": "application/json"})


def pulled(path, venue, words, *, again=False):
    app = polymarket_app(GeneratedMarkets(60, 1)) if venue == "polymarket" else venues_app(GeneratedVenues(markets=60))
    base = "http://stand-in" if venue == "polymarket" else f"http://stand-in/{venue}"
    options = {"base_url": base, "transport": Edited(app, VENUES[venue], words), "patience": IMPATIENT, "again": again}
    with Ledger.open(path, purpose="test") as ledger:
        asyncio.run(pull_markets(ledger, venue, WINDOW, **options))


def studied(tmp_path, path, undated=None):
    """The certificate of the first forecast of a study of three markets, and every prompt."""
    sql = """SELECT market_id FROM markets JOIN current_outcomes o USING (market_id) WHERE status = 'resolved'
        AND opened_at IS NOT NULL AND resolved_at > opened_at + INTERVAL 2 HOUR ORDER BY ALL LIMIT 3"""
    ids = read(path).query(sql)["market_id"].to_list()
    spec = {"as_of": {"hours_before_resolution": 1}, "max_price_age_hours": 24, "hindsight": True}
    (tmp_path / "sample.json").write_text(json.dumps({"spec": spec, "market_ids": ids}))
    line = f'undated_text = "{undated}"' if undated else ""
    (tmp_path / "study.toml").write_text(
        f"""name = "texts-{undated or "default"}"
replicates = 1
configurations = ["single_agent"]
[markets]
source = "ledger"
sample = "sample.json"
{line}
[model]
provider = "simulated"
"""
    )
    loaded = load_study(tmp_path / "study.toml")
    with Ledger.open(path, purpose="test") as ledger:
        evaluation = open_evaluation(loaded, path, ledger)

        async def steps():
            await run_chunks(evaluation, plan(evaluation, pull(evaluation)).chunks)

        asyncio.run(steps())
    reader = read(path)
    forecast = reader.query(
        "SELECT forecast_id FROM cells WHERE study_id = ? ORDER BY market_id LIMIT 1", [loaded.id]
    ).item()
    sql = "SELECT request FROM draws JOIN calls USING (draw_id) JOIN cells USING (forecast_id) WHERE study_id = ?"
    return certificate(reader, forecast), "\n".join(reader.query(sql, [loaded.id])["request"]), loaded


@pytest.fixture(autouse=True)
def _token(monkeypatch):
    monkeypatch.setenv("METACULUS_TOKEN", TOKEN)


@pytest.mark.parametrize("venue", first_of(list(VENUES)))
def test_an_addition_of_after_as_of_reaches_no_prompt_and_the_text_never_passes(venue, tmp_path):
    path = tmp_path / "l.duckdb"
    pulled(path, venue, DATED)
    for undated in (None, "show"):
        made, prompts, _ = studied(tmp_path, path, undated)
        assert "the vote passed" not in prompts
        assert made.verdict == "not shown to be known at as-of"
        assert all(item.knowable_at > made.as_of for item in made.seen if item.kind.startswith("fact"))
        assert any(refusal.kind == "text" for refusal in made.refusals)
    with pytest.raises(DataError, match="undated_text"):
        studied(tmp_path, path, "refuse")


@pytest.mark.parametrize("venue", first_of([*VENUES][1:] + [*VENUES][:1]))
def test_a_text_that_tells_the_end_fails_the_certificate_and_the_probe_counts_it(venue, tmp_path):
    path = tmp_path / "l.duckdb"
    pulled(path, venue, BARE)
    made, prompts, loaded = studied(tmp_path, path, "show")
    assert "The vote passed" in prompts
    assert made.verdict == "failed"
    [check] = [check for check in made.checks if check.name == "texts"]
    assert "resolves YES" in check.detail
    probes = dict(leaks(read(path), loaded.id, resamples=20))
    assert probes["Resolutions in prompts"].says.startswith("3 of 3 markets")
    assert any("resolves YES" in line for line in details(probes["Resolutions in prompts"]))
    assert probes["Texts of unknown age"].value == 1


@pytest.mark.parametrize("venue", first_of([*VENUES][2:] + [*VENUES][:2]))
def test_a_text_edited_after_as_of_fails_where_the_edit_was_shown_and_passes_where_the_first_one_was(venue, tmp_path):
    path = tmp_path / "l.duckdb"
    pulled(path, venue, "")
    with duckdb.connect(str(path)) as con:  # pulled long ago
        con.execute("UPDATE markets SET text_known_at = opened_at")
    pulled(path, venue, "It counts if it is said twice.", again=True)
    assert read(path).query("SELECT count(*) FROM market_edits").item() > 0
    made, prompts, _ = studied(tmp_path, path)
    assert "said twice" not in prompts
    [check] = [check for check in made.checks if check.name == "texts"]
    assert check.status == "passed", check.detail
    with duckdb.connect(str(path)) as con:  # as a version that kept the later text would have shown it
        con.execute("""UPDATE views SET facts = json_merge_patch(facts, json_object(e.field, e.now))
            FROM market_edits e WHERE e.market_id = views.market_id""")
    made = certificate(read(path), made.forecast_id)
    [check] = [check for check in made.checks if check.name == "texts"]
    assert check.status == "failed"
    assert "is not the text that was known at as-of; it was edited since" in check.detail
    assert made.verdict == "failed"


def test_a_study_that_shows_its_texts_keeps_the_hash_it_had_and_one_that_cuts_is_another(tmp_path):
    path = tmp_path / "l.duckdb"
    pulled(path, "polymarket", "")
    shown = studied(tmp_path, path, "show")[2]
    assert "undated_text" not in shown.content["markets"]
    assert studied(tmp_path, path, "cut")[2].content["markets"]["undated_text"] == "cut"
