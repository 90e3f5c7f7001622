"""What the README shows works as it is written there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from coordeval.flows.cli.main import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"^\.venv/bin/coordeval ([a-z-]+(?: new)?)", README, re.MULTILINE)))
)
def test_every_command_of_the_readme_exists(command: str):
    assert CliRunner().invoke(app, [*command.split(), "--help"]).exit_code == 0


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?\bmake ([a-z-]+)\b", README))))
def test_every_make_target_of_the_readme_exists(target: str):
    subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"\]\((docs/[^)]+)\)|`((?:studies|notebooks|agents)/[\w./-]+)`", README)))
)
def test_every_file_of_the_readme_exists(path: tuple[str, str]):
    assert (ROOT / (path[0] or path[1])).exists()


def test_errors_are_one_message_without_a_traceback(tmp_path: Path):
    command = [sys.executable, "-m", "coordeval", "run", str(tmp_path / "absent.toml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert "coordeval study new" in done.stderr
