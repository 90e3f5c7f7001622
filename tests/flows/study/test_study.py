"""A study file is either understood whole or refused with the key, the value and the rule."""

import tomllib
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from coordeval.agents.prices import PriceBook
from coordeval.configurations import PluginError
from coordeval.flows.cli.main import app
from coordeval.flows.grounding.study import load_games
from coordeval.flows.study.as_of import rule_of
from coordeval.flows.study.study import StudyError, load_study
from coordeval.market_data.errors import CoordevalError
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
    ("a baseline that does not run", ("replicates = 2", 'replicates = 2\nbaseline = "nobody"'),
     ["baseline = 'nobody'", "unknown configuration of this study", "single_agent"]),
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
    ("a finite number that is none", ("replicates = 2", "replicates = 2\nmax_price_age_hours = inf"),
     ["max_price_age_hours = inf", "finite"]),
    ("no number at all", ("[markets]", "[run]\nrequests_per_minute = nan\n[markets]"),
     ["run.requests_per_minute = nan", "finite"]),
    ("a number beyond floats", ("[markets]", "[run]\nrequests_per_minute = 1e400\n[markets]"),
     ["requests_per_minute", "finite"]),
    ("an integer beyond what is stored", ("count = 6", "count = 6\nseed = 99999999999999999999"),
     ["markets.seed", "at most 9223"]),
    ("an integer beyond what is read", ("count = 6", "count = 6\nseed = " + "9" * 5000), ["longer than any"]),
    ("an infinite parameter", ('"single_agent"', '{ name = "consensus_alignment", label = "c", tolerance = inf }'),
     ["configurations.0.tolerance = inf", "finite"]),
    ("a date where none belongs", ("count = 6", "count = 2026-01-01"), ["markets.count = 2026-01-01", "no place here"]),
    ("a null character", ('["single_agent"', '["single_agent\\u0000"'), ["configurations.0", "null character"]),
    ("a date before the calendar", ("replicates = 2", "replicates = 2\nas_of = 0001-01-01T00:00:00+05:00"),
     ["as_of", "outside of the calendar"]),
    ("a date after the calendar", ("replicates = 2", "replicates = 2\nas_of = 9999-12-31T23:59:59-05:00"),
     ["as_of", "outside of the calendar"]),
    ("an as-of rule that is none", ("replicates = 2", "replicates = 2\nas_of = { hours_before_cloze = 1 }"),
     ["as_of", "there is no rule 'hours_before_cloze'", "fraction_of_life"]),
    ("an as-of rule out of range", ("replicates = 2", "replicates = 2\nas_of = { fraction_of_life = 2 }"),
     ["as_of", "less than 1"]),
    ("two as-of rules", ("replicates = 2", "replicates = 2\nas_of = { fraction_of_life = 0.5, hours_before_close = 1 }"),
     ["as_of", "2 rules"]),
    ("an as-of that is a number", ("replicates = 2", "replicates = 2\nas_of = 5"), ["as_of = 5", "no rule"]),
    ("an unknown evidence provider", ("[markets]", '[evidence]\nproviders = ["bing"]\n[markets]'),
     ["evidence.providers.0 = 'bing'", "mediawiki", "wayback", "gdelt"]),
    ("the reference's name", ('"single_agent"', '{ name = "single_agent", label = "market price" }'),
     ["'market price'", "another `label`"]),
    ("the baseline's name", ('"single_agent", "market_price"', '{ name = "single_agent", label = "market_price" }'),
     ["'market_price'", "name of another configuration"]),
    ("another configuration's name", ('"single_agent", "market_price"', '{ name = "market_price", label = "single_agent" }'),
     ["'single_agent'", "name of another configuration"]),
    ("a label that steers a terminal", ('"single_agent"', '{ name = "single_agent", label = "a\\u001b[31m" }'),
     ["configurations.0.label", "printable"]),
    ("a name of 250 characters", ('name = "small"', f'name = "{"a" * 250}"'), ["name = 'aaa", "1 to 100"]),
    ("a name that ends in a dot", ('name = "small"', 'name = "small."'), ["name = 'small.'", "not ending in '.'"]),
    ("a device of Windows", ('name = "small"', 'name = "con"'), ["name = 'con'", "device of Windows"]),
    ("a device of Windows with an ending", ('name = "small"', 'name = "lpt1.study"'), ["name = 'lpt1.study'", "device"]),
    ("a price that is none", ("[markets]", '[prices.m]\ninput = "free"\noutput = 1\n[markets]'),
     ["prices.m.input = 'free'"]),
    ("a price with a typo", ("[markets]", "[prices.m]\ninptu = 1\noutput = 1\n[markets]"), ["prices.m.inptu", "not known"]),
    ("a price that lacks a half", ("[markets]", "[prices.m]\ninput = 1\n[markets]"), ["prices.m.output is missing"]),
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


