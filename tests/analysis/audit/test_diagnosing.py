"""The diagnosis names the planted first cause, not its consequence, and accuses nobody without proof."""

from dataclasses import replace

import pytest

from coordeval.analysis.audit import diagnose, evidence
from coordeval.analysis.audit.registry import load
from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.selftest.audit_plants import PLANTS, planted
from coordeval.analysis.selftest.audit_world import DEBATE, ELEMENTS, world
from coordeval.analysis.selftest.audits import QUICK, audits
from coordeval.analysis.selftest.audits_writing import into, measured
from tests.thinned import first_of

RULES = load().made()


@pytest.mark.parametrize("name", PLANTS)
def test_a_forecast_with_one_fault_is_diagnosed_with_it(name):
    plant = PLANTS[name]
    frames, chosen = planted(world(12, seed=3), plant, 0.6)
    [forecast, *_] = sorted(one for one in chosen if one.startswith(plant.of[-1]))
    found = diagnose(evidence(frames, elements=ELEMENTS), forecast, RULES)
    assert plant.rule in {cause.rule for cause in found.causes}
    if plant.rule not in {"early_convergence", "first_mover", "moves_away"}:  # chance may add a rarer sign to these
        assert found.first.rule == plant.rule
    assert found.as_json()["first"] == found.first.rule


def test_a_cause_comes_before_its_consequence():
    frames, _ = planted(world(12, seed=3), PLANTS["tool fails"], 1.0)
    frames, _ = planted(frames, PLANTS["price copied"], 1.0)
    found = diagnose(evidence(frames, elements=ELEMENTS), f"{DEBATE}-0005", RULES)
    assert found.first.rule == "tool_failed"
    assert "repeats_price" in {cause.rule for cause in found.causes}
    assert found.first.rows["says"].str.contains("failed").all()


def test_an_unknown_forecast_is_an_error():
    with pytest.raises(AnalysisError, match="'nobody' is not among the 36"):
        diagnose(evidence(world(12)), "nobody", RULES)


@pytest.fixture(
    scope="module", params=first_of([replace(QUICK, clean=4, planted=1, caused=1), QUICK], ids=["few studies", "as --quick"])
)
def quick(request):
    return audits(request.param, RULES)


def test_no_rule_cries_wolf_and_four_fifths_of_the_first_causes_are_named(quick):
    assert quick.failures == []
    assert quick.right >= 0.8
    assert quick.accused[0] == 0


def test_the_tables_go_into_the_page_between_their_marks(quick):
    page = "head\n<!-- measured: begin -->\nold\n<!-- measured: end -->\ntail\n"
    text = into(page, measured(quick, "coordeval selftest audit --quick"))
    assert "\nold\n" not in text
    assert text.count("| herding") == 2
    with pytest.raises(ValueError, match="no part between"):
        into("no marks", "")
