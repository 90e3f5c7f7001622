"""Had a sibling question resolved, when the market was still to be forecast?"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.base.numerals import counted
from coordeval.analysis.leaks.probes import (
    Draw,
    Probe,
    because,
    estimates,
    first,
    keep,
    market_frame,
    mean,
    nothing,
    percent,
)
from coordeval.analysis.linked.siblings import Question, reveals, siblings


@dataclass(frozen=True, slots=True, kw_only=True)
class SiblingReveals(Probe):
    """`value` is the share of markets with a sibling that had resolved before as-of."""

    pairs: pl.DataFrame
    """market_id, sibling_id, why, implies (0 or 1 where the answer follows, else null), sibling_resolved_at, as_of."""
    n_implied: int
    """Markets whose answer follows."""


@asked
def sibling_reveals(
    frame: pl.DataFrame,
    others: pl.DataFrame | None = None,
    *,
    similarity: float = 0.8,
    resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> SiblingReveals:
    """Pairs in which a sibling question had resolved when the market was still to be forecast.

    `frame`: market_id, event_id, question, outcome, resolved_at, as_of, and if known `exclusive` (one market of the event
    resolves YES at most). `others` has these columns but as_of: markets that are not forecast but may give one away. A
    sibling had resolved where its resolved_at is not later than as_of, and is

    - the same question with another deadline ("by March 31", "by June 30"): what happened by the earlier has happened by
      the later. A deadline without a year is the first that is not more than a week before the market's own as-of;
    - another market of the same event that resolved YES: of an exclusive event, the market itself is NO;
    - in any event, a question with the same numbers and months whose words are at least as similar (Jaccard's index) as
      `similarity`: whether it gives the answer away, a reader decides.

    >>> from datetime import UTC, datetime
    >>> import polars as pl
    >>> from coordeval.analysis import sibling_reveals
    >>> markets = pl.DataFrame({"market_id": ["May", "June"], "question": ["Launch by May 31?", "Launch by June 30?"]})
    >>> markets = markets.with_columns(event_id=pl.lit("launch"), outcome=1, as_of=datetime(2026, 5, 20, tzinfo=UTC))
    >>> found = sibling_reveals(markets.with_columns(resolved_at=datetime(2026, 5, 10, tzinfo=UTC)), resamples=100)
    >>> found.pairs.select("market_id", "sibling_id", "why", "implies").row(0)
    ('June', 'May', 'the same question with an earlier deadline had resolved YES', 1)
    """
    if not 0 < similarity <= 1:
        raise AnalysisError(f"similarity is {similarity!r}: it must lie in (0, 1]; 1 asks for the same words")
    facts = (
        "event_id",
        "question",
        "outcome",
        "resolved_at",
        "as_of",
        *(("exclusive",) if "exclusive" in frame.columns else ()),
    )
    markets = market_frame(frame, facts)
    left, covered = keep(markets, ("no as-of time", pl.col("as_of").is_not_null()))
    more = [] if others is None else [market_frame(others.with_columns(as_of=None), facts)]
    everything = pl.concat([markets, *more], how="vertical_relaxed").unique("market_id", keep="first", maintain_order=True)
    questions = [Question.read(row) for row in everything.sort("event_id", "market_id").iter_rows(named=True)]
    rows = [
        (market.id, sibling.id, *found, sibling.resolved_at, market.as_of)
        for pair in sorted(siblings(questions, similarity))
        for market, sibling in ((questions[pair[0]], questions[pair[1]]), (questions[pair[1]], questions[pair[0]]))
        if (found := reveals(market, sibling))
    ]
    schema = {"market_id": pl.String, "sibling_id": pl.String, "why": pl.String, "implies": pl.Int64}
    times = dict.fromkeys(("sibling_resolved_at", "as_of"), pl.Datetime("us", "UTC"))
    pairs = pl.DataFrame(rows, schema={**schema, **times}, orient="row").sort("market_id", "sibling_id")
    hit = covered["market_id"].is_in(pairs["market_id"].unique().to_list()).cast(pl.Float64).to_numpy()
    columns = np.stack([np.ones(covered.height), hit], axis=1)
    share = estimates(columns, covered["event_id"], mean, 1, Draw(n=resamples, seed=seed, level=level))[0]
    n_implied = pairs.filter(pl.col("implies").is_not_null())["market_id"].n_unique()
    reason = first((covered.is_empty(), nothing(left, markets.height, "market")))
    return SiblingReveals(
        **because(share, reason),
        n=covered.height,
        n_events=covered["event_id"].n_unique(),
        left_out=left,
        says=f"Whether siblings reveal answers is not known: {reason}."
        if reason
        else f"{int(hit.sum())} of {counted(covered.height, 'market')} ({percent(share)}) have a sibling that had "
        f"resolved before as-of; the answer of {n_implied} follows from it.",
        pairs=pairs,
        n_implied=n_implied,
    )
