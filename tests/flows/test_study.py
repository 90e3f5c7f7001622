"""A study file is either understood whole or refused with the key, the value and the rule."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from configurations import PluginError
from flows.cli import app
from flows.study import StudyError, load_study
from market_data.errors import CoordevalError
from tests.flows.conftest import ROOT

RULE = """
[[predictions]]
claim = "debate is calibrated"
measure = "rel"
of = "peer_critique_debate"
than = "independent_ensemble"
direction = "lower"
"""


def foretold(*changes: tuple[str, str], again: str = "") -> tuple[str, str]:
    """The replacement that adds a prediction, changed."""
    text = RULE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return "[markets]", text + again + "[markets]"


BAD = [
    # (what is wrong, replacement, words that the message must hold)
    ("a typo in a key", ('replicates = 2', 'replicate = 2'), ["replicate = 2", "no such key", "did you mean 'replicates'"]),
    ("a typo in a section's key", ("count = 6", "cuont = 6"), ["markets.cuont = 6", "did you mean 'count'"]),
    ("a value out of range", ("replicates = 2", "replicates = 0"), ["replicates = 0", "greater than or equal to 1"]),
    ("a value of another type", ("count = 6", 'count = "six"'), ["markets.count = 'six'", "valid integer"]),
    ("an unknown source", ('source = "simulated"', 'source = "oracle"'), ["oracle", "simulated", "coordination-traces-100"]),
    ("an unknown model provider", ('provider = "simulated"', 'provider = "psychic"'), ["psychic", "anthropic", "recorded"]),
    ("a missing section", ('[model]\nprovider = "simulated"', ""), ["model: is missing"]),
    ("no configuration", ('["single_agent", "market_price", "independent_ensemble", "peer_critique_debate", '
                          '"consensus_alignment"]', "[]"), ["configurations", "at least 1"]),
    ("a configuration twice", ('"market_price"', '"single_agent"'), ["'single_agent' stands 2 times", "label"]),
    ("a recording on other markets",
     ('provider = "simulated"', 'provider = "recorded"\nrecording = "coordination-traces-100"'),
     ["holds replies for its own markets"]),
    ("a negative budget", ("replicates = 2", "replicates = 2\nbudget_usd = -1"), ["budget_usd = -1", "greater than 0"]),
    ("a time without an offset", ("replicates = 2", "replicates = 2\nas_of = 2026-01-01T00:00:00"), ["as_of", "timezone"]),
    ("an unknown tool", ("[markets]", '[agents]\ntools = ["crystal_ball"]\n[markets]'), ["crystal_ball", "market_details"]),
    ("a prediction of a measure that is none", foretold(('"rel"', '"bier"')),
     ["predictions.0.measure = 'bier'", "unknown measure", "brier"]),
    ("a prediction of a configuration that does not run", foretold(('"independent_ensemble"', '"voting"')),
     ["predictions.0.than = 'voting'", "unknown configuration of this study", "market price", "single_agent"]),
    ("a prediction with a typo", foretold(("direction", "directon")),
     ["predictions.0.directon", "did you mean 'direction'"]),
    ("a prediction that compares with nothing", foretold(('than = "independent_ensemble"', "")),
     ["predictions.0", "'debate is calibrated'", "give either than", "or value"]),
    ("a prediction stated twice", foretold(again=RULE.replace("calibrated", "better")),
     ["predictions.1.claim = 'debate is better'", "same rule as predictions.0"]),
    ("a name that is no file name", ('name = "small"', 'name = "Small Study!"'), ["name = 'Small Study!'"]),
]  # fmt: skip


@pytest.mark.parametrize(("replacement", "words"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_bad_study_is_refused_with_key_value_and_rule(study_file, replacement, words):
    with pytest.raises(StudyError) as caught:
        load_study(study_file(replacement))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_an_unknown_configuration_lists_what_exists(study_file):
    with pytest.raises(PluginError, match=r"'voting'.*consensus_alignment.*single_agent"):
        load_study(study_file(('"single_agent"', '"voting"')))


def test_an_unknown_parameter_names_what_the_configuration_takes(study_file):
    with pytest.raises(PluginError, match=r"agentz = 3.*agents \(default 3\)"):
        load_study(study_file(('"independent_ensemble"', '{ name = "independent_ensemble", agentz = 3 }')))


def test_a_file_that_is_missing_or_not_toml_says_so(tmp_path: Path):
    with pytest.raises(StudyError, match="coordeval study new"):
        load_study(tmp_path / "absent.toml")
    (tmp_path / "broken.toml").write_text("name = 'x'\nreplicates = = 2")
    with pytest.raises(StudyError, match=r"not TOML.*line 2"):
        load_study(tmp_path / "broken.toml")


def test_identity_follows_content_and_not_speed(study_file):
    plain = load_study(study_file()).id
    assert load_study(study_file(("[markets]", "[run]\nconcurrent_cells = 1\n[markets]"))).id == plain, "speed only"
    assert load_study(study_file(("[markets]", "# a comment\n[markets]"))).id == plain, "comments change nothing"
    assert load_study(study_file(("replicates = 2", "replicates = 3"))).id != plain
    assert load_study(study_file(("count = 6", "count = 6\nseed = 2"))).id != plain


def test_predictions_are_part_of_the_identity_and_a_study_without_them_keeps_its_hash(study_file):
    plain = load_study(study_file())
    assert "predictions" not in plain.content
    first = load_study(study_file(foretold()))
    assert first.id != plain.id
    assert {k: v for k, v in first.content.items() if k != "predictions"} == plain.content
    for change in (('"lower"', '"higher"'), ("is calibrated", "is well calibrated"), ('"rel"', '"mcb"')):
        assert load_study(study_file(foretold(change))).id != first.id
    assert load_study(study_file(foretold(('"independent_ensemble"', '"market price"')))).study.predictions[0].than


def test_one_class_can_stand_twice_under_two_labels(study_file):
    loaded = load_study(
        study_file(('"single_agent"', '{ name = "independent_ensemble", label = "ensemble_of_nine", agents = 9 }'))
    )
    assert loaded.configurations["ensemble_of_nine"].model_dump() == {"agents": 9}
    assert loaded.configurations["independent_ensemble"].model_dump() == {"agents": 3}


def test_a_plugin_file_is_part_of_the_identity(study_file, tmp_path: Path):
    plugin = tmp_path / "mine.py"
    plugin.write_text((ROOT / "tests" / "flows" / "extreme_plugin.py").read_text())
    path = study_file(('"single_agent"', '"extreme"'), ("replicates = 2", 'replicates = 2\nplugins = ["mine.py"]'))
    before = load_study(path)
    assert "extreme" in before.configurations
    plugin.write_text(plugin.read_text() + "\n# changed\n")
    assert load_study(path).id != before.id


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.toml")), ids=lambda p: p.name)
def test_every_shipped_study_is_valid(path: Path):
    assert load_study(path).configurations


def test_a_new_study_is_valid_commented_and_never_overwrites(tmp_path: Path):
    path = tmp_path / "My study.toml"
    runner = CliRunner()
    assert runner.invoke(app, ["study", "new", str(path)]).exit_code == 0
    assert load_study(path).study.name == "my-study"
    assert path.read_text().count("#") > 10
    again = runner.invoke(app, ["study", "new", str(path)])
    assert isinstance(again.exception, CoordevalError)
    assert "exists already" in str(again.exception)
