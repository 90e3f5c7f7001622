"""`coordeval wake` and what `coordeval runs` says of it: rows of bad input, and words that a person can go on with."""

import json

import pytest
from typer.testing import CliRunner

from coordeval.flows.cli.ending import status_of
from coordeval.flows.cli.main import app

STUDY = 'name = "s"\nconfigurations = ["market_price"]\n[markets]\nsource = "simulated"\ncount = 3\n'
REAL = STUDY.replace('source = "simulated"\ncount = 3', 'source = "coordination-traces-100"').replace(
    "\nconf", "\nreplicates = 1\nconf"
)
MODEL = '[model]\nprovider = "recorded"\nrecording = "coordination-traces-100"\n'

BAD = {
    "an unknown job": (["reprot"], "unknown job 'reprot'"),
    "no study": (["report"], "report: it is done for a study"),
    "a study that is not there": (["report", "no.toml"], "no.toml: there is no such file"),
    "a study that has not run": (["report", "s.toml"], "l.duckdb holds no study yet; `coordeval run STUDY.toml`"),
    "an unknown option": (["pull-markets", "--set", "sorce=kalshi"], "'sorce=kalshi': pull-markets takes name=value"),
    "an option without a value": (["pull-markets", "--set", "source"], "takes name=value"),
    "a number that is none": (["pull-markets", "--set", "days_back=few"], "days_back must be a int"),
    "an unknown venue": (["pull-markets", "--set", "source=nowhere"], "nowhere"),
    "a stand-in for time where markets are real": (["report", "real.toml", "--now", "2026-01-01"], "only a simulated world"),
    "that, of a made-up model": (
        ["forecast-open", "half.toml", "--now", "2026-01-01"],
        "only a simulated world",
    ),
    "nothing to serve": (["serve"], "nothing to serve: give a study file"),
    "a study to serve that is not there": (["serve", "no.toml"], "no.toml: there is no such file"),
    "a venue to deploy that there is not": (["deploy", "--source", "polymarkt", "--show"], "unknown venue 'polymarkt'"),
    "no server to deploy to": (["deploy", "s.toml"], "no Prefect server is configured: set PREFECT_API_URL"),
    "a port that is none": (["serve", "s.toml", "--port", "99999"], "less than or equal to 65535"),
    "a day that is none": (["report", "s.toml", "--since", "soon"], "soon"),
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    (tmp_path / "s.toml").write_text(STUDY + '[model]\nprovider = "simulated"\n')
    (tmp_path / "real.toml").write_text(REAL.replace("market_price", "single_agent") + MODEL)
    (tmp_path / "half.toml").write_text(REAL.replace("market_price", "single_agent") + '[model]\nprovider = "simulated"\n')
    return tmp_path


@pytest.mark.parametrize(("words", "said"), BAD.values(), ids=list(BAD))
def test_what_is_wrong_is_one_message(place, capfd, words, said):
    words = words if words[0] in {"serve", "deploy"} else ["wake", *words]
    status = status_of(lambda: app([*words, "--ledger", "l.duckdb"], standalone_mode=False))
    out = capfd.readouterr()
    assert status in {1, 2}
    assert said in out.err
    assert "Traceback" not in out.err


def test_a_job_that_was_woken_is_listed_among_the_runs(place):
    invoke = CliRunner().invoke
    ran = invoke(app, ["run", "s.toml", "--inline", "--ledger", "l.duckdb"])
    assert ran.exit_code == 0, ran.output
    for done in ({"2026-03-10": True}, {}):
        woken = invoke(app, ["wake", "report", "s.toml", "--now", "2026-03-10", "--ledger", "l.duckdb", "--json"])
        assert woken.exit_code == 0, woken.output
        assert list(json.loads(woken.stdout)["done"]) == list(done)
    listed = json.loads(invoke(app, ["runs", "--ledger", "l.duckdb", "--json"]).stdout)
    assert sorted((row["kind"], row["status"]) for row in listed) == [("day", "done"), ("run", "complete")]
    shown = invoke(app, ["runs", "--ledger", "l.duckdb"]).output
    assert "2026-03-10" in shown
    assert "report" in shown
