"""Several arms in reports, results and the certificate: comparisons inside one arm, and what is declared between them."""

import json
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from coordeval.analysis.audit import Audit, Looked, together
from coordeval.analysis.monitor import Alarm
from coordeval.analysis.report.results import strict_json
from coordeval.flows.audit.diagnosis import evidence_of
from coordeval.flows.certificate.leaks import leaks_by_arm
from coordeval.flows.compare.comparing import compare
from coordeval.flows.dashboard.app import rendered
from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.monitor.record import record
from coordeval.flows.monitor.watching import _kept, _merged, _row, look, summary
from coordeval.flows.plan.first_study import first_study
from coordeval.flows.run.auditing import audit_study
from coordeval.flows.run.between import between
from coordeval.flows.run.control import control
from coordeval.flows.run.scoring import report_directory, score
from coordeval.flows.run.telemetry import telemetry_of
from coordeval.flows.study.in_arms import in_arm
from coordeval.ledger import read
from coordeval.market_data.errors import CoordevalError
from tests.flows.cli.conftest import run as command_line
from tests.flows.run.test_arms_run import STUDY
from tests.flows.run.test_run import run

ARMS = ("main", "bare", "patient", "noisy")
NOW = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arms")
    (folder / "arms.toml").write_text(STUDY.replace("count = 3", "count = 6"))
    run(folder / "arms.toml", folder / "ledger.duckdb")
    return folder / "ledger.duckdb"


@pytest.fixture(scope="module")
def report(path):
    return score(path, "arms", arm="bare")


def test_every_comparison_is_of_one_arm(path, report):
    with in_arm(read(path), "arms", "bare") as held:
        frame = held.forecast_frame("arms")
    single = frame.filter(configuration="single_agent")
    error = ((single["probability"] - single["outcome"]) ** 2).mean()
    rows = {row["configuration"]: row for row in report.board.table.to_dicts()}
    assert rows["single_agent"]["brier"] == pytest.approx(error)
    assert report.arm == "bare"
    assert report.study["model"] == "simulated-forecaster-1"
    assert report_directory(path, report) != report_directory(path, score(path, "arms"))


