"""What each row says: the texts and numbers of a staged table as typed columns, nothing judged and nothing thrown away.

Of every number and time the text that stood there is kept beside it, so that a message can name the value.
"""

from collections.abc import Sequence
from typing import Final

import duckdb

from coordeval.flows.imports.columns import Columns
from coordeval.flows.imports.staging import Staged, name, text, unreadable
from coordeval.flows.imports.wanted import Wanted

NUMBERS: Final = ("probability", "market_price", "cost_usd", "input_tokens", "output_tokens", "total_tokens", "seconds")
TIMES: Final = ("date", "resolved_at", "opened_at", "closes_at")
TEXTS: Final = (
    *(
        "question_id",
        "forecaster",
        "event",
        "category",
        "replicate",
        "rationale",
        "reason",
        "question",
        "description",
        "url",
    ),
    "outcome",
)
NOTHING: Final = "('', 'na', 'n/a', 'nan', 'null', 'none', '-', 'nat', '<na>')"
"""What stands where nothing is known, in small letters."""
YES: Final = "('1', '1.0', 'yes', 'true', 'y', 't')"
NO: Final = "('0', '0.0', 'no', 'false', 'n', 'f')"
VOID: Final = "('annulled', 'ambiguous', 'void', 'voided', 'cancelled', 'canceled', 'n/a', 'na', 'invalid', 'mkt', 'cancel')"
OPEN: Final = "('', 'unresolved', 'pending', 'open', 'tbd', 'nan', 'null', 'none', '-', '<na>', 'unknown')"
_NUMERIC: Final = ("INT", "DOUBLE", "FLOAT", "DECIMAL", "BIGNUM")
_DATE: Final = r"\d{4}-\d\d-\d\d"
_CLOCK: Final = r"[ T]\d\d:\d\d(:\d\d([.]\d+)?)?"
_ZONE: Final = r"\s*(Z|UTC|GMT|[+-]\d\d(:?\d\d)?)"
_COUNTER: Final = "\x1frow"
_ALWAYS: Final = ("question_id", "forecaster", "probability", "outcome")
"""Fields that every table of rows has, whatever is in the files."""


def _columns() -> dict[str, tuple[str, str]]:
    """Column of a row -> (the field that it is of, its type)."""
    found = {field: (field, "VARCHAR") for field in TEXTS}
    for field in NUMBERS:
        found |= {field: (field, "DOUBLE"), f"{field}_text": (field, "VARCHAR"), f"{field}_sign": (field, "BOOLEAN")}
    for field in TIMES:
        found |= {field: (field, "TIMESTAMPTZ"), f"{field}_text": (field, "VARCHAR")}
        found |= {f"{field}_day": (field, "BOOLEAN"), f"{field}_naive": (field, "BOOLEAN")}
    return found | {"outcome_status": ("outcome", "VARCHAR"), "result": ("outcome", "UTINYINT")}


_COLUMNS: Final = _columns()


def _there(found: Columns) -> list[str]:
    """The columns of fields that the files have: one of nulls would take as long to store as one that says something."""
    return [column for column, (field, _) in _COLUMNS.items() if field in found.of or field in _ALWAYS]


def table(found: Columns) -> str:
    """SQL that makes `typed`, the rows with the columns that the files have."""
    own = ", ".join(f"{column} {_COLUMNS[column][1]}" for column in _there(found))
    return f"CREATE TABLE typed (n BIGINT, file INTEGER, row BIGINT, in_column VARCHAR, {own})"


def say(con: duckdb.DuckDBPyConnection, staged: Staged, file: int, found: Columns, wanted: Wanted) -> None:
    """Adds the rows of a staged table to `typed`, and drops it. Raises ImportRefused where a part of a view is damaged."""
    try:
        for column in found.wide:
            if column in staged.columns:
                _add(con, staged, file, {**found.of, "probability": column}, wanted, _there(found), forecaster=column)
        if not found.wide:
            _add(con, staged, file, found.of, wanted, _there(found), forecaster=None)
    except duckdb.Error as error:
        if staged.is_view:
            raise unreadable(staged.name, staged.kind, error) from error
        raise
    con.execute(f"DROP {'VIEW' if staged.is_view else 'TABLE'} {staged.table}")


