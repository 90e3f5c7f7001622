"""A study of games on a live model: over the network, in batches, within a budget, killed and gone on with, quoted before.

Behind the address is the stand-in, as `python -m coordeval.agents.standin` serves it: who answers is what a request offers.
"""

import os
import subprocess
import sys
import time

import polars as pl
import pytest

from coordeval.agents.standin import Faults
from coordeval.agents.standin.app import StandIn
from coordeval.agents.standin.running import Running
from coordeval.flows.cli.ending import status_of
from coordeval.flows.cli.main import app
from coordeval.flows.grounding.quoting import longest_chain, quoted_games
from coordeval.flows.grounding.study import load_games
from coordeval.ledger import read
from coordeval.ledger.games import games_frame
from tests.flows.grounding.conftest import played

STUDY = """
name = "live"
replicates = 1
conditions = ["oracle", "pair", {{ name = "pair", label = "commitments", repair = "commitments" }}]
{more}
[instances]
count = 2
[model]
provider = "anthropic"
id = "claude-haiku-4-5"
base_url = "{url}"
[run]
batch = {batch}
"""


@pytest.fixture(scope="module")
def server():
    with Running(StandIn(Faults())) as running:
        yield running


def load(folder, server, *, batch="false", more=""):
    file = folder / f"live-{batch}.toml"
    file.write_text(STUDY.format(url=server.url, batch=batch, more=more))
    return load_games(file)


@pytest.fixture(autouse=True)
def _key(monkeypatch, server):
    monkeypatch.setenv("ANTHROPIC_API_KEY", server.standin.key)


def test_games_are_played_over_the_network_and_their_price_is_counted(tmp_path, server):
    loaded = load(tmp_path, server)
    assert played(loaded, tmp_path / "l.duckdb").status == "complete"
    frame = games_frame(read(tmp_path / "l.duckdb"), loaded.id)
    assert set(frame["status"]) == {"answered"}
    assert frame.filter(arm="oracle")["efficiency"].to_list() == [1.0, 1.0]
    assert frame["cost_usd"].min() > 0
    assert not frame["simulated"].any()


def test_in_batches_there_are_as_many_as_calls_that_follow_one_another(tmp_path, server):
    loaded = load(tmp_path, server, batch="true")
    made = len(server.standin.batches.made)
    assert played(loaded, tmp_path / "b.duckdb").status == "complete"
    reader = read(tmp_path / "b.duckdb")
    calls = reader.query("SELECT c.configuration, k.* FROM cells c JOIN calls k USING (forecast_id)")
    longest = longest_chain(calls, ["oracle"])
    assert len(server.standin.batches.made) - made == reader.query("SELECT count(*) FROM batches").item() == longest
    assert longest < calls.group_by("forecast_id").len()["len"].max()
    assert games_frame(reader, loaded.id).filter(arm="oracle")["efficiency"].to_list() == [1.0, 1.0]


def test_words_follow_one_another_and_what_a_pair_submits_does_not():
    rows = [("a", "pair", 0, "talk", 0)] * 3 + [("a", "pair", 0, "submission", 0), ("a", "pair", 0, "submission", 1)]
    calls = pl.DataFrame(rows, ["forecast_id", "configuration", "round", "role", "turn"], orient="row")
    assert longest_chain(calls) == 3 + 2  # one of the two was asked again
    assert longest_chain(calls.with_columns(role=pl.lit("submission")), ["pair"]) == 5
    assert longest_chain(calls.clear()) == 0


def test_what_breaks_a_rule_over_the_network_is_sent_back_and_named(tmp_path, server, monkeypatch):
    wrong = {"over budget", "unknown resource", "fractional units"}
    monkeypatch.setattr(server.standin, "faults", Faults(dict.fromkeys(sorted(wrong), 0.25)))
    loaded = load(tmp_path, server)
    assert played(loaded, tmp_path / "w.duckdb").status == "complete"
    named = read(tmp_path / "w.duckdb").query("SELECT DISTINCT name FROM mishaps")["name"].to_list()
    assert wrong <= set(named)
    assert set(games_frame(read(tmp_path / "w.duckdb"), loaded.id)["status"]) == {"answered"}


@pytest.mark.proof  # games are run as studies are, whose kills are tried on every commit
def test_a_killed_run_goes_on_where_it_was_and_pays_for_nothing_twice(tmp_path, server, monkeypatch):
    monkeypatch.setattr(server.standin, "faults", Faults(seconds=0.05))
    loaded = load(tmp_path, server)
    before = len(server.standin.seen)
    arguments = ["grounding", "run", str(tmp_path / "live-false.toml"), "--ledger", str(tmp_path / "k.duckdb"), "--yes"]
    command = [sys.executable, "-m", "coordeval", *arguments]
    own = os.environ | {"ANTHROPIC_API_KEY": server.standin.key}  # this process has put its own aside when it read the study
    with subprocess.Popen(command, env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        while len(server.standin.seen) - before < 20:
            assert run.poll() is None, run.stdout.read().decode()  # it ended before it could be killed
            time.sleep(0.01)
        run.kill()
    assert played(loaded, tmp_path / "k.duckdb").status == "complete"
    reader = read(tmp_path / "k.duckdb")
    draws = reader.query("SELECT count(*) FROM draws").item()
    sent = len(server.standin.seen) - before
    assert draws <= sent <= draws + 12  # again goes what was under way when it was killed, of each open game one call or two
    assert set(games_frame(reader, loaded.id)["status"]) == {"answered"}


def test_a_budget_ends_a_run_before_it_is_passed_and_the_rest_stays_open(tmp_path, server):
    loaded = load(tmp_path, server, more="budget_usd = 0.05")
    assert played(loaded, tmp_path / "l.duckdb").status == "incomplete"
    frame = games_frame(read(tmp_path / "l.duckdb"), loaded.id)
    assert frame["cost_usd"].sum() <= 0.05
    assert "pending" in set(frame["status"]) or any("budget" in str(why) for why in frame["reason"])


def test_a_quote_is_shown_and_nothing_is_asked_before_a_yes(tmp_path, server, capsys):
    loaded = load(tmp_path, server)
    found = quoted_games(loaded, tmp_path / "l.duckdb")
    assert (found.open, found.markets, found.model) == (6, 2, "claude-haiku-4-5")
    assert found.calls.mean > 6 * 8
    assert 12 <= found.waves <= 18  # words go by turns, and both submit at once: fewer than one for each call
    before = len(server.standin.seen)
    arguments = ["grounding", "run", str(tmp_path / "live-false.toml"), "--ledger", str(tmp_path / "l.duckdb")]
    assert status_of(lambda: app(arguments, standalone_mode=False)) == 1
    assert "may cost" in " ".join(capsys.readouterr().err.split())
    assert len(server.standin.seen) == before
