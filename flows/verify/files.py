"""The first look: can every byte be read? DuckDB holds each block against its checksum when it reads it."""

import os
from collections.abc import Iterator
from pathlib import Path

import orjson

from coordeval.flows.run.run import shards_beside
from coordeval.flows.run.workers.columns import is_columns
from coordeval.flows.run.workers.places import ShardError
from coordeval.flows.run.workers.shards import decoded
from coordeval.flows.verify.found import Fault, Part
from coordeval.ledger import LedgerError, Reader
from coordeval.ledger.journal_head import Head
from coordeval.ledger.journal_recovery import examine
from coordeval.ledger.place import true_path


def look(reader: Reader) -> Iterator[Part]:
    """The ledger's tables, its journal, and shards of workers that were left beside it. Changes nothing."""
    yield _tables(reader)
    path = true_path(reader.path)
    journal = path.with_name(f"{path.name}.journal")
    if journal.exists() or Head.path(journal).exists():
        yield _journal(path, journal)
    if (shards := shards_beside(path)).is_dir():
        yield _shards(shards)


def _tables(reader: Reader) -> Part:
    part = Part(name="bytes", rule="every block of every table can be read and matches its checksum")
    names = reader.query("SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY 1")["table_name"].to_list()
    part.looked = len(names)
    try:
        with reader.moment() as held:
            for name in names:
                held.query(_READ.format(name))
    except LedgerError:  # an opening of its own each: one that met a damaged block is of no use any more
        for name in names:
            try:
                reader.query(_READ.format(name))
            except LedgerError as error:
                part.add([Fault(where=f"table {name}", says=str(error))])
    return part.finished()


_READ = 'SELECT bit_xor(hash(t)) FROM "{}" t'


def _journal(ledger: Path, journal: Path) -> Part:
    part = Part(name="journal", rule="every group that waits in the journal is as it was written")
    if (writer := _writer(ledger)) is not None:
        part.not_looked[f"process {writer} writes to it now"] += 1
        return part
    head = Head.read(journal)
    found = examine(journal, head)
    part.looked = len(found.whole) + len(found.lost)
    if head.damaged:
        part.add([Fault(where=Head.path(journal).name, says="it does not match its checksum")])
    if not found.is_sound:
        lost = "an unknown number of entries" if found.lost_entries is None else f"{found.lost_entries} entries"
        says = f"{lost} are lost; {found.entries} are whole and move into the ledger with the next command that writes"
        part.add([Fault(where=journal.name, says=f"{says}{f' ({found.unreadable})' if found.unreadable else ''}")])
    return part.finished()


def _shards(folder: Path) -> Part:
    part = Part(name="shards", rule="every shard that a worker left holds what was written to it")
    for path in sorted(folder.rglob("*.parquet")):
        if is_columns(path.name):
            continue  # nothing that is not in shards too
        part.looked += 1
        try:
            content = path.read_bytes()
            decoded(content, path.name, study=study_of(content, path.name))
        except (ShardError, OSError) as error:
            part.add([Fault(where=str(path.relative_to(folder)), says=str(error))])
    return part.finished()


def study_of(content: bytes, name: str) -> str:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        about = orjson.loads((pq.ParquetFile(io.BytesIO(content)).schema_arrow.metadata or {})[b"coordeval"])
        return str(about["study"])
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise ShardError(
            f"shard {name} is not whole ({type(error).__name__}): its writer was ended, or the disk is at fault"
        ) from error


def _writer(ledger: Path) -> int | None:
    """The process that writes to the ledger now, by its own note; None where there is none, or it is gone."""
    try:
        pid = int(orjson.loads(ledger.with_name(f"{ledger.name}.writer.json").read_bytes())["pid"])
        os.kill(pid, 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid
