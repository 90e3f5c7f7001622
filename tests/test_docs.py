"""Every commented line of the template and every example of the README and the docs is what it says: it works."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import typer.main

from coordeval.flows.cli.main import app
from coordeval.flows.grounding.study import load_games
from coordeval.flows.study.study import load_study

ROOT = Path(__file__).parents[1]
TEMPLATE = (ROOT / "flows" / "study" / "templates" / "study.toml").read_text().replace("{name}", "mine")
FILES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in FILES}
CODE = re.compile(r"# (\[+[\w.-]+\]+|\w+ = .*)")


def blocks() -> list[str]:
    """Runs of commented lines of TOML; a key that comes again begins another block, since it is an alternative."""
    found: list[list[str]] = [[]]
    for line in TEMPLATE.splitlines():
        code = CODE.fullmatch(line)
        if code is None or code[1].split("=")[0] in [own.split("=")[0] for own in found[-1]]:
            found.append([])
        if code is not None:
            found[-1].append(code[1])
    return ["\n".join(lines) for lines in found if lines]


def uncommented(text: str, block: str) -> str:
    """The study with the block in force where it stands; what it stands in place of, a section or a key, is gone."""
    first = block.split("\n", maxsplit=1)[0]
    own = rf"(?ms)^{re.escape(first)}\n.*?(?=^\[|^#)" if first[0] == "[" else rf"(?m)^{first.split(' = ')[0]} = .*\n"
    commented = "\n".join(f"# {line}" for line in block.splitlines())
    assert text.count(commented) == 1
    return re.sub(own, "", text, count=1).replace(commented, block)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Beside a study: the plugin that the tutorial shows, and a sample."""
    tutorial = PAGES["docs/tutorial.md"]
    [plugin] = [b for b in re.findall(r"```python\n(.*?)```", tutorial, re.DOTALL) if "# my_configuration.py" in b]
    (tmp_path / "my_configuration.py").write_text(plugin)
    (tmp_path / "october.json").write_text('{"market_ids": ["polymarket:1"], "spec": {}}')
    return tmp_path


def test_the_template_has_commented_blocks():
    keys = {line.split(" = ")[0] for block in blocks() for line in block.splitlines()}
    assert {"plugins", "as_of", "budget_usd", "[markets]", "[model]", "[prices.my-model]", "[[predictions]]"} <= keys


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.split("\n")[0][:40])
def test_every_commented_line_of_the_template_works_when_uncommented(block: str, folder: Path):
    text = uncommented(TEMPLATE, block)
    if block.startswith("budget_usd"):  # of a live model, says the line above it
        [live] = [b for b in blocks() if 'provider = "anthropic"' in b]
        text = uncommented(text, live)
    path = folder / "study.toml"
    path.write_text(text)
    loaded = load_study(path)
    plain = tomllib.loads(TEMPLATE)
    assert tomllib.loads(text) != plain, "the block is in force"
    assert loaded.study.name == "mine"


def fenced(language: str) -> list[tuple[str, str]]:
    return [
        (page, block) for page, text in PAGES.items() for block in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    ]


@pytest.mark.parametrize(("page", "block"), fenced("toml"))
def test_every_toml_example_loads(page: str, block: str, folder: Path):
    content = tomllib.loads(block)
    if "project" in content:  # of a package, not of a study
        return
    template = re.sub(r"(?ms)^\[model\]\n.*?(?=^\[|^#)", "", TEMPLATE) if "model" in content else TEMPLATE
    text = block if "name" in content else f"{template}\n{block}"
    (folder / "study.toml").write_text(text)
    if "conditions" in content:  # a study of games
        assert load_games(folder / "study.toml").configurations
        return
    assert load_study(folder / "study.toml").configurations


def commands() -> list[tuple[str, str]]:
    found = []
    for page, block in fenced("sh"):
        lines = block.replace("\\\n", " ").splitlines()
        found += [
            (page, line)
            for line in lines
            if re.match(r"(?:\.venv/bin/)?coordeval [a-z]|\.venv/bin/python -m coordeval ", line)
        ]
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_line_is_one_that_the_command_line_takes(page: str, line: str):
    words = shlex.split(line, comments=True)
    command, context = typer.main.get_command(app), None
    arguments = words[words.index("coordeval") + 1 :] if "coordeval" in words else words[1:]
    while True:
        context = command.make_context(command.name or "coordeval", arguments, parent=context)  # raises for what it lacks
        if not hasattr(command, "resolve_command"):
            return
        _, command, arguments = command.resolve_command(context, [*context._protected_args, *context.args])


def test_make_check_judges_the_projects_own_files_and_no_others():
    dry = subprocess.run(["make", "--dry-run", "check"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    judged = [shlex.split(line)[1:] for line in dry.splitlines() if "/ruff " in line]
    assert len(judged) == 2
    own = {path.relative_to(ROOT).parts[0] for path in ROOT.glob("*/**/*.py") if path.relative_to(ROOT).parts[0][0] != "."}
    for words in judged:
        folders = set(words) - {"check", "format", "--check"}
        assert folders >= own & {path.name for path in ROOT.iterdir() if not path.name.startswith(".")} - {
            "results",
            "build",
        }
        assert "." not in folders
