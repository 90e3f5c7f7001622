"""Compiled templates save time, and never decide whether there is a page."""

import pytest

from coordeval.analysis import build_report, example
from coordeval.analysis.report import rendering

STUDY = {"name": "made up", "study_id": "0" * 64, "model": "none", "source": "made up", "simulated": True}
STUDY |= {"created_at": "2026-03-01T00:00:00Z", "elements": {}, "content": {}}


@pytest.fixture(scope="module")
def report():
    return build_report(example(), STUDY, resamples=50, n=50)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rendering.templates.cache_clear()
    yield tmp_path / "coordeval" / "templates"
    rendering.templates.cache_clear()


DAMAGES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "not even begun": lambda path: path.write_bytes(b""),
    "something else": lambda path: path.write_bytes(b"else" * 100),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_templates_are_compiled_anew(report, folder, damage):
    whole = report.html()
    assert list(folder.iterdir()), "they are kept"
    for path in folder.iterdir():
        DAMAGES[damage](path)
    rendering.templates.cache_clear()
    assert report.html() == whole


def test_a_folder_that_others_may_write_to_is_not_used(report, folder):
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert report.html()
    assert not list(folder.iterdir())


def test_without_a_folder_there_is_a_page_all_the_same(report, folder):
    folder.parent.parent.joinpath("coordeval").touch()
    assert report.html()
