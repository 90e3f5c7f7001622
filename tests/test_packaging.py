"""What is installed is what is meant to be: the wheel is built once and looked into. `make newcomer` installs it too."""

import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml

from coordeval.flows.site.staging import ROOT_PAGES

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

FLOORS = ("agents", "analysis", "configurations", "flows", "grounding", "ledger", "market_data", "notebooks")


def files_of(folder: str) -> list[Path]:
    """Paths from the root, without what Python or an editor left there."""
    paths = (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file())
    return [path for path in paths if not any(part.startswith((".", "__pycache__")) for part in path.parts)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    uv = Path(sys.executable).parent / "uv"
    build = [uv, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable, "-o", folder, ROOT]
    subprocess.run([str(part) for part in build], check=True, capture_output=True, timeout=300)
    [path] = folder.glob("*.whl")
    with zipfile.ZipFile(path) as found:
        yield found


def test_one_name_is_installed_and_no_file_of_the_workshop(wheel: zipfile.ZipFile):
    names = wheel.namelist()
    assert {name.split("/")[0] for name in names} == {"coordeval", f"coordeval-{PROJECT['version']}.dist-info"}
    kinds = {Path(name).suffix for name in names if ".dist-info" not in name}
    assert kinds <= {
        ".py",
        ".typed",
        ".md",
        ".sql",
        ".toml",
        ".json",
        ".ipynb",
        ".png",
        ".svg",
        ".css",
        ".js",
        ".yml",
        ".j2",
        ".html",
    }
    assert [name for name in names if re.search(r"(^|/)(tests?|benchmarks|__pycache__|\.\w+)/|/docs/\w+\.py$", name)] == []


def test_everything_that_the_code_reads_is_in_it(wheel: zipfile.ZipFile):
    """Each file of a floor, whatever it is, and every page of the documentation."""
    there = set(wheel.namelist())
    wanted = {f"coordeval/{path}" for floor in FLOORS for path in files_of(floor)}
    wanted |= {f"coordeval/{path}" for path in files_of("docs") if path.suffix != ".py"}
    wanted |= {f"coordeval/{page}" for page in ROOT_PAGES} | {"coordeval/py.typed"}
    assert sorted(wanted - there) == []


def test_its_metadata_say_what_pip_and_a_reader_need(wheel: zipfile.ZipFile):
    said = Parser().parsestr(wheel.read(f"coordeval-{PROJECT['version']}.dist-info/METADATA").decode())
    assert said["Requires-Python"] == ">=3.11"
    assert said["License-Expression"] == "MIT"
    assert {"dask", "docs"} <= set(said.get_all("Provides-Extra", []))
    assert said["Description-Content-Type"] == "text/markdown"
    assert said.get_payload().startswith("# coordeval")
    versions = [line.rsplit(" ", 1)[1] for line in said.get_all("Classifier", []) if ":: Python :: 3." in line]
    assert versions == ["3.11", "3.12", "3.13"], "those on which `make newcomer` was run"


@pytest.mark.parametrize("group", [*sorted(PROJECT["entry-points"]), "console_scripts"])
def test_every_entry_point_leads_somewhere(group: str):
    ours = [point for point in entry_points(group=group) if point.dist is not None and point.dist.name == "coordeval"]
    assert ours
    for point in ours:
        assert point.load() is not None


def test_the_citation_says_what_the_project_says():
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(said)
    assert (said["version"], said["license"], said["title"]) == (PROJECT["version"], PROJECT["license"], PROJECT["name"])


def test_every_benchmark_can_be_imported_or_needs_a_package_that_only_it_has():
    names = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem != "__main__")
    code = f"""
for name in {names!r}:
    try:
        __import__("benchmarks." + name)
    except ModuleNotFoundError as error:
        assert error.name in ("tiktoken", "libcst", "inspect_ai"), (name, error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
