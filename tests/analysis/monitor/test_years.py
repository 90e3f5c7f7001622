"""The monitor's self-test: simulated years, what they may raise, and that it finds a monitor that is broken."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import poisson

from coordeval.analysis.monitor import SIGNALS, values, watching
from coordeval.analysis.selftest import years_writing
from coordeval.analysis.selftest.years import CHANGED_ON, DAYS, SHAPES, Planted, delays, silence, year
from coordeval.analysis.selftest.years_writing import QUICK, Years, YearsTest, allowed, into, measured, years_test


@pytest.fixture(scope="module")
def quick() -> YearsTest:
    return years_test(Years(steady=1, other=1, changed=1), seed=3)


@pytest.mark.proof
def test_twenty_percent_of_every_signal_is_found_within_the_year_and_a_steady_year_is_silent(quick):
    assert list(quick.failures) == []
    assert [delay.found for delay in quick.delays] == [1] * len(SIGNALS)
    assert {s.shape: s.alarms for s in quick.silences}["steady"] == 0


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_what_is_planted_is_a_fifth(signal):
    days = {
        which: {
            row["period"]: row["value"]
            for row in values(
                year(np.random.default_rng(5), [Planted("alpha", signal)] if which else [], days=CHANGED_ON + 40), signal
            ).to_dicts()
            if row["configuration"] == "alpha"
        }
        for which in (False, True)
    }
    late = [day for day in days[True] if day >= CHANGED_ON]
    plain, planted = (np.mean([signal.shown(days[which][day]) for day in late]) for which in (False, True))
    shares = ("failed_asks", "corrections", "retries", "other_model", "empty_results", "failed")
    expected = (
        plain + 0.2 * (1 - plain) if signal.name in shares else plain + 0.03 if signal.name == "excess" else 1.2 * plain
    )
    assert planted == pytest.approx(expected, rel=0.06, abs=0.004)
    early = [day for day in days[True] if day < CHANGED_ON]
    assert [days[True][d] for d in early] == pytest.approx([days[False][d] for d in early], rel=0.5, abs=0.2)


@pytest.mark.proof
def test_a_monitor_that_asks_for_too_little_evidence_fails(monkeypatch):
    monkeypatch.setattr(watching, "PER_FALSE_ALARM", 1)
    found = YearsTest(silences=(silence("steady", years=1, seed=0),), delays=(), seed=0)
    assert next(found.failures).endswith("steady years; at most 1 may come by chance")


def test_a_monitor_that_sees_nothing_fails(monkeypatch):
    monkeypatch.setattr(watching, "PER_FALSE_ALARM", 10**60)
    found = YearsTest(silences=(), delays=tuple(delays(years=1, seed=0, signals=SIGNALS[:10])), seed=0)
    assert list(found.failures) == ["a change of any signal was found in 0 of 10 years"]


def test_what_is_allowed_is_what_chance_allows():
    for years in (1, 20, 100, 1000):
        mean = years * DAYS / 36_500
        assert poisson.sf(allowed(years), mean) <= 0.001 < poisson.sf(allowed(years) - 1, mean)
    assert QUICK.steady < years_writing.FULL.steady


def test_the_tables_go_between_the_marks_of_the_page(quick):
    part = measured(quick, "coordeval selftest monitor")
    assert "| path length | joint | 1 of 1 |" in part
    assert all(f"| {shape} | 1 |" in part for shape in SHAPES)
    page = f"before\n{years_writing.BEGIN}\nold\n{years_writing.END}\nafter"
    assert into(page, "new") == f"before\n{years_writing.BEGIN}\nnew\n{years_writing.END}\nafter"
    with pytest.raises(ValueError, match="the page has no"):
        into("no marks", "new")
    hidden = replace(quick, delays=tuple(replace(delay, days=None, slowest=None) for delay in quick.delays))
    assert "over half not found" in measured(hidden, "x")


def test_the_command_prints_json_and_writes_the_page(quick, monkeypatch, tmp_path, capsys):
    from coordeval.flows.cli.ending import status_of
    from coordeval.flows.cli.main import app

    monkeypatch.setattr(years_writing, "years_test", lambda *_, **__: quick)
    page = tmp_path / "monitor.md"
    page.write_text(f"{years_writing.BEGIN}\n{years_writing.END}\n")
    arguments = ["selftest", "monitor", "--quick", "--json", "--docs", str(page)]
    assert status_of(lambda: app(arguments, standalone_mode=False)) in (0, None)
    found = json.loads(capsys.readouterr().out)
    assert (found["failures"], len(found["delays"])) == ([], len(SIGNALS))
    assert "path length" in page.read_text()
