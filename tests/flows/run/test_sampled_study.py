"""From pulled markets over a sample and dated evidence to forecasts: the whole way, on local stand-ins."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import orjson
import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner

from coordeval.flows.certificate.certificate import certificate
from coordeval.flows.certificate.leaks import leaks
from coordeval.flows.cli.main import app
from coordeval.flows.markets.pulling import pull_markets
from coordeval.flows.run.between import between
from coordeval.flows.run.control import control
from coordeval.flows.run.gathering import gather
from coordeval.flows.run.planning import as_of_times, plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.in_arms import in_arm
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read, row_of
from coordeval.market_data.errors import CoordevalError, DataError
from coordeval.market_data.evidence.generated import LATER, MOMENT, SUBJECTS
from coordeval.market_data.evidence.standin import evidence_app
from coordeval.market_data.http import Patience
from coordeval.market_data.standin import GeneratedMarkets, polymarket_app
from coordeval.market_data.types import Document, Market, Outcome, PricePoint
from coordeval.market_data.venues import Query

IMPATIENT = Patience(attempts=2, wait_initial=0, wait_max=0, wait_jitter=0, timeout=60)
UNSEEN = "not shown to be known at as-of"
"""The verdict on what was pulled after its as-of time: the question's age is not known."""
WINDOW = Query(after=datetime(2024, 6, 1, tzinfo=UTC), before=datetime(2025, 3, 1, tzinfo=UTC))


class OnTime(GeneratedMarkets):
    """Markets that closed an hour before their deadline, so every rule for as-of lies before the resolution."""

    def row(self, index):
        row = super().row(index)
        closed = datetime.fromtimestamp(float(self._closing[index]), UTC)
        return row | {"endDate": f"{closed + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"}


@pytest.fixture(scope="module")
def pulled(tmp_path_factory):
    """A ledger with pulled markets and the last day of their prices; tests copy it."""
    path = tmp_path_factory.mktemp("pulled") / "ledger.duckdb"
    transport = httpx.ASGITransport(polymarket_app(OnTime(300)))
    with Ledger.open(path, purpose="test") as ledger:
        asyncio.run(
            pull_markets(
                ledger,
                "polymarket",
                WINDOW,
                base_url="http://stand-in",
                price_days=1,
                transport=transport,
                patience=IMPATIENT,
            )
        )
    return path.read_bytes()


@pytest.fixture
def ledger_path(pulled, tmp_path: Path) -> Path:
    path = tmp_path / "results" / "ledger.duckdb"
    path.parent.mkdir()
    path.write_bytes(pulled)
    return path


def command(*arguments, path):
    done = CliRunner().invoke(app, [*map(str, arguments), "--ledger", str(path)], catch_exceptions=True)
    return done.exit_code, done.output, done.exception


def sampled(tmp_path, ledger_path, *options, name="sample.json"):
    out = tmp_path / name
    code, output, problem = command(
        "markets", "sample", out, "--size", 6, "--as-of", "hours_before_close = 12", *options, path=ledger_path
    )
    assert code == 0, (output, problem)
    return orjson.loads(out.read_bytes()), output


STUDY = """
name = "sampled"
replicates = 2
as_of = {as_of}
{more}
configurations = ["single_agent", "market_price", "independent_ensemble"]
[markets]
source = "ledger"
sample = "sample.json"
[model]
provider = "simulated"
{evidence}
"""


def study_at(tmp_path, as_of="{ hours_before_close = 12 }", more="", evidence=""):
    path = tmp_path / "sampled.toml"
    path.write_text(STUDY.format(as_of=as_of, more=more, evidence=evidence))
    return load_study(path)


def run(loaded, path):
    """Every step of a run but the report."""
    with Ledger.open(path, purpose="test") as ledger:
        evaluation = open_evaluation(loaded, path, ledger)

        async def steps():
            market_ids = pull(evaluation)
            await gather(evaluation, market_ids)
            await run_chunks(evaluation, plan(evaluation, market_ids).chunks)

        asyncio.run(steps())


