"""Reading a ledger, also while a run writes it: the file is opened for each query and closed again."""

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import orjson
import polars as pl

from coordeval.ledger import schema
from coordeval.ledger.books import Books, books, made_up
from coordeval.ledger.damage import explained
from coordeval.ledger.database import connected, is_kept
from coordeval.ledger.errors import LedgerDamaged, LedgerError, write_error
from coordeval.ledger.place import check_file, true_path
from coordeval.ledger.records import market_of
from coordeval.market_data.markup import listed
from coordeval.market_data.types import Market

_STUDIES = """
    SELECT s.study_id, s.name, s.source, s.model, s.simulated, s.created_at, s.locked_at,
        greatest(s.created_at, (SELECT max(started_at) FROM runs r WHERE r.study_id = s.study_id)) AS used_at,
        count(c.study_id) AS cells,
        count(*) FILTER (f.status = 'answered') AS answered,
        count(*) FILTER (f.status = 'failed') AS failed
    FROM studies s LEFT JOIN cells c USING (study_id) LEFT JOIN forecasts f ON f.forecast_id = c.forecast_id
    GROUP BY ALL ORDER BY used_at DESC, s.study_id
"""
_STUDY = "SELECT * FROM studies WHERE study_id = ?"
TOO_LATE = "resolved before it was committed to"
"""Outcome status of a prospective forecast that was not committed to before its market resolved: it is not scored."""
_COUNTS = "(p.market_id IS NULL OR coalesce(d.committed_at < least(o.resolved_at, o.recorded_at), false))"
"""Of a prospective study (p: its pick, d: that day) only what was committed to before the outcome; least() skips nulls."""
_FORECASTS = f"""
    SELECT c.arm, c.configuration, c.market_id, m.question, m.event_id, m.category, c.replicate,
        coalesce(f.status, 'pending') AS status, f.probability, f.reason,
        CASE WHEN {_COUNTS} THEN CAST(o.value AS TINYINT) END AS outcome,
        CASE WHEN {_COUNTS} OR o.status IS DISTINCT FROM 'resolved' THEN o.status ELSE '{TOO_LATE}' END AS outcome_status,
        c.market_price,
        f.attributed_micro_usd / 1e6 AS cost_usd, f.paid_micro_usd / 1e6 AS paid_usd,
        f.input_tokens + f.cache_read_tokens + f.cache_write_tokens AS input_tokens, f.output_tokens,
        coalesce(f.total_tokens, f.input_tokens + f.cache_read_tokens + f.cache_write_tokens + f.output_tokens)
            AS total_tokens,
        f.model_calls, f.tool_calls, f.seconds, f.call_graph, coalesce(f.simulated, s.simulated) AS simulated, c.as_of
    FROM cells c JOIN studies s USING (study_id)
        LEFT JOIN markets m ON m.market_id = c.market_id
        LEFT JOIN forecasts f ON f.forecast_id = c.forecast_id
        LEFT JOIN current_outcomes o ON o.market_id = c.market_id
        LEFT JOIN picks p ON p.study_id = c.study_id AND p.market_id = c.market_id
        LEFT JOIN forecast_days d ON d.study_id = p.study_id AND d.day = p.day
    WHERE c.study_id = ? ORDER BY c.arm <> 'main', c.arm, c.configuration, c.market_id, c.replicate
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A stored study: `content` is what its id is the hash of, `elements` maps a configuration to its declared elements."""

    study_id: str
    name: str
    content: Any
    source: str
    model: str
    simulated: bool
    elements: Any
    created_at: datetime
    locked_at: datetime | None
    hindsight: bool | None
    """True where the as-of time depends on when the market resolved; None: stored before this was kept."""

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        marks = [mark for mark, is_so in (("SIMULATED", self.simulated), ("anchored on hindsight", self.hindsight)) if is_so]
        facts: list[tuple[str, Any]] = [("id", self.study_id[:12]), ("markets", self.source), ("model", self.model)]
        facts += [("marks", ", ".join(marks))]
        facts += [("configurations", ", ".join(self.elements)), ("stored", self.created_at), ("locked", self.locked_at)]
        return listed(f"study {self.name}", [(name, value) for name, value in facts if value])


