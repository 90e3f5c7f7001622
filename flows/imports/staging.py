"""Files and frames as tables of a scratch database, every row of them with its place, whatever their size.

DuckDB reads them, in bounded memory; what does not fit goes to a scratch folder that is gone afterwards.
"""

import codecs
import contextlib
import csv
import glob
import gzip
import hashlib
import io
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson

from coordeval.analysis.base.numerals import counted
from coordeval.flows.imports.wanted import ImportRefused

MEMORY: Final = "1GB"
_SETTINGS: Final = (
    f"memory_limit = '{MEMORY}'",
    "TimeZone = 'UTC'",
    "python_enable_replacements = false",
    "enable_progress_bar = false",
    "disabled_optimizers = 'in_clause'",
    "max_vacuum_tasks = 0",
)
"""No bar of how far it is, which DuckDB would write to standard output. A list in `IN` is looked up value by value: the join
that it else makes of each copies every row once more. And what is written stays as it was written: it is gone in a minute,
and to write it a second time, closer, takes as long as the first."""
_INDEX: Final = re.compile(r"__index_level_\d+__")
"""What an index of pandas that has no name is called in Arrow."""
_FIELDS: Final = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")
_HEAD: Final = 1 << 20
_SEPARATORS: Final = ",\t;|"
_LFS: Final = b"version https://git-lfs.github.com/spec/"
_MOJIBAKE: Final = "is not UTF-8; if you know what it is, say so, such as --encoding cp1252 or --encoding utf-16"


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A file or frame as a table."""

    table: str
    name: str
    """Of the file, as a message names it."""
    kind: str
    """What it was read as."""
    sha256: str
    columns: dict[str, str]
    """Column -> DuckDB's type; of a text format all are VARCHAR."""
    first: int
    """What the first row is called: 2 below a header, else 1."""
    is_view: bool = False
    """It is read where it stands, row by row as it is asked for; its column `rowid` counts from 0 as a table's does."""


@contextlib.contextmanager
def scratch() -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A connection to an empty database in a folder of its own, and its file."""
    with (
        tempfile.TemporaryDirectory(prefix="coordeval-import-") as folder,
        duckdb.connect(Path(folder) / "said.duckdb") as con,
    ):
        for setting in _SETTINGS:
            con.execute(f"SET {setting}")
        con.execute(f"SET temp_directory = {text(folder)}")
        yield con, Path(folder) / "said.duckdb"


def text(value: object) -> str:
    """An SQL literal."""
    return "'" + str(value).replace("'", "''") + "'"


def name(column: str) -> str:
    """An SQL name."""
    return '"' + column.replace('"', '""') + '"'


def expanded(patterns: Sequence[str | Path]) -> list[Path]:
    """The files that are meant, a pattern's in order. Raises ImportRefused where one is not there."""
    files: list[Path] = []
    for pattern in map(str, patterns):
        path = Path(pattern)
        if path.is_dir():
            raise ImportRefused(f"{pattern} is a folder: give its files, such as '{pattern.rstrip('/')}/*.csv'")
        matching = (
            [path] if path.exists() else [Path(p) for p in sorted(glob.glob(pattern, recursive=True)) if Path(p).is_file()]
        )
        if not matching:
            raise ImportRefused(f"there is no file {pattern}; give the path of one, or a pattern such as 'logs/*.csv'")
        files += matching
    if twice := [file for i, file in enumerate(files) if file.resolve() in [other.resolve() for other in files[:i]]]:
        raise ImportRefused(f"{twice[0]} is given twice; each of its forecasts would be there twice")
    return files


def stage(con: duckdb.DuckDBPyConnection, file: Path, place: int, *, encoding: str | None) -> Staged:
    """Read a file into the table `file_PLACE`. Raises ImportRefused: it is empty, damaged, not UTF-8, or nothing known."""
    try:
        head, packed = _head(file)
        _room(con, file)
        digest = _sha256(file)
    except OSError as error:
        raise ImportRefused(f"{file} cannot be read ({error.strerror or error}); mend that, or give another file") from error
    if not head.strip(b"\0 \t\r\n" + codecs.BOM_UTF8):
        raise ImportRefused(f"{file} is empty: there is no forecast in it")
    if head.startswith(_LFS):
        raise ImportRefused(f"{file} is a Git LFS pointer, not the file it stands for; run `git lfs pull` in its folder")
    if head.startswith(b"PAR1"):
        return _parquet(con, file, place, digest)
    if head.startswith(b"PK\x03\x04"):
        raise ImportRefused(
            f"{file} is a zip archive: save a spreadsheet as CSV, unpack what is packed, and give a log of inspect_ai "
            "the ending .eval"
        )
    if encoding is None and head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ImportRefused(f"{file} {_MOJIBAKE}")
    if encoding is not None:
        file, head, packed = _recoded(con, file, encoding, packed)
    opening = head.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    if opening in (b"{", b"["):
        return _json(con, file, place, digest, array=opening == b"[", packed=packed)
    return _csv(con, file, place, digest, head, packed)


