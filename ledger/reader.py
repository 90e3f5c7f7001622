"""Reading a ledger, also while a run writes it: the file is opened for each query and closed again."""

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import orjson
import polars as pl

from ledger import schema
from ledger.database import connected
from ledger.errors import LedgerError, write_error
from ledger.records import market_of
from market_data.types import Market

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
_FORECASTS = """
    SELECT c.configuration, c.market_id, m.question, m.event_id, m.category, c.replicate,
        coalesce(f.status, 'pending') AS status, f.probability, f.reason,
        CAST(o.value AS TINYINT) AS outcome, o.status AS outcome_status, c.market_price,
        f.attributed_micro_usd / 1e6 AS cost_usd, f.paid_micro_usd / 1e6 AS paid_usd,
        f.input_tokens + f.cache_read_tokens + f.cache_write_tokens AS input_tokens, f.output_tokens,
        f.model_calls, f.tool_calls, f.seconds, f.call_graph, coalesce(f.simulated, s.simulated) AS simulated, c.as_of
    FROM cells c JOIN studies s USING (study_id)
        LEFT JOIN markets m ON m.market_id = c.market_id
        LEFT JOIN forecasts f ON f.forecast_id = c.forecast_id
        LEFT JOIN current_outcomes o ON o.market_id = c.market_id
    WHERE c.study_id = ? ORDER BY c.configuration, c.market_id, c.replicate
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


def read(path: str | Path) -> "Reader":
    """The ledger at `path`, for reading. Raises LedgerError where there is none."""
    path = Path(path)
    if not path.is_file():
        raise LedgerError(f"there is no ledger at {path}: make one with `coordeval run STUDY.toml`, or give another path")
    return Reader(path)


class Reader:
    """Answers from what has been committed; rows that a running writer still has in its journal come a moment later.

    Each query is one short opening, so consecutive queries may see different states of a ledger that is being written; those
    of one `moment` see the same.
    """

    def __init__(self, path: Path, held: duckdb.DuckDBPyConnection | None = None) -> None:
        """Use `read`."""
        self.path = path
        self._held = held

    @contextlib.contextmanager
    def moment(self) -> Iterator["Reader"]:
        """A reader whose answers are all of one moment. As long as it is held a writer waits, and keeps its journal."""
        with self._open() as con:
            yield Reader(self.path, con)

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

    def markets_for(self, source: str) -> list[Market]:
        """The markets of a source as they stood at opening, by id; outcomes are not part of them."""
        rows = self.query("SELECT * FROM markets WHERE source = ? ORDER BY market_id", [source])
        return [market_of(row) for row in rows.to_dicts()]

    def forecast_frame(self, study: str) -> pl.DataFrame:
        """One row per cell of a study (name or id), whether or not it has a forecast (status "pending") or an outcome yet.

        `cost_usd` is the full price of what the forecast used, `paid_usd` what was paid for its sake (null: not known);
        `input_tokens` counts cached and uncached ones; `seconds` sums the model calls; `outcome` is 1 where YES won.
        """
        return self.query(_FORECASTS, [self.study(study).study_id])

    def forecasts_before(self, study: str) -> int:
        """How many of a study's forecasts were stored before the study was: it shares them with one that ran earlier."""
        count = "SELECT count(*) FROM cells JOIN forecasts f USING (forecast_id) JOIN studies s USING (study_id) "
        found = self.query(f"{count} WHERE study_id = ? AND f.created_at < s.created_at", [self.study(study).study_id])
        return int(found.item())

    def export_parquet(self, directory: str | Path) -> list[Path]:
        """Every table as `directory/TABLE.parquet`, all from one moment."""
        directory = Path(directory)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with self._open() as con:
                names = con.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY 1").fetchall()
                files = [directory / f"{name}.parquet" for (name,) in names]
                for file in files:
                    target = str(file).replace("'", "''")
                    con.execute(f"COPY {file.stem} TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        except (duckdb.IOException, OSError) as error:
            raise write_error(directory, error, "the ledger is untouched, the export is incomplete") from error
        return files

    @contextlib.contextmanager
    def _open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        if self._held is not None:
            yield self._held
            return
        with connected(self.path, read_only=True) as con:
            try:
                applied = schema.check(con, _migrations())
            except duckdb.CatalogException:
                applied = 0
            if applied < len(_migrations()):
                raise LedgerError(
                    f"{self.path} has schema {applied} and this coordeval reads schema {len(_migrations())}; "
                    "any command that writes, such as `coordeval run`, brings it up to date"
                )
            yield con


def _study_of(row: Mapping[str, Any]) -> Study:
    return Study(**{**row, "content": orjson.loads(row["content"]), "elements": orjson.loads(row["elements"])})


_migrations = functools.cache(schema.load)
