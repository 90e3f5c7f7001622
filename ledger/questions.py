"""The questions of a study, with what the ledger knows of how they belong together."""

import polars as pl

from coordeval.ledger.reader import Reader

_QUESTIONS = """
    SELECT m.market_id, m.event_id, m.question, m.scheduled_close, min(c.as_of) AS as_of,
        nullif(json_extract_string(v.facts, '$.neg_risk_id'), '') AS neg_risk_id
    FROM cells c JOIN markets m USING (market_id) LEFT JOIN venue_facts v USING (market_id)
    WHERE c.study_id = ? GROUP BY ALL ORDER BY m.event_id, m.market_id
"""


def questions_frame(reader: Reader, study: str) -> pl.DataFrame:
    """One row per market of a study (name or id): market_id, event_id, question, scheduled_close, as_of, neg_risk_id.

    `neg_risk_id` is the venue's word that at most one market that has it ends YES; null where the venue does not say so, and
    for markets that were not pulled. What `linked.links` starts from. Raises LedgerError where there is no such study.
    """
    return reader.query(_QUESTIONS, [reader.study(study).study_id])
