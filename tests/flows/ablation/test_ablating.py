"""`coordeval tools ablate`: conversations go on without one result, and are the same but for it."""

import json

import pytest

from coordeval.agents.standin import Running, StandIn
from coordeval.agents.usefulness import WITHHELD
from coordeval.flows.ablation.asking import KIND, OVER, ablate, kept
from coordeval.flows.ablation.choosing import choose_calls
from coordeval.flows.costs.bill import bill
from coordeval.flows.costs.consent import COMMAND, Door
from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.dashboard.pages.page import Asked
from coordeval.flows.dashboard.pages.tools import PAGE
from coordeval.flows.dashboard.view import View
from coordeval.flows.study.wiring import stored_prices
from coordeval.ledger import read
from tests.flows.cli.conftest import run

STUDY = """
name = "asked"
replicates = 2
configurations = ["market_price", "single_agent"]
[markets]
source = "simulated"
count = 12
[model]
provider = "simulated"
parameters = { malformed_rate = 0.0, refusal_rate = 0.0, truncation_rate = 0.0 }
[[arms]]
name = "bare"
tools = "none"
"""


class Quiet:
    def print(self, *said, **how):
        pass


def looked(ledger, **changes):
    given = {"calls": 20, "n": 50} | changes
    return ablate(ledger, "asked", Door(how=COMMAND), Quiet(), **given)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablated")
    path = folder / "ledger.duckdb"
    for name, text in (("asked", STUDY), ("bare", STUDY.replace('"asked"', '"none"').split("[[arms]]")[0])):
        more = "" if name == "asked" else "[agents]\ntools = []\n"
        (folder / f"{name}.toml").write_text(text + more)
        assert run("run", folder / f"{name}.toml", "--inline", "--ledger", path) == 0
    return path


@pytest.fixture(scope="module")
def done(ledger):
    return looked(ledger)


def payers(ledger):
    return read(ledger).query("SELECT payer, request FROM draws WHERE starts_with(payer, 'ablation')").rows()


def test_every_chosen_call_is_answered_without_its_result_and_scored_against_the_answer_with_it(done):
    calls = done.found.calls
    assert (done.found.n_calls, calls.height, dict(done.left)) == (20, 20, {})
    assert set(calls["arm"]) == {"main"}, "the arm without tools has no calls"
    for row in calls.to_dicts():
        gain = (row["without"] - row["outcome"]) ** 2 - (row["given"] - row["outcome"]) ** 2
        assert row["utility"] == pytest.approx(gain)
    assert done.found.harmful["utility"].is_sorted()


def test_what_is_sent_differs_from_what_was_sent_in_that_result_alone(ledger, done):
    stored = {(r["forecast_id"], r["ask"], r["turn"]): r["draw_id"] for r in calls_of(ledger)}
    requests = dict(read(ledger).query("SELECT draw_id, request FROM draws").rows())
    firsts = 0
    for payer, request in payers(ledger):
        _, forecast, ask, turn, _ = payer.split(" ")
        was = json.loads(requests[stored[forecast, int(ask), int(turn) + 1]])
        now = json.loads(request)
        if len(now["messages"]) != len(was["messages"]):
            continue  # a later turn of the conversation
        firsts += 1
        blocks = [(a, b) for a, b in zip(was["messages"][-1]["content"], now["messages"][-1]["content"], strict=True)]
        [(before, after)] = [(a, b) for a, b in blocks if a != b]
        assert after == before | {"content": WITHHELD, "is_error": False}
        was["messages"], now["messages"] = was["messages"][:-1], now["messages"][:-1]
        assert was == now
    assert firsts == 20


def calls_of(ledger):
    return read(ledger).query("SELECT forecast_id, ask, turn, draw_id FROM calls").to_dicts()


@pytest.mark.proof
def test_evidence_helps_simulated_agents_and_what_they_do_not_read_moves_them_by_noise_alone(ledger):
    found = looked(ledger, calls=500, n=200).found.totals
    [search] = found.filter(tool="search_evidence", measure="utility").to_dicts()
    [moved] = found.filter(tool="search_evidence", measure="moved").to_dicts()
    [other] = found.filter(tool="market_details", measure="moved").to_dicts()
    assert search["estimate"] > 0
    assert moved["estimate"] > other["estimate"]


def test_the_same_again_asks_nothing_and_is_kept_once(ledger, done):
    before = len(payers(ledger))
    again = looked(ledger)
    assert len(payers(ledger)) == before
    assert again.found.calls.equals(done.found.calls)
    study = done.study_id
    own = [one for one in kept(read(ledger), study) if one["asked_calls"] == 20]
    assert len(own) == 1
    assert own[0]["n_calls"] == 20
    assert read(ledger).query("SELECT DISTINCT kind FROM findings WHERE kind = ?", [KIND]).height == 1


def test_the_choice_of_calls_goes_by_the_seed_and_holds_no_more_than_there_are(ledger, done):
    reader = read(ledger)
    picked = [choose_calls(reader, done.study_id, calls=8, seed=seed).calls for seed in (1, 1, 2)]
    assert picked[0] == picked[1] != picked[2]
    every = choose_calls(reader, done.study_id, calls=10_000, seed=0)
    assert len(every.calls) == every.eligible <= every.stored


