"""A newcomer's first hour, from nothing: `make newcomer` builds the wheel, installs it into a new environment with the
versions of the lock, and does what the tutorial says, line by line, as commands in an empty folder.

`--python PATH` takes another interpreter. It ends with status 1 at the first thing that is not as the tutorial says.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from docs.examples import Example, examples

ROOT: Final = Path(__file__).parents[1]
UV: Final = str(Path(sys.executable).parent / "uv")


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m docs.newcomer")
    asked.add_argument("--python", default=sys.executable, help="The interpreter of the new environment.")
    python = asked.parse_args().python
    with tempfile.TemporaryDirectory(prefix="newcomer-") as folder:
        place = Path(folder)
        command = installed(place, python)
        done = follow(examples((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")), place / "work", command)
    print(f"{done} examples of the tutorial are as they say")


def installed(place: Path, python: str) -> Path:
    """Builds the wheel, makes an environment with it, and returns the path of its `coordeval`."""
    wheels, environment = place / "wheel", place / "environment"
    build = [UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable]
    _run([*build, "--out-dir", str(wheels), str(ROOT)], ROOT)
    _run([UV, "venv", "--quiet", "--python", python, str(environment)], place)
    into = [UV, "pip", "install", "--quiet", "--python", str(environment / "bin" / "python")]
    _run([*into, "--require-hashes", "-r", str(ROOT / "requirements.lock")], place)
    [wheel] = wheels.glob("*.whl")
    _run([*into, "--no-deps", str(wheel)], place)
    return environment / "bin" / "coordeval"


def follow(blocks: list[Example], folder: Path, coordeval: Path) -> int:
    """Does what the blocks say, in `folder`; returns how many there are. Leaves with status 1 where one is not so."""
    folder.mkdir()
    said = ""
    for block in blocks:
        if block.shown:
            if missing := block.not_said(said):
                raise SystemExit(f"the tutorial shows what was not said: {missing[0]!r}\n{said}")
        elif block.file:
            (folder / block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            said = _run([str(coordeval.with_name("python")), "-c", block.text], folder)
        else:
            said = "".join(_run([str(coordeval), *words[1:]], folder) for words in block.commands())
    return len(blocks)


def _run(command: list[str], folder: Path) -> str:
    """What it says; leaves with status 1 where it fails."""
    kept = {"HOME": str(folder), "COLUMNS": "120"} | {k: v for k, v in os.environ.items() if not k.startswith("COORDEVAL")}
    kept.pop("PYTHONPATH", None)
    started = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, timeout=900, check=False)
    print(f"{time.monotonic() - started:6.1f} s  {' '.join(command[:6])[-110:]}".replace("\n", " "), flush=True)
    if done.returncode:
        raise SystemExit(f"status {done.returncode} of {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


if __name__ == "__main__":
    main()
