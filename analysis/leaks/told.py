"""Do the prompts tell the answer? Words that state a resolution, dates later than as-of, and texts whose age nobody knows.

A number of markets each, as a share with an interval over resampled events, and the rows that it was counted from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.leaks.probes import Draw, Probe, because, estimates, first, mean, needed, percent

RESOLUTION: Final = "states a resolution"
LATER: Final = "names a date later than as-of"
UNKNOWN: Final = "text not shown to be older than as-of"
_WORDS: Final = {
    RESOLUTION: "have a prompt that states a resolution",
    LATER: "have a prompt that names a date later than as-of, other than the scheduled deadline",
    UNKNOWN: "have a prompt with text that is not shown to have been known at as-of",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told(Probe):
    """One kind of finding. `rows`: market_id, kind, where, text, one for each thing found."""

    rows: pl.DataFrame


@asked
def told(
    markets: pl.DataFrame, rows: pl.DataFrame, *, resamples: int = 2000, seed: int = 0, level: float = 0.95
) -> list[Told]:
    """How many markets' prompts tell what they must not: one `Told` per kind, with its rows.

    `markets`: market_id and event_id of every market of which a prompt was looked at; `rows`, of the columns ROWS: what was
    found.

    >>> import polars as pl
    >>> from coordeval.analysis import told
    >>> markets = pl.DataFrame({"market_id": ["m1", "m2", "m3"], "event_id": ["e1", "e2", "e3"]})
    >>> row = {"market_id": "m2", "kind": "states a resolution", "where": "market block", "text": "resolves YES"}
    >>> [(found.n, found.rows.height) for found in told(markets, pl.DataFrame([row]), resamples=200)]
    [(3, 1), (3, 0), (3, 0)]
    """
    known = needed(markets, ("market_id", "event_id")).unique().sort("event_id", "market_id")
    return [
        _one(known, rows.filter(pl.col("kind") == kind), kind, Draw(n=resamples, seed=seed, level=level)) for kind in _WORDS
    ]


def _one(markets: pl.DataFrame, rows: pl.DataFrame, kind: str, draw: Draw) -> Told:
    hit = markets["market_id"].is_in(rows["market_id"].unique().to_list()).cast(pl.Float64).to_numpy()
    columns = np.stack([np.ones_like(hit), hit], axis=1) if hit.size else np.empty((0, 2))
    [share] = estimates(columns, markets["event_id"], mean, 1, draw)
    reason = first((markets.is_empty(), "no prompt is stored"))
    says = (
        f"{int(hit.sum())} of {markets.height} markets ({percent(share)}) {_WORDS[kind]}"
        if not reason
        else f"undefined: {reason}"
    )
    return Told(
        **because(share, reason),
        n=markets.height,
        n_events=markets["event_id"].n_unique(),
        says=says,
        rows=rows.sort(_ORDER),
    )


_ORDER: Final[Sequence[str]] = ("market_id", "where", "text")
ROWS: Final = {"market_id": pl.String, "kind": pl.String, "where": pl.String, "text": pl.String}
