"""Quotes, consent, the bill, the exam and the reasons for asking, on small studies that really run."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordeval.agents.prices import PriceBook
from coordeval.agents.standin import Running, StandIn
from coordeval.agents.standin.faults import Faults
from coordeval.flows.costs.amounts import predicted, together
from coordeval.flows.costs.bill import SPLITS, _split, _sums, bill, priced
from coordeval.flows.costs.quote import quote
from coordeval.flows.costs.terminal import COLUMNS
from coordeval.flows.costs.why import would_ask
from coordeval.flows.costs.worth import Rates, worth
from coordeval.flows.study.study import load_study
from coordeval.ledger import read
from coordeval.market_data.standin.announced import announced
from tests.flows.cli.conftest import run
from tests.thinned import first_of

CONFIGURATIONS = ["single_agent", "independent_ensemble", "peer_critique_debate", "market_price"]
PAID = 'provider = "anthropic"\nid = "claude-opus-4-6"'


def study(folder: Path, name: str, *, model: str = 'provider = "simulated"', count: int = 6, **more: Any) -> Path:
    file = folder / f"{name}.toml"
    head = {"name": name, "configurations": CONFIGURATIONS, **more}
    lines = [f"{key} = {json.dumps(value)}" for key, value in head.items()]
    file.write_text("\n".join([*lines, "[markets]", 'source = "simulated"', f"count = {count}", "[model]", model]))
    return file


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A folder with the study `small`, run on `l.duckdb`, and its quote of before, `quote.json`."""
    folder = tmp_path_factory.mktemp("costs")
    file, path = study(folder, "small"), folder / "l.duckdb"
    (folder / "quote.json").write_text(json.dumps(quote(load_study(file), path).as_json()))
    assert run("run", file, "--inline", "--ledger", path) == 0
    return folder


# --- quotes


@pytest.mark.proof
def test_a_quote_of_the_simulator_holds_what_came(world):
    before = json.loads((world / "quote.json").read_text())
    came = bill(read(world / "l.duckdb"), load_study(world / "small.toml").id, PriceBook.bundled())
    assert before["open"] == 48
    assert before["live"]["low"] <= came["total"]["paid_micro_usd"] / 1e6 <= before["live"]["high"]
    assert before["naive"]["mean"] == pytest.approx(came["total"]["attributed_micro_usd"] / 1e6, rel=0.15)
    quoted = {part["configuration"] for part in before["parts"]}
    assert quoted == {row["configuration"] for row in came["by"]["configuration"]}


def test_what_is_made_is_not_quoted_again_and_what_it_drew_is_free(world):
    assert quote(load_study(world / "small.toml"), world / "l.duckdb").open == 0
    only = load_study(study(world, "more", configurations=["single_agent", "independent_ensemble"]))
    assert quote(only, world / "l.duckdb").open == 0, "forecasts are shared by their identity"
    three = load_study(study(world, "three", configurations=["peer_critique_debate", "consensus_alignment"]))
    found = quote(three, world / "l.duckdb")
    assert found.open == 12
    assert found.shared.mean is not None
    assert found.naive.mean is not None
    assert found.shared.mean < 0.6 * found.naive.mean, "its first round is the debate's, which is paid"


@pytest.mark.proof
def test_another_models_prices_and_stored_calls_are_named(world):
    found = quote(load_study(world / "small.toml"), world / "none.duckdb", at_prices_of="claude-opus-4-6")
    assert (found.priced_as, found.simulated) == ("claude-opus-4-6", False)
    assert found.batch.mean == pytest.approx(found.shared.mean / 2, rel=1e-4)
    assert found.waves >= 3
    bigger = load_study(study(world, "bigger", count=8))
    assert quote(bigger, world / "l.duckdb").source.startswith("calls of the study small")


def test_a_model_that_nobody_asked_yet_is_guessed_and_it_says_so(world):
    found = quote(load_study(study(world, "live", model=PAID)), world / "l.duckdb")
    assert found.simulated
    assert "which is a guess" in found.notes[0]
    assert found.live.high >= 2.9 * found.live.mean


def test_an_unknown_price_is_null_never_nothing(world):
    found = quote(load_study(study(world, "who", model='provider = "openai"\nid = "qwen"')), world / "l.duckdb")
    assert (found.live.mean, found.naive.mean) == (None, None)
    assert "the price of qwen is not known" in found.notes[0]
    priced = 'provider = "openai"\nid = "qwen"\n[prices.qwen]\ninput = "0.1"\noutput = "0.2"'
    assert quote(load_study(study(world, "priced", model=priced)), world / "l.duckdb").live.mean > 0


def test_intervals_hold_what_they_say():
    random = np.random.default_rng(5)
    hits = 0
    for _ in range(400):
        values = random.gamma(4.0, 2.0, size=60)
        amount = predicted(values[:20].tolist(), 80, 40)
        hits += amount.low <= 2 * values[20:].sum() <= amount.high
    assert 0.85 <= hits / 400 <= 0.95


def test_one_market_says_nothing_about_how_markets_differ():
    assert predicted([2.0], 10, 5).as_json() == {"mean": 20.0, "low": None, "high": None}
    assert together([predicted([2.0], 10, 5), predicted([1.0, 1.0], 4, 2)]).as_json()["low"] is None


@pytest.mark.parametrize(
    ("model", "turns", "cached", "why"),
    [
        ("claude-opus-4-6", [3000, 4000], 2 * 0 + 7000 * 5, "nothing under 4,096 tokens is cached"),
        ("claude-opus-4-6", [5000, 6000], 5000 * 6.25 + 1000 * 6.25 + 5000 * 0.5, "a turn reads what the last one wrote"),
        ("claude-opus-4-1", [900, 1000], 1900 * 15, "nothing under 1,024 either"),
    ],
)
def test_a_cache_pays_where_the_model_caches_so_little(model, turns, cached, why):
    rows = [
        {"forecast_id": "f", "ask": 0, "turn": i, "input_tokens": n, "output_tokens": 0, "cache_read_tokens": 0,
         "cache_write_tokens": 0, "searches": 0}
        for i, n in enumerate(turns)
    ]  # fmt: skip
    rates = Rates(book=PriceBook.bundled(), model=model, on=__import__("datetime").date(2026, 11, 15), tools=())
    assert worth(pl.DataFrame(rows), rates)["cached"].sum() == round(cached), why


# --- the bill

AMOUNT = st.none() | st.integers(0, 10**9)
CALL = st.fixed_dictionaries(
    {"configuration": st.sampled_from("abc"), "role": st.sampled_from("xy"), "round": st.integers(0, 3),
     "tool": st.sampled_from(["(an answer)", "search"]), **dict.fromkeys(COLUMNS, AMOUNT)}
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(CALL, min_size=1, max_size=30))
def test_every_split_adds_up_to_the_micro_dollar(rows):
    frame = pl.DataFrame(rows, schema_overrides=dict.fromkeys(COLUMNS, pl.Int64))
    total = _sums(frame).to_dicts()[0]
    for part in SPLITS:
        split = _sums(frame, part)
        assert split["calls"].sum() == total["calls"]
        for name in COLUMNS:
            amounts = [row[name] for row in rows]
            assert total[name] == (None if None in amounts else sum(amounts)), "a sum that lacks a price is no sum"
            assert (None in split[name].to_list()) == (None in amounts)
            if None not in amounts:
                assert split[name].sum() == total[name]


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(0, 200_000)] * 4), st.booleans(), st.integers(0, 5))
def test_list_less_cache_less_batch_is_what_was_charged(tokens, batch, searches):
    from datetime import UTC, datetime

    from coordeval.agents.messages import Usage

    at = datetime(2026, 11, 15, tzinfo=UTC)
    plain, written, read_, out = tokens
    own = {"input_tokens": plain, "output_tokens": out, "cache_write_5m_tokens": written, "cache_read_tokens": read_}
    usage = Usage(**own, web_searches=searches)
    book = PriceBook.bundled()
    charged = book.micro_usd("claude-opus-4-6", usage, at.date(), batch=batch)
    row = {
        "attributed_micro_usd": charged, "input_tokens": plain, "output_tokens": out, "cache_write_tokens": written,
        "cache_read_tokens": read_, "batch": batch, "created_at": at, "served_model": "claude-opus-4-6", "model": "x",
        "searches": searches,
    }  # fmt: skip
    listed, cached, batched = _split(row, book)
    assert listed - cached - batched == charged
    assert batched >= 0
    without = book.micro_usd("claude-opus-4-6", Usage(**own), at.date(), batch=batch)
    assert (listed, cached, batched) == tuple(
        part + fee for part, fee in zip(_split({**row, "searches": 0, "attributed_micro_usd": without}, book),
                                        (charged - without, 0, 0), strict=True)
    ), "a search is at list price: neither a cache nor a batch takes anything off it"  # fmt: skip


