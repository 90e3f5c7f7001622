"""Whom reports ask the others to beat: part of a study where it is said, and of no forecast."""

from coordeval.flows.study.study import load_study
from tests.flows.conftest import SMALL


def loaded(folder, text):
    path = folder / "s.toml"
    path.write_text(text)
    return load_study(path)


def test_a_study_that_names_none_keeps_its_hash_and_one_that_does_is_another(tmp_path):
    plain = loaded(tmp_path, SMALL)
    named = loaded(tmp_path, SMALL.replace("replicates", 'baseline = "independent_ensemble"\nreplicates', 1))
    assert "baseline" not in plain.content
    assert named.content["baseline"] == "independent_ensemble"
    assert plain.id != named.id
    assert plain.study.settings() == named.study.settings()
    assert {k: c.identity() for k, c in plain.configurations.items()} == {
        k: c.identity() for k, c in named.configurations.items()
    }