RULES = [
    # (rule, is it anchored on hindsight, does it lie within the day whose prices were pulled)
    ("{ hours_before_close = 12 }", False, True),
    ("{ fraction_of_life = 0.5 }", False, False),
    ("{ hours_before_resolution = 12 }", True, True),
]


@pytest.mark.parametrize(("as_of", "hindsight", "priced"), RULES, ids=[row[0] for row in RULES])
def test_a_sample_becomes_a_study_whose_every_cell_has_a_forecast(tmp_path, ledger_path, as_of, hindsight, priced):
    sample, _ = sampled(tmp_path, ledger_path)
    loaded = study_at(tmp_path, as_of)
    run(loaded, ledger_path)
    reader = read(ledger_path)
    frame = reader.forecast_frame("sampled")
    assert frame.height == 6 * 3 * 2
    assert set(frame["market_id"]) == set(sample["market_ids"])
    assert "pending" not in set(frame["status"])
    assert reader.study("sampled").hindsight is hindsight
    assert reader.study("sampled").simulated, "the model is simulated, so the results say so"
    prices = frame.filter(pl.col("configuration") == "market_price")
    assert set(prices["status"]) == ({"answered"} if priced else {"failed"})
    assert prices.filter(pl.col("probability").ne_missing(pl.col("market_price"))).is_empty(), "it repeats just that price"
    late = "SELECT count(*) FROM cells c JOIN current_outcomes o USING (market_id) WHERE c.as_of >= o.resolved_at"
    assert reader.query(late).item() == 0
    assert reader.query("SELECT count(*) FROM cells WHERE price_at > as_of").item() == 0


def test_a_price_older_than_the_limit_is_null_and_its_baseline_is_a_row_with_the_reason(tmp_path, ledger_path):
    sampled(tmp_path, ledger_path)
    run(
        study_at(tmp_path, more="max_price_age_hours = 0.0001"), ledger_path
    )  # a third of a second; points come by the minute
    reader = read(ledger_path)
    rows = reader.query("SELECT * FROM forecasts WHERE configuration = 'market_price'").to_dicts()
    assert len(rows) == 12
    for row in rows:
        assert (row["status"], row["probability"]) == ("failed", None)
        assert "price" in row["reason"]
    assert reader.query("SELECT DISTINCT market_price FROM cells")["market_price"].to_list() == [None]
    others = reader.query("SELECT forecast_id FROM forecasts WHERE configuration <> 'market_price' AND status = 'answered'")
    assert others.height > 0
    assert {certificate(reader, forecast_id).verdict for forecast_id in others["forecast_id"]} == {UNSEEN}


def test_the_sample_says_what_was_eligible_what_was_left_out_and_draws_one_market_per_event(tmp_path, ledger_path):
    sample, output = sampled(tmp_path, ledger_path)
    again, _ = sampled(tmp_path, ledger_path, name="again.json")
    assert again["market_ids"] == sample["market_ids"], "the same seed draws the same markets"
    other, _ = sampled(tmp_path, ledger_path, "--seed", 2, name="other.json")
    assert other["market_ids"] != sample["market_ids"]
    reader = read(ledger_path)
    events = reader.query(
        "SELECT count(DISTINCT event_id) FROM markets WHERE market_id IN (SELECT unnest(?::VARCHAR[]))",
        [sample["market_ids"]],
    )
    assert events.item() == 6
    total = reader.query("SELECT count(*) FROM markets").item()
    assert 6 + sum(sample["left_out"].values()) == total == sum(row["listed"] for row in sample["tally"])
    assert any(reason.startswith("outcome") for reason in sample["left_out"]), "unscored outcomes are named"
    assert all(reason in " ".join(output.split()) for reason in sample["left_out"])
    code, _, problem = command("markets", "sample", tmp_path / "sample.json", path=ledger_path)
    assert code == 1
    assert "never changes" in str(problem)


def test_another_sample_is_another_study(tmp_path, ledger_path):
    sample, _ = sampled(tmp_path, ledger_path)
    first = study_at(tmp_path)
    assert study_at(tmp_path).id == first.id
    sample["market_ids"] = sample["market_ids"][:5]
    (tmp_path / "sample.json").write_bytes(orjson.dumps(sample))
    assert study_at(tmp_path).id != first.id