def stage_frame(con: duckdb.DuckDBPyConnection, frame: Any) -> Staged:
    """A data frame of polars, pandas, pyarrow or anything that hands over Arrow. Raises ImportRefused for another thing."""
    import pyarrow as pa

    if hasattr(frame, "collect") and not hasattr(frame, "__arrow_c_stream__"):
        frame = frame.collect()  # a lazy frame of polars
    if not hasattr(frame, "__arrow_c_stream__"):
        raise ImportRefused(
            f"a {type(frame).__name__} is no data frame: give one of polars, pandas or pyarrow, or file names"
        )
    try:
        given = pa.table(frame)
    except pa.ArrowException as error:  # a column of pandas holds what has no type in common
        said = _one_sentence(Exception(": ".join(map(str, error.args[::-1]))))
        raise ImportRefused(f"the frame cannot be read ({said}): give each column values of one type") from error
    given = given.select([column for column in given.column_names if not _INDEX.fullmatch(column)])
    digest = hashlib.sha256()
    for batch in given.to_batches():
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        digest.update(sink.getvalue())
    con.register("given", given)
    try:
        return _read(con, Path("the frame"), 0, "data frame", digest.hexdigest(), "given", first=1)
    finally:
        con.unregister("given")


def stage_rows(con: duckdb.DuckDBPyConnection, file: Path, place: int, kind: str, rows: Iterator[dict[str, Any]]) -> Staged:
    """Rows that a named reader made of a file, through JSON lines in the scratch folder."""
    scratch_file = _beside(con, f"rows_{place}.jsonl")
    with scratch_file.open("wb") as out:
        for row in rows:
            out.write(orjson.dumps(row, default=str) + b"\n")
    if not scratch_file.stat().st_size:
        raise ImportRefused(f"{file} holds no forecast that {kind} could find")
    staged = _json(con, scratch_file, place, _sha256(file), array=False, packed=False)
    return Staged(table=staged.table, name=str(file), kind=kind, sha256=staged.sha256, columns=staged.columns, first=1)


def _head(file: Path) -> tuple[bytes, bool]:
    """(the first bytes, unpacked; whether it was packed with gzip)"""
    with file.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not packed:
            return raw.read(_HEAD), False
        try:
            return gzip.GzipFile(fileobj=raw).read(_HEAD), True
        except EOFError as error:
            raise ImportRefused(f"{file} is cut off within its gzip data; copy or download it again") from error