def test_the_forecasts_and_their_cost_stay_what_they_were(ledger, done):
    reader = read(ledger)
    assert not reader.query("SELECT 1 FROM forecasts WHERE starts_with(forecast_id, 'ablation')").height
    assert reader.books(done.study_id).uncertain == 0
    assert run("verify", "--ledger", ledger) == 0
    came = bill(reader, done.study_id, stored_prices(reader.study(done.study_id).content))
    [beside] = came["beside"]
    assert beside["purpose"] == "ablation"
    assert beside["paid_micro_usd"] > 0
    drawn = reader.query("SELECT sum(micro_usd)::BIGINT FROM draws").item()
    assert came["total"]["paid_micro_usd"] + beside["paid_micro_usd"] == came["with_beside"]["paid_micro_usd"] == drawn


def test_the_command_says_the_answer_in_words_first_and_every_call_as_json(coordeval, ledger):
    given = ("tools", "ablate", "asked", "--calls", 20, "--ledger", ledger)
    said = coordeval(*given)
    assert said.status == 0, said.err
    assert said.out.startswith("SIMULATED")
    assert "20 tool calls of" in said.out
    assert "Harmful calls, the worst" in said.out
    assert "20 conversations will go on" in said.err
    told = json.loads(coordeval(*given, "--json").out)
    assert (len(told["calls"]), told["withheld_as"]) == (20, WITHHELD)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("asked", "--calls", 0), "--calls 0: it is how many tool calls are looked at, 1 or more"),
        (("none",), "no tool call of this study is stored"),
        (("nowhere",), "there is no study 'nowhere'"),
        (("asked", "--max-usd", "x"), "--max-usd x: it must be an amount"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(coordeval, ledger, given, words):
    refused = coordeval("tools", "ablate", *given, "--ledger", ledger)
    assert refused.status == 1
    assert words in refused.err


def page(ledger, **view):
    facts = Facts(ledger)
    try:
        return str(PAGE.layout(Asked(view=View(**view), facts=facts, dark=False)))
    finally:
        facts.close()


def test_the_page_has_the_tables_the_curve_and_what_single_results_were_worth_in_whichever_arm(ledger, done):
    shown = page(ledger, study="asked", arm="bare")
    for words in ("Needed, useful, used", "Perceived against true", "Brier score against calls", "own choice"):
        assert words in shown
    assert "SIMULATED: " in shown
    assert f"of {done.chosen.eligible:,} went on with one result withheld" in shown


def test_the_page_of_a_study_without_such_arms_says_what_to_add(ledger):
    shown = page(ledger, study="none")
    assert "No two arms of this study differ in tools alone" in shown
    assert "Not asked yet: `coordeval tools ablate none --calls 200` does it." in shown


# --- a model that costs money


@pytest.fixture(scope="module")
def paid(tmp_path_factory):
    """(a stand-in of an endpoint, the file of a study that was run there, its ledger)."""
    stand_in = StandIn(sampled=False)
    folder = tmp_path_factory.mktemp("paid")
    with Running(stand_in) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTHROPIC_API_KEY", stand_in.key)
        file, path = folder / "paid.toml", folder / "ledger.duckdb"
        model = f'provider = "anthropic"\nid = "claude-opus-4-6"\nmax_tokens = 800\nbase_url = "{running.url}"'
        text = STUDY.partition("[model]")[0].replace('"asked"', '"paid"').replace("count = 12", "count = 3")
        file.write_text(f"{text}[model]\n{model}\n")
        assert run("run", file, "--inline", "--ledger", path, "--yes") == 0
        yield stand_in, file, path


def test_a_paid_model_is_asked_once_somebody_agreed_to_its_quote(paid, coordeval):
    stand_in, file, path = paid
    before = len(stand_in.seen)
    asked = ("tools", "ablate", file, "--calls", 3, "--ledger", path)
    for given, words in (
        ((), "this ablation may cost up to $"),
        (("--yes-up-to", "0.0001"), "more than --yes-up-to 0.0001"),
        (("--max-usd", "0", "--yes"), f"none of 3 conversations was answered without its result: 3: {OVER}"),
    ):
        refused = coordeval(*asked, *given)
        assert refused.status == 1
        assert "3 conversations will go on, for about $" in refused.err
        assert words in refused.err
    named = coordeval("tools", "ablate", "paid", "--calls", 3, "--ledger", path)
    assert "name its file" in named.err
    assert len(stand_in.seen) == before
    spent = read(path).books(read(path).study("paid").study_id).paid_micro_usd
    done = coordeval(*asked, "--yes-up-to", "20", "--json")
    assert done.status == 0, done.err
    told = json.loads(done.out)
    assert told["n_calls"] == 3
    assert len(stand_in.seen) > before
    assert 0 < told["usd"] <= told["quoted"]["most_usd"]
    assert read(path).books(told["study_id"]).paid_micro_usd == spent
