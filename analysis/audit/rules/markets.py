"""Rules about the markets: is each of them a question of its own?"""

from collections.abc import Iterator

import polars as pl

from coordeval.analysis.audit.evidence import Evidence
from coordeval.analysis.audit.rule import Finding, Rule, of_markets
from coordeval.analysis.base.numerals import counted


class SameEvent(Rule):
    """Markets of one event share their news and often their answer. An analysis that clusters by event, as this one's does,
    is not misled; one that counts them as independent is.
    """

    name = "same_event"
    severity = "note"
    looks_for = "markets that belong to an event, or ask a question, that is there already"
    stage = "setup"
    needs = ("markets",)

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        known = evidence.markets.unique("market_id", keep="first", maintain_order=True).filter(
            pl.col("event_id").is_not_null()
        )
        asked = pl.col("question").str.to_lowercase().str.replace_all(r"[\W_]+", "")
        known = known.with_columns(asked=asked)
        again = known.with_columns(
            event=pl.col("event_id").is_first_distinct().not_(),
            twice=pl.col("asked").is_not_null() & pl.col("asked").is_first_distinct().not_(),
        ).filter(pl.col("event") | pl.col("twice"))
        events = again.filter("event")["event_id"].n_unique()
        says = (
            f"{again.height:,} of {counted(known.height, 'market')} belong to an event that is there already "
            f"({counted(events, 'event')} with more than one): they are not independent"
        )
        if n := again.filter("twice").height:
            says += f"; {counted(n, 'market')} ask the very question of another"
        rows = of_markets(again, pl.format("event {}: {}", "event_id", "question"))
        yield from self.found(rows, known.height, "markets", says)
