"""The rule about the record itself: rows that cannot be true, which the other rules have to leave out."""

from collections.abc import Iterator

import polars as pl

from coordeval.analysis.audit.evidence import Evidence
from coordeval.analysis.audit.rule import Finding, Rule, as_rows, of_asks, of_forecasts
from coordeval.analysis.base.numerals import counted


class BrokenRecord(Rule):
    name = "broken_record"
    severity = "warning"
    looks_for = "rows that lack fields, are there twice, belong to nothing, or contradict what was declared"
    stage = "record"
    needs = ()

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        asks, cells = evidence.asks.join(evidence.cells, on="forecast_id", how="left"), evidence.cells
        absent = as_rows(pl.DataFrame({"id": list(evidence.absent)}, schema={"id": pl.String}))
        says = (
            f"the stored rows lack {', '.join(evidence.absent[:6])}, or hold it in another form: rules that need it see null"
        )
        yield from self.found(absent, len(evidence.absent), "columns", says)
        twice = asks.filter(pl.struct("forecast_id", "ask").is_duplicated())
        says = f"{twice.height:,} of {counted(asks.height, 'ask')} are there more than once: the first of each counts"
        yield from self.found(of_asks(twice, "there more than once"), asks.height, "asks", says)
        twice = evidence.forecasts.filter(pl.col("forecast_id").is_duplicated())
        says = f"{twice.height:,} of {counted(evidence.forecasts.height, 'forecast')} are there more than once"
        yield from self.found(of_forecasts(twice, "there more than once"), evidence.forecasts.height, "forecasts", says)
        for name in ("asks", "calls", "tool_calls", "messages"):
            frame: pl.DataFrame = getattr(evidence, name)
            lost = frame.join(cells, on="forecast_id", how="anti")
            says = f"{lost.height:,} of {frame.height:,} rows of {name} belong to no forecast of the study"
            rows = as_rows(lost.with_columns(table=pl.lit(name), id="forecast_id"))
            yield from self.found(rows, frame.height, f"rows of {name}", says)
        wrong = asks.filter(
            (pl.col("kind") == "estimate") & ~pl.col("probability").is_between(0, 1).fill_null(False)
            | pl.any_horizontal(pl.col("ask", "round", "role", "kind").is_null())
        )
        lack = "their number, round, role or kind, or a probability in [0, 1]"
        says = f"{wrong.height:,} of {counted(asks.height, 'ask')} lack {lack}"
        yield from self.found(of_asks(wrong, "lacks a field or holds what it cannot"), asks.height, "asks", says)
        yield from self._roles(evidence, asks)
        yield from self._references(evidence)

    def _roles(self, evidence: Evidence, asks: pl.DataFrame) -> Iterator[Finding]:
        declared = [
            {"configuration": name, "role": end.get("role")}
            for name, own in evidence.elements.items()
            for end in (own or {}).get("endpoints") or ()
            if isinstance(end, dict)
        ]
        known = pl.DataFrame(declared, schema={"configuration": pl.String, "role": pl.String})
        mine = asks.join(known, on="configuration", how="semi").drop_nulls("role")
        strange = mine.join(known, on=["configuration", "role"], how="anti").sort("configuration", "market_id", "ask")
        roles = ", ".join(strange["role"].unique().sort().to_list()[:5])
        says = f"{strange.height:,} of {counted(mine.height, 'ask')} have a role that is not declared: {roles}"
        yield from self.found(of_asks(strange, pl.format("role {}", "role")), mine.height, "asks", says)

    def _references(self, evidence: Evidence) -> Iterator[Finding]:
        said = evidence.asks.select("forecast_id", from_ask="ask").unique()
        messages = evidence.messages.join(evidence.cells, on="forecast_id")
        never = messages.join(said, on=["forecast_id", "from_ask"], how="anti")
        before = messages.filter(pl.col("from_ask") >= pl.col("to_ask"))
        wrong = pl.concat([never, before]).unique().sort("forecast_id", "to_ask", "from_ask")
        says = f"{wrong.height:,} of {counted(messages.height, 'message')} show what was never said, or not yet"
        rows = of_asks(wrong.rename({"to_ask": "ask"}), pl.format("was shown ask {}", "from_ask"), "messages")
        yield from self.found(rows, messages.height, "messages", says)