def test_a_sample_of_markets_that_the_ledger_does_not_hold_names_the_first(tmp_path, ledger_path):
    sample, _ = sampled(tmp_path, ledger_path)
    sample["market_ids"] = [sample["market_ids"][0], "0xabsent", "0xaway"]
    (tmp_path / "sample.json").write_bytes(orjson.dumps(sample))
    with pytest.raises(DataError, match=r"names 2 markets.*the first is 0xabsent.*coordeval markets pull"):
        run(study_at(tmp_path), ledger_path)
    assert read(ledger_path).query("SELECT count(*) FROM cells").item() == 0


def test_a_study_that_names_no_as_of_takes_that_of_its_sample_and_one_that_names_another_says_so(tmp_path, ledger_path):
    sample, _ = sampled(tmp_path, ledger_path, "--as-of", "hours_before_resolution=12", "--max-price-age", 6)
    assert sample["spec"]["as_of"] == {"hours_before_resolution": 12}
    adopts = study_at(tmp_path, '"source"')
    assert (adopts.hindsight, adopts.max_price_age_hours, adopts.warnings) == (True, 6, [])
    run(adopts, ledger_path)
    reader = read(ledger_path)
    assert reader.study("sampled").hindsight
    limits = reader.query("SELECT count(*) FROM cells WHERE market_price IS NULL OR as_of - price_at > INTERVAL 6 HOUR")
    assert limits.item() == 0
    early = (
        "SELECT count(*) FROM cells JOIN current_outcomes USING (market_id) WHERE as_of + INTERVAL 12 HOUR <> resolved_at"
    )
    assert reader.query(early).item() == 0
    for forecast_id in reader.query("SELECT forecast_id FROM forecasts")["forecast_id"]:
        made = certificate(reader, forecast_id)
        wrong = [check for check in made.checks if check.status not in ("passed", UNSEEN)]
        assert made.verdict == ("passed" if made.configuration == "market_price" else UNSEEN), wrong
    same = study_at(tmp_path, "{ hours_before_resolution = 12 }")
    assert (same.as_of, same.warnings) == (adopts.as_of, [])
    other = study_at(tmp_path, "{ hours_before_close = 12 }", more="max_price_age_hours = 48")
    assert (other.hindsight, other.max_price_age_hours) == (False, 48)
    assert len(other.warnings) == 2
    assert "as_of = {'hours_before_close': 12.0}, but the sample was drawn for as_of = " in other.warnings[0]


@pytest.mark.parametrize(("source", "hindsight"), [("coordination-traces-100", True), ("forecastbench", False)])
def test_a_dataset_is_sampled_as_of_the_moment_it_proposes_which_may_be_hindsight(tmp_path, source, hindsight):
    path, proposed = tmp_path / "results" / "ledger.duckdb", MOMENT - timedelta(days=1)
    market = Market(
        id="m", source=source, event_id="e", simulated=False, question="Will it?", reference_time=proposed, category="x"
    )
    outcome = Outcome(market_id="m", status="resolved", value=1, resolved_at=MOMENT)
    price = PricePoint(market_id="m", knowable_at=proposed, price=0.4, kind="unstated")
    with Ledger.open(path, purpose="test") as ledger:
        ledger.write_all({"markets": [row_of(market)], "outcomes": [row_of(outcome)], "prices": [row_of(price)]})
    code, output, problem = command(
        "markets", "sample", tmp_path / "sample.json", "--size", 1, "--as-of", "source", path=path
    )
    assert code == 0, problem
    assert ("hindsight-anchored" in output) == hindsight
    loaded = study_at(tmp_path, '"source"')
    assert (loaded.as_of, loaded.hindsight) == ("source", hindsight)
    run(loaded, path)
    assert read(path).study("sampled").hindsight is hindsight
    assert set(read(path).query("SELECT as_of FROM cells")["as_of"]) == {proposed}


