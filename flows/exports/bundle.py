"""A study out of the ledger and into a folder: one Parquet file a table, and everything that was computed of it.

What is in the folder is enough to compute every number again, on another machine and without the ledger (`restored`).
"""

import contextlib
import csv
import hashlib
import io
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson
import polars as pl

from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.base.frames import Policy
from coordeval.analysis.report.exports import figures
from coordeval.analysis.report.page import Report
from coordeval.analysis.report.results import strict_json
from coordeval.flows.exports.dictionary import dictionary
from coordeval.flows.run.scoring import score
from coordeval.flows.run.telemetry import telemetry_of
from coordeval.flows.study.evaluation import version
from coordeval.flows.study.names import GAMES
from coordeval.ledger import Ledger, read
from coordeval.ledger.database import connected
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.files import csv_of, write_whole

FORM: Final = "coordeval-study/1"
MANIFEST: Final = "manifest.json"
TABLES: Final = "tables"
_OWN_CELLS: Final = "(SELECT {} FROM cells WHERE study_id = $study)"
# How the rows that belong to a study are found, by the first of these columns that a table has.
_BELONGS: Final = {
    "study_id": "study_id = $study",
    "forecast_id": f"forecast_id IN {_OWN_CELLS.format('forecast_id')}",
    "draw_id": f"draw_id IN (SELECT draw_id FROM calls WHERE forecast_id IN {_OWN_CELLS.format('forecast_id')})",
    "payer": f"payer IN {_OWN_CELLS.format('forecast_id')}",
    "pull_id": "pull_id = $study",  # rows that an import set aside
    "instance_id": f"instance_id IN {_OWN_CELLS.format('market_id')}",  # a game's instance stands where a market does
    "market_id": f"market_id IN {_OWN_CELLS.format('market_id')}",
}


class BundleError(CoordevalError, ValueError):
    """A folder that is no exported study, or is no longer what was exported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What was written."""

    folder: Path
    study: str
    study_id: str
    rows: dict[str, int]
    """Table -> rows."""
    figures: int
    no_figures: str
    """Why there are none; "": there are."""

    def as_json(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("study", "study_id", "rows", "figures", "no_figures")}
        return {"folder": str(self.folder), **own}


