"""The evidence of an audit, read from the ledger once: every frame is one query, and long texts stay where they are.

Requests and tool results are told by their hashes and by what is taken out of them in the database; whole texts come only
for the reports, whose claims are looked for in them.
"""

import polars as pl

from coordeval.analysis.audit import Evidence, evidence
from coordeval.analysis.control import Control
from coordeval.flows.run.control import control
from coordeval.flows.run.published import published_frames
from coordeval.flows.study.in_arms import in_arm, left_out, one_of
from coordeval.ledger import Reader
from coordeval.ledger.acts import commitments_frame

_OWN = "FROM cells c JOIN forecasts f USING (forecast_id) WHERE c.study_id = $study AND c.configuration <> $left_out"
_IDS = f"(SELECT DISTINCT c.forecast_id {_OWN})"
_FORECASTS = """
    SELECT DISTINCT ON (c.forecast_id, c.configuration, c.market_id, c.replicate)
        c.forecast_id, c.configuration, c.market_id, coalesce(m.event_id, c.market_id) AS event_id, c.replicate, f.status,
        f.probability, f.reason, CAST(o.value AS TINYINT) AS outcome, c.market_price, c.as_of, f.model_calls
    FROM cells c JOIN forecasts f USING (forecast_id) LEFT JOIN markets m ON m.market_id = c.market_id
        LEFT JOIN current_outcomes o ON o.market_id = c.market_id
    WHERE c.study_id = $study AND c.configuration <> $left_out
    ORDER BY c.configuration, c.market_id, c.replicate
"""
_ASKS = f"""
    SELECT forecast_id, ask, agent, round, role, kind, probability, reading, rationale
    FROM estimates SEMI JOIN {_IDS} USING (forecast_id) ORDER BY forecast_id, ask
"""
_CALLS = f"""
    SELECT k.forecast_id, k.ask, k.turn, k.draw_id, d.request_id, k.stop_reason
    FROM calls k SEMI JOIN {_IDS} i ON i.forecast_id = k.forecast_id LEFT JOIN draws d ON d.draw_id = k.draw_id
    ORDER BY k.forecast_id, k.ask, k.turn
"""
# a document of a result says its day under one of these names
_TOOL_CALLS = rf"""
    SELECT forecast_id, ask, turn, position, tool, md5(result) AS result_key,
        CASE WHEN items > 0 THEN json_extract_string(TRY_CAST(result AS JSON), '$.question') END AS question,
        list_max(regexp_extract_all(result, '"(?:date|published|published_at|created_at)" ?: ?"(\d{{4}}-\d\d-\d\d)', 1))
            AS last_date,
        items, error
    FROM tool_calls SEMI JOIN {_IDS} USING (forecast_id) ORDER BY forecast_id, ask, turn, position
"""
_MESSAGES = (
    f"SELECT forecast_id, from_ask, to_ask, statistic FROM messages SEMI JOIN {_IDS} USING (forecast_id) ORDER BY ALL"
)
_MARKETS = """
    SELECT m.market_id, m.event_id, m.question, min(c.as_of) AS as_of, m.scheduled_close, o.resolved_at
    FROM cells c JOIN markets m ON m.market_id = c.market_id LEFT JOIN current_outcomes o ON o.market_id = m.market_id
    WHERE c.study_id = $study GROUP BY ALL ORDER BY m.market_id
"""
# the head of a prompt is its market block; of a published one everything up to the first blank line
_PROMPTS = r"""
    WITH used AS (
        SELECT DISTINCT c.market_id, k.draw_id FROM cells c JOIN calls k USING (forecast_id)
        WHERE c.study_id = $study AND c.configuration <> $left_out AND k.turn = 0
    ), parts AS (
        SELECT u.market_id, draw_id, json_extract_string(TRY_CAST(request AS JSON),
            ['$.messages[0].content[0].text', '$.messages[0].content', '$.userPrompt']) AS part
        FROM draws JOIN used u USING (draw_id)
    )
    SELECT market_id, min(draw_id) AS draw_id,
        coalesce(nullif(regexp_extract(coalesce(part[1], part[2]), '^<market>\n.*?\n</market>', 0, 's'), ''),
            split_part(coalesce(part[3], part[1], part[2]), chr(10) || chr(10), 1)) AS block
    FROM parts GROUP BY ALL ORDER BY ALL
"""
_REPORTS = f"""
    WITH said AS (
        SELECT forecast_id, ask, rationale FROM estimates SEMI JOIN {_IDS} USING (forecast_id) WHERE kind = 'report'
    ), last AS (
        SELECT forecast_id, ask, max_by(draw_id, turn) AS draw_id
        FROM calls SEMI JOIN said USING (forecast_id, ask) GROUP BY ALL
    ), told AS (
        SELECT forecast_id, ask, string_agg(result, ' ') AS results
        FROM tool_calls SEMI JOIN said USING (forecast_id, ask) GROUP BY ALL
    )
    SELECT forecast_id, ask, rationale AS text, concat_ws(' ', d.request, told.results) AS seen
    FROM said JOIN last USING (forecast_id, ask) JOIN draws d ON d.draw_id = last.draw_id
        LEFT JOIN told USING (forecast_id, ask)
    ORDER BY forecast_id, ask
"""
_QUERIES = {
    "forecasts": _FORECASTS,
    "asks": _ASKS,
    "calls": _CALLS,
    "tool_calls": _TOOL_CALLS,
    "messages": _MESSAGES,
    "markets": _MARKETS,
    "prompts": _PROMPTS,
    "reports": _REPORTS,
}


def study_evidence(reader: Reader, study: str, compared: Control | None = None, *, arm: str | None = None) -> Evidence:
    """Everything that the rules look at, of one arm of a study (name or id), as of one moment. Raises LedgerError if none.

    `arm`: as in `in_arms.one_of`. `compared`: the certificate of its control, where that was taken already.
    """
    with in_arm(reader, study, one_of(reader, study, arm).arm) as held:
        found = held.study(study)
        frames: dict[str, pl.DataFrame] = {
            name: held.query(sql, {"study": found.study_id, **({"left_out": left_out(held)} if "$left_out" in sql else {})})
            for name, sql in _QUERIES.items()
        }
        frames["commitments"] = commitments_frame(held, found.study_id)
        compared = compared or control(held, found.study_id)
    if "published" in found.content:
        frames |= published_frames(reader.path, str(found.content["published"]))
    facts = {"name": found.name, "study_id": found.study_id, "source": found.source, "simulated": found.simulated}
    return evidence(frames, study=facts, elements=found.elements, control=compared)