def test_searches_of_a_stored_study_are_billed_at_list_price(world, tmp_path):
    """A study whose replies say that the provider searched: its bill holds the fee, and nothing of it is a discount."""
    import shutil

    from coordeval.ledger.database import connected

    path = tmp_path / "l.duckdb"
    shutil.copy(world / "l.duckdb", path)
    study_id = load_study(world / "small.toml").id
    with connected(path) as con:
        con.execute("""UPDATE studies SET content = replace(content, '"tools":[', '"tools":["web_search",')""")
        con.execute("""UPDATE draws SET model = 'claude-opus-4-6', served_model = 'claude-opus-4-6',
            reply = replace(reply, '"usage":{', '"usage":{"web_searches":2,')""")
        con.execute("UPDATE calls SET cache_read_tokens = 10, attributed_micro_usd = 30000")
    calls = priced(read(path), study_id, PriceBook.bundled())
    assert set(calls["searches"]) == {2}
    assert (calls["list_micro_usd"] > 20_000).all(), "two searches are two cents"
    assert (calls["list_micro_usd"] - calls["cached_micro_usd"] - calls["batch_micro_usd"] == 30_000).all()


def test_the_bill_of_a_run_is_the_sum_of_its_calls(world, coordeval):
    done = coordeval("costs", "small", "--json", "--ledger", world / "l.duckdb")
    found = json.loads(done.out)
    reader = read(world / "l.duckdb")
    own = "WHERE forecast_id IN (SELECT forecast_id FROM cells WHERE study_id = ?)"
    sums = reader.query(
        f"SELECT sum(attributed_micro_usd)::BIGINT a, sum(paid_micro_usd)::BIGINT p, count(*) n FROM calls {own}",
        [load_study(world / "small.toml").id],
    ).to_dicts()[0]
    assert (found["total"]["attributed_micro_usd"], found["total"]["paid_micro_usd"]) == (sums["a"], sums["p"])
    assert {row["tool"] for row in found["by"]["tool"]} >= {"(an answer)", "search_evidence"}
    assert "small" in coordeval("costs", "--ledger", world / "l.duckdb").out
    shown = coordeval("costs", "small", "--ledger", world / "l.duckdb").out
    assert "nothing was taken off by cache and batch" in shown, "said once, in place of two columns of zeros"
    assert "off by batch" not in shown


# --- why


def test_a_dry_run_says_what_would_be_asked_and_why(world, coordeval, tmp_path):
    path = world / "l.duckdb"
    assert would_ask(load_study(world / "small.toml"), path)["cells"] == []
    turns = world / "small-turns.toml"
    turns.write_text((world / "small.toml").read_text().replace("count = 6", "count = 7") + "\n[agents]\nmax_turns = 9")
    done = coordeval("run", turns, "--dry", "--json", "--ledger", path)
    cells = json.loads(done.out)["cells"]
    again = [cell["why"] for cell in cells if cell["why"].startswith("asked before")]
    assert (len(cells), len(again)) == (42, 36), "six markets were asked with other turns, one never"
    assert all(why.endswith("settings.max_turns: 12 → 9") for why in again)
    assert "7 need no model" not in coordeval("run", world / "small.toml", "--dry", "--ledger", path).out
    assert "14 need no model" in coordeval("run", turns, "--dry", "--ledger", tmp_path / "new.duckdb").out, (
        "the market's price"
    )
    assert "36 asked before" in coordeval("run", turns, "--dry", "--ledger", path).out