def export_study(
    ledger: Path, study_id: str, folder: Path, *, policy: Policy = "common", with_figures: bool = True
) -> Bundle:
    """Writes the study with that id into `folder`, which must be empty or not there.

    Raises FileError, or BundleError for a folder that holds something. Figures need a Chromium; without one there are none,
    and the answer says why.
    """
    begun = Begun(ledger, study_id, folder)
    write, rows, written = begun.write, begun.rows, begun.written
    with begun.ledger() as path:  # of what was written, and of nothing else
        found = score(path, study_id, policy=policy)
        together = telemetry_of(read(path), study_id)
    write("results.json", strict_json(found.results()))
    write("leaderboard.csv", csv_of(flat(found.board.table)))
    write("markets.csv", csv_of(found.every_market))
    if found.arms is not None:
        write("arms.csv", csv_of(found.arms.scores))
    write("coordination.csv", csv_of(together))
    write("coordination.parquet", parquet(together))
    write("report.html", found.html())
    write("study.json", orjson.dumps(found.study["content"], option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")
    write("versions.txt", versions())
    drawn, reason = _figures(found, folder, written) if with_figures else (0, "they were not asked for")
    write("README.md", _about(found, rows, drawn, reason))
    name = str(found.study["name"])
    begun.end(name, policy=policy)
    return Bundle(folder=folder, study=name, study_id=study_id, rows=rows, figures=drawn, no_figures=reason)


class Begun:
    """An exported folder under way: the study's tables are there. Raises BundleError where the folder holds something."""

    def __init__(self, ledger: Path, study_id: str, folder: Path) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise BundleError(f"{folder} is there already and is not empty: give another folder; nothing was written")
        self.folder, self.study_id = folder, study_id
        self.rows, columns = _tables(ledger, study_id, folder / TABLES)
        self.written = {f"{TABLES}/{table}.parquet": _sha256(folder / TABLES / f"{table}.parquet") for table in self.rows}
        """File -> its sha256."""
        self.write("dictionary.csv", _csv(columns))

    def ledger(self) -> contextlib.AbstractContextManager[Path]:
        """A ledger of what was written, and of nothing else."""
        return _ledger_of(self.folder, [name for name in self.written if name.startswith(f"{TABLES}/")])

    def write(self, name: str, content: bytes | str) -> None:
        write_whole(self.folder / name, content)
        self.keep(name)

    def keep(self, name: str) -> None:
        """Counts a file in that somebody else wrote into the folder."""
        self.written[name] = _sha256(self.folder / name)

    def end(self, name: str, **more: str) -> None:
        """Writes the manifest, last: a folder without it was not finished."""
        manifest = {"form": FORM, "study": name, "study_id": self.study_id, "version": version(), **more}
        whole = manifest | {"rows": self.rows, "files": self.written}
        content = orjson.dumps(whole, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
        write_whole(self.folder / MANIFEST, content + b"\n")


def export_table(ledger: Path, study_id: str, file: Path, *, policy: Policy = "common") -> int:
    """Writes the leaderboard as .csv, .parquet or .json; returns its rows. Raises BundleError for another ending."""
    _check_ending(file, "a leaderboard")
    table = score(ledger, study_id, policy=policy).board.table
    write_table(table, file)
    return table.height


def write_table(table: pl.DataFrame, file: Path) -> None:
    """Writes a table as .csv, .parquet or .json, whole or not at all. Raises BundleError for another ending."""
    _check_ending(file, "a table")
    if file.suffix.lower() == ".csv":
        write_whole(file, csv_of(flat(table)))
    elif file.suffix.lower() == ".json":
        write_whole(file, strict_json(table.to_dicts()))
    else:
        write_whole(file, parquet(table))


def _check_ending(file: Path, what: str) -> None:
    if file.suffix.lower() not in (".csv", ".parquet", ".json"):
        raise BundleError(f"{file}: {what} is written as .csv, .parquet or .json; a folder gets everything")


@contextlib.contextmanager
def restored(folder: Path, *, games: bool = False) -> Iterator[tuple[Path, str]]:
    """A ledger, for as long as it is held, that is made of an exported study alone, of games or of forecasts; and its id.

    Raises BundleError where the folder is none, holds the other kind, was written by a later version, or a table is not what
    was written.
    """
    try:
        manifest = orjson.loads((folder / MANIFEST).read_bytes())
        form, study_id, files = manifest["form"], str(manifest["study_id"]), dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{folder} holds no exported study: its {MANIFEST} is not there or cannot be read; "
            f"`coordeval export STUDY {folder}` writes one"
        ) from error
    if games is not (manifest.get("kind") == GAMES):
        other = "coordeval report" if games else "coordeval grounding report"
        raise BundleError(
            f"{folder} holds a study of {'forecasts' if games else 'games'}: `{other} --from {folder}` reads it"
        )
    if form != FORM:
        raise BundleError(f"{folder} has the form {form!r}, this coordeval reads {FORM!r}: use the version that wrote it")
    tables = [name for name in files if name.startswith(f"{TABLES}/")]
    for name in tables:
        if not (folder / name).is_file() or _sha256(folder / name) != files[name]:
            raise BundleError(f"{folder / name} is not what was exported ({MANIFEST} has its hash): export it again")
    with _ledger_of(folder, tables) as path:
        yield path, study_id


@contextlib.contextmanager
def _ledger_of(folder: Path, tables: list[str]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="coordeval-from-") as scratch:
        path = Path(scratch) / "ledger.duckdb"
        with Ledger.open(path, purpose="an exported study"):
            pass
        with connected(path) as con:
            known = {
                table for (table,) in con.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
            }
            for name in tables:
                if (table := Path(name).stem) not in known:
                    raise BundleError(
                        f"{folder} holds a table {table!r} that this coordeval does not know: install a newer one"
                    )
                quoted = str(folder / name).replace("'", "''")
                con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM read_parquet('{quoted}')")
        yield path


def flat(table: pl.DataFrame) -> pl.DataFrame:
    """Lists of names as one text each, because a CSV file holds no lists."""
    lists = [name for name, kind in table.schema.items() if isinstance(kind, pl.List)]
    return table.with_columns(pl.col(name).cast(pl.List(pl.String)).list.join("; ") for name in lists)


def versions() -> str:
    """Everything that is installed, one a line as pip writes it, below the Python that runs it."""
    every = {f"{d.metadata['Name']}=={d.version}" for d in distributions() if d.metadata["Name"]}
    return f"# Python {platform.python_version()}, {platform.platform()}\n" + "\n".join(sorted(every, key=str.lower)) + "\n"


def _tables(ledger: Path, study_id: str, folder: Path) -> tuple[dict[str, int], list[dict[str, Any]]]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BundleError(f"the folder {folder} cannot be made: {error.strerror or error}") from error
    rows: dict[str, int] = {}
    read(ledger).studies()  # brings an older ledger up to date
    with connected(ledger, read_only=True) as con:
        columns: dict[str, list[str]] = {}
        for table, column in con.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND table_name IN "
            "(SELECT table_name FROM duckdb_tables() WHERE NOT internal AND table_name <> 'migrations') ORDER BY ALL"
        ).fetchall():
            columns.setdefault(table, []).append(column)
        for table, own in columns.items():
            rule = next((sql for column, sql in _BELONGS.items() if column in own), None)
            if rule is None:
                continue
            file = folder / f"{table}.parquet"
            target = str(file).replace("'", "''")
            query = f"SELECT * FROM {table} WHERE {rule}".replace("$study", f"'{study_id}'")
            try:
                [(count,)] = con.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)").fetchall()
            except duckdb.IOException as error:
                raise BundleError(f"{file} cannot be written ({error}); the export is not complete") from error
            rows[table] = count
        return rows, dictionary(con, rows)