def _room(con: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Raises ImportRefused for a file that the scratch folder has no room for: it is read through there, not in memory."""
    scratch_folder = _beside(con, "").parent
    size, free = file.stat().st_size, shutil.disk_usage(scratch_folder).free
    if size > free:
        raise ImportRefused(
            f"{file} has {size / 1e9:,.1f} GB, and {scratch_folder}, where it is read, has {free / 1e9:,.1f} GB left; "
            "make room there, name another folder with TMPDIR, or split the file"
        )


def _sha256(file: Path) -> str:
    with file.open("rb") as raw:
        return hashlib.file_digest(raw, "sha256").hexdigest()


def _beside(con: duckdb.DuckDBPyConnection, file: str) -> Path:
    [(folder,)] = con.execute("SELECT current_setting('temp_directory')").fetchall()
    return Path(folder) / file


def _recoded(con: duckdb.DuckDBPyConnection, file: Path, encoding: str, packed: bool) -> tuple[Path, bytes, bool]:
    """A copy in UTF-8."""
    copy = _beside(con, f"utf8-{file.name}")
    try:
        codecs.lookup(encoding)
        with (
            (gzip.open if packed else open)(file, "rt", encoding=encoding, newline="") as source,
            copy.open("w", encoding="utf-8", newline="") as out,
        ):
            while part := source.read(_HEAD):
                out.write(part)
    except LookupError as error:
        raise ImportRefused(
            f"--encoding {encoding!r}: Python knows no such encoding; utf-8, cp1252 and utf-16 are some"
        ) from error
    except UnicodeError as error:
        raise ImportRefused(f"{file} is not {encoding} ({error}); give the encoding that it was written in") from error
    with copy.open("rb") as raw:
        return copy, raw.read(_HEAD), False


def _read(
    con: duckdb.DuckDBPyConnection, file: Path, place: int, kind: str, digest: str, source: str, *, first: int
) -> Staged:
    table = f"file_{place}"
    try:
        con.execute(f"CREATE TABLE {table} AS SELECT * FROM {source}")
    except duckdb.Error as error:
        raise unreadable(file, kind, error) from error
    return _described(con, file, place, kind, digest, first=first)


def _described(con: duckdb.DuckDBPyConnection, file: Path, place: int, kind: str, digest: str, *, first: int) -> Staged:
    table = f"file_{place}"
    [(rows,)] = con.execute(f"SELECT count(*) FROM {table}").fetchall()
    if not rows:
        raise ImportRefused(f"{file} holds no row: there is no forecast in it")
    columns = {column: kind for column, kind, *_ in con.execute(f"DESCRIBE {table}").fetchall()}
    return Staged(table=table, name=str(file), kind=kind, sha256=digest, columns=columns, first=first)


def _parquet(con: duckdb.DuckDBPyConnection, file: Path, place: int, digest: str) -> Staged:
    """As a view, unless one of its columns is called as what counts its rows: values that repeat are then looked at once."""
    source = _only(con, file, place)
    counted_by = {"rowid", "file_row_number"}
    try:
        names = {column.lower() for column, *_ in con.execute(f"DESCRIBE FROM read_parquet({source})").fetchall()}
        if names & counted_by:
            return _read(con, file, place, "Parquet", digest, f"read_parquet({source})", first=1)
        rows = f"read_parquet({source}, file_row_number = true)"
        columns = "* EXCLUDE (file_row_number), file_row_number AS rowid"
        con.execute(f"CREATE TEMP VIEW file_{place} AS SELECT {columns} FROM {rows}")
    except duckdb.Error as error:
        raise unreadable(file, "Parquet", error) from error
    staged = _described(con, file, place, "Parquet", digest, first=1)
    return replace(staged, columns={name: kind for name, kind in staged.columns.items() if name != "rowid"}, is_view=True)


def unreadable(file: str | Path, kind: str, error: Exception) -> ImportRefused:
    return ImportRefused(f"{file} cannot be read as {kind}: {_one_sentence(error)}")


def _csv(con: duckdb.DuckDBPyConnection, file: Path, place: int, digest: str, head: bytes, packed: bool) -> Staged:
    try:
        line = head.removeprefix(codecs.BOM_UTF8).splitlines()[0].decode("utf-8")
    except UnicodeDecodeError as error:
        raise ImportRefused(f"{file}: row 1, its header, {_MOJIBAKE}") from error
    if "\0" in line:
        raise ImportRefused(f"{file} {_MOJIBAKE}" if head[1:2] == b"\0" else f"{file} is no text: it holds null characters")
    outside = "".join(line.split('"')[::2])
    separator = max(_SEPARATORS, key=outside.count)
    header = [column.strip() or f"column {i}" for i, column in enumerate(next(csv.reader([line], delimiter=separator)), 1)]
    if twice := [column for i, column in enumerate(header) if column in header[:i]]:
        raise ImportRefused(f"{file}: its header names {twice[0]!r} twice; name the columns apart")
    kind = "TSV" if separator == "\t" else "CSV" if separator == "," else f"CSV with {separator!r}"
    columns = (
        "{{" + ", ".join(f"{text(column)}: 'VARCHAR'" for column in header).replace("{", "{{").replace("}", "}}") + "}}"
    )
    options = (
        f"columns = {columns}, auto_detect = false, header = true, delim = {text(separator)}, quote = '\"', escape = '\"', "
        "max_line_size = 16777216, store_rejects = true, rejects_limit = 1000, compression = '{}'"
    )
    staged: Staged | None = None
    source = f"read_csv({_only(con, file, place)}, {options.format('gzip' if packed else 'none')})"
    try:
        staged = _read(con, file, place, kind, digest, source, first=2)
    except ImportRefused as error:
        if not _rejected(con):
            if "invalid state" not in str(error):
                raise
            alike = _one_line_end(con, file, packed)
            staged = _read(con, file, place, kind, digest, f"read_csv({text(alike)}, {options.format('none')})", first=2)
    if rows := _rejected(con):
        con.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
        said = "; ".join(f"line {line}: {_why(kind, message)}" for line, kind, message in rows[:5])
        more = f"; and {len(rows) - 5} more" if len(rows) > 5 else ""
        raise ImportRefused(f"{file}: {counted(len(rows), 'line')} cannot be read: {said}{more}. Nothing was stored")
    assert staged is not None
    return staged


def _only(con: duckdb.DuckDBPyConnection, file: Path, place: int) -> str:
    """The file as an SQL literal. DuckDB takes `*`, `?` and `[` in a name for a pattern, so such a one gets another name."""
    if not any(sign in str(file) for sign in "*?["):
        return text(file)
    link = _beside(con, f"given-{place}")
    link.symlink_to(file.resolve())
    return text(link)


def _one_line_end(con: duckdb.DuckDBPyConnection, file: Path, packed: bool) -> Path:
    """A copy whose lines all end alike: DuckDB refuses a file with both ends, such as one that two systems wrote to."""
    copy = _beside(con, f"lines-{file.name}")
    with (gzip.open if packed else open)(file, "rb") as source, copy.open("wb") as out:
        held = b""
        while part := source.read(_HEAD):
            whole = held + part
            held = whole[-1:] if whole.endswith(b"\r") else b""  # its second half may come with the next part
            out.write(whole.removesuffix(held).replace(b"\r\n", b"\n"))
        out.write(held)
    return copy


def _rejected(con: duckdb.DuckDBPyConnection) -> list[tuple[int, str, str]]:
    """Line, kind and message; of a line that lacks several fields the first, which counts those that are there."""
    try:
        return con.execute(
            "SELECT line, arg_min(error_type::VARCHAR, column_idx), arg_min(error_message, column_idx) "
            "FROM reject_errors GROUP BY line ORDER BY line LIMIT 1000"
        ).fetchall()
    except duckdb.Error:
        return []


def _why(kind: str, message: str) -> str:
    if fields := _FIELDS.search(message):
        wanted, there = map(int, fields.groups())
        return f"it has {counted(there, 'field') if there < wanted else 'more fields'}, the header has {wanted}"
    return {
        "INVALID ENCODING": _MOJIBAKE,
        "UNQUOTED VALUE": "a quotation mark is opened and not closed as CSV wants it",
        "LINE SIZE OVER MAXIMUM": "it is longer than 16 MB",
    }.get(kind, kind.lower().replace("_", " ") + f" ({' '.join(message.split())[:120]})")


def _json(con: duckdb.DuckDBPyConnection, file: Path, place: int, digest: str, *, array: bool, packed: bool) -> Staged:
    """Objects, one a line or all in one list; every value as text, a key that is nowhere as null."""
    kind, form = ("JSON", "array") if array else ("JSON lines", "newline_delimited")
    table = f"file_{place}"
    options = f"format = '{form}', maximum_object_size = 33554432, compression = '{'gzip' if packed else 'none'}'"
    try:
        con.execute(f"CREATE TEMP TABLE objects AS SELECT json FROM read_json_objects({_only(con, file, place)}, {options})")
    except duckdb.Error as error:
        raise ImportRefused(
            f"{file} cannot be read as {kind}: {_bad_json(file, packed, array) or _one_sentence(error)}"
        ) from error
    try:
        wrong = con.execute("SELECT rowid + 1 FROM objects WHERE json_type(json) != 'OBJECT' LIMIT 1").fetchall()
        if wrong:
            raise ImportRefused(f"{file}: row {wrong[0][0]} is no JSON object; each forecast is one, with a key per column")
        keys = [
            key
            for (key,) in con.execute(
                "SELECT key FROM (SELECT unnest(json_keys(json)) AS key, rowid AS place FROM objects) GROUP BY key "
                "ORDER BY min(place), key LIMIT 10000"
            ).fetchall()
        ]
        if not keys:
            raise ImportRefused(f"{file} holds no row: there is no forecast in it")
        values = ", ".join(f"json ->> {text(_pointer(key))} AS {name(key)}" for key in keys)
        con.execute(f"CREATE TABLE {table} AS SELECT {values} FROM objects")
    finally:
        con.execute("DROP TABLE objects")
    return Staged(table=table, name=str(file), kind=kind, sha256=digest, columns=dict.fromkeys(keys, "VARCHAR"), first=1)


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _bad_json(file: Path, packed: bool, array: bool) -> str:
    if array:
        return ""
    bad: list[str] = []
    with (gzip.open if packed else open)(file, "rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip(codecs.BOM_UTF8 + b" \t\r\n"):
                try:
                    orjson.loads(line.removeprefix(codecs.BOM_UTF8))
                except orjson.JSONDecodeError as error:
                    bad.append(f"line {number} is no JSON ({error})")
                    if len(bad) == 5:
                        break
    return "; ".join(bad)


def _one_sentence(error: Exception) -> str:
    return " ".join(str(error).split("\n")[0].split())[:200]