def test_a_sample_can_be_looked_at_without_writing_it(tmp_path, ledger_path):
    _, output = sampled(tmp_path, ledger_path)
    before = sorted(tmp_path.iterdir())
    code, looked, _ = command(
        "markets", "sample", "--size", 6, "--as-of", "hours_before_close=12", "--resolved-before", "2100-01-01",
        path=ledger_path,
    )  # fmt: skip
    assert code == 0
    assert "nothing was written" in " ".join(looked.split())
    assert looked.split("6 of 6")[0].strip() == output.split("wrote")[0].strip(), "the same table and reasons"
    code, looked, _ = command("markets", "sample", "--size", 5000, path=ledger_path)
    assert code == 0, "to see that there are too few is why one looks"
    assert sorted(tmp_path.iterdir()) == before


def test_a_sample_whose_rule_was_damaged_is_refused(tmp_path, ledger_path):
    sample, _ = sampled(tmp_path, ledger_path)
    for said in ({"hours_before_close": -1}, "someday", 7):
        sample["spec"]["as_of"] = said
        (tmp_path / "sample.json").write_bytes(orjson.dumps(sample))
        with pytest.raises(CoordevalError, match=r"as_of = .* is no rule; draw the sample again"):
            study_at(tmp_path)


BAD_SAMPLES = {
    "no JSON": b"{",
    "no ids": b"{}",
    "an empty list": b'{"market_ids": []}',
    "a list": b"[]",
    "no spec": b'{"market_ids": ["m"], "spec": 1}',
}


@pytest.mark.parametrize("content", [*BAD_SAMPLES.values(), None], ids=[*BAD_SAMPLES, "no file"])
def test_a_file_that_is_no_sample_is_refused_with_the_command_that_writes_one(tmp_path, content):
    if content is not None:
        (tmp_path / "sample.json").write_bytes(content)
    with pytest.raises(CoordevalError, match="coordeval markets sample"):
        study_at(tmp_path)


# Evidence

EVIDENCE = '[evidence]\nproviders = ["mediawiki", "wayback", "gdelt"]\nbase_url = "http://evidence"\nlimit = 3'


class Wire(httpx.AsyncBaseTransport):
    """The way to the evidence stand-in; `dead` is a path whose service cannot be reached."""

    def __init__(self, dead="nowhere"):
        self.app = evidence_app()
        self.inner, self.dead = httpx.ASGITransport(self.app), dead

    async def handle_async_request(self, request):
        if request.url.path.startswith(self.dead):
            raise httpx.ConnectError("the wire is cut")
        return await self.inner.handle_async_request(request)


@pytest.fixture
def asked_of_the_past(tmp_path):
    """(study, path of a ledger) with two markets about subjects of the evidence stand-in, as of its moment."""
    path = tmp_path / "results" / "ledger.duckdb"
    markets = [
        Market(
            id=f"m{number}",
            source="polymarket",
            event_id=f"e{number}",
            simulated=False,
            question=f"Will the {subject} pass?",
            description=f"See https://{subject.lower().replace(' ', '-')}.example/latest",
            category="Economy",
            opened_at=MOMENT - timedelta(days=60),
            scheduled_close=MOMENT + timedelta(days=30),
        )
        for number, subject in enumerate(SUBJECTS[:2])
    ]
    outcomes = [
        Outcome(market_id=market.id, status="resolved", value=1, resolved_at=MOMENT + timedelta(days=20), reason="")
        for market in markets
    ]
    with Ledger.open(path, purpose="test") as ledger:
        ledger.write_all({"markets": [row_of(m) for m in markets], "outcomes": [row_of(o) for o in outcomes]})
    (tmp_path / "sample.json").write_bytes(orjson.dumps({"market_ids": ["m0", "m1"]}))
    return study_at(tmp_path, MOMENT.isoformat(), evidence=EVIDENCE), path


def gathered(loaded, path, wire):
    """How many searches were made."""
    with Ledger.open(path, purpose="test") as ledger:
        evaluation = open_evaluation(loaded, path, ledger)
        market_ids = pull(evaluation)
        times = as_of_times(loaded, evaluation.reader, market_ids)
        assert set(times.values()) == {MOMENT}
        return asyncio.run(gather(evaluation, market_ids, transport=wire, patience=IMPATIENT))


