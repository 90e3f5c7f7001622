"""The file of a study of games: what it may say, and what it is told where it says something else."""

import pytest

from coordeval.flows.grounding.study import load_games
from coordeval.flows.study.reading import StudyError
from coordeval.flows.study.study import load_study
from tests.flows.grounding.conftest import PLAYERS

GOOD = """
name = "games"
conditions = ["pair", "oracle"]
[instances]
count = 2
[model]
provider = "players.py"
"""


def load(folder, text):
    (folder / "players.py").write_text(PLAYERS)
    file = folder / "study.toml"
    file.write_text(text)
    return load_games(file)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('"oracle"]', '"oracel"]'), "unknown condition 'oracel': it must be one of"),
        (('["pair", "oracle"]', "[]"), "conditions = []"),
        (('"oracle"]', '"pair"]'), "stands 2 times"),
        (('"oracle"]', '{ name = "pair", label = "x", repair = "shared_recrod" }]'), "shared_record"),
        (('"oracle"]', '{ name = "pair", label = "x", histry = "stable" }]'), "histry"),
        (('"oracle"]', '{ name = "pair", label = "x", history = "wiped" }]'), "'stable' or 'shifting'"),
        (("count = 2", "count = 0"), "instances.count = 0"),
        (("count = 2", "tensions = []"), "instances.tensions"),
        (("count = 2", "tensions = [0.8, 1.3]"), "tension 1.3 is out of range"),
        (("count = 2", "tensions = [0.8, 0.8]"), "stands in it twice"),
        (("count = 2", "conut = 2"), "did you mean 'count'"),
        (("count = 2", "seed = -1"), "instances.seed = -1"),
        (('name = "games"', 'name = "A game"'), "names a folder"),
        (('name = "games"', 'name = "games"\nbaseline = "oracle"'), "baseline = 'oracle'"),
        (('name = "games"', 'name = "games"\nbudget_usd = 3'), "costs nothing"),
        (('name = "games"', 'name = "games"\nreplicates = 0'), "replicates = 0"),
        (('[model]\nprovider = "players.py"', ""), "model: is missing"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_by_key_value_and_rule(tmp_path, change, told):
    assert change[0] in GOOD
    with pytest.raises(StudyError) as error:
        load(tmp_path, GOOD.replace(*change))
    assert told in str(error.value)
    assert "study.toml" in str(error.value)


def test_a_key_that_stands_where_its_variable_is_named_is_not_told(tmp_path):
    live = 'provider = "openai"\nid = "m"\nbase_url = "http://127.0.0.1:1"\nkey = "sk-ant-marked/1"'
    with pytest.raises(StudyError, match="the environment variable that holds the key") as error:
        load(tmp_path, GOOD.replace('provider = "players.py"', live))
    assert "marked" not in str(error.value)


def test_a_file_of_one_kind_given_to_the_others_command_is_told_which_runs_it(tmp_path):
    load(tmp_path, GOOD)
    with pytest.raises(StudyError, match="coordeval grounding run"):
        load_study(tmp_path / "study.toml")
    with pytest.raises(StudyError, match=r"`coordeval run "):
        load(tmp_path, 'name = "x"\nconfigurations = ["single_agent"]\n[markets]\nsource = "simulated"\n')


def test_instances_take_tensions_in_turn_and_another_seed_gives_others(tmp_path):
    one = load(tmp_path, GOOD.replace("count = 2", "count = 4\ntensions = [0.5, 1.0]"))
    other = load(tmp_path, GOOD.replace("count = 2", "count = 4\ntensions = [0.5, 1.0]\nseed = 2"))
    assert [instance.tension for instance in one.instances] == [0.5, 1.0, 0.5, 1.0]
    assert not {instance.id for instance in one.instances} & {instance.id for instance in other.instances}
