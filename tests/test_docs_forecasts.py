"""The guide to forecasts of one's own works from its first line to its last."""

import re
import shlex
from pathlib import Path

import pytest

from coordeval.flows.cli.main import app
from coordeval.flows.imports.wanted import FIELDS
from coordeval.market_data.forecasts import load
from coordeval.market_data.forecasts.base import check
from tests.flows.cli.conftest import run

GUIDE = (Path(__file__).parents[1] / "docs" / "forecasts-of-your-own.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("guide")
    (place / "weather.csv").write_text(blocks("csv")[0])
    for month in ("march", "april"):
        rows = [f"q{i},{month}-bot,0.{3 + i},{i % 2},2026-03-01" for i in range(6)]
        (place / f"{month}.csv").write_text("\n".join(["question_id,forecaster,probability,outcome,date", *rows]) + "\n")
    return place


def test_every_command_and_the_notebook_way_work_as_they_stand(folder: Path, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("coordeval.flows.exports.bundle.figures", lambda *_: [])  # other tests draw
    for line in "".join(blocks("sh")).splitlines():
        assert run(*shlex.split(line, comments=True)[1:]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "6 forecasts of 2 forecasters for 3 questions in 2 events" in said
    assert "1 row has no probability: it is a failed forecast, never 0.5." in said
    assert "nothing was stored (--dry-run)" in said
    assert (folder / "weather-study" / "results.json").read_bytes() == (
        folder / "weather-study" / "report-common" / "results.json"
    ).read_bytes()
    exec(blocks("python")[0], {})


def test_the_form_of_the_guide_keeps_the_contract(tmp_path: Path):
    [form] = [block for block in blocks("python") if "our_log.py" in block]
    names: dict = {}
    exec(form, names)
    check(names["OurLog"], "our-log")
    (tmp_path / "a.botlog").write_text('{"kind": "binary", "q": 1, "who": "us", "p": 0.5, "end": 1}\n{"kind": "other"}\n')
    passed_over = names["Counter"]()
    assert len(list(names["OurLog"]().rows(tmp_path / "a.botlog", passed_over))) == 1
    assert passed_over == {"is not yes-or-no": 1}


def test_the_guide_names_every_field_and_every_form():
    assert [field for field in FIELDS if f"`{field}`" not in GUIDE and field not in ("tokens", "description")] == []
    assert [name for name in load().classes if f"`{name}`" not in GUIDE and name != "our-log"] == []
    assert app.registered_groups