def test_what_the_page_on_arms_shows_in_python_is_so(path):
    page = (Path(__file__).parents[3] / "docs/concepts/arms.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    there = {"reader": read(path)}
    exec(compile(shown, "docs/concepts/arms.md", "exec"), there)
    assert there["table"]["arm"].to_list()[:2] == ["main", "bare"]
    assert set(there["frame"]["arm"]) == {"bare"}


def test_results_hold_every_arm_with_its_factors_and_scores(report):
    found = json.loads(strict_json(report.results()))["arms"]
    assert [row["arm"] for row in found["arms"]] == ["main", "bare", "patient", "noisy"]
    assert found["varied"] == ["model", "tools", "max_turns"]
    assert found["comparable"][0] == {"first": "main", "second": "bare", "factor": "tools"}
    assert len(found["scores"]) == 12
    assert found["overlap"] == "5 of 6 markets are scored in every arm; not scored: 1 in bare."
    assert [one["held"] for one in found["between"]] == [True, True, True]


def test_the_page_has_a_panel_for_each_arm_in_one_order(report):
    page = report.html()
    assert 'id="group-arms"' in page
    assert [picture.title for picture in report.arm_pictures[:4]] == ["Arm main", "Arm bare", "Arm patient", "Arm noisy"]
    orders = {tuple(picture.figure.layout.yaxis.ticktext) for picture in report.arm_pictures[:4]}
    assert len(orders) == 1


def ids(path, arm):
    return set(read(path).query("SELECT forecast_id FROM cells WHERE arm = ?", [arm])["forecast_id"])


def test_the_monitor_holds_each_arm_against_a_baseline_of_its_own(path):
    reader = read(path)
    own = reader.study("arms").study_id
    for arm in ARMS:
        with in_arm(reader, own, arm) as held:
            rows = record(held, held.study(own), now=NOW).frame
        assert rows.height > 0, arm
        assert set(rows["forecast_id"]) <= ids(path, arm)
        seen = look(reader, own, now=NOW, arm=arm)
        assert (seen.arm.arm, seen.arm.others) == (arm, tuple(name for name in ARMS if name != arm))
        assert summary(seen).startswith(f"arms in the arm {arm!r}: 0 open alarms")


def test_an_alarm_is_of_its_arm_and_of_no_other(path):
    """One row of each arm, alike in all but the arm: neither takes the other for its own, and ids differ."""
    reader = read(path)
    own = reader.study("arms").study_id
    alarm = Alarm(
        configuration="single_agent", signal="tokens", begun=0, since=1, raised=2, latest=3, before=1.0, after=2.0,
        evidence=30.0, needed=20.0, forecasts=(), state="open", alone=None,
    )  # fmt: skip
    seen = [look(reader, own, now=NOW, arm=arm) for arm in ("main", "bare")]
    made = [_merged(one.study, one.arm, replace(one.found, alarms=(alarm,)), 1, 8, [], NOW) for one in seen]
    rows = [_row(own, kept) for one in made for kept in one.new]
    assert [_kept(row).arm for row in rows] == ["main", "bare"]
    assert len({row["finding_id"] for row in rows}) == 2
    old = rows[0] | {"detail": json.dumps({k: v for k, v in json.loads(rows[0]["detail"]).items() if k != "arm"})}
    assert _kept(old).arm == "main", "an alarm from before there were arms"
    assert made[1].events()[0]["resource"]["coordeval.arm"] == "bare"


def test_telemetry_is_of_each_arm_by_itself(path):
    found = telemetry_of(read(path), "arms")
    assert found["arm"].unique(maintain_order=True).to_list() == list(ARMS)
    for arm in ("main", "noisy"):
        rows = found.filter(arm=arm)
        assert set(rows["forecast_id"]) <= ids(path, arm)
        assert rows.equals(telemetry_of(read(path), "arms", arm=arm))
    with pytest.raises(CoordevalError, match="must be one of"):
        telemetry_of(read(path), "arms", arm="nosy")


def test_the_audit_looks_at_every_arm_and_each_finding_says_its_own(path):
    found = audit_study(read(path), "arms")
    assert found.forecasts == 72
    assert all(set(finding.arms) <= set(ARMS) and finding.arms for finding in found.findings)
    [alike] = [finding for finding in found.findings if finding.rule == "same_event"]
    assert alike.arms == ARMS, "what is of the markets stands once"
    alone = audit_study(read(path), "arms", arm="bare")
    assert {finding.arms for finding in alone.findings} == {("bare",)}
    assert alone.as_json()["findings"][0]["arms"] == ["bare"]


def test_a_rule_that_fell_over_in_one_arm_is_not_silent():
    """What it said stays, though it looked in the other."""
    look = {"rule": "r", "severity": "note", "stage": "talk", "looks_for": "x", "findings": 0}
    parts = {
        arm: Audit(study={}, findings=(), looked=(Looked(**look, why=why),), quarantined={}, forecasts=1)
        for arm, why in (("a", None), ("b", "it fell over: KeyError: 'x'"))
    }
    assert together(parts).looked[0].why == "in the arm 'b': it fell over: KeyError: 'x'"
    parts["b"] = replace(parts["b"], looked=(Looked(**look, why="nothing is stored of tool_calls"),))
    assert together(parts).looked[0].why is None, "where one arm has no tools, the others were looked at"


def test_leak_probes_are_of_every_arm_and_what_they_say_alike_stands_once(path):
    rows = leaks_by_arm(read(path), "arms", resamples=20)
    arms = {row.title: [one.arms for one in rows if one.title == row.title] for row in rows}
    assert arms["Sibling questions"] == [ARMS]
    assert sorted(name for told in arms["Copies of the price"] for name in told) == sorted(ARMS)
    assert {row.arms for row in leaks_by_arm(read(path), "arms", "noisy", resamples=20)} == {("noisy",)}


def test_a_diagnosis_is_among_the_forecasts_of_its_own_arm(path):
    one = min(ids(path, "noisy"))
    known, found = evidence_of(read(path), one)
    assert found == one
    assert set(known.forecasts["forecast_id"]) == ids(path, "noisy")


@pytest.mark.parametrize(
    ("arms", "says"),
    [
        (("main", "bare"), "tools: market_details, price_history, search_evidence → none"),
        (("main", "noisy"), "simulated forecaster's private noise: not set → 1.0"),
    ],
)
def test_two_arms_are_compared_where_one_factor_tells_them_apart(path, arms, says):
    found = compare(read(path), "arms", "arms", arms=arms, resamples=50)
    assert found.names == arms
    assert found.differs == (says,)
    frame = read(path).forecast_frame("arms").filter(configuration="single_agent").drop_nulls(["probability", "outcome"])
    errors = [frame.filter(arm=arm).select("market_id", e=(pl.col("probability") - pl.col("outcome")) ** 2) for arm in arms]
    on = compare(read(path), "arms", "arms", arms=arms, policy="available", resamples=9)
    row = on.table.filter(first=f"{arms[0]}:single_agent", second=f"{arms[1]}:single_agent").row(0, named=True)
    both = errors[0].join(errors[1], on="market_id")
    assert row["delta"] == pytest.approx((both["e"] - both["e_right"]).mean())


@pytest.mark.parametrize(
    ("arms", "says"),
    [
        (("bare", "noisy"), "differ in model and tools: a difference could come of any of these"),
        (("main", "main"), "one study in one arm"),
        (("main", "bear"), "it must be one of"),
    ],
)
def test_arms_that_more_tells_apart_are_not_compared(path, arms, says):
    with pytest.raises(CoordevalError, match=says):
        compare(read(path), "arms", "arms", arms=arms)


def test_arms_of_which_more_differs_than_they_declare_are_not_compared(path, tmp_path):
    other = shutil.copy(path, tmp_path / "l.duckdb")
    with duckdb.connect(str(other)) as con:
        con.execute(
            "UPDATE cells SET identity = replace(identity, '\"scaffold\":\"', '\"scaffold\":\"x') WHERE arm = 'noisy'"
        )
    with pytest.raises(CoordevalError, match=r"settings\.scaffold differs"):
        compare(read(other), "arms", "arms", arms=("main", "noisy"))


def test_a_plan_says_from_which_arm_it_is(path):
    found = [first_study("arms", path, arm=arm) for arm in (None, "noisy")]
    assert "of the arm 'main'; the others are 'bare', 'patient', 'noisy' (--arm)" in found[0].about
    assert "of the arm 'noisy'" in found[1].about
    assert not found[0].variance.components.equals(found[1].variance.components)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["telemetry", "arms", "--arm", "bare"], "single_agent in the arm 'bare', 6 forecasts"),
        (["monitor", "arms", "--arm", "noisy"], "arms in the arm 'noisy'"),
        (["audit", "arms", "--arm", "bare", "--fail-on", "never"], "18 forecasts"),
        (["leaks", "arms", "--arm", "noisy"], "Copies of the price (noisy)."),
        (["compare", "arms", "--arms", "main,bare"], "two arms of one study; its others are 'patient', 'noisy'"),
        (["compare", "arms"], "give a second study, or with --arms two arms of this one"),
        (["compare", "arms", "--arms", "main"], "give two names with a comma between"),
    ],
)  # fmt: skip
def test_commands_are_of_the_arm_that_is_named(path, command, says, capsys):
    command_line(*command, "--ledger", path)
    told = capsys.readouterr()
    assert says in " ".join((told.out + told.err).split())


