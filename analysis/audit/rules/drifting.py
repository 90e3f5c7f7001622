"""The rule about drift: agents of one conversation who no longer speak of the same things."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, ClassVar

import polars as pl

from coordeval.analysis.audit.evidence import Evidence
from coordeval.analysis.audit.rule import Finding, Rule, of_asks
from coordeval.analysis.base.numerals import counted
from coordeval.analysis.talk.drift import drift

_KINDS = {
    "view": "were not shown what most of their round were",
    "reference": "speak of an agent whom they were not shown, or of a number that it did not say",
    "reading": "read another event, deadline or answer into the question than most",
}


class Drifted(Rule):
    """See `analysis.talk.drift`. Where a reading differs both from the question and its peers', `misreading` is first."""

    name = "drift"
    severity = "warning"
    looks_for = "views that differ in one round, words about what was never said, readings that diverge within a group"
    stage = "talk"
    modes: ClassVar = ("1.4", "2.5")
    needs = ("asks",)

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        """A finding for each kind and configuration."""
        rows = _conversations(evidence)
        if rows.is_empty():
            return
        of = dict(rows.group_by("configuration").len().iter_rows())
        found = [
            {"forecast_id": forecast_id, "ask": one.ask, "kind": one.kind, "says": one.says}
            for (forecast_id,), own in rows.partition_by("forecast_id", as_dict=True, maintain_order=True).items()
            for one in drift(own.to_dicts())
        ]
        schema = {"forecast_id": pl.String, "ask": pl.Int64, "kind": pl.String, "says": pl.String}
        hits = pl.DataFrame(found, schema=schema).join(evidence.cells, on="forecast_id", how="left", maintain_order="left")
        for (name, kind), own in sorted(hits.partition_by("configuration", "kind", as_dict=True).items()):
            asks = own["forecast_id", "ask"].unique().height
            says = f"{name}: {asks:,} of {counted(of[name], 'answer')} {_KINDS[str(kind)]}"
            yield from self.found(of_asks(own, pl.col("says")), of[name], "answers", says, count=asks)


def _conversations(evidence: Evidence) -> pl.DataFrame:
    """What `drift` takes, of every forecast with more than one answer; the columns of its cell beside them."""
    seen: dict[tuple[str, int], tuple[set[int], set[str]]] = defaultdict(lambda: (set(), set()))
    for forecast_id, source, ask, statistic in evidence.messages.select(
        "forecast_id", "from_ask", "to_ask", "statistic"
    ).iter_rows():
        shown, statistics = seen[forecast_id, ask]
        if source is not None:
            shown.add(source)
        if statistic is not None:
            statistics.add(statistic)
    said = evidence.said.drop_nulls(["agent", "round", "role", "kind"])
    said = said.filter(pl.len().over("forecast_id") > 1).with_columns(pl.col("rationale", "reading").fill_null(""))
    views: list[Any] = [seen.get(place, (set(), set())) for place in said.select("forecast_id", "ask").iter_rows()]
    return said.with_columns(
        pl.Series("shown", [sorted(shown) for shown, _ in views], pl.List(pl.Int64)),
        pl.Series("statistics", [sorted(statistics) for _, statistics in views], pl.List(pl.String)),
    )


RULES = (Drifted,)