def read(
    path: str | Path,
    *,
    settings: Mapping[str, str | int] = MappingProxyType({}),
    arms: Sequence[str] | None = None,
) -> "Reader":
    """The ledger at `path`, for reading, with these settings of DuckDB. Raises LedgerError where there is none.

    `arms`: as in `Reader.moment`, of all that it reads.
    """
    path = Path(path)
    check_file(true_path(path))
    if not path.is_file():
        raise LedgerError(f"there is no ledger at {path}: make one with `coordeval run STUDY.toml`, or give another path")
    return Reader(path, settings=settings, arms=arms)


class Reader:
    """Answers from what has been committed; rows that a running writer still has in its journal come a moment later.

    Each query is one short opening, so consecutive queries may see different states of a ledger that is being written; those
    of one `moment` see the same.
    """

    def __init__(
        self,
        path: Path,
        held: duckdb.DuckDBPyConnection | None = None,
        *,
        settings: Mapping[str, str | int] = MappingProxyType({}),
        arms: Sequence[str] | None = None,
    ) -> None:
        """Use `read`."""
        self.path = path
        self._held = held
        self._settings = settings
        self._arms = arms

    @contextlib.contextmanager
    def moment(self, arms: Sequence[str] | None = None) -> Iterator["Reader"]:
        """A reader whose answers are all of one moment. As long as it is held a writer waits, and keeps its journal.

        `arms`: to this reader there are no cells but those of these arms, so whatever is read of a study is of them alone.
        """
        with self._open() as con:
            if arms is None:
                yield Reader(self.path, con, arms=self._arms)
                return
            _only(con, arms)
            try:
                yield Reader(self.path, con, arms=arms)
            finally:
                _every(con, self._arms)

    @property
    def arms(self) -> Sequence[str] | None:
        """The arms whose cells alone are there to it; None: all are."""
        return self._arms

    def query(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> pl.DataFrame:
        """The answer to one SELECT; `parameters` fill ? (a sequence) or $name (a mapping). Times are UTC."""
        with self._open() as con:
            relation = con.sql(sql, params=parameters)
            if relation is None:
                raise LedgerError(f"a query must be a SELECT, and this gives no rows: {sql.strip():.100}")
            frame: pl.DataFrame = relation.pl()
            return frame

    def studies(self) -> pl.DataFrame:
        """One row per study, the most recently used first, with the numbers of its cells, answered and failed."""
        return self.query(_STUDIES)

    def study(self, name: str) -> Study:
        """The most recently used study of that name, or the one whose id begins with it (at least 4 hex digits).

        Raises LedgerError listing what exists, or the candidates where an id is ambiguous.
        """
        if known := self.query(_STUDY, [name]).to_dicts():  # the whole id: no need to look at the others
            return _study_of(known[0])
        rows = self.studies().to_dicts()
        named = [row for row in rows if row["name"] == name][:1]
        found = named or [row for row in rows if len(name) >= 4 and row["study_id"].startswith(name)]
        if len(found) != 1:
            problem = f"study id {name!r} is ambiguous; write more of it" if found else f"there is no study {name!r}"
            shown = ", ".join(f"{row['name']} ({row['study_id'][:12]})" for row in found or rows)
            raise LedgerError(
                f"{problem}. {self.path} has: {shown or 'no study yet; `coordeval run STUDY.toml` stores one'}"
            )
        [row] = self.query(_STUDY, [found[0]["study_id"]]).to_dicts()
        return _study_of(row)

    def books(self, study_id: str) -> Books:
        """What was paid, and what may have been, for the sake of this study's forecasts: what counts against its budget."""
        with self._open() as con:
            return books(con, study_id)

    def made_up_micro_usd(self, study_id: str) -> int:
        """Of the prices of a study's stored replies those of a stand-in, which nobody paid. It reads every reply."""
        with self._open() as con:
            return made_up(con, study_id)

    def markets_for(self, source: str) -> list[Market]:
        """The markets of a source as they stood at opening, by id; outcomes are not part of them."""
        rows = self.query("SELECT * FROM markets WHERE source = ? ORDER BY market_id", [source])
        return [market_of(row) for row in rows.to_dicts()]

    def forecast_frame(self, study: str) -> pl.DataFrame:
        """One row per cell of a study (name or id), whether or not it has a forecast (status "pending") or an outcome yet.

        `cost_usd` is the full price of what the forecast used, `paid_usd` what was paid for its sake (null: not known);
        `input_tokens` counts cached and uncached ones; `total_tokens` may be known where they are not; `seconds` sums the
        model calls; `outcome` is 1 where YES won.
        """
        return self.query(_FORECASTS, [self.study(study).study_id])

    def forecasts_before(self, study: str) -> int:
        """How many of a study's forecasts were stored before the study was: it shares them with one that ran earlier."""
        count = "SELECT count(*) FROM cells JOIN forecasts f USING (forecast_id) JOIN studies s USING (study_id) "
        found = self.query(f"{count} WHERE study_id = ? AND f.created_at < s.created_at", [self.study(study).study_id])
        return int(found.item())

    def texts_of_unknown_age(self, study: str) -> int:
        """Of how many of a study's markets it is not known that their text read so at the as-of time."""
        count = "SELECT count(DISTINCT market_id) FROM cells c JOIN markets m USING (market_id) "
        unknown = "WHERE study_id = ? AND (m.text_known_at IS NULL OR m.text_known_at > c.as_of)"
        return int(self.query(f"{count} {unknown}", [self.study(study).study_id]).item())

    def export_parquet(self, directory: str | Path) -> list[Path]:
        """Every table as `directory/TABLE.parquet`, all from one moment.

        Of a damaged ledger the tables that can be read are written, and then LedgerDamaged names the others.
        """
        directory = Path(directory)
        files, unreadable = [], list[str]()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with self._open() as con:
                names = con.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY 1").fetchall()
                for (name,) in names:
                    file = directory / f"{name}.parquet"
                    target = str(file).replace("'", "''")
                    try:
                        con.execute(f"COPY {name} TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
                        files.append(file)
                    except duckdb.Error as error:
                        if not isinstance(explained(self.path, error), LedgerDamaged):
                            raise
                        unreadable.append(name)
        except (duckdb.IOException, OSError) as error:
            raise write_error(directory, error, "the ledger is untouched, the export is incomplete") from error
        if unreadable:
            raise LedgerDamaged(
                f"{self.path} is damaged, and of its tables these cannot be read: {', '.join(unreadable)}; "
                f"{len(files)} others were written to {directory}"
            )
        return files

    @contextlib.contextmanager
    def _open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        if self._held is not None:
            yield self._held
            return
        with self._opened() as con:
            if self._arms is not None:
                _only(con, self._arms)
            yield con

    @contextlib.contextmanager
    def _opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with connected(self.path, read_only=True, settings=self._settings) as con:
            if is_kept(self.path):
                yield con
                return
            try:
                applied = schema.check(con, _migrations())
            except (duckdb.CatalogException, duckdb.BinderException):
                schema.check_ours(con)
                applied = 0
            if applied == len(_migrations()):
                yield con
                return
        if not applied:
            raise LedgerError(
                f"{self.path} holds no study and no market yet (schema 0): `coordeval run STUDY.toml` stores one"
            )
        self._bring_up_to_date(applied)
        with connected(self.path, read_only=True, settings=self._settings) as con:
            yield con

    def _bring_up_to_date(self, applied: int) -> None:
        """A ledger of an older version is migrated where it is first looked at: who only reads need run nothing first."""
        from coordeval.ledger.writer import Ledger  # it is not needed to read

        try:
            Ledger.open(self.path, purpose="bringing the ledger up to date").close()
        except LedgerError as error:
            raise LedgerError(
                f"{self.path} has schema {applied}, this coordeval reads schema {len(_migrations())}, and it cannot be "
                f"brought up to date: {error}"
            ) from error


def _only(con: duckdb.DuckDBPyConnection, arms: Sequence[str]) -> None:
    """On this connection `cells` has the cells of these arms alone: a view of that name stands before the table."""
    [(database,)] = con.execute("SELECT current_database()").fetchall()
    own = ", ".join("'" + arm.replace("'", "''") + "'" for arm in arms)
    con.execute(
        f"""CREATE OR REPLACE TEMP VIEW cells AS SELECT *, rowid FROM "{database}".main.cells WHERE arm IN ({own})"""
    )


def _every(con: duckdb.DuckDBPyConnection, before: Sequence[str] | None) -> None:
    """As it was before `_only`."""
    if before is None:
        con.execute("DROP VIEW temp.cells")
    else:
        _only(con, before)


def _study_of(row: Mapping[str, Any]) -> Study:
    return Study(**{**row, "content": orjson.loads(row["content"]), "elements": orjson.loads(row["elements"])})


_migrations = functools.cache(schema.load)
