"""The second look: do the rows belong together? Keys that lead nowhere, rows that stand twice, sums that do not add up."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from coordeval.flows.study.names import GAMES
from coordeval.flows.verify.found import Fault, Part
from coordeval.ledger import Reader

_OF_STUDY = "(SELECT forecast_id FROM cells WHERE study_id = $study)"
_GAMES = f"(SELECT study_id FROM studies WHERE source = '{GAMES}')"


@dataclass(frozen=True, slots=True)
class _Leads:
    """`columns` of `table` are those `to` of `target`; `by` is the column that says whose rows they are."""

    table: str
    columns: tuple[str, ...]
    target: str
    to: tuple[str, ...]
    by: str
    among: str = "true"
    """Which rows of `table` name one there, in SQL."""


_FOR_A_CELL = "NOT contains(payer, ' ')"
"""Not what a command asked about a forecast, such as `diagnosis FORECAST`."""
_FORECAST, _ASK = ("forecast_id",), ("forecast_id", "ask")
LEADS = (
    _Leads("cells", ("study_id",), "studies", ("study_id",), "study_id"),
    _Leads("cells", ("market_id",), "markets", ("market_id",), "study_id", f"study_id NOT IN {_GAMES}"),
    _Leads("cells", ("market_id",), "instances", ("instance_id",), "study_id", f"study_id IN {_GAMES}"),
    _Leads("games", ("instance_id",), "instances", ("instance_id",), "forecast_id"),
    _Leads("games", _FORECAST, "forecasts", _FORECAST, "forecast_id"),
    *(_Leads(name, _FORECAST, "games", _FORECAST, "forecast_id") for name in ("game_rounds", "moves", "mishaps")),
    _Leads("runs", ("study_id",), "studies", ("study_id",), "study_id"),
    _Leads("forecasts", ("run_id",), "runs", ("run_id",), "forecast_id"),
    _Leads(
        "forecasts", (*_FORECAST, "market_id", "replicate"), "cells", (*_FORECAST, "market_id", "replicate"), "forecast_id"
    ),
    *(
        _Leads(name, _FORECAST, "forecasts", _FORECAST, "forecast_id")
        for name in ("calls", "tool_calls", "estimates", "telemetry")
    ),
    *(_Leads(name, _ASK, "estimates", _ASK, "forecast_id") for name in ("parts", "acts")),
    _Leads("messages", ("forecast_id", "from_ask"), "estimates", _ASK, "forecast_id"),
    _Leads("messages", ("forecast_id", "to_ask"), "estimates", _ASK, "forecast_id"),
    _Leads("calls", ("draw_id",), "draws", ("draw_id",), "forecast_id"),
    _Leads("draws", ("payer",), "cells", _FORECAST, "payer", _FOR_A_CELL),
    _Leads("draws", ("attempt_id", "payer"), "attempts", ("attempt_id", "payer"), "payer"),
    _Leads("attempts", ("payer",), "cells", _FORECAST, "payer", _FOR_A_CELL),
    _Leads("picks", ("study_id",), "studies", ("study_id",), "study_id"),
    _Leads("picks", ("market_id",), "markets", ("market_id",), "study_id"),
    _Leads("forecast_days", ("study_id",), "studies", ("study_id",), "study_id"),
    _Leads("commitment_leaves", ("study_id", "day"), "forecast_days", ("study_id", "day"), "study_id"),
    _Leads("prices", ("market_id",), "markets", ("market_id",), ""),
    _Leads("documents", ("market_id",), "markets", ("market_id",), ""),
    _Leads("outcomes", ("market_id",), "markets", ("market_id",), ""),
    _Leads("views", ("market_id",), "markets", ("market_id",), ""),
)
"""Every column that names a row elsewhere. A row without a name there (null) names none."""

SUMS = {
    "calls of a forecast": """
        SELECT f.forecast_id AS "where", f.created_at AS at,
            'it says ' || f.model_calls || ' calls and ' || (f.input_tokens + f.output_tokens) || ' tokens, its calls are '
            || coalesce(c.n, 0) || ' with ' || coalesce(c.tokens, 0) AS says
        FROM made f LEFT JOIN (
            SELECT forecast_id, count(*) AS n, sum(input_tokens + output_tokens) AS tokens, sum(input_tokens) AS i,
                sum(output_tokens) AS o, sum(cache_read_tokens) AS r, sum(cache_write_tokens) AS w
            FROM calls GROUP BY 1
        ) c USING (forecast_id)
        WHERE (f.model_calls, f.input_tokens, f.output_tokens, f.cache_read_tokens, f.cache_write_tokens)
            IS DISTINCT FROM (coalesce(c.n, 0), coalesce(c.i, 0), coalesce(c.o, 0), coalesce(c.r, 0), coalesce(c.w, 0))
    """,
    "costs of a forecast": """
        SELECT f.forecast_id AS "where", f.created_at AS at,
            'in millionths of a dollar it says ' || f.attributed_micro_usd || ' attributed and ' || f.paid_micro_usd
            || ' paid, its calls come to ' || coalesce(c.a, 0) || ' and ' || coalesce(c.p, 0) AS says
        FROM made f LEFT JOIN (
            SELECT forecast_id, sum(attributed_micro_usd) AS a, sum(paid_micro_usd) AS p FROM calls GROUP BY 1
        ) c USING (forecast_id)
        WHERE (f.attributed_micro_usd IS NOT NULL AND f.attributed_micro_usd <> coalesce(c.a, 0))
            OR (f.paid_micro_usd IS NOT NULL AND f.paid_micro_usd <> coalesce(c.p, 0))
    """,
    "tool calls of a forecast": """
        SELECT f.forecast_id AS "where", f.created_at AS at,
            'it says ' || f.tool_calls || ' tool calls, stored are ' || coalesce(t.n, 0) AS says
        FROM made f LEFT JOIN (SELECT forecast_id, count(*) AS n FROM tool_calls GROUP BY 1) t USING (forecast_id)
        WHERE f.tool_calls IS DISTINCT FROM coalesce(t.n, 0)
    """,
    "prices of calls": """
        SELECT c.forecast_id || ', ask ' || c.ask || ', turn ' || c.turn AS "where", d.created_at AS at,
            'the call is charged ' || coalesce(c.attributed_micro_usd::VARCHAR, 'nothing known') || ' and paid '
            || coalesce(c.paid_micro_usd::VARCHAR, 'nothing known') || ', its draw costs '
            || coalesce(d.micro_usd::VARCHAR, 'nothing known') AS says
        FROM (FROM calls SEMI JOIN made USING (forecast_id)) c JOIN draws d USING (draw_id)
        WHERE c.attributed_micro_usd IS DISTINCT FROM d.micro_usd
            OR (c.paid_micro_usd <> 0 AND c.paid_micro_usd IS DISTINCT FROM d.micro_usd)
    """,
    "draws paid once": """
        SELECT c.draw_id AS "where", any_value(d.created_at) AS at,
            'paid by ' || string_agg(DISTINCT c.forecast_id[:12], ', ') || ', its payer is ' || any_value(d.payer)[:12]
                AS says
        FROM (FROM calls SEMI JOIN made USING (forecast_id)) c JOIN draws d USING (draw_id) WHERE c.paid_micro_usd > 0
        GROUP BY 1 HAVING count(*) > 1 OR any_value(c.forecast_id) <> any_value(d.payer)
    """,
    "draws and their replies": """
        SELECT draw_id AS "where", created_at AS at,
            'the row says ' || coalesce(micro_usd::VARCHAR, 'no price') || ' of ' || served_model || ', the reply '
            || coalesce(said->>'$.micro_usd', 'no price') || ' of ' || coalesce(said->>'$.model', 'no model') AS says
        FROM (SELECT *, TRY_CAST(reply AS JSON) AS said FROM draws WHERE payer IN (SELECT forecast_id FROM made))
        WHERE (micro_usd IS NOT NULL AND TRY_CAST(said->>'$.micro_usd' AS BIGINT) IS DISTINCT FROM micro_usd)
            OR (said->>'$.model') IS DISTINCT FROM served_model
    """,
}
"""What must add up in every forecast that this project made itself; `made` are those."""

_MADE = """
    WITH made AS (
        FROM forecasts SEMI JOIN (
            SELECT forecast_id FROM cells WHERE contains(identity, '"settings"') AND ($study IS NULL OR study_id = $study)
        ) USING (forecast_id)
    )
