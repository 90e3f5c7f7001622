"""From files or a frame to what was understood of them: a dry run shows it, an import stores it."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import duckdb

from coordeval.analysis.words.phrases import counted
from coordeval.flows.imports.checks import Problem, judge
from coordeval.flows.imports.columns import Columns, found
from coordeval.flows.imports.readers import form_of, settled
from coordeval.flows.imports.said import judged, place, say, says, table
from coordeval.flows.imports.staging import Staged, expanded, scratch, stage, stage_frame, stage_rows, text
from coordeval.flows.imports.wanted import FIELDS, ImportRefused, Wanted

_MISSED: Final = {
    "outcome": "outcomes, so nothing is scored until another import brings them",
    "date": "the dates of the forecasts, so none can be held against the time at which its question resolved",
    "market_price": "market prices, so nothing is compared with the market",
    "event": "events: every question counts as independent, and where that is not so intervals are too narrow",
    "replicate": "replicates, so the noise of forecasting again is not known",
    "cost_usd": "costs, so nothing is said of what a forecast is worth",
}
"""Fields that a report wants, and what it cannot say without them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """What files or a frame say, before anything is stored."""

    files: tuple[Staged, ...]
    columns: dict[str, str]
    """Field -> column."""
    unused: tuple[str, ...]
    scale: dict[str, str]
    """probability and market_price -> how they were read, and by which rule."""
    rows: int
    """Of the files; in wide form every filled field of a forecaster's column is one."""
    forecasts: int
    """Rows that become forecasts; those without a probability are failed ones."""
    questions: int
    markets: int
    """As `questions`, unless each date of a question is one."""
    events: int
    forecasters: dict[str, int]
    """Name -> forecasts, the most busy first."""
    replicates: int
    outcomes: dict[str, int]
    """Status, or YES and NO -> questions."""
    refused: tuple[Problem, ...]
    aside: tuple[Problem, ...]
    missing: tuple[str, ...]
    """What is not in the files, and what cannot be said for want of it."""
    notes: tuple[str, ...]
    first: tuple[dict[str, Any], ...]
    """The first rows as they were understood."""

    def as_json(self) -> dict[str, Any]:
        files = [{"file": f.name, "read_as": f.kind, "sha256": f.sha256, "columns": list(f.columns)} for f in self.files]
        own = {name: getattr(self, name) for name in self.__slots__ if name not in ("files", "refused", "aside")}
        return {"files": files, **own, **{n: [asdict(p) for p in getattr(self, n)] for n in ("refused", "aside")}}

    def refusal(self) -> str:
        """Why nothing is imported, in one message; "": it can be."""
        if not self.refused:
            return "" if self.forecasts else "no row is left that is a forecast; nothing was stored"
        rows = sum(problem.rows for problem in self.refused)
        said = "\n".join(f"  {problem.says()}" for problem in self.refused)
        return (
            f"{rows:,} of {self.rows:,} rows are refused, so nothing was stored:\n{said}\n"
            "Or say --skip-refused: they are set aside and counted, and the other rows are taken"
        )


@contextlib.contextmanager
def understood(
    given: Sequence[str | Path] | Any, wanted: Wanted
) -> Iterator[tuple[Understood, duckdb.DuckDBPyConnection, Path]]:
    """What files (paths or patterns) or a frame say, and the scratch database and its file, with the tables `kept` (their
    forecasts) and `facts` (their markets).

    Raises ImportRefused for what has no rows to speak of: a file that is not there, is empty, or is nothing that is known;
    a column that is not found. Rows that are refused are in the answer.
    """
    wanted = of_form(given, wanted)
    with scratch() as (con, file_):
        files, passed_over = _staged(con, given, wanted)
        header = list(dict.fromkeys(column for file in files for column in file.columns))
        of = found(header, wanted)
        con.execute(table(of))
        for i, file in enumerate(files):
            say(con, file, i, of, wanted)
        if "forecaster" not in of.of and not of.wide:
            con.execute(f"UPDATE typed SET forecaster = {text(wanted.forecaster or wanted.name)}")
        scale, percent = _scales(con, files, of, wanted)
        judged(con, files, of, percent, wanted)
        refused, aside = judge(con, wanted)
        _keep(con, wanted)
        _facts(con, wanted)
        summed = _summed(con, files, of, scale, refused, aside, wanted)
        yield replace(summed, notes=(*passed_over, *summed.notes)), con, file_


_KEPT: Final = (
    "n, place, question_id, forecaster, probability_p, reason, result, outcome_status, date, market_price_p, event, "
    "category, cost_usd, input_tokens, output_tokens, total_tokens, seconds, rationale, question, description, url, "
    "opened_at, closes_at"
)


