"""`coordeval notebook`: the notebooks, with the ledger found."""

import os
import subprocess
import sys
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from coordeval.flows.cli.options import DEFAULT_LEDGER, LedgerOption
from coordeval.flows.terminal import Terminal
from coordeval.market_data.errors import CoordevalError

console = Terminal()
MINE = Path("coordeval-notebooks")


def notebook(
    folder: Annotated[
        Path, typer.Argument(help="Where your copies are kept; those that are there stay as they are.")
    ] = Path("coordeval-notebooks"),
    ledger: LedgerOption = DEFAULT_LEDGER,
    show: Annotated[bool, typer.Option("--copy-only", help="Only copy them, and say where they are.")] = False,
) -> None:
    """Copy the notebooks into a folder of yours and open JupyterLab on them, with the ledger found."""
    copied = copies(folder)
    console.print(f"{len(copied)} notebooks in {folder}: {', '.join(path.stem for path in copied)}", soft_wrap=True)
    if show:
        return
    if find_spec("jupyterlab") is None:
        raise CoordevalError(
            f"JupyterLab is not installed, so {folder} cannot be opened from here: `pip install jupyterlab` brings it, or "
            "open the folder with the editor that you use for notebooks"
        )
    environment = os.environ | {"COORDEVAL_LEDGER": str(ledger.absolute())}
    raise typer.Exit(
        subprocess.run([sys.executable, "-m", "jupyterlab", str(folder)], env=environment, check=False).returncode
    )


def copies(folder: Path) -> list[Path]:
    """The notebooks in `folder`, each copied from the package where it is not there yet."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with as_file(files("coordeval").joinpath("notebooks")) as there:
            for source in sorted(there.glob("*.ipynb")):
                if not (target := folder / source.name).exists():
                    target.write_bytes(source.read_bytes())
    except OSError as error:
        raise CoordevalError(f"{folder}: cannot hold the notebooks ({error.strerror}); give another folder") from error
    return sorted(folder.glob("*.ipynb"))
