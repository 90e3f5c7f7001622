"""A study of games on a live model: over the network, within a budget, in batches; and a quote before money is spent."""

import pytest

from coordeval.agents.standin.app import StandIn
from coordeval.agents.standin.running import Running
from coordeval.flows.cli.ending import status_of
from coordeval.flows.cli.main import app
from coordeval.flows.grounding.quoting import quoted_games
from coordeval.flows.grounding.study import load_games
from coordeval.grounding.simulated_model import SimulatedPlayers
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
    """An endpoint that speaks the Messages API, behind which simulated players answer."""
    standin = StandIn()
    standin._forecaster._model = SimulatedPlayers()
    standin.faults.seconds = 0.0
    with Running(standin) as running:
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
    before = len(server.standin.seen)
    arguments = ["grounding", "run", str(tmp_path / "live-false.toml"), "--ledger", str(tmp_path / "l.duckdb")]
    assert status_of(lambda: app(arguments, standalone_mode=False)) == 1
    assert "may cost" in " ".join(capsys.readouterr().err.split())
    assert len(server.standin.seen) == before