def test_explain_names_the_field_that_differs(world, coordeval, tmp_path):
    path = world / "l.duckdb"
    capped = world / "capped.toml"
    text = (world / "small.toml").read_text().replace('name = "small"', 'name = "capped"').replace("count = 6", "count = 1")
    capped.write_text(text + "\nmax_tokens = 3000")
    assert run("run", capped, "--inline", "--ledger", path) == 0
    ids = read(path).query(
        "SELECT forecast_id FROM cells WHERE study_id = ? AND configuration = 'single_agent' AND replicate = 0",
        [load_study(capped).id],
    )["forecast_id"]
    found = json.loads(coordeval("explain", ids[0][:10], "--json", "--ledger", path).out)
    [other] = [row for row in found["others"] if row["study"] == "small"]
    assert other["differs"] == [{"field": "settings.max_tokens", "this": 3000, "other": 4000}]
    assert "settings.max_tokens: 3000 here, 4000 there" in coordeval("explain", ids[0], "--ledger", path).out


# --- the exam, and a paid run from end to end


class Another(StandIn):
    """Says that it is another model."""

    async def answer(self, body: Any) -> Any:
        answer = await super().answer(body)
        answer.body["model"] = "claude-haiku-4-5"
        return answer


def test_a_live_run_is_examined_quoted_agreed_to_and_held_against_its_quote(tmp_path, coordeval, monkeypatch):
    path = tmp_path / "l.duckdb"
    server = StandIn(sampled=False)
    with Running(server) as running:
        monkeypatch.setenv("ANTHROPIC_API_KEY", server.key)
        model = f'{PAID}\nbase_url = "{running.url}"'
        file = study(tmp_path, "live", model=model, count=3, replicates=1, configurations=["single_agent"])
        refused = coordeval("run", file, "--inline", "--ledger", path)
        assert refused.status == 1
        assert "there is no terminal to ask at" in refused.err
        assert server.seen == []
        exam = coordeval("check-model", file, "--asks", 2, "--json", "--ledger", path)
        found = json.loads(exam.out)
        assert (exam.status, found["passed"]) == (0, True)
        assert found["findings"][0] == {
            "what": "it takes what the study asks", "held": True, "says": "by its own word", "fatal": True
        }  # fmt: skip
        told = json.loads(coordeval("quote", file, "--count-tokens", "--json", "--ledger", path).out)
        assert "its prompts counted by the server" in told["source"]
        pilot = coordeval("quote", file, "--pilot", 1, "--yes-up-to", 50, "--json", "--ledger", path)
        assert (pilot.status, json.loads(pilot.out)["open"]) == (0, 2)
        done = coordeval("run", file, "--inline", "--yes-up-to", 50, "--ledger", path)
        assert done.status == 0, done.err
        assert "beside it what came" in done.out
        [beside] = json.loads(coordeval("costs", "live", "--json", "--ledger", path).out)["beside"]
        assert beside["purpose"] == "exam"
        assert (beside["calls"], beside["paid_micro_usd"]) == (found["calls"], round(found["usd"] * 1e6))
        last = json.loads(coordeval("quote", file, "--json", "--ledger", path).out)["last_run"]
        assert last["paid"]["actual"] > 0
        assert last["parts"][0]["calls"]["actual"] >= 2


class Announced(StandIn):
    """As `python -m coordeval.agents.standin` serves it: each answer says that it is made up."""

    @property
    def app(self) -> Any:
        return announced(super().app)


