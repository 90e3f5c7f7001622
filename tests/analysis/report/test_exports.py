"""A report as one page, figures, a summary or JSON: each where it was asked for, and a message where it cannot be made."""

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest

from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.report.exports import Wanted, chromium, export
from coordeval.analysis.report.page import build_report
from coordeval.market_data.files import FileError
from tests.analysis.report_data import STUDY, synthetic


@pytest.fixture(scope="module")
def report():
    return build_report(synthetic(markets=20), STUDY, resamples=5, n=50)


def test_json_is_all_that_goes_to_standard_output(report, tmp_path):
    said = []
    export(report, Wanted(as_json=True, html=tmp_path / "deep" / "out.html"), said.append)
    assert json.loads("\n".join(said))["schema_version"] == 4
    assert (tmp_path / "deep" / "out.html").read_text().startswith("<!doctype html>")


def test_a_summary_goes_to_a_file_or_to_standard_output(report, tmp_path):
    said = []
    export(report, Wanted(md=Path("-")), said.append)
    assert said[0].startswith("## synthetic")
    export(report, Wanted(md=tmp_path / "out.md"), said.append)
    assert said[1] == f"wrote {tmp_path / 'out.md'}"
    assert (tmp_path / "out.md").read_text().rstrip() == said[0]


def test_a_page_is_one_file_that_asks_for_nothing_and_stays_small(report):
    page = report.html()
    assert len(page.encode()) < 8_000_000
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))


@pytest.mark.parametrize(
    ("browser", "words"),
    [(None, "none is on the PATH: install chromium, or set BROWSER_PATH"), ("/nowhere/chrome", "which is no file")],
)
def test_without_a_browser_it_is_said_what_to_do(report, tmp_path, monkeypatch, browser, words):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("BROWSER_PATH", raising=False)
    if browser:
        monkeypatch.setenv("BROWSER_PATH", browser)
    with pytest.raises(AnalysisError, match=words):
        export(report, Wanted(png=tmp_path / "figures"), print)
    assert not (tmp_path / "figures").exists()


def test_what_cannot_be_written_is_named(report, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written"):
        export(report, Wanted(html=tmp_path / "file" / "out.html"), print)
    with pytest.raises(FileError, match="it is a folder"):
        export(report, Wanted(html=tmp_path), print)


@pytest.mark.browser
@pytest.mark.skipif(not shutil.which("chromium") and not shutil.which("google-chrome"), reason="no Chromium on the PATH")
def test_every_figure_becomes_an_image(tmp_path):
    assert chromium()
    two = pl.col("configuration").is_in(["single_agent", "independent_ensemble"])
    report = build_report(synthetic(markets=20).filter(two), STUDY, resamples=5, n=50)
    export(report, Wanted(svg=tmp_path / "svg"), lambda _: None)
    names = {path.stem for path in (tmp_path / "svg").glob("*.svg")}
    assert names == {picture.name.replace(" ", "_") for picture in (*report.pictures, *report.reliability)}
    assert "SIMULATED" in (tmp_path / "svg" / "cost.svg").read_text()