def test_evidence_is_gathered_once_and_every_search_is_stored_with_its_refusals(asked_of_the_past):
    loaded, path = asked_of_the_past
    wire = Wire()
    assert gathered(loaded, path, wire) == 2 * 3
    reader = read(path)
    searches = reader.query("SELECT * FROM evidence_searches ORDER BY market_id, provider")
    assert searches.select("market_id", "provider").rows() == [
        (market, provider) for market in ("m0", "m1") for provider in ("gdelt", "mediawiki", "wayback")
    ]
    assert dict(searches.select("provider", "ranks_by_todays_index").unique().iter_rows()) == {
        "gdelt": False,
        "mediawiki": True,
        "wayback": False,
    }
    ids = [json.loads(found) for found in searches["documents"]]
    searches = searches.with_columns(documents=pl.Series([len(found) for found in ids]))
    found = dict(searches.group_by("provider").agg(pl.col("documents").sum()).iter_rows())
    assert found["mediawiki"] > 0
    assert found["wayback"] > 0
    outside = searches.filter((pl.col("provider") == "gdelt") & (pl.col("documents") == 0))
    assert all("window" in text for text in outside["refusals"]), "headlines of more than three months ago cannot be had"
    documents = reader.query("SELECT * FROM documents")
    assert sorted(documents["document_id"]) == sorted(key for found in ids for key in found)
    assert documents.filter(pl.col("knowable_at").is_null() | (pl.col("knowable_at") > MOMENT)).is_empty()
    assert not [text for text in documents["text"] if LATER in text]
    asked = list(wire.app.state.standin.asked)
    assert gathered(loaded, path, wire) == 0
    assert wire.app.state.standin.asked == asked, "what was answered is not asked again"


@pytest.mark.parametrize("dead", ["/w/", "/cdx/"], ids=["mediawiki", "wayback"])
def test_a_provider_that_fails_stops_the_run_before_anything_is_asked_and_the_next_run_goes_on(asked_of_the_past, dead):
    loaded, path = asked_of_the_past
    with pytest.raises(CoordevalError, match=r"evidence: \d searches failed.*nothing was asked of a model"):
        gathered(loaded, path, Wire(dead))
    reader = read(path)
    assert reader.query("SELECT count(*) FROM evidence_searches").item() == 4, "what the others found stays"
    assert reader.query("SELECT count(*) FROM cells").item() == 0
    assert gathered(loaded, path, Wire()) == 2, "only the searches that failed"


def test_agents_read_what_was_gathered_and_nothing_later_reaches_a_request(asked_of_the_past):
    loaded, path = asked_of_the_past
    gathered(loaded, path, Wire())
    late = {"market_id": "m0", "knowable_at": MOMENT + timedelta(seconds=1), "title": "x", "source": "late"}
    with Ledger.open(path, purpose="test") as ledger:
        ledger.write(
            "documents",
            [
                {**late, "document_id": "late", "text": "It is certain: the vote passed."},
                {**late, "document_id": "undated", "knowable_at": None, "text": "Nobody knows when the vote passed."},
            ],
        )
    run(loaded, path)  # every search is stored, so no service is asked
    reader = read(path)
    said = "\n".join(reader.query("SELECT request || reply AS said FROM draws")["said"])
    results = "\n".join(reader.query("SELECT result FROM tool_calls WHERE tool = 'search_evidence'")["result"])
    assert "Generated report" in results
    for text in (LATER, "the vote passed"):
        assert text not in said
        assert text not in results
    refusals = "".join(reader.query("SELECT refusals FROM views WHERE market_id = 'm0'")["refusals"])
    assert refusals.count('"document"') == 2, "both are counted"