def _figures(found: Report, folder: Path, written: dict[str, str]) -> tuple[int, str]:
    try:
        paths = [path for ending in ("png", "svg") for path in figures(found, folder / "figures", ending)]
    except AnalysisError as error:
        return 0, str(error)
    written |= {f"figures/{path.name}": _sha256(path) for path in paths}
    return len(paths), ""


def _about(found: Report, rows: dict[str, int], drawn: int, reason: str) -> str:
    held = ", ".join(f"{table} ({n:,})" for table, n in rows.items() if n)
    said = [
        f"# {found.study['name']}",
        found.standing.amount,
        *(f"**{mark.label}.** {mark.sentence}" for mark in found.standing.marks),
        "`coordeval report --from .` computes every number again from `tables/`, without the ledger.",
        "| file | what |\n|---|---|\n"
        "| `results.json` | every number of the report; a null has its reason |\n"
        "| `leaderboard.csv`, `markets.csv` | one row per configuration, one per market |\n"
        "| `coordination.csv`, `.parquet` | what agents did together: one row per forecast and round |\n"
        f"| `tables/*.parquet` | the rows of the ledger: {held} |\n"
        "| `dictionary.csv` | every column of them: type, and what it means |\n"
        f"| `figures/` | {f'{drawn} files, PNG and SVG' if drawn else f'none: {reason}'} |\n"
        "| `report.html` | the page, complete in itself |\n"
        "| `study.json` | the study, as its hash is taken of it |\n"
        "| `versions.txt` | what was installed when this was written |\n"
        f"| `{MANIFEST}` | the sha256 of every file |",
    ]
    return "\n\n".join(said) + "\n"


def parquet(table: pl.DataFrame) -> bytes:
    sink = io.BytesIO()
    table.write_parquet(sink)
    return sink.getvalue()


def _csv(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    table = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return out.getvalue()


def _sha256(file: Path) -> str:
    with file.open("rb") as raw:
        return hashlib.file_digest(raw, "sha256").hexdigest()