@pytest.mark.parametrize("batch", first_of([[], ["--batch"]], ids=["live", "in batches"]))
def test_what_a_stand_in_answers_is_never_said_to_be_paid(tmp_path, coordeval, monkeypatch, batch):
    path = tmp_path / "l.duckdb"
    server = Announced(Faults(batch_seconds=0.0), sampled=False)
    with Running(server) as running:
        monkeypatch.setenv("ANTHROPIC_API_KEY", server.key)
        model = f'{PAID}\nbase_url = "{running.url}"'
        file = study(tmp_path, "free", model=model, count=1, replicates=1, configurations=["single_agent"])
        if not batch:
            exam = coordeval("check-model", file, "--asks", 1, "--ledger", path)
            assert re.search(r"passes; \d+ calls, not paid: \$0\.\d+ \(stand-in\)", exam.out)
        done = coordeval("run", file, "--inline", "--yes", *batch, "--ledger", path)
        assert (done.status, "paid now" in done.out) == (0, False), done.err
        assert re.search(r"; not paid: \$0\.\d+ \(stand-in\)", done.out)
        more = study(tmp_path, "free", model=model, count=2, replicates=1, configurations=["single_agent"])
        again = coordeval("run", more, "--inline", "--yes", *batch, "--ledger", path)
        assert "paid before" not in again.out
    found = json.loads(coordeval("costs", load_study(file).id, "--json", "--ledger", path).out)
    assert found["total"]["paid_micro_usd"] == 0 < found["total"]["attributed_micro_usd"]
    [note] = found["notes"]
    assert "is the price of a stand-in's replies: not paid" in note
    assert read(path).query("SELECT sum(paid_micro_usd)::BIGINT FROM runs").item() == 0


def test_a_model_that_fails_its_exam_is_refused_unless_told_otherwise(tmp_path, coordeval, monkeypatch):
    path = tmp_path / "l.duckdb"
    server = Another(sampled=False)
    with Running(server) as running:
        monkeypatch.setenv("ANTHROPIC_API_KEY", server.key)
        model = f'{PAID}\nbase_url = "{running.url}"'
        file = study(tmp_path, "live", model=model, count=1, replicates=1, configurations=["single_agent"])
        exam = coordeval("check-model", file, "--asks", 1, "--ledger", path)
        assert exam.status == 1
        assert "it is the model that was asked: NO; answered as claude-haiku-4-5" in exam.out
        refused = coordeval("run", file, "--inline", "--yes", "--ledger", path)
        assert refused.status == 1
        assert "failed its exam" in refused.err
        assert coordeval("run", file, "--inline", "--yes", "--unchecked", "--ledger", path).status == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("quote absent.toml", "there is no such file"),
        ("quote s.toml --at-prices-of nobody", "the price of nobody is not known"),
        ("run s.toml --json", "--json goes with --dry"),
        ("run s.toml --inline --yes-up-to much", "--yes-up-to much: it must be an amount of US dollars"),
        ("check-model s.toml --max-usd -1", "--max-usd -1: it must be an amount"),
        ("models nobody", "unknown model 'nobody'"),
    ],
)
def test_bad_input_is_answered_with_one_message(tmp_path, coordeval, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    study(tmp_path, "s", count=1, configurations=["single_agent"])
    done = coordeval(*arguments.split(), *(() if arguments.startswith("models") else ("--ledger", "l.duckdb")))
    assert says in done.out + done.err
    assert not (tmp_path / "l.duckdb").exists()


def test_a_provider_that_cannot_be_loaded_is_named_and_the_others_go_on(tmp_path, coordeval, monkeypatch):
    from coordeval.agents.providers import load

    package = tmp_path / "broken-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[coordeval.models]\nbroken = nowhere_at_all:Model\n")
    monkeypatch.syspath_prepend(tmp_path)
    load.cache_clear()
    try:
        found = json.loads(coordeval("models", "claude-opus-4-6", "--json").out)
        assert "No module named 'nowhere_at_all'" in found["quarantined"]["broken"]
        assert {row["name"] for row in found["providers"]} >= {"anthropic", "openai", "recorded", "simulated"}
        [known] = found["models"]
        assert (known["least_cached_tokens"], known["prices"][0]["input"]) == (4096, 5.0)
        assert "broken could not be loaded" in coordeval("models").out
        said = coordeval(
            "quote", study(tmp_path, "s", model='provider = "broken"\nid = "x"'), "--ledger", tmp_path / "l"
        ).err
        assert "model provider 'broken' could not be loaded" in said
    finally:
        load.cache_clear()
