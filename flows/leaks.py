"""The leak probes of a study, from the ledger: what the data themselves could have told about the answer."""

import polars as pl

from analysis import (
    Probe,
    cutoff_of,
    early_closing,
    memorisation,
    price_copying,
    sibling_reveals,
    training_cutoff,
)
from flows.study import PROBE
from ledger import Reader

_MARKETS = """
    SELECT DISTINCT m.market_id, m.event_id, m.question, m.scheduled_close, v.closed_at, o.resolved_at, c.as_of,
        CAST(o.value AS TINYINT) AS outcome
    FROM cells c JOIN markets m USING (market_id) JOIN current_outcomes o USING (market_id)
        LEFT JOIN venue_facts v USING (market_id)
    WHERE c.study_id = ? AND o.status = 'resolved' ORDER BY m.market_id
"""


def leaks(reader: Reader, study: str, *, resamples: int = 2000) -> list[tuple[str, Probe]]:
    """(title, probe) for each: early closing, sibling questions, copies of the price, training cutoff, memorisation."""
    stored = reader.study(study)
    markets = reader.query(_MARKETS, [stored.study_id])
    forecasts = reader.forecast_frame(stored.study_id)
    times = markets.select("market_id", "resolved_at")
    dated = forecasts.join(times, on="market_id")
    probe = dated.filter(pl.col("configuration") == PROBE)
    real = dated.filter((pl.col("configuration") != PROBE) & (pl.col("model_calls") > 0))  # the price is no copy of itself
    cutoff = cutoff_of(stored.model).cutoff
    found: list[tuple[str, Probe]] = [
        ("Early closing", early_closing(markets, resamples=resamples)),
        ("Sibling questions", sibling_reveals(markets, resamples=resamples)),
        ("Copies of the price", price_copying(real, resamples=resamples)),
        ("Training cutoff", training_cutoff(real, cutoff, resamples=resamples)),
    ]
    if not probe.is_empty():
        found.append(("Memorisation", memorisation(probe, markets, cutoff=cutoff, resamples=resamples)))
    return found