def of_form(given: Any, wanted: Wanted) -> Wanted:
    """`wanted` for what is given: the ids of a published form are its own. Raises ImportRefused as `understood` does."""
    if isinstance(given, (str, Path)):
        given = [given]
    return settled(expanded(given), wanted) if _are_files(given) else wanted


def _are_files(given: Any) -> bool:
    return isinstance(given, Sequence) and all(isinstance(one, (str, Path)) for one in given)


def _staged(con: duckdb.DuckDBPyConnection, given: Any, wanted: Wanted) -> tuple[list[Staged], list[str]]:
    """The tables of the files, and what their forms passed over, in words."""
    if isinstance(given, (str, Path)):
        given = [given]
    if not _are_files(given):
        return [stage_frame(con, given)], []
    files, notes = [], []
    for i, file in enumerate(expanded(given)):
        form = form_of(file, wanted.format)
        if form is None:
            files.append(stage(con, file, i, encoding=wanted.encoding))
            continue
        passed_over: Counter[str] = Counter()
        files.append(stage_rows(con, file, i, form.name, form.rows(file, passed_over)))
        notes += [f"{file}: {counted(n, 'row')} {why}, and is passed over." for why, n in sorted(passed_over.items())]
    return files, notes


def _scales(
    con: duckdb.DuckDBPyConnection, files: Sequence[Staged], of: Columns, wanted: Wanted
) -> tuple[dict[str, str], frozenset[str]]:
    """How probabilities and prices are read, in words, and which of them are percent. Nothing is decided by their size.

    Raises ImportRefused where what is said, or what the signs say, does not fit the values.
    """
    words: dict[str, str] = {}
    percent: set[str] = set()
    for field in ("probability", "market_price"):
        if field not in of.of and not (field == "probability" and of.wide):
            continue
        signs, values, under, top = con.execute(
            f"SELECT count(*) FILTER ({field}_sign), count({field}), count(*) FILTER ({field} > 0 AND {field} < 1), "
            f"max({field}) FROM typed"
        ).fetchall()[0]
        if not values:
            continue
        if signs and signs < values:
            [(first,)] = con.execute(
                f"SELECT {place(files)} || ' says ' || {says(field)} FROM typed "
                f"WHERE NOT {field}_sign AND {field} IS NOT NULL ORDER BY n LIMIT 1"
            ).fetchall()
            raise ImportRefused(
                f"{field}: {signs:,} of {values:,} values have a percent sign and the others have none ({first}); "
                "write them all alike"
            )
        if wanted.scale == "fraction" and signs:
            raise ImportRefused(f"--scale fraction: the {field} has percent signs; leave --scale out")
        rule = (
            "--scale"
            if wanted.scale
            else "every value has a percent sign"
            if signs
            else f"the column's name {of.of.get(field)!r}"
        )
        if wanted.scale == "percent" or signs or (wanted.scale is None and field in of.percent):
            percent.add(field)
            if top <= 1 and under and not signs:
                raise ImportRefused(
                    f"{field} is to be percent ({rule}), but no value is above 1: these are fractions; say --scale fraction"
                )
            words[field] = f"percent ({rule})" + (
                f"; {under:,} of {values:,} values lie between 0 and 1 and were read as less than one percent"
                if under
                else ""
            )
        else:
            words[field] = f"fraction ({'--scale' if wanted.scale else 'nothing says percent'})"
    return words, frozenset(percent)


def _keep(con: duckdb.DuckDBPyConnection, wanted: Wanted) -> None:
    """Makes `kept`: the rows that become forecasts, with the ids that they get; a table only where ids take long to make."""
    ids = text(f"{wanted.ids_of}:")
    market = f"{ids} || question_id || CASE WHEN market_day <> '' THEN '@' || market_day ELSE '' END"
    [(broken,)] = con.execute("SELECT count(*) FROM bad").fetchall()
    only = "WHERE n NOT IN (SELECT n FROM bad)" if broken else ""
    fine = f"said {only}"
    [(labels, numbers)] = con.execute(
        f"SELECT count(replicate), count(*) = count(TRY_CAST(replicate AS UINTEGER)) FROM {fine}"
    ).fetchall()
    ranked, kind = "", "VIEW"
    if wanted.duplicates == "replicates":
        order = "PARTITION BY question_id, market_day, forecaster ORDER BY date NULLS FIRST, n"
        number, kind = f"row_number() OVER ({order}) - 1", "TABLE"
    elif not labels:
        number = "0"
    elif numbers:
        number = "CAST(replicate AS UINTEGER)"
    else:  # other labels than whole numbers are numbered in their order
        number, kind = "ranked.ordinal", "TABLE"
        ranked = (
            "JOIN (SELECT replicate_label, row_number() OVER (ORDER BY replicate_label) - 1 AS ordinal "
            f"FROM (SELECT DISTINCT replicate_label FROM {fine})) ranked USING (replicate_label) "
        )
    con.execute(
        f"CREATE {kind} kept AS SELECT {_KEPT}, {market} AS market_id, "
        f"CAST({number} AS INTEGER) AS number FROM said {ranked}{only}"
    )