def test_within_an_arm_nothing_but_coordination_differs(path):
    for arm in ("main", "bare", "patient", "noisy"):
        with in_arm(read(path), "arms", arm) as held:
            assert control(held, "arms").held is True, arm


def test_between_arms_exactly_what_is_declared_differs(path):
    found = between(read(path), "arms")
    assert [(one.second, one.declared, one.differs, one.held) for one in found] == [
        ("bare", ("tools",), ("tools",), True),
        ("patient", ("max_turns",), ("max_turns",), True),
        ("noisy", ("model",), ("model",), True),
    ]


@pytest.mark.parametrize(
    ("sql", "arm", "problem"),
    [
        ("""UPDATE cells SET identity = replace(identity, '"max_turns":20', '"max_turns":12') WHERE arm = 'patient'""",
         "patient", "max_turns is declared to differ, and does not"),
        ("""UPDATE cells SET identity = replace(identity, '"show_price":true', '"show_price":false') WHERE arm = 'bare'""",
         "bare", "show_price differs, and the arm does not declare it"),
        ("""UPDATE cells SET identity = replace(identity, '"scaffold":"', '"scaffold":"x') WHERE arm = 'noisy'""",
         "noisy", "settings.scaffold differs, and no arm may change it"),
        ("""UPDATE draws SET request = replace(request, 'You are one agent', 'You are the best agent') WHERE draw_id IN
            (SELECT draw_id FROM calls JOIN cells USING (forecast_id) WHERE arm = 'bare')""",
         "bare", "the requests differ in their system prompt"),
    ],
)  # fmt: skip
def test_anything_else_is_a_failure_that_names_the_field(path, tmp_path, sql, arm, problem):
    other = shutil.copy(path, tmp_path / "l.duckdb")
    with duckdb.connect(str(other)) as con:
        con.execute(sql)
    [found] = [one for one in between(read(other), "arms") if one.second == arm]
    assert found.held is False
    assert any(problem in one for one in found.problems), found.problems


@pytest.mark.parametrize("address", ["/", "/components", "/costs", "/trust", "/monitor"])
def test_the_dashboard_shows_one_arm_and_lets_one_choose(path, address):
    facts = Facts(path)
    try:
        page, _, bar, *_ = rendered(address, "?arm=bare", facts, dark=False, command="x")
        said = str(page) + str(bar)
        assert "This page failed" not in said
        assert "patient" in said, "the filter has the other arms"
        page, _, bar, *_ = rendered(address, "?arm=bear", facts, dark=False, command="x")
        assert "'bear'" in str(page)
    finally:
        facts.close()
