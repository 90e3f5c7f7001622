"""The door for configurations: the built-ins come through it like any other, and a broken plugin is named, not fatal."""

import importlib
import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from coordeval.configurations import PluginError, Registry, load
from coordeval.configurations.registry import GROUP

BUILT_IN = {
    "single_agent",
    "market_price",
    "independent_ensemble",
    "peer_critique_debate",
    "orchestrator_specialist",
    "sequential_pipeline",
    "consensus_alignment",
    "adaptive",
    "probability_pool",
    "delphi",
    "self_revision",
    "stance_only",
    "blind_then_price",
    "one_conversation",
    "committed_consensus",
    "reflective_tree_search",
    "tool_gate",
}

PLUGIN = '''
"""A configuration as a user writes one."""
from statistics import median
from typing import ClassVar

from coordeval.configurations import Configuration, Elements, Endpoint, Forecast, Panel


def pool(probabilities):
    return median(probabilities)


class Pair(Configuration):
    """Two estimate, one judges."""

    name: ClassVar[str] = "pair"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("forecaster", "estimate"), Endpoint("judge", "estimate")),
        topology=(("forecaster", "judge"),),
        authority="the judge",
        synchronisation="two stages",
        aggregation="the judge's estimate",
        termination="after the judge",
        failure_handling="abort",
    )

    agents: int = 2
    weight: float = 0.5

    async def forecast(self, panel: Panel) -> Forecast:
        estimates = await panel.ask_each("forecaster", self.agents)
        last = await panel.ask("judge", shown=estimates)
        return panel.conclude(pool([last.probability]))
'''


@pytest.fixture
def plugin(tmp_path) -> Path:
    """A plugin file with its roles folder beside it."""
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles" / "judge.md").write_text("You judge.")
    file = tmp_path / "pair.py"
    file.write_text(PLUGIN)
    return file


# --- built-ins


def test_all_built_ins_come_through_the_entry_points():
    registry = load()
    assert set(registry.classes) >= BUILT_IN
    assert not BUILT_IN & set(registry.quarantined)
    assert {point.name for point in entry_points(group=GROUP)} == set(registry.classes) | set(registry.quarantined)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_built_in_runs_with_its_defaults_and_has_all_its_texts(name):
    configuration = load().create(name, {})
    assert configuration.name == name
    assert all(text.strip() for text in configuration.roles().values())
    json.dumps(configuration.elements.as_dict())


# --- names and parameters


def test_an_unknown_name_lists_what_exists():
    with pytest.raises(PluginError) as caught:
        load().create("tree_search", {})
    assert "unknown configuration 'tree_search'" in str(caught.value)
    assert all(name in str(caught.value) for name in BUILT_IN)


def test_an_unknown_name_also_lists_what_could_not_be_loaded():
    registry = Registry("configuration", {}, {"tree": "tree:Tree: ImportError: no networkx"})
    with pytest.raises(PluginError, match=r"could not be loaded: tree \(tree:Tree: ImportError: no networkx\)"):
        registry.create("treee", {})
    with pytest.raises(PluginError, match="'tree' could not be loaded: tree:Tree: ImportError: no networkx"):
        registry.create("tree", {})


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("independent_ensemble", {"agents": 0}, ["agents = 0", "greater than or equal to 1", "agents (default 3)"]),
        ("independent_ensemble", {"agents": 101}, ["agents = 101", "less than or equal to 100"]),
        ("independent_ensemble", {"agents": "3"}, ["agents = '3'", "valid integer"]),
        ("independent_ensemble", {"agents": True}, ["agents = True", "valid integer"]),
        ("independent_ensemble", {"agents": 2.5}, ["agents = 2.5", "valid integer"]),
        ("independent_ensemble", {"agnets": 3}, ["agnets = 3", "not permitted", "it takes agents (default 3)"]),
        ("single_agent", {"agents": 3}, ["agents = 3", "it takes no parameter"]),
        ("independent_ensemble", {"name": "x"}, ["name = 'x'", "not permitted"]),
        (
            "consensus_alignment",
            {"rounds": -1, "tolerance": 0.0},
            ["rounds = -1", "tolerance = 0.0", "agents (default 3), rounds (default 2), tolerance (default 0.05)"],
        ),
    ],
)
def test_a_bad_parameter_names_key_value_and_what_is_taken(name, parameters, says):
    with pytest.raises(PluginError) as caught:
        load().create(name, parameters)
    assert f"configuration {name!r}" in str(caught.value)
    for part in says:
        assert part in str(caught.value)


def test_a_parameter_without_a_default_is_said_to_be_required(plugin):
    plugin.write_text(PLUGIN.replace("agents: int = 2", "agents: int"))
    with pytest.raises(PluginError, match=r"it takes agents \(required\), weight \(default 0\.5\)"):
        load((plugin,)).create("pair", {})