UNREADABLE = {
    "a folder": (None, "this is a folder"),
    "nothing": (b"", "the file is empty"),
    "blanks": (b" \n", "the file is empty"),
    "Latin-1": ("# café\nname = 'x'".encode("latin-1"), "line 1 is not UTF-8 (byte 0xe9)"),
    "UTF-16": ("name = 'x'".encode("utf-16"), "is not UTF-8"),
    "null bytes": (b"\0" * 100, "this is not TOML"),
    "a picture": (bytes(range(256)), "not UTF-8"),
    "deep nesting": (b"a = " + b"[" * 100_000, "nested too deeply"),
}


@pytest.mark.parametrize(("content", "words"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_cannot_be_read_says_what_it_is(tmp_path: Path, content: bytes | None, words: str):
    path = tmp_path / "study.toml"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(StudyError) as caught:
        load_study(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_a_study(study_file, tmp_path: Path):
    path = study_file()
    before = load_study(path).id
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_study(path).id == before


def test_a_plain_date_is_midnight_in_utc_as_on_the_command_line(study_file):
    loaded = [
        load_study(study_file(("replicates = 2", f"replicates = 2\nas_of = {said}")))
        for said in ("2026-01-31", '"2026-01-31"', "2026-01-31T00:00:00Z", "2026-01-31 00:00:00+00:00")
    ]
    assert {study.as_of for study in loaded} == {rule_of("2026-01-31")}
    assert len({study.id for study in loaded}) == 1


def test_a_price_takes_what_the_price_book_documents_and_one_stated_as_before_keeps_its_hash(study_file):
    def priced(table: str):
        return load_study(study_file(("[markets]", f"[prices.m]\n{table}\n[markets]")))

    whole = 'input = "1"\noutput = 5\ncache_write_5m = 1.25\ncache_write_1h = 2\ncache_read = "0"'
    assert priced(whole).content["prices"] == {
        "m": {"input": "1", "output": "5", "cache_write_5m": "1.25", "cache_write_1h": "2", "cache_read": "0"}
    }
    dated = priced(whole + '\nvalid_from = 2026-01-01\nprompt_up_to = 200000\nsource = "our contract"')
    assert dated.content["prices"]["m"]["valid_from"] == "2026-01-01"
    assert PriceBook.bundled().with_overrides(dated.study.prices).price("m", date(2026, 2, 1), 10) is not None
    assert PriceBook.bundled().with_overrides(dated.study.prices).price("m", date(2025, 2, 1), 10) is None


BAD_SAMPLES = {
    "null": "holds no market_ids",
    "[]": "holds no market_ids",
    '{"market_ids": []}': "holds no market_ids",
    '{"market_ids": [1]}': "1, which is no market's id",
    '{"market_ids": ["a", "a"]}': "names a market twice",
    '{"market_ids": ["a"], "spec": 3}': "spec is no object",
    '{"market_ids": ["a"], "spec": {"max_price_age_hours": "x"}}': "'x' is no number of hours",
    '{"market_ids": ["a"], "spec": {"as_of": 3}}': "is no rule; draw the sample again",
    '{"market_ids": ["a"], "spec": {"as_of": "0001-01-01T00:00:00+05:00"}}': "is no rule; draw the sample again",
    "{": "not a sample file",
    "[" * 100_000: "not a sample file",
    "\x00": "not a sample file",
}


@pytest.mark.parametrize(("content", "words"), BAD_SAMPLES.items(), ids=[name[:40] for name in BAD_SAMPLES])
def test_a_sample_file_that_is_none_says_why(study_file, tmp_path: Path, content: str, words: str):
    (tmp_path / "s.json").write_text(content)
    path = study_file(('source = "simulated"\ncount = 6', 'source = "ledger"\nsample = "s.json"'))
    with pytest.raises(StudyError) as caught:
        load_study(path)
    assert "s.json" in str(caught.value)
    assert words in str(caught.value)


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
    games = "conditions" in tomllib.loads(path.read_text(encoding="utf-8"))
    assert (load_games if games else load_study)(path).configurations


def test_a_new_study_is_valid_commented_and_never_overwrites(tmp_path: Path):
    path = tmp_path / "My study.toml"
    runner = CliRunner()
    assert runner.invoke(app, ["study", "new", str(path)]).exit_code == 0
    assert load_study(path).study.name == "my-study"
    assert path.read_text().count("#") > 10
    again = runner.invoke(app, ["study", "new", str(path)])
    assert isinstance(again.exception, CoordevalError)
    assert "exists already" in str(again.exception)
