"""The conformance check says which rule a configuration breaks and how to mend it; a new package passes it as written."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder

from coordeval.configurations.registry import classes_in
from coordeval.flows.cli.new_configuration import write
from coordeval.flows.run.conformance import check
from coordeval.market_data.errors import CoordevalError

HOSTILE = Path(__file__).with_name("hostile.py")
RULES = [
    ("not_a_number", "forecasts", "failed", "conclude(nan): a forecast is a probability"),
    ("chance", "is deterministic", "failed", " and then "),
    ("swallows", "handles failures", "failed", "swallows concluded 0.5, which rests on no answer"),
    (
        "reacher",
        "reaches nothing",
        "failed",
        "it started a socket (socket.__new__); it started a thread; it opened /proc/self/status",
    ),
    ("idle", "does what it declares", "noted", "not used in the trial: role 'critic', edge 'forecaster' to 'critic'"),
    ("endless", "ends when it is ended", "failed", "4 tasks went on after being called off, and had to be cut off"),
    ("idle", "ends when it is ended", "passed", "called off at its first ask and at its last, no task was left"),
    ("changes", "handles failures", "passed", "as declared (exclude)"),
]


@pytest.fixture(scope="module")
def findings():
    """Of all hostile configurations, tried in one process: a second would take its seconds of imports again."""
    return check(str(HOSTILE), seconds=200.0)


@pytest.mark.parametrize(("name", "rule", "status", "says"), RULES)
def test_each_broken_rule_is_named(findings, name, rule, status, says):
    [found] = [one for one in findings if (one.configuration, one.rule) == (name, rule)]
    assert (found.status, says in found.says) == (status, True), found
    assert bool(found.mend) == (status != "passed")


def test_no_other_rule_is_named(findings):
    broken = {(name, rule) for name, rule, status, _ in RULES if status == "failed"}
    own = {name for name, *_ in RULES}
    assert {
        (one.configuration, one.rule) for one in findings if one.status == "failed" and one.configuration in own
    } == broken


def test_what_its_module_reaches_for_is_told_by_line_and_a_changed_panel_is_found(findings):
    rules = {one.rule: one for one in findings if "," in one.configuration}
    assert "line 4: socket reaches the network" in rules["uses the panel only"].says
    assert (rules["leaves the panel alone"].status, rules["loads"].status) == ("failed", "passed")


@pytest.mark.parametrize(
    ("source", "seconds", "rule", "says"),
    [
        ("import os\nos._exit(3)", 60.0, "comes back", "ended with status 3 before it was over"),
        ("while True:\n    pass", 3.0, "comes back", "not over after 3 s"),
        ("def broken(:", 60.0, "loads", "SyntaxError"),
    ],
)
def test_one_that_cannot_be_tried_is_a_finding(tmp_path, source, seconds, rule, says):
    (tmp_path / "p.py").write_text(source)
    [found] = check(str(tmp_path / "p.py"), seconds=seconds)
    assert (found.rule, found.status, says in found.says) == (rule, "failed", True), found


def test_a_new_package_passes_its_own_check_and_offers_what_it_defines(tmp_path):
    files = write("second_opinion", tmp_path)
    [project, source, _, test] = files
    found = check(str(source), seconds=200.0)
    assert {one.status for one in found} == {"passed"}, found
    points = tomllib.loads(project.read_text())["project"]["entry-points"]["coordeval.configurations"]
    [cls] = classes_in(source)
    assert points == {cls.name: f"{source.parent.name}:{cls.__name__}"}
    compile(test.read_text(), test, "exec")


def test_a_new_package_builds_into_a_wheel_with_its_role_text_and_its_entry_point(tmp_path):
    write("second_opinion", tmp_path)
    [wheel] = WheelBuilder(str(tmp_path / "second_opinion")).build(directory=str(tmp_path), versions=["standard"])
    with ZipFile(wheel) as built:
        names = set(built.namelist())
        offered = built.read("second_opinion-0.1.0.dist-info/entry_points.txt").decode()
    assert {"second_opinion/__init__.py", "second_opinion/roles/second_opinion.md"} <= names
    assert offered.split() == ["[coordeval.configurations]", "second_opinion", "=", "second_opinion:SecondOpinion"]


@pytest.mark.proof
def test_a_new_package_is_installed_and_used_and_its_own_test_passes(tmp_path):
    write("second_opinion", tmp_path)
    project, site = tmp_path / "second_opinion", tmp_path / "site"
    options = ["--offline", "--no-deps", "--no-build-isolation", "--python", sys.executable, "--target", str(site)]
    uv = Path(sys.executable).with_name("uv")
    environment = {**os.environ, "PYTHONPATH": str(site)}
    coordeval = [sys.executable, "-m", "coordeval", "configurations", "show", "second_opinion"]
    for command in (
        [uv, "pip", "install", *options, str(project)],
        coordeval,
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
    ):
        done = subprocess.run(command, env=environment, cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        if command is coordeval:
            assert "role second_opinion: You give the last word" in done.stdout


@pytest.mark.parametrize("name", ["Second", "2nd", "a-b", "delphi", ""])
def test_a_name_that_cannot_be_is_refused(tmp_path, name):
    with pytest.raises(CoordevalError, match=r"no name of a configuration|installed already"):
        write(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(CoordevalError, match="exists already, and is not overwritten"):
        write("mine", tmp_path)
