"""Predictions are locked with the study, read back from the ledger alone, and late ones are found out."""

import pytest

from coordeval.analysis.differences.predictions import UNDECIDED
from coordeval.flows.run.scoring import score
from coordeval.flows.study.identity import changed_since
from coordeval.flows.study.study import load_study
from coordeval.ledger import read
from tests.flows.run.test_run import run
from tests.flows.study.test_study import foretold


@pytest.mark.proof
def test_a_report_needs_the_ledger_and_not_the_file(study_file, tmp_path):
    path = tmp_path / "l.duckdb"
    study = study_file(foretold())
    run(study, path)
    study.unlink()
    report = score(path, "small")
    assert report.findings.stated.prespecified is True
    assert report.findings.predictions.table["claim"].to_list() == ["debate is calibrated"]
    assert report.findings.predictions.table["verdict"].to_list() == [UNDECIDED], "six markets"


def test_a_changed_prediction_is_another_study_and_the_run_says_so(study_file, tmp_path):
    path = tmp_path / "l.duckdb"
    run(study_file(foretold()), path)
    note = changed_since(read(path), load_study(study_file(foretold(('"lower"', '"higher"')))))
    assert "locked" in note
    assert "predictions:" in note


def test_a_prediction_that_is_added_after_the_forecasts_is_not_called_pre_specified(study_file, tmp_path):
    """The study with the prediction is a new one by its hash, but all its forecasts were there already."""
    path = tmp_path / "l.duckdb"
    run(study_file(), path)
    assert run(study_file(foretold()), path) == 0, "nothing had to be asked"
    report = score(path, "small")
    assert report.findings.stated.prespecified is False
    assert "Stated when 60 of the forecasts were stored already" in report.findings.stated.when
    run(study_file(foretold()), path)
    assert score(path, "small").findings.stated == report.findings.stated, "a repeated run changes nothing"
