"""Several arms in reports, results and the certificate: comparisons inside one arm, and what is declared between them."""

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from coordeval.analysis.report.results import strict_json
from coordeval.flows.dashboard.app import rendered
from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.monitor.record import record
from coordeval.flows.monitor.watching import look
from coordeval.flows.run.between import between
from coordeval.flows.run.control import control
from coordeval.flows.run.metrics import telemetry_of
from coordeval.flows.run.scoring import report_directory, score
from coordeval.flows.study.stored import in_arm
from coordeval.ledger import read
from tests.flows.run.test_arms_run import STUDY
from tests.flows.run.test_run import run

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


def test_the_monitor_watches_one_arm_and_mixes_none(path):
    reader = read(path)
    own = reader.study("arms").study_id
    mine = reader.query("SELECT forecast_id FROM cells WHERE study_id = ? AND arm = 'main'", [own])["forecast_id"]
    with in_arm(reader, own) as held:
        first = record(held, held.study(own), now=NOW).frame
    assert first.height > 0
    assert set(first["forecast_id"]) <= set(mine)
    assert record(reader, reader.study(own), now=NOW).frame.height > first.height, "without it all arms would be watched"
    assert look(reader, own, now=NOW).alarms == ()


def test_telemetry_is_of_one_arm_and_mixes_none(path):
    mine = read(path).query("SELECT forecast_id FROM cells WHERE arm = 'main'")["forecast_id"]
    found = telemetry_of(read(path), "arms")["forecast_id"]
    assert found.len() > 0
    assert set(found) <= set(mine)
    with in_arm(read(path), "arms", "noisy") as held:
        assert not set(telemetry_of(held, "arms")["forecast_id"]) & set(mine)


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
