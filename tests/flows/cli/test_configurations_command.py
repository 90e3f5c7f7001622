"""`coordeval configurations` lists what there is, whatever one plugin among them does."""

import json
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from coordeval.configurations import Configuration, Elements, Endpoint, Forecast, Panel
from coordeval.flows.cli.main import app
from coordeval.market_data import plugins

DECLARED = Elements(
    endpoints=(Endpoint("forecaster", "estimate"),),
    topology=(),
    authority="[/x] \x1b[31m",
    synchronisation="s",
    aggregation="a",
    termination="t",
    failure_handling="exclude",
)


class Plain(Configuration):
    name: ClassVar[str] = "plain"
    elements: ClassVar[Elements] = DECLARED

    async def forecast(self, panel: Panel) -> Forecast:
        return panel.conclude(0.5)


class Marked(Plain):
    """Ends each ask with [/inst] and \x1b[2J."""

    name: ClassVar[str] = "marked"


class _Raising(type(Configuration)):
    @property
    def __doc__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no words")


class Mute(Plain, metaclass=_Raising):
    name: ClassVar[str] = "mute"


class Point:
    def __init__(self, name: str, made: Any) -> None:
        self.name, self.value, self._made = name, f"pkg:{name}", made

    def load(self) -> Any:
        if isinstance(self._made, BaseException):
            raise self._made
        return self._made


class Odd(BaseException):
    def __str__(self) -> str:
        raise ValueError


@pytest.fixture
def crowd(monkeypatch):
    real = plugins.offered
    loaded = [Point("plain", Plain), Point("marked", Marked), Point("mute", Mute)]
    broken = [Point("exits", SystemExit(2)), Point("interrupts", KeyboardInterrupt()), Point("odd", Odd())]
    monkeypatch.setattr(plugins, "offered", lambda group: [*real(group), *loaded, *broken])


def listed(*words: str) -> str:
    done = CliRunner().invoke(app, ["configurations", *words])
    assert done.exit_code == 0, done.output
    return done.output


def test_one_that_says_nothing_and_one_that_says_markup_are_listed_and_what_is_broken_is_named(crowd):
    output = listed()
    for name in ("plain", "marked", "single_agent", "peer_critique_debate"):
        assert f"\n{name}  " in f"\n{output}", name
    for name in ("mute", "exits", "interrupts", "odd"):
        assert f"{name} could not be loaded" in output, name
    assert "[/inst]" in output
    assert "\x1b" not in output


def test_the_list_is_there_as_json(crowd):
    found = json.loads(listed("--json"))
    rows = {row["name"]: row for row in found["configurations"]}
    assert rows["peer_critique_debate"]["parameters"]["rounds"] == {"type": "int", "default": "2", "description": ""}
    assert rows["peer_critique_debate"]["elements"]["topology"] == [["forecaster", "critic"], ["critic", "critic"]]
    assert set(found["quarantined"]) == {"mute", "exits", "interrupts", "odd"}


def test_one_is_shown_with_its_elements_its_topology_in_words_and_its_role_texts():
    output = listed("show", "peer_critique_debate")
    for words in (
        "forecaster answers with its estimate",
        "critic is shown what forecaster said",
        "aggregation: median of the last round",
        "failure handling: exclude (go on with those who answered",
        "parameter rounds (int, 2)",
        "role critic: You take part in a debate of {agents}.",
    ):
        assert words in output, words


def test_a_quarantined_one_is_shown_with_the_whole_traceback_of_what_it_raised(monkeypatch, tmp_path):
    (tmp_path / "licensed_plugin.py").write_text("def ask():\n    raise RuntimeError('no \x1b[31mlicence')\n\nask()\n")
    monkeypatch.syspath_prepend(tmp_path)
    real = plugins.offered
    licensed = EntryPoint("licensed", "licensed_plugin:Licensed", "coordeval.configurations")
    monkeypatch.setattr(plugins, "offered", lambda group: [*real(group), licensed])
    assert "its traceback: coordeval configurations show licensed" in listed()
    done = CliRunner().invoke(app, ["configurations", "show", "licensed"])
    assert done.exit_code == 1
    assert 'licensed_plugin.py", line 2, in ask' in done.output
    assert "\x1b" not in done.output
    assert "market_data/plugins.py" not in done.output  # how it came to be loaded tells its author nothing
    done = CliRunner().invoke(app, ["configurations", "show", "licensed", "--json"])
    told = json.loads(done.stdout)
    assert "RuntimeError: no" in told["quarantined"]
    assert told["traceback"].startswith("Traceback (most recent call last):")


def test_a_file_that_is_installed_too_is_no_other_configuration_of_its_name(monkeypatch, tmp_path):
    source = tmp_path / "opinion" / "__init__.py"
    source.parent.mkdir()
    source.write_text(Path(__file__).with_name("opinion_plugin.txt").read_text())
    monkeypatch.syspath_prepend(tmp_path)
    real = plugins.offered
    point = EntryPoint("opinion", "opinion:Opinion", "coordeval.configurations")
    monkeypatch.setattr(plugins, "offered", lambda group: [*real(group), point])
    assert "forecaster answers with its estimate" in listed("show", "opinion", "--plugin", str(source))
    copy = tmp_path / "changed.py"
    copy.write_text(source.read_text() + "# changed\n")
    done = CliRunner().invoke(app, ["configurations", "show", "opinion", "--plugin", str(copy)])
    assert "give yours another name, or uninstall the other" in str(done.exception)


@pytest.mark.parametrize("name", ["exits", "interrupts", "odd"])
def test_one_that_raises_what_cannot_be_told_is_shown_too(crowd, name):
    done = CliRunner().invoke(app, ["configurations", "show", name])
    assert (done.exit_code, "raise self._made" in done.output) == (1, True)


@pytest.mark.parametrize("words", [["show", "nothing_of_the_kind"], ["tell", "single_agent"]])
def test_what_there_is_not_is_one_message(words):
    done = CliRunner().invoke(app, ["configurations", *words])
    assert done.exit_code != 0
    assert "single_agent" in str(done.exception)


def test_an_isolated_file_is_shown_as_such_with_what_is_closed_to_it():
    file = str(Path(__file__).parents[1] / "extreme_plugin.py")
    shown = CliRunner().invoke(app, ["configurations", "show", "extreme", "--plugin", file, "--isolate"])
    assert "isolated: runs in worker processes; closed to them: " in shown.output
    found = CliRunner().invoke(app, ["configurations", "--plugin", file, "--isolate", "--json"])
    isolated = {row["name"]: row["isolated"] for row in json.loads(found.output)["configurations"]}
    assert isinstance(isolated["extreme"], list)
    assert isolated["single_agent"] is None