def test_a_whole_number_is_taken_where_a_fraction_may_stand():
    assert load().create("consensus_alignment", {"tolerance": 1}).model_dump()["tolerance"] == 1.0


def test_a_configuration_does_not_change_once_it_is_made():
    with pytest.raises(ValueError, match="frozen"):
        load().create("independent_ensemble", {}).agents = 5


# --- a plugin file


def test_a_plugin_file_stands_beside_the_built_ins(plugin):
    registry = load((plugin,))
    assert set(registry.classes) >= BUILT_IN | {"pair"}
    pair = registry.create("pair", {"agents": 4})
    assert pair.model_dump() == {"agents": 4, "weight": 0.5}
    assert pair.roles()["judge"] == "You judge.", "from its own folder"
    assert pair.roles()["forecaster"] == load().create("single_agent", {}).roles()["forecaster"], "from the project's"


def test_a_plugins_own_role_text_comes_before_the_projects(plugin):
    (plugin.parent / "roles" / "forecaster.md").write_text("You guess.")
    assert load((plugin,)).create("pair", {}).roles()["forecaster"] == "You guess."
    assert load().create("single_agent", {}).roles()["forecaster"] != "You guess."


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def f(:", "cannot be loaded: SyntaxError"),
        ("import no_such_module", "cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'"),
        ("1 / 0", "cannot be loaded: ZeroDivisionError"),
        ("import sys; sys.exit(3)", "cannot be loaded: SystemExit: 3"),
        ("x = 1", "defines no subclass of configurations.Configuration"),
        ("from coordeval.configurations.single_agent import SingleAgent", "defines no subclass"),
        (PLUGIN.replace('"pair"', '"Pair!"'), "name is 'Pair!'; declare name"),
        (PLUGIN.replace('    name: ClassVar[str] = "pair"\n', ""), "name is None; declare name"),
        (PLUGIN.replace("name: ClassVar[str]", "name: str"), "name is None; declare name: ClassVar"),
        (PLUGIN.replace("elements: ClassVar[Elements] =", "other: ClassVar[Elements] ="), "elements is missing"),
        (PLUGIN.replace("async def forecast", "async def predict"), "forecast is missing"),
        (
            PLUGIN.replace("async def forecast", "def forecast").replace("await ", ""),
            "forecast is missing; write `async def",
        ),
        (PLUGIN.replace('Endpoint("judge",', 'Endpoint("sage",'), "pair: no text for role 'sage'; write it to "),
        (PLUGIN.replace('"abort"', '"ignore"'), "failure_handling"),
        (PLUGIN.replace('"pair"', '"single_agent"'), "configuration 'single_agent' exists already; give yours another name"),
    ],
    ids=[
        "no Python",
        "a missing import",
        "raises",
        "exits",
        "nothing in it",
        "only imports one",
        "a bad name",
        "no name",
        "the name is a parameter",
        "no elements",
        "no forecast",
        "forecast is no coroutine",
        "a role without a text",
        "an element that does not exist",
        "a name that is taken",
    ],
)
def test_a_broken_plugin_file_is_an_error_that_says_what_to_mend(plugin, source, says):
    plugin.write_text(source)
    with pytest.raises(PluginError) as caught:
        load((plugin,))
    assert says in str(caught.value)
    assert str(plugin) in str(caught.value), "the file is named"


def test_a_file_that_is_not_there_or_not_python_is_named(tmp_path):
    with pytest.raises(PluginError, match=r"plugin file .*nowhere\.py does not exist"):
        load((tmp_path / "nowhere.py",))
    (tmp_path / "plugin.txt").write_text(PLUGIN)
    with pytest.raises(PluginError, match=r"plugin\.txt is not a Python file; its name must end in \.py"):
        load((tmp_path / "plugin.txt",))


# --- identity


def identity(file: Path, **parameters: Any) -> Any:
    return load((file,)).create("pair", parameters).identity()


def test_the_same_plugin_has_the_same_identity_wherever_it_lies(plugin, tmp_path):
    moved = tmp_path / "elsewhere"
    (moved / "roles").mkdir(parents=True)
    (moved / "roles" / "judge.md").write_text("You judge.")
    (moved / "pair.py").write_text(PLUGIN)
    assert identity(plugin) == identity(plugin) == identity(moved / "pair.py")
    json.dumps(identity(plugin))


def test_parameters_are_part_of_the_identity(plugin):
    assert identity(plugin, agents=3) != identity(plugin)
    assert identity(plugin, agents=2) == identity(plugin), "the default, said aloud"


