"""What a notebook asks for by one name, and how it shows itself there."""

from pathlib import Path

import polars as pl
import pytest

import coordeval
from coordeval.analysis import example, leaderboard
from coordeval.flows.certificate.conversation import Ask, Conversation
from coordeval.flows.cli.notebook import copies

SCRIPT = "<script>alert(1)</script>"
STUDY = """
name = "small"
configurations = ["market_price", "single_agent", "peer_critique_debate"]
[markets]
source = "simulated"
count = 4
[model]
provider = "simulated"
"""


@pytest.fixture(scope="module")
def ledger(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("notebook") / "small.duckdb"


@pytest.fixture(scope="module")
def made(ledger) -> coordeval.Report:
    (ledger.parent / "small.toml").write_text(STUDY)
    return coordeval.run(ledger.parent / "small.toml", ledger)


async def test_a_study_runs_where_a_loop_runs_already_and_is_not_asked_again(ledger, made):
    again = coordeval.run(ledger.parent / "small.toml", ledger)
    assert again.results()["verdicts"] == made.results()["verdicts"]
    assert coordeval.read(ledger).query("SELECT count(DISTINCT run_id) AS n FROM forecasts").item() == 1


def test_a_report_shows_its_first_screen(ledger, made):
    shown = coordeval.report(ledger)._repr_html_()
    assert all(verdict.question in shown for verdict in made.verdicts)
    assert made.standing.amount in shown
    assert "SIMULATED" in shown


def test_a_study_a_conversation_and_a_certificate_show_themselves(ledger, made):
    reader = coordeval.read(ledger)
    assert "study small" in reader.study("small")._repr_html_()
    one = reader.query("SELECT forecast_id FROM forecasts WHERE configuration = 'peer_critique_debate' LIMIT 1").item()
    talk = coordeval.conversation(ledger, one)
    assert talk._repr_html_().count("<details>") == len(talk.asks) > 1
    assert "verdict: passed" in coordeval.certificate(ledger, one)._repr_html_()


def test_text_of_others_does_not_run():
    row = dict.fromkeys(("probability", "outcome", "model_calls", "cost"), 0) | {"reason": None, "simulated": True}
    said = {"probability": 0.5, "rationale": SCRIPT}
    ask = Ask(ask=0, agent=0, round=0, role=SCRIPT, shown=[], given=SCRIPT, answer=said)
    talk = Conversation(row | {"configuration": SCRIPT, "replicate": 0, "question": SCRIPT}, "", [ask])
    named = example(markets=6).with_columns(pl.col("configuration").replace({"single_agent": SCRIPT}))
    for shown in (talk._repr_html_(), leaderboard(named, resamples=20)._repr_html_()):
        assert "<script>" not in shown
        assert "&lt;script&gt;" in shown


def test_notebooks_are_copied_once_and_mine_stay_as_they_are(tmp_path):
    first = copies(tmp_path / "mine")
    assert {path.stem for path in first} >= {"tour", "own_configuration", "plan", "ledger", "published"}
    first[0].write_text("mine")
    assert copies(tmp_path / "mine") == first
    assert first[0].read_text() == "mine"


def test_every_name_of_the_package_is_there():
    assert all(getattr(coordeval, name) is not None for name in coordeval.__all__)
    with pytest.raises(AttributeError, match=r"no attribute 'scores'; it has .*report"):
        coordeval.scores  # noqa: B018  it is the look-up that is tested


def test_where_the_ledger_is_is_asked_at_each_call(ledger, made, tmp_path, monkeypatch):
    """Not when the package is imported: a notebook may set it, and its first cell need not be the first import."""
    monkeypatch.setenv("COORDEVAL_LEDGER", str(ledger))
    assert coordeval.report().results()["verdicts"] == made.results()["verdicts"]
    monkeypatch.setenv("COORDEVAL_LEDGER", str(tmp_path / "none.duckdb"))
    with pytest.raises(coordeval.CoordevalError, match=r"none\.duckdb"):
        coordeval.report()
