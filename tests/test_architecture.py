"""ARCHITECTURE.md is true: a stale map is worse than none."""

import ast
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {name: (ROOT / name).read_text() for name in ("ARCHITECTURE.md", "CONTRIBUTING.md")}
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
LAYERS = {c["containers"][0]: c["layers"] for c in CONTRACTS if c["type"] == "layers"}
NAMED = sorted(
    {(page, path) for page, text in PAGES.items() for path in re.findall(r"`([\w./-]+/[\w./-]*|\w+\.\w+)`", text)}
)
TESTS = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGES["ARCHITECTURE.md"])


@pytest.mark.parametrize(("page", "path"), NAMED)
def test_every_path_is_there(page: str, path: str):
    assert (ROOT / path).exists(), f"{page} names {path}"


@pytest.mark.parametrize(
    ("page", "path"), sorted({(p, x) for p, t in PAGES.items() for x in re.findall(r"\]\(([\w./-]+)\)", t)})
)
def test_every_link_leads_somewhere(page: str, path: str):
    assert (ROOT / path).exists(), f"{page} links to {path}"


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_the_test_that_would_fail_is_there(file: str, name: str):
    found = ast.parse((ROOT / file).read_text()).body
    assert name in [node.name for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("package", ["coordeval.analysis", "coordeval.flows"])
def test_the_rooms_stand_as_the_linter_holds_them(package: str):
    drawn = " > ".join(f"({layer})" if "|" in layer else layer for layer in LAYERS[package])
    assert f"`{drawn}`" in " ".join(PAGES["ARCHITECTURE.md"].split())


@pytest.mark.parametrize("package", ["coordeval.analysis", "coordeval.flows"])
def test_every_room_is_in_the_order(package: str):
    folder = ROOT / package.partition(".")[2]
    rooms = {path.parent.name for path in folder.glob("*/__init__.py")}
    held = {room for layer in LAYERS[package] for room in layer.split(" | ")}
    assert rooms <= held
    assert all((folder / f"{room}.py").is_file() for room in held - rooms)  # a single module may stand in the order too


def test_the_floors_stand_as_the_linter_holds_them():
    floors = re.findall(r"^\| \d \| `(\w+)/`", PAGES["ARCHITECTURE.md"], re.MULTILINE)
    assert floors == LAYERS["coordeval"]


def test_no_two_files_of_tests_have_one_name():
    """pytest imports them by it, and reads none of them if two are alike."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, files in names.items() if files > 1] == []
