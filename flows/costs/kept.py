"""Quotes that runs began with, and what those runs came to."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from coordeval.flows.costs.quote import Quote, actual, off
from coordeval.ledger import Ledger, Reader

_LAST: Final = "SELECT quoted_at, content FROM quotes WHERE study_id = ? ORDER BY quoted_at DESC LIMIT 1"
_CAME: Final = """
    SELECT c.arm, c.configuration, k.role, count(*) AS calls,
        sum(k.input_tokens + k.cache_read_tokens + k.cache_write_tokens)::BIGINT AS input_tokens,
        sum(k.output_tokens)::BIGINT AS output_tokens,
        CASE WHEN count(*) = count(k.attributed_micro_usd) THEN sum(k.attributed_micro_usd) / 1e6 END AS usd
    FROM (FROM cells WHERE study_id = $study) c
    JOIN (SELECT forecast_id FROM forecasts WHERE created_at >= $since) f USING (forecast_id)
    JOIN calls k USING (forecast_id)
    GROUP BY ALL ORDER BY ALL
"""
_PAID: Final = """
    SELECT CASE WHEN count(*) = count(micro_usd) THEN coalesce(sum(micro_usd), 0) / 1e6 END AS usd FROM draws
    WHERE created_at >= $since AND payer IN (SELECT forecast_id FROM cells WHERE study_id = $study)
"""


def keep(quote: Quote, ledger: Path) -> None:
    """Stores a quote with the moment from which forecasts are what it was for."""
    row = {"study_id": quote.study_id, "quoted_at": datetime.now(UTC), "content": orjson.dumps(quote.as_json()).decode()}
    with Ledger.open(ledger, purpose="a quote") as open_ledger:
        open_ledger.write("quotes", [row])


def beside(reader: Reader, study_id: str) -> dict[str, Any] | None:
    """The last quote that a run of the study began with, beside what was made since; None where there is none.

    `off` is the quote divided by what came, less one: 0.1 is ten percent too much. The dollars of a part are what is charged
    to it, what is shared in full; those that are paid are once below.
    """
    kept = reader.query(_LAST, [study_id]).to_dicts()
    if not kept:
        return None
    content, since = orjson.loads(kept[0]["content"]), kept[0]["quoted_at"]
    given = {"study": study_id, "since": since}
    paid = reader.query(_PAID, given)["usd"].item()
    return {
        "quoted_at": since.astimezone(UTC).strftime("%Y-%m-%d %H:%M"),
        "source": content["source"],
        "parts": actual(content["parts"], reader.query(_CAME, given)),
        "paid": {**content["live"], "actual": paid, "off": off(content["live"]["mean"], paid)},
    }