def test_role_texts_are_part_of_the_identity(plugin):
    before = identity(plugin)
    (plugin.parent / "roles" / "judge.md").write_text("You judge harshly.")
    assert identity(plugin) != before
    (plugin.parent / "roles" / "unused.md").write_text("Nobody reads this.")
    (plugin.parent / "roles" / "judge.md").write_text("You judge.")
    assert identity(plugin) == before


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("pool([last.probability])", "last.probability / 2", "the class itself"),
        ("return median(probabilities)", "return max(probabilities)", "a helper beside the class"),
        ('authority="the judge"', 'authority="nobody"', "its elements"),
    ],
)
def test_code_is_part_of_the_identity(plugin, old, new, why):
    before = identity(plugin)
    assert old in PLUGIN
    plugin.write_text(PLUGIN.replace(old, new))
    assert identity(plugin) != before, why


def test_the_code_that_a_subclass_inherits_is_part_of_its_identity(plugin, monkeypatch):
    wide = plugin.with_name("wide.py")
    wide.write_text("from inherited import Pair\n\n\nclass Wide(Pair):\n    name = 'wide'\n    agents: int = 9\n")
    monkeypatch.syspath_prepend(plugin.parent)

    def inheriting(forecast: str) -> Any:
        plugin.with_name("inherited.py").write_text(PLUGIN.replace("pool([last.probability])", forecast))
        importlib.invalidate_caches()
        sys.modules.pop("inherited", None)
        return load((wide,)).create("wide", {}).identity()

    assert inheriting("0.1") == inheriting("0.1")
    assert inheriting("0.1") != inheriting("0.25")


# --- a real installed package


def install(tmp_path: Path, target: Path, package: str, source: str, points: dict[str, str]) -> None:
    """Builds a package and installs it into a folder, as `pip install` would."""
    project = tmp_path / package
    (project / package / "roles").mkdir(parents=True)
    (project / package / "__init__.py").write_text(source)
    (project / package / "roles" / "judge.md").write_text("You judge.")
    lines = "\n".join(f'{name} = "{value}"' for name, value in points.items())
    (project / "pyproject.toml").write_text(
        f'[project]\nname = "{package}"\nversion = "1"\n\n[project.entry-points."{GROUP}"]\n{lines}\n\n'
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    )
    uv = Path(sys.executable).with_name("uv")
    options = ["--offline", "--no-deps", "--no-build-isolation", "--python", sys.executable, "--target", str(target)]
    done = subprocess.run([uv, "pip", "install", *options, str(project)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


LIST = """
import json
from coordeval.configurations import load
registry = load()
made = registry.create("pair", {"agents": 5}) if "pair" in registry.classes else None
print(json.dumps([sorted(registry.classes), dict(registry.quarantined), made and [made.agents, made.roles()["judge"]]]))
"""


def listed(target: Path) -> tuple[set[str], dict[str, str], Any]:
    """What a fresh process with these packages installed has to offer."""
    environment = {**os.environ, "PYTHONPATH": str(target)}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", LIST], env=environment, capture_output=True, text=True, cwd=root, check=False
    )
    assert done.returncode == 0, done.stderr
    names, quarantined, made = json.loads(done.stdout)
    return set(names), quarantined, made


def test_an_installed_package_is_a_configuration_like_the_built_ins(tmp_path):
    target = tmp_path / "site"
    install(tmp_path, target, "pair_plugin", PLUGIN, {"pair": "pair_plugin:Pair"})
    names, quarantined, made = listed(target)
    assert names == BUILT_IN | {"pair"}
    assert quarantined == {}
    assert made == [5, "You judge."]


def test_broken_packages_are_quarantined_by_name_and_the_others_go_on(tmp_path):
    target = tmp_path / "site"
    install(tmp_path, target, "pair_plugin", PLUGIN, {"pair": "pair_plugin:Pair"})
    install(tmp_path, target, "raising_plugin", "raise RuntimeError('no licence')", {"raising": "raising_plugin:X"})
    install(tmp_path, target, "exiting_plugin", "import sys; sys.exit(1)", {"exiting": "exiting_plugin:X"})
    install(tmp_path, target, "odd_plugin", "odd = 1", {"odd": "odd_plugin:odd", "absent": "odd_plugin:absent"})
    install(tmp_path, target, "misnamed_plugin", PLUGIN, {"duo": "misnamed_plugin:Pair"})
    install(tmp_path, target, "greedy_plugin", PLUGIN, {"single_agent": "greedy_plugin:Pair"})
    names, quarantined, made = listed(target)
    assert names == (BUILT_IN | {"pair"}) - {"single_agent"}
    assert made == [5, "You judge."]
    reasons = {
        "raising": "raising_plugin:X: RuntimeError: no licence",
        "exiting": "exiting_plugin:X: SystemExit: 1",
        "odd": "odd_plugin:odd: PluginError: 1 is not a subclass of configurations.Configuration",
        "absent": "odd_plugin:absent: AttributeError",
        "duo": "name is 'pair', but it is registered as 'duo'; they must be equal",
        "single_agent": "2 packages offer it: coordeval.configurations.single_agent:SingleAgent and greedy_plugin:Pair",
    }
    assert set(quarantined) == set(reasons)
    for name, reason in reasons.items():
        assert reason in quarantined[name]
