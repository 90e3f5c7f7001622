"""What was asked by a command beside the forecasts of studies (a diagnosis, an ablation, a model's exam), and what it cost.

A draw's payer is the id of the forecast for whose sake it was bought. What was bought for a question about a forecast has a
payer such as `diagnosis FORECAST` or `ablation FORECAST ...`. No forecast is charged for it: a bill has a row for it.
"""

from typing import Any, Final

import orjson

from coordeval.agents.messages import STAND_IN_REPLY
from coordeval.ledger import Reader

EXAM: Final = "exam"
"""What the calls of `coordeval check-model` are for. Its replies are not kept: its row in `exams` says what they cost."""
_BOUGHT: Final = f"""
    WITH bought AS (
        SELECT split_part(payer, ' ', 1) AS purpose, split_part(payer, ' ', 2) AS forecast_id,
            CASE WHEN micro_usd >= 0 THEN micro_usd END AS micro_usd,
            CASE WHEN contains(reply, '{STAND_IN_REPLY}') THEN 0 WHEN micro_usd >= 0 THEN micro_usd END AS paid
        FROM draws WHERE contains(payer, ' ')
    ), own AS (SELECT DISTINCT study_id, forecast_id FROM cells)
    SELECT s.name AS study, s.study_id, purpose, count(*) AS calls,
        CASE WHEN count(*) = count(micro_usd) THEN sum(micro_usd)::BIGINT END AS attributed_micro_usd,
        CASE WHEN count(*) = count(paid) THEN sum(paid)::BIGINT END AS paid_micro_usd
    FROM bought JOIN own USING (forecast_id) JOIN studies s USING (study_id)
    WHERE $study IS NULL OR s.study_id = $study GROUP BY ALL ORDER BY ALL
"""
_UNCERTAIN: Final = """
    SELECT count(*) AS calls, coalesce(sum(worst_micro_usd), 0)::BIGINT AS worst
    FROM attempts a ANTI JOIN draws USING (attempt_id)
    WHERE contains(a.payer, ' ') AND a.ended IS DISTINCT FROM 'refused'
        AND split_part(a.payer, ' ', 2) IN (SELECT forecast_id FROM cells WHERE study_id = $study)
"""


def commanded(reader: Reader, study_id: str | None = None) -> list[dict[str, Any]]:
    """One row per study and purpose, of one study (by its id) or of all.

    Columns: study, study_id, purpose (diagnosis, ablation, exam), calls, attributed_micro_usd (their full price) and
    paid_micro_usd (0 for a stand-in's); a price that is not known makes a sum null.

    What is asked of a forecast that two studies share stands in both, as the forecast does.
    """
    rows = reader.query(_BOUGHT, {"study": study_id}).to_dicts()
    exams: dict[tuple[str, str], dict[str, Any]] = {}
    for (content,) in reader.query("SELECT content FROM exams ORDER BY examined_at").iter_rows():
        told = orjson.loads(content)
        of = (str(told.get("study", told["model"])), str(told.get("study_id", "")))  # before it was kept: its model
        if study_id is not None and of[1] != study_id:
            continue
        row = exams.setdefault(of, {"calls": 0, "attributed_micro_usd": 0, "paid_micro_usd": 0})
        micro = None if told["usd"] is None else round(told["usd"] * 1e6)
        row["calls"] += told["calls"]
        for name, amount in (("attributed", micro), ("paid", 0 if told.get("money") == "stand-in" else micro)):
            before = row[f"{name}_micro_usd"]
            row[f"{name}_micro_usd"] = None if before is None or amount is None else before + amount
    rows += [{"study": of[0], "study_id": of[1], "purpose": EXAM, **row} for of, row in exams.items()]
    return rows


def uncertain(reader: Reader, study_id: str) -> tuple[int, int]:
    """(calls of commands about this study of which no reply is stored and that may have been charged, their worst case)."""
    calls, worst = reader.query(_UNCERTAIN, {"study": study_id}).row(0)
    return int(calls), int(worst)
