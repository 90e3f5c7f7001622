"""Predictions in the report: said, shown, escaped, and every null with its reason."""

import io
import json

import pytest
from rich.console import Console

from coordeval.analysis.differences.predictions import UNDECIDED
from coordeval.analysis.report.page import build_report
from coordeval.analysis.report.terminal import print_report
from tests.analysis.report_data import STUDY, synthetic

HOSTILE = "<script>alert(2)</script> [bold]debate[/bold] wins"
BETTER = {"measure": "brier", "of": "independent_ensemble", "than": "consensus_alignment", "direction": "lower"}
PREDICTIONS = [
    BETTER | {"claim": HOSTILE},
    {"claim": "Calibrated", "measure": "mcb", "of": "single_agent", "value": 0.5, "direction": "lower"},
    {"claim": "Alpha", "measure": "alpha", "of": "sequential_pipeline", "value": 0.0, "direction": "higher"},
    {"claim": "Never ran", "measure": "rel", "of": "a_plan", "than": "market price", "direction": "lower", "source": "Ada"},
]


def report_of(predictions, *, before=0, frame=None, **content):
    study = STUDY | {"content": {"name": "synthetic", "predictions": predictions} | content, "forecasts_before": before}
    return build_report(synthetic(markets=60) if frame is None else frame, study, resamples=5, n=400)


@pytest.fixture(scope="module")
def report():
    return report_of(PREDICTIONS)


def says(report):
    return " ".join(next(answer.says for answer in report.answers if answer.name == "predictions"))


def test_the_answer_tallies_the_verdicts_and_tells_each_with_its_rule(report):
    said = says(report)
    assert "4 predictions:" in said
    assert "after correction for all that this report asks" in said
    assert "Stated before the first forecast was stored, as part of the study's hash." in said
    assert "Brier score of independent_ensemble < that of consensus_alignment" in said
    assert "(MCB of single_agent < 0.5000): upheld, and stands after correction" in said
    assert "'a_plan' is not scored" in said
    assert all(sentence in report.headline for answer in report.answers for sentence in answer.says)


def test_results_have_the_table_and_the_reason_of_every_null(report, tmp_path):
    report.write(tmp_path)
    found = json.loads((tmp_path / "results.json").read_text())
    rows = found["predictions"]["table"]
    assert [row["verdict"] for row in rows][1::2] == ["upheld", UNDECIDED]
    assert found["predictions"]["prespecified"] is True
    for i, row in enumerate(rows):
        nulls = found["nulls"].get(f"predictions/{i}", {})
        assert {k for k, v in row.items() if v is None and k != "reason"} == set(nulls), row["claim"]
        assert all(nulls.values())
    assert rows[2]["estimate"] == pytest.approx(
        next(r["alpha"] for r in found["leaderboard"] if r["configuration"] == "sequential_pipeline")
    )


@pytest.mark.proof
def test_measures_of_both_bootstraps_are_judged_with_the_resamples_that_they_had():
    """Few resamples for CORP, many for the others: a study of this size has both numbers."""
    study = STUDY | {"content": {"predictions": PREDICTIONS[:3]}, "forecasts_before": 0}
    found = build_report(synthetic(markets=80), study, resamples=5).findings
    assert found.resamples_corp < found.resamples
    assert found.predictions.table["resamples"].to_list() == [found.resamples, found.resamples_corp, found.resamples]


def test_the_page_and_the_terminal_show_them_and_read_no_claim_as_markup(report):
    page = report.html()
    assert "<script>alert(2)" not in page
    assert "&lt;script&gt;alert(2)" in page
    assert 'id="predictions"' in page
    out = io.StringIO()
    print_report(report, Console(file=out, width=200, color_system=None), full=True)
    assert "[bold]debate[/bold] wins" in out.getvalue()
    assert "MCB of single_agent < 0.5000: upheld, stands" in out.getvalue()


def test_predictions_that_came_late_or_from_elsewhere_are_marked(report):
    late = report_of(PREDICTIONS[:1], before=7)
    assert "Stated when 7 of the forecasts were stored already: not pre-specified" in says(late)
    assert "<strong>Stated when 7" in late.html()
    theirs = report_of(PREDICTIONS[3:], published="x", predictions_unscored=[{"claim": "Moderate", "reason": "no number"}])
    assert "not pre-specified" in says(theirs)
    assert "Not scored: “Moderate”, no number." in says(theirs)
    assert "Ada" in theirs.html()


def test_a_study_without_predictions_says_that_it_is_exploratory():
    none = report_of([])
    assert "exploratory" in says(none)
    assert none.results()["predictions"]["table"] == []
    assert "exploratory" in none.html()


def test_with_nothing_scored_the_predictions_stand_undecided():
    import polars as pl

    unresolved = synthetic(markets=30).with_columns(outcome=pl.lit(None, pl.Int64))
    found = report_of(PREDICTIONS, frame=unresolved)
    assert {row["reason"] for row in found.results()["predictions"]["table"]} == {"nothing is scored"}
    assert "undecided at this N, because nothing is scored" in says(found)