def _add(
    con: duckdb.DuckDBPyConnection,
    staged: Staged,
    file: int,
    of: dict[str, str],
    wanted: Wanted,
    there: Sequence[str],
    *,
    forecaster: str | None,
) -> None:
    where = "" if forecaster is None else f"WHERE {_given(_raw(staged, of, 'probability'))} IS NOT NULL"
    source, counter = staged.table, "rowid"
    if counter in map(str.lower, staged.columns):  # then that is a column like any other, and numbers no rows
        source, counter = f"(SELECT *, row_number() OVER () - 1 AS {name(_COUNTER)} FROM {source})", name(_COUNTER)
    columns = [
        f"(SELECT coalesce(max(n), 0) FROM typed) + {counter} + 1 AS n",
        f"{file} AS file",
        f"{counter} + {staged.first} AS row",
        f"{'NULL' if forecaster is None else text(forecaster)} AS in_column",
    ]
    given: list[str] = []
    for field in TEXTS:
        said = text(forecaster) if field == "forecaster" and forecaster else f"nullif(trim({_raw(staged, of, field)}), '')"
        given.append(f"{said} AS {field}")
    for field in NUMBERS:
        given += _number(staged, of, field, wanted)
    for field in TIMES:
        given += _time(staged, of, field, wanted)
    given += _outcome(staged, of)
    columns += [column for column in given if column.rpartition(" AS ")[2] in there]
    con.execute(f"INSERT INTO typed BY NAME SELECT {', '.join(columns)} FROM {source} {where}")


def place(files: Sequence[Staged]) -> str:
    """SQL over `typed`: where a row stands, as a message names it."""
    names = ", ".join(text(file.name) for file in files)
    return f"([{names}])[file + 1] || ' row ' || row || coalesce(', column ' || in_column, '')"


def says(field: str) -> str:
    """SQL over `typed`: what stands in a number's column."""
    return f"coalesce({field}_text, CAST({field} AS VARCHAR))"


def judged(
    con: duckdb.DuckDBPyConnection, files: Sequence[Staged], found: Columns, percent: frozenset[str], wanted: Wanted
) -> None:
    """Makes the view `said`: `typed` with null for what no file has and with what depends on the whole (`*_p`: as a
    fraction), and `ends` of questions."""
    parts = [f"{f} / 100 AS {f}_p" if f in percent else f"{f} AS {f}_p" for f in ("probability", "market_price")]
    day = "coalesce(strftime(date, '%Y-%m-%d'), '')" if wanted.by_date else "''"
    parts.append(f"{day} AS market_day")
    parts.append(f"{place(files)} AS place")
    there = _there(found)
    absent = [f"CAST(NULL AS {kind}) AS {column}" for column, (_, kind) in _COLUMNS.items() if column not in there]
    whole = f"SELECT {', '.join(['*', *absent])} FROM typed"
    con.execute(
        f"CREATE VIEW said AS SELECT *, coalesce(replicate, '') AS replicate_label, {', '.join(parts)} FROM ({whole})"
    )
    # a day alone is over when the next one begins
    until = "min(CASE WHEN resolved_at_day THEN resolved_at + INTERVAL 1 DAY ELSE resolved_at END)"
    con.execute(
        f"CREATE TABLE ends AS SELECT question_id, {until} AS until, min(resolved_at) AS resolved_at FROM said "
        "WHERE resolved_at IS NOT NULL GROUP BY question_id"
    )


def _outcome(staged: Staged, of: dict[str, str]) -> list[str]:
    """In the ledger's words; null where nobody can tell what it means."""
    low = f"lower(coalesce(trim({_raw(staged, of, 'outcome')}), ''))"
    number = f"TRY_CAST({low} AS DOUBLE)"
    status = (
        f"CASE WHEN {low} IN {YES} OR {low} IN {NO} THEN 'resolved' WHEN {low} IN {VOID} THEN 'voided' "
        f"WHEN {low} IN {OPEN} THEN 'unresolved' WHEN {number} IN (0, 1) THEN 'resolved' "
        f"WHEN {number} = 0.5 THEN 'fifty_fifty' WHEN {number} > 0 AND {number} < 1 THEN 'not_yes_no' END"
    )
    result = f"CASE WHEN {low} IN {YES} OR {number} = 1 THEN 1 WHEN {low} IN {NO} OR {number} = 0 THEN 0 END"
    return [f"{status} AS outcome_status", f"CAST({result} AS UTINYINT) AS result"]