def test_an_arm_with_evidence_of_its_own_searches_as_of_the_moment_and_no_other_sees_it(asked_of_the_past, tmp_path):
    """The arm alone asks the service; nothing later reaches it; between the arms exactly the evidence differs."""
    _, path = asked_of_the_past
    arm = EVIDENCE.replace("[evidence]\n", "[arms.evidence]\n")
    loaded = study_at(tmp_path, MOMENT.isoformat(), evidence=f'[[arms]]\nname = "searched"\n{arm}')
    wire = Wire()
    assert gathered(loaded, path, wire) == 2 * 3
    assert gathered(loaded, path, wire) == 0, "what was answered is not asked again"
    said = {"title": "x", "text": "It is certain: the vote passed.", "source": "late"}
    late = Document(market_id="m0", knowable_at=MOMENT + timedelta(seconds=1), **said)
    with Ledger.open(path, purpose="test") as ledger:
        ledger.write("documents", [row_of(late)])
    run(loaded, path)
    reader = read(path)
    told = """SELECT result FROM tool_calls JOIN cells USING (forecast_id)
        WHERE arm = ? AND tool = 'search_evidence' AND items > 0"""
    seen = {name: "\n".join(reader.query(told, [name])["result"]) for name in ("main", "searched")}
    assert "Generated report" in seen["searched"]
    assert "Generated report" not in seen["main"]
    assert LATER not in seen["searched"]
    said = "\n".join(reader.query("SELECT request || reply AS said FROM draws")["said"])
    assert "the vote passed" not in said, "the gate keeps back what was not knowable at the moment"
    [held] = between(reader, "sampled")
    assert (held.declared, held.differs, held.held) == (("evidence",), ("evidence",), True), held.problems
    for name in ("main", "searched"):
        with in_arm(reader, "sampled", name) as one:
            assert control(one, "sampled").held is True, name
    [forecast, *_] = reader.query("SELECT forecast_id FROM cells WHERE arm = 'searched' AND configuration = 'single_agent'")[
        "forecast_id"
    ]
    assert [one for one in certificate(reader, forecast).checks if one.status == "failed"] == []


# Leaks

WAYS_TO_TELL = [
    # (the sibling: its event, when it resolved, whether the event is exclusive; how many are found, how many answers follow)
    ("e0", -1, True, 1, 1),
    ("e0", -1, False, 1, 0),
    ("e0", +1, True, 0, 0),
    ("e9", -1, True, 0, 0),
]


@pytest.mark.parametrize(("event", "days", "exclusive", "found", "implied"), WAYS_TO_TELL)
def test_a_sibling_that_the_sample_left_out_is_found_where_it_had_told_the_answer(
    asked_of_the_past, event, days, exclusive, found, implied
):
    loaded, path = asked_of_the_past
    sibling = Market(id="s", source="polymarket", event_id=event, simulated=False, question="Will the other one pass?")
    told = Outcome(market_id="s", status="resolved", value=1, resolved_at=MOMENT + timedelta(days=days))
    facts = orjson.dumps({"neg_risk_id": "g" if exclusive else ""}).decode()
    venue = {"venue": "polymarket", "volume": 1.0, "closed_at": None, "facts": facts, "seen_at": MOMENT}
    with Ledger.open(path, purpose="test") as ledger:
        ledger.write_all(
            {
                "markets": [row_of(sibling)],
                "outcomes": [row_of(told)],
                "venue_facts": [{"market_id": market_id, **venue} for market_id in ("m0", "s")],
            }
        )
        evaluation = open_evaluation(loaded, path, ledger)
        plan(evaluation, pull(evaluation))
    probe = dict(leaks(read(path), "sampled", resamples=100))["Sibling questions"]
    assert (probe.n, probe.pairs.height, probe.n_implied) == (2, found, implied)
    code, output, _ = command("leaks", "sampled", path=path)
    assert code == 0
    assert ("so the answer is NO" in " ".join(output.split())) == bool(implied)


# The command line


