"""The grounding game's self-test finds what is planted, and says so where it does not."""

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from coordeval.analysis.selftest import grounding as selftest
from coordeval.analysis.selftest.audits_writing import into
from coordeval.analysis.selftest.grounding import FULL, Size, exact, grounding
from coordeval.analysis.selftest.grounding_writing import NAMES, as_values, measured, tables
from coordeval.flows.cli.main import app
from coordeval.grounding.registry import load
from coordeval.grounding.repairs import Repair, SharedRecord

SMALL = Size(instances=3, replicates=1)


@pytest.fixture(scope="module")
def small():
    return grounding(SMALL, [Repair(), SharedRecord()])


def test_the_steps_of_every_world_add_up_and_the_order_of_the_arms_is_the_published_one(small):
    own = [said for said in small.failures if "clearly" not in said and "planted at" not in said]
    assert own == []  # whether a difference is clear takes more instances than these
    assert small.games == 3 * (10 * 6 + 2)


def test_every_mode_is_found_in_the_world_that_has_it_and_in_no_calm_one(small):
    assert {one.mode for one in small.detected} == set(selftest.MODES)
    for one in small.detected:
        assert 0 < one.found <= one.acted
        assert one.false_alarms <= 0.02


def test_what_does_not_hold_is_said(small):
    one = small.detected[0]
    deaf = replace(small, detected=(replace(one, low=0.0, high=0.1), replace(one, clean_found=one.clean_chances)))
    assert "no_shared_history: planted at 30%, found at 0.0% to 10.0%" in deaf.failures
    assert "no_shared_history: 100.0% false alarms, at most 2% may be" in deaf.failures
    swapped = replace(small, pattern={**small.pattern, "nothing": small.pattern["all"], "all": small.pattern["nothing"]})
    assert "pairs are below: not so where it is planted (all)" in swapped.failures
    assert "pairs are below: so where it is not planted, too (nothing)" in swapped.failures
    broken = replace(small, losses={"nothing": replace(small.losses["all"], end=small.losses["all"].end + 1)})
    assert "nothing: the waterfall's steps do not add up" in broken.failures


def test_it_is_told_in_tables_and_as_values(small):
    assert set(NAMES) == set(selftest.WORLDS)
    for header, *lines in tables(small).values():
        assert lines
        assert {len(line) for line in lines} == {len(header)}
    page = into(
        "a\n<!-- measured: begin -->\nyesterday\n<!-- measured: end -->\nb", measured(small, "coordeval selftest grounding")
    )
    assert "3 instances" in page
    assert "yesterday" not in page
    assert as_values(small)["losses"]["nothing"]["pairs"] == 1.0


def test_an_exact_interval_is_that_of_clopper_and_pearson():
    assert exact(0, 10) == pytest.approx((0, 0.30849710781876083))
    assert exact(3, 10) == pytest.approx((0.06673951117773448, 0.6524528500599972))
    assert exact(10, 10)[1] == 1


def test_the_command_writes_its_page_and_ends_with_a_status(monkeypatch, tmp_path, small):
    monkeypatch.setattr(selftest, "grounding", lambda *_, **__: small)
    page = tmp_path / "p.md"
    page.write_text("x\n<!-- measured: begin -->\n<!-- measured: end -->\n")
    done = CliRunner().invoke(app, ["selftest", "grounding", "--quick", "--docs", str(page)])
    assert done.exit_code == (1 if small.failures else 0)
    assert "referential binding, by text" in page.read_text()
    page.write_text("no such part")
    assert CliRunner().invoke(app, ["selftest", "grounding", "--docs", str(page)]).exit_code != 0


@pytest.mark.proof
def test_the_whole_self_test_passes():
    repairs = load()
    assert grounding(FULL, [repairs.create(name) for name in repairs.classes]).failures == []