def _raw(staged: Staged, of: dict[str, str], field: str) -> str:
    """The column's text, or nothing where this table has no such column."""
    column = of.get(field)
    return f"CAST({name(column)} AS VARCHAR)" if column in staged.columns else "CAST(NULL AS VARCHAR)"


def _given(raw: str) -> str:
    """The text, but null for what stands for nothing."""
    return f"CASE WHEN lower(trim({raw})) NOT IN {NOTHING} THEN trim({raw}) END"


def _number(staged: Staged, of: dict[str, str], field: str, wanted: Wanted) -> list[str]:
    given = _given(_raw(staged, of, field))
    kind = staged.columns.get(of.get(field, ""), "VARCHAR")
    if of.get(field) not in staged.columns:
        value, sign = "CAST(NULL AS DOUBLE)", "false"
    elif kind.startswith(_NUMERIC) or kind.endswith("INT") or "INT" in kind:
        value, sign = f"CAST({name(of[field])} AS DOUBLE)", "false"
        value, given = f"CASE WHEN NOT isnan({value}) THEN {value} END", "CAST(NULL AS VARCHAR)"  # what it says is its value
    else:
        bare = f"trim({given}, '%$ ')"
        if wanted.decimal_comma:
            bare = f"replace({bare}, ',', '.')"
        value, sign = f"TRY_CAST({bare} AS DOUBLE)", f"coalesce({given} LIKE '%\\%' ESCAPE '\\', false)"
    return [f"{value} AS {field}", f"{given} AS {field}_text", f"{sign} AS {field}_sign"]


def _time(staged: Staged, of: dict[str, str], field: str, wanted: Wanted) -> list[str]:
    """A date alone is its first moment in UTC; seconds since 1970 are taken as such; a time needs a zone, or --timezone."""
    given = _given(_raw(staged, of, field))
    column, kind = of.get(field, ""), staged.columns.get(of.get(field, ""), "VARCHAR")
    zone = f"AT TIME ZONE {text(wanted.timezone)}" if wanted.timezone else ""
    if column not in staged.columns:
        value, day, naive = "CAST(NULL AS TIMESTAMPTZ)", "false", "false"
    elif kind == "TIMESTAMP WITH TIME ZONE":
        value, day, naive = name(column), "false", "false"
    elif kind == "DATE":
        value, day, naive = f"CAST({name(column)} AS TIMESTAMP) AT TIME ZONE 'UTC'", "true", "false"
    elif kind.startswith("TIMESTAMP"):
        value = f"CAST({name(column)} AS TIMESTAMP) {zone}" if zone else "CAST(NULL AS TIMESTAMPTZ)"
        day, naive = "false", "false" if zone else f"{name(column)} IS NOT NULL"
    else:
        # what most files have is told by its length and end; patterns take ten times as long
        is_day = f"CASE WHEN length({given}) = 10 THEN regexp_full_match({given}, '{_DATE}') ELSE false END"
        pattern = f"regexp_full_match({given}, '{_DATE}{_CLOCK}')"
        is_naive = f"CASE WHEN length({given}) = 10 OR ends_with({given}, 'Z') THEN false ELSE {pattern} END"
        usual = f"length({given}) = 20 AND ends_with({given}, 'Z') AND {given}[11] IN ('T', ' ')"
        value = (
            f"CASE WHEN {given} IS NULL THEN NULL "
            f"WHEN {usual} THEN TRY_CAST({given} AS TIMESTAMPTZ) "
            f"WHEN {is_day} THEN TRY_CAST({given} || ' 00:00:00+00' AS TIMESTAMPTZ) "
            f"WHEN regexp_full_match({given}, '{_DATE}{_CLOCK}{_ZONE}') "
            f"THEN TRY_CAST(regexp_replace({given}, ' ?GMT$', ' UTC') AS TIMESTAMPTZ) "
            + (f"WHEN {is_naive} THEN TRY_CAST({given} AS TIMESTAMP) {zone} " if zone else "")
            + f"WHEN regexp_full_match({given}, '[12]\\d{{9}}([.]\\d+)?') THEN to_timestamp(TRY_CAST({given} AS DOUBLE)) END"
        )
        day, naive = f"coalesce({is_day}, false)", "false" if zone else f"coalesce({is_naive}, false)"
    return [f"{value} AS {field}", f"{given} AS {field}_text", f"{day} AS {field}_day", f"{naive} AS {field}_naive"]