def test_list_show_and_audit_print_what_is_stored(ledger_path, monkeypatch):
    monkeypatch.setattr("coordeval.flows.cli.markets.console", Console(width=400))
    reader = read(ledger_path)
    total = reader.query("SELECT count(*) FROM markets").item()
    code, output, _ = command("markets", "list", "--limit", 5, path=ledger_path)
    assert code == 0
    assert f"5 of {total} markets" in output
    disputed = reader.query("SELECT count(*) FROM current_outcomes WHERE status = 'fifty_fifty'").item()
    _, output, _ = command("markets", "list", "--status", "fifty_fifty", path=ledger_path)
    assert f"{disputed} of {disputed} markets" in output
    market_id = reader.query("SELECT min(market_id) FROM markets").item()
    code, output, _ = command("markets", "show", market_id, path=ledger_path)
    assert code == 0
    assert all(
        words in output
        for words in (market_id, "umaResolutionStatus", "known at opening", "outcome recorded", "prices", "Will series")
    )
    code, _, problem = command("markets", "show", "0x", path=ledger_path)
    assert code == 1
    assert "several markets begin with it" in str(problem)
    code, output, _ = command("markets", "audit", path=ledger_path)
    assert code == 0
    assert f"{total} kept" in output
    assert "Resolutions that changed: none" in output
    resolved = reader.query("SELECT count(*) FROM current_outcomes WHERE status = 'resolved'").item()
    assert f"none of the {resolved} markets closed early" in output, "these all closed within the hour before their deadline"


def test_a_list_can_be_narrowed_and_written_out_whole(tmp_path, ledger_path, monkeypatch):
    monkeypatch.setattr("coordeval.flows.cli.markets.console", Console(width=400))
    reader = read(ledger_path)
    everything = reader.query("SELECT * FROM markets JOIN venue_facts USING (market_id)")
    event = everything["event_id"][0]
    filters = {
        ("--event", event): pl.col("event_id") == event,
        ("--question", "SERIES 1"): pl.col("question").str.contains("series 1"),
        ("--min-volume", 5000): pl.col("volume") >= 5000,
        ("--resolved-after", "2024-09-01"): pl.col("closed_at") >= datetime(2024, 9, 1, tzinfo=UTC),
        ("--resolved-before", "2024-09-01"): pl.col("closed_at") < datetime(2024, 9, 1, tzinfo=UTC),
        (): pl.lit(True),
    }
    for number, (options, wanted) in enumerate(filters.items()):
        out = tmp_path / f"{number}.parquet"
        code, output, _ = command("markets", "list", "--limit", 0, "--out", out, *options, path=ledger_path)
        expected = everything.filter(wanted)
        assert code == 0
        assert expected.height > 0, options
        assert f"{expected.height} of {expected.height} markets" in output
        assert set(pl.read_parquet(out)["market_id"]) == set(expected["market_id"]), options
    for options in (("--source", "polymarkt"), ("--status", "resolve"), ("--category", "Sport"), ("--out", "x.txt")):
        code, _, problem = command("markets", "list", *options, path=ledger_path)
        assert code == 1
        assert options[1] in str(problem)


def test_hostile_text_is_shown_as_text(ledger_path, monkeypatch):
    monkeypatch.setattr("coordeval.flows.cli.markets.console", Console(width=400))
    frame = read(ledger_path).query(
        "SELECT market_id FROM markets WHERE description LIKE '%<script>%' OR description LIKE '%SYSTEM%'"
    )
    assert frame.height > 0
    for market_id in frame["market_id"]:
        code, output, _ = command("markets", "show", market_id, path=ledger_path)
        assert code == 0
        assert "<script>alert('leak')</script>" in output or "Ignore all previous instructions" in output
        assert "\u202e" not in output, "a character that turns the line around is not printed"


def test_evidence_of_one_study_is_not_shown_in_another_that_asks_for_none(asked_of_the_past, tmp_path):
    loaded, path = asked_of_the_past
    gathered(loaded, path, Wire())
    assert read(path).query("SELECT count(*) FROM documents").item() > 0
    with Ledger.open(path, purpose="test") as ledger:
        views = {}
        for name, study in (("with", loaded), ("without", study_at(tmp_path, MOMENT.isoformat()))):
            evaluation = open_evaluation(study, path, ledger)
            made = plan(evaluation, pull(evaluation))
            views[name] = sum(len(cell.view.documents) for cell in made.cells)
    assert views["with"] > 0
    assert views["without"] == 0
