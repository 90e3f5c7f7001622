"""What a study has cost so far, as far as the ledger can know: paid, not priced, and perhaps charged without a reply."""

from dataclasses import dataclass

import duckdb

from coordeval.agents.messages import STAND_IN_REPLY


@dataclass(frozen=True, slots=True)
class Unpriced:
    """A stored reply whose price is not known: what its worst case is computed of."""

    model: str
    request_bytes: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Books:
    """Of all draws and attempts that were made for the sake of a study's cells."""

    paid_micro_usd: int
    """The known prices of stored replies, usable or not."""
    unpriced: tuple[Unpriced, ...]
    uncertain: int
    """Attempts of which no reply is stored and that were not refused: in flight when a process ended, or lost."""
    uncertain_micro_usd: int
    """The worst case of those, where a price was known."""
    served: frozenset[str]
    """Models that answered, by their own word."""


def books(con: duckdb.DuckDBPyConnection, study_id: str) -> Books:
    own = "payer IN (SELECT forecast_id FROM cells WHERE study_id = $study)"
    given = {"study": study_id}
    paid, served = con.execute(
        "SELECT coalesce(sum(micro_usd) FILTER (micro_usd >= 0), 0)::BIGINT, coalesce(list(DISTINCT served_model), []) "
        f"FROM draws WHERE {own}",
        given,
    ).fetchall()[0]
    unpriced = con.execute(
        "SELECT model, strlen(request), coalesce(TRY_CAST(json_extract_string(TRY_CAST(request AS JSON), '$.max_tokens') "
        f"AS BIGINT), 0) FROM draws WHERE {own} AND (micro_usd IS NULL OR micro_usd < 0)",
        given,
    ).fetchall()
    uncertain = con.execute(
        "SELECT count(*), coalesce(sum(worst_micro_usd), 0)::BIGINT FROM attempts "
        f"ANTI JOIN draws USING (attempt_id) WHERE {own} AND ended IS DISTINCT FROM 'refused'",
        given,
    ).fetchall()[0]
    calls, micro_usd = uncertain
    return Books(paid, tuple(Unpriced(*row) for row in unpriced), calls, micro_usd, frozenset(served))


def made_up(con: duckdb.DuckDBPyConnection, study_id: str) -> int:
    """Of what the stored replies cost, that of a stand-in's: what they would cost, had a real endpoint made them."""
    own = "payer IN (SELECT forecast_id FROM cells WHERE study_id = $study)"
    query = f"SELECT coalesce(sum(micro_usd), 0)::BIGINT FROM draws WHERE {own} AND contains(reply, '{STAND_IN_REPLY}')"
    return int(con.execute(query, {"study": study_id}).fetchall()[0][0])


def spent_by_cell(con: duckdb.DuckDBPyConnection, study_id: str) -> dict[str, tuple[str, int]]:
    """forecast_id -> (configuration, millionths of a dollar that count for it): prices paid, and worst cases of calls that
    may have been charged.
    """
    rows = con.execute(
        """
        WITH spent AS (
            SELECT payer, CASE WHEN d.micro_usd >= 0 THEN d.micro_usd ELSE coalesce(a.worst_micro_usd, 0) END AS micro_usd
                FROM draws d LEFT JOIN attempts a USING (attempt_id, payer)
            UNION ALL
            SELECT payer, coalesce(worst_micro_usd, 0) FROM attempts ANTI JOIN draws USING (attempt_id)
                WHERE ended IS DISTINCT FROM 'refused'
        )
        SELECT forecast_id, any_value(configuration), sum(micro_usd)::BIGINT
        FROM spent JOIN cells ON forecast_id = payer WHERE study_id = $study GROUP BY forecast_id
        """,
        {"study": study_id},
    ).fetchall()
    return {forecast_id: (configuration, micro_usd) for forecast_id, configuration, micro_usd in rows}