def _facts(con: duckdb.DuckDBPyConnection, wanted: Wanted) -> None:
    """Makes the table `facts`: one row per market. The first text counts, and the price that was asked for."""
    ids = text(f"{wanted.ids_of}:")
    when = "(coalesce(date, TIMESTAMPTZ '1970-01-01'), n)"
    order = "arg_max" if wanted.one_price == "last" else "arg_min"

    def first(column: str) -> str:
        return f"arg_min({column}, n) FILTER ({column} IS NOT NULL)"

    con.execute(
        f"CREATE TABLE facts AS SELECT market_id, any_value(question_id) AS question_id, "
        f"{ids} || coalesce({first('event')}, any_value(question_id)) AS event_id, "
        f"coalesce({first('category')}, '') AS category, "
        f"coalesce({first('question')}, any_value(question_id)) AS question, "
        f"coalesce({first('description')}, '') AS description, "
        f"coalesce({first('url')}, '') AS url, min(opened_at) AS opened_at, max(closes_at) AS scheduled_close, "
        "max(result) AS result, "
        "coalesce(max(outcome_status) FILTER (outcome_status <> 'unresolved'), 'unresolved') AS status, "
        f"{order}(market_price_p, {when}) FILTER (market_price_p IS NOT NULL) AS price, "
        f"{order}(date, {when}) FILTER (market_price_p IS NOT NULL AND date IS NOT NULL) AS price_at "
        "FROM kept GROUP BY market_id"
    )


def _summed(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[Staged],
    of: Columns,
    scale: dict[str, str],
    refused: list[Problem],
    aside: list[Problem],
    wanted: Wanted,
) -> Understood:
    [(rows,)] = con.execute("SELECT count(*) FROM typed").fetchall()
    [(kept, failed, questions, markets, events, replicates)] = con.execute(
        "SELECT count(*), count(*) FILTER (probability_p IS NULL), count(DISTINCT question_id), count(DISTINCT market_id), "
        "(SELECT count(DISTINCT event_id) FROM facts), count(DISTINCT number) FROM kept"
    ).fetchall()
    forecasters = con.execute("SELECT forecaster, count(*) AS k FROM kept GROUP BY 1 ORDER BY k DESC, 1").fetchall()
    outcomes = con.execute(
        "SELECT CASE result WHEN 1 THEN 'YES' WHEN 0 THEN 'NO' ELSE status END AS said, count(*) FROM "
        "(SELECT question_id, max(result) AS result, max(status) AS status FROM facts GROUP BY 1) "
        "GROUP BY 1 ORDER BY 2 DESC, 1"
    ).fetchall()
    notes = []
    if "forecaster" not in of.of and not of.wide:
        notes.append(f"No column names the forecaster: all rows are one's, called {wanted.forecaster or wanted.name}.")
    if failed:
        notes.append(
            "1 row has no probability: it is a failed forecast, never 0.5."
            if failed == 1
            else f"{failed:,} rows have no probability: each is a failed forecast, never 0.5."
        )
    notes += _spread(con)
    missing = tuple(
        words for field, words in _MISSED.items() if field not in of.of and not (field == "replicate" and replicates > 1)
    )
    first = con.execute(
        "SELECT place, question_id, forecaster, number AS replicate, probability_p AS probability, result AS outcome, date, "
        "market_price_p AS market_price, event FROM kept ORDER BY n LIMIT 5"
    )
    names = [column[0] for column in first.description or ()]
    return Understood(
        files=tuple(files),
        columns={field: of.of[field] for field in FIELDS if field in of.of}
        | ({"probability": ", ".join(of.wide)} if of.wide else {}),
        unused=of.unused,
        scale=scale,
        rows=rows,
        forecasts=kept,
        questions=questions,
        markets=markets,
        events=events,
        forecasters=dict(forecasters),
        replicates=replicates,
        outcomes=dict(outcomes),
        refused=tuple(refused),
        aside=tuple(aside),
        missing=missing,
        notes=tuple(notes),
        first=tuple(dict(zip(names, row, strict=True)) for row in first.fetchall()),
    )


def _spread(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Whoever forecasts a question later knows more: said where it is so, because no comparison can take it out again."""
    [(apart, most)] = con.execute(
        "SELECT count(*) FILTER (span > INTERVAL 1 DAY), max(span) FROM "
        "(SELECT max(date) - min(date) AS span FROM kept GROUP BY market_id HAVING count(DISTINCT forecaster) > 1)"
    ).fetchall()
    if not apart:
        return []
    return [
        f"{apart:,} questions were forecast at times that are more than a day apart (up to {most.days} days): who forecast "
        "later knew more, and comparisons do not take that out. --by-date compares forecasts of the same day only."
    ]
