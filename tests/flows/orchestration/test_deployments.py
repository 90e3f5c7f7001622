"""What would be deployed, as data, and what is shown in Prefect's UI of texts that others wrote."""

import pytest

from coordeval.flows.orchestration.artifacts import plain
from coordeval.flows.orchestration.deployments import alarms, planned
from coordeval.flows.orchestration.names import key, ledger_tag
from coordeval.market_data.errors import CoordevalError


def test_every_job_of_a_study_and_every_venue_is_one_deployment_with_whole_paths(study_file, tmp_path):
    ledger = tmp_path / "ledger.duckdb"
    made = [one.as_json() for one in planned([study_file()], ledger, ["kalshi", "polymarket"])]
    tag = ledger_tag(ledger)
    own = tag.removeprefix("ledger-")
    assert {f"pull-markets/kalshi-{own}", f"pull-markets/polymarket-{own}", f"report/small-{own}"} <= {
        one["deployment"] for one in made
    }
    for one in made:
        assert one["parameters"]["ledger"] == str(ledger)
        assert {"coordeval", tag} <= set(one["tags"])
        assert one["work_queue"] == tag
    assert "simulated" in made[-1]["tags"]
    assert {(one["retries"], one["retry_delay_seconds"]) for one in made} == {(2, 300)}
    waits = {alarm.what: alarm.as_json() for alarm in alarms(ledger)}
    assert waits["the monitor saw a signal change"]["events"] == ["coordeval.monitor.alarm"]
    assert waits["no run of this ledger was completed within two days"]["within_seconds"] == 2 * 24 * 3600


def test_two_ledgers_of_one_study_have_names_of_their_own(study_file, tmp_path):
    names = {planned([study_file()], tmp_path / name, [])[0].full_name for name in ("a.duckdb", "b.duckdb")}
    assert len(names) == 2
    assert not {a.name for a in alarms(tmp_path / "a.duckdb")} & {a.name for a in alarms(tmp_path / "b.duckdb")}


def test_what_cannot_be_served_is_refused_by_name(study_file, tmp_path):
    ledger = tmp_path / "ledger.duckdb"
    with pytest.raises(CoordevalError, match="nothing to serve"):
        planned([], ledger, [])
    with pytest.raises(CoordevalError, match="unknown venue 'polymarkt'"):
        planned([], ledger, ["polymarkt"])
    two = [study_file(), study_file(("count = 6", "count = 7"), name="other.toml")]
    with pytest.raises(CoordevalError, match="would be made twice"):
        planned(two, ledger, [])


HOSTILE = {
    "HTML": ('<img src=x onerror="alert(1)">', "<"),
    "a link": ("[free money](javascript:alert(1))", "]("),
    "a picture": ("![](https://evil.example/pixel.png)", "!["),
    "code": ("`rm -rf /`", " `"),
    "several lines": ("one\n# two\n<script>", "\n"),
    "a terminal's escape": ("\x1b[31mred", "\x1b"),
}


@pytest.mark.parametrize(("text", "never"), HOSTILE.values(), ids=list(HOSTILE))
def test_a_text_of_others_is_shown_as_text(text, never):
    shown = f" {plain(text)}"
    assert never not in shown
    assert "<" not in shown


def test_a_key_is_lower_case_digits_and_dashes():
    assert key("leaderboard", "My study_1.0", "ledger-ab12") == "leaderboard-my-study-1-0-ledger-ab12"


def test_prefects_form_says_what_each_parameter_means_and_takes_no_more_than_the_job_does():
    from coordeval.flows.jobs.table import JOBS
    from coordeval.flows.orchestration.scheduled import FLOWS

    assert set(FLOWS) == set(JOBS), "every job has its flow"
    for name, flow in FLOWS.items():
        form = flow.parameters.model_dump()["properties"]
        assert all(field.get("description") for field in form.values()), name
        assert set(JOBS[name].options) <= set(form), name
        assert {option: form[option]["default"] for option in JOBS[name].options} == dict(JOBS[name].options)
    assert FLOWS["pull-markets"].parameters.properties["days_back"]["minimum"] == 1
