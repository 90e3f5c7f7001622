"""`coordeval recover`: what is whole of a damaged ledger, its journal and shards left beside it, in a new file."""

from pathlib import Path
from typing import Any

from rich.console import Console

from coordeval.analysis.base.numerals import counted
from coordeval.flows.run.run import shards_beside
from coordeval.flows.run.workers.columns import is_columns
from coordeval.flows.run.workers.places import ShardError
from coordeval.flows.run.workers.shards import decoded
from coordeval.flows.terminal import table
from coordeval.flows.verify.files import study_of
from coordeval.ledger.place import true_path
from coordeval.ledger.salvage import Salvaged, salvage


def recover(path: Path, target: Path) -> Salvaged:
    """Raises LedgerError where there is no ledger, or `target` exists; LedgerLocked where a run writes."""
    entries, broken = _shards(true_path(path))
    found = salvage(path, target, entries)
    found.notes += broken
    return found


def _shards(path: Path) -> tuple[list[tuple[str, Any]], list[str]]:
    """What stands in whole shards beside the ledger, and what is wrong with the others."""
    entries: list[tuple[str, Any]] = []
    broken: list[str] = []
    folder = shards_beside(path)
    for file in sorted(folder.rglob("*.parquet")) if folder.is_dir() else ():
        if is_columns(file.name):
            continue  # nothing that is not in shards too
        try:
            content = file.read_bytes()
            entries += [
                (entry.table, entry.row) for entry in decoded(content, file.name, study=study_of(content, file.name))
            ]
        except (ShardError, OSError) as error:
            broken.append(str(error))
    return entries, broken


def print_recovered(found: Salvaged, console: Console) -> None:
    kept = sum(one.kept for one in found.tables)
    rest = f", and {counted(found.from_journal, 'row')} out of its journal and shards" if found.from_journal else ""
    if found.whole:
        console.print(
            f"all of {found.source} is whole: {counted(kept, 'row')}{rest} stand in {found.target}", soft_wrap=True
        )
        return
    console.print(f"what is whole of {found.source} stands in {found.target}: {counted(kept, 'row')}{rest}", soft_wrap=True)
    for note in found.notes:
        console.print(f"lost: {note}", style="red", soft_wrap=True)
    if lost := [one for one in found.tables if one.why]:
        made = table("table", "rows", "kept", "what cannot be read", numbers=(1, 2), whole=(0,))
        for one in lost:
            made.add_row(one.name, "not known" if one.rows is None else f"{one.rows:,}", f"{one.kept:,}", one.why)
        console.print(made)
    if found.again:
        console.print(
            f"{counted(found.again, 'forecast')} lost a part of {'itself' if found.again == 1 else 'themselves'} and stand "
            "there no more: the next run makes them again, from stored replies where these are kept",
            soft_wrap=True,
        )
    console.print(f"next: `coordeval verify --ledger {found.target}`, then the same run with that ledger", soft_wrap=True)
