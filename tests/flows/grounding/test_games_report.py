"""What is read out of stored games: the report in all its forms, a replay of one game, and the page of the dashboard."""

import json
from fractions import Fraction

import pytest

from coordeval.flows.cli.ending import status_of
from coordeval.flows.cli.main import app
from coordeval.flows.dashboard.app import rendered
from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.grounding.replaying import replayed
from coordeval.flows.grounding.reporting import report_of
from coordeval.ledger import read
from coordeval.ledger.games import games_frame


@pytest.fixture(scope="module")
def report(small, checked_figures):
    loaded, path = small
    return report_of(read(path), loaded.id, n=200)


def run(*arguments):
    return status_of(lambda: app([*map(str, arguments)], standalone_mode=False))


def test_the_same_numbers_stand_in_words_in_json_and_on_the_page(report):
    results = report.results()
    json.dumps(results, allow_nan=False)
    means = {row["arm"]: row["efficiency"] for row in results["measures"]}
    said = " ".join(sentence for answer in report.answers for sentence in answer.says)
    page = report.html()
    for arm, value in means.items():
        assert f"{arm}" in said or arm == "record"
        assert f"{100 * value:.0f}%" in page
    assert "SIMULATED" in page
    assert "://" not in page.split("<script")[0]  # nothing is asked of the network


def test_every_null_has_its_reason(report):
    results = report.results()
    for name in ("efficiency", "differences", "rounds", "modes"):
        for row in results[name]:
            assert None not in [v for k, v in row.items() if k not in ("reason", "source")] or row["reason"], (name, row)


def test_what_is_lost_adds_up_exactly(report):
    for arm, fall in report.results()["losses"].items():
        steps = sum(Fraction(step["exactly"]) for step in fall["steps"])
        own = report.found.waterfalls[arm]
        assert own.start - steps == own.end
        efficiency = next(row["efficiency"] for row in report.results()["measures"] if row["arm"] == arm)
        assert float(own.end) == pytest.approx(efficiency)


def test_a_replay_shows_what_was_said_submitted_and_lost(small, capsys):
    loaded, path = small
    row = games_frame(read(path), loaded.id).filter(arm="structured").row(0, named=True)
    made = replayed(read(path), row["forecast_id"][:10]).as_json()
    assert len(made["rounds"]) == 4
    for played in made["rounds"]:
        assert [said["text"] for said in played["said"]] == ["See the plan.", "See the plan."]
        assert sum(loss["reward"] for loss in played["lost"]) == played["optimum"] - played["got"]
    assert sum(p["got"] / p["optimum"] for p in made["rounds"]) / 4 == pytest.approx(row["efficiency"])
    assert run("grounding", "replay", row["forecast_id"][:10], "--ledger", path) == 0
    assert "See the plan." in capsys.readouterr().out


def test_the_commands_print_and_write(small, tmp_path, capsys):
    _, path = small
    assert run("grounding", "report", "small", "--ledger", path, "--out", tmp_path / "out", "--full") == 0
    assert "How much of the optimum do they get?" in capsys.readouterr().out
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"report.html", "results.json", "games.csv"}
    game = json.loads((run("grounding", "games", "--json", "--ledger", path), capsys.readouterr().out)[1])[0]["forecast_id"]
    assert run("grounding", "replay", game[:8], "--html", tmp_path / "game.html", "--ledger", path) == 0
    assert "Round 1" in (tmp_path / "game.html").read_text()
    assert run("grounding", "repairs") == 0
    assert "shared_record" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("report", "small"), "is a study of games: `coordeval grounding report small`"),
        (("report",), "holds no study of forecasts yet"),
        (("monitor", "small"), "is a study of games"),
        (("grounding", "report", "nothing"), "there is no study 'nothing'"),
        (("grounding", "replay", "ab"), "give 4 characters of its id or more"),
        (("grounding", "replay", "zzzzzz"), "no game whose id begins with 'zzzzzz'"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(small, capsys, arguments, told):
    _, path = small
    assert run(*arguments, "--ledger", path) == 1
    assert told in " ".join(capsys.readouterr().err.split())


def test_the_dashboard_has_a_page_of_games_and_its_other_pages_keep_to_forecasts(small):
    _, path = small
    facts = Facts(path)
    try:
        text = str(rendered("/games", "", facts, dark=False, command="coordeval dashboard"))
        assert "Which repair helps?" in text
        assert "SIMULATED" in text
        other = str(rendered("/", "", facts, dark=False, command="coordeval dashboard"))
        assert "holds no study yet" in other
    finally:
        facts.close()