"""


def look(reader: Reader, study_id: str | None) -> Iterator[Part]:
    """Keys, doubles and sums, of one study or of all."""
    yield _keys(reader, study_id)
    yield _doubles(reader)
    yield _sums(reader, study_id)


def _keys(reader: Reader, study_id: str | None) -> Part:
    part = Part(name="keys", rule="every row that names another row names one that is there")
    for lead in LEADS:
        own = ""
        if study_id is not None:
            if not lead.by:
                continue
            own = "study_id = $study AND" if lead.by == "study_id" else f"{lead.by} IN {_OF_STUDY} AND"
        named = " AND ".join(f"{column} IS NOT NULL" for column in lead.columns)
        same = " AND ".join(f"t.{there} = s.{here}" for here, there in zip(lead.columns, lead.to, strict=True))
        given = {} if study_id is None else {"study": study_id}
        rows = f"(SELECT DISTINCT {', '.join(lead.columns)} FROM {lead.table} WHERE {own} {lead.among} AND {named})"
        part.looked += reader.query(f"SELECT count(*) FROM {rows}", given).item()
        lost = reader.query(f"SELECT * FROM {rows} s ANTI JOIN {lead.target} t ON {same} ORDER BY ALL", given)
        said = f"{lead.target} has no such row"
        part.add(Fault(where=f"{lead.table} {_named(row)}", says=said) for row in lost.iter_rows(named=True))
    return part.finished()


def _doubles(reader: Reader) -> Part:
    part = Part(name="doubles", rule="a table with a key has one row for each")
    keys = reader.query("SELECT table_name, comment[6:] AS key FROM duckdb_tables() WHERE comment LIKE 'key: %' ORDER BY 1")
    for table, key in keys.iter_rows():
        part.looked += reader.query(f"SELECT count(*) FROM {table}").item()
        twice = reader.query(f"SELECT {key}, count(*) AS n FROM {table} GROUP BY ALL HAVING n > 1 ORDER BY ALL")
        for row in twice.iter_rows(named=True):
            n = row.pop("n")
            part.add([Fault(where=f"{table} {_named(row)}", says=f"stands {n} times")])
    return part.finished()


def _sums(reader: Reader, study_id: str | None) -> Part:
    part = Part(name="sums", rule="counts, tokens and costs are the sums of what they are of")
    made = reader.query(f"{_MADE} SELECT count(*) FROM made", {"study": study_id}).item()
    for name, sql in SUMS.items():
        part.looked += made
        found = reader.query(f"{_MADE} {sql}", {"study": study_id})
        part.add(
            Fault(where=f"{name}: {row['where']}", says=row["says"] or "a number is missing", at=row["at"])
            for row in found.iter_rows(named=True)
        )
    return part.finished()


def _named(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items())
