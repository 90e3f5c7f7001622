"""Rules about what came out: whole replies, forecasts that are no copies or stand-ins, figures that follow from rows."""

import re
from collections.abc import Iterator
from typing import Final

import polars as pl

from coordeval.analysis.audit.chance import LEVEL, event_shares, more_often
from coordeval.analysis.audit.evidence import Evidence
from coordeval.analysis.audit.rule import Finding, Rule, as_rows, of_asks, of_forecasts
from coordeval.analysis.base.numerals import SAME, counted
from coordeval.analysis.leaks.price_copying import COPIED
from coordeval.analysis.talk.coordination import AGGREGATIONS, aggregations

_CUT: Final = ("max_tokens", "length", "model_length", "model_context_window_exceeded")
_CHANCE: Final = 0.15
"""Share of forecasts that may lie within COPIED of a price that is neither near 0 nor near 1 without a copy being suspected.
Forecasts whose distance from the price is normal with a standard deviation of 0.02 come to 0.2, of 0.03 to 0.13, of 0.06 to
0.07: who agrees with the market that closely is suspected too."""
_PLAIN: Final = re.compile(r"(?:none|mean|median)(?: of the (?:last|second) round)?")
"""Declared aggregations that the stored estimates give again; of any other, such as a median of voices, rows do not tell."""
_INNER: Final = (0.05, 0.95)
_EXACT: Final = 5e-6
"""Published figures have six decimals."""


class TruncatedReplies(Rule):
    name = "truncated_replies"
    severity = "warning"
    looks_for = "replies that were cut off at the output cap"
    stage = "answer"
    modes = ("3.1",)
    needs = ("calls",)

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        calls = evidence.calls.join(evidence.cells, on="forecast_id", how="left")
        cut = calls.filter(pl.col("stop_reason").is_in(_CUT)).sort("configuration", "market_id", "replicate", "ask", "turn")
        says = (
            f"{cut.height:,} of {counted(calls.height, 'reply' if calls.height == 1 else 'replie')} ended at the output cap"
        )
        yield from self.found(
            of_asks(cut, pl.format("turn {}: {}", "turn", "stop_reason"), "calls"), calls.height, "replies", says
        )


class RepeatsPrice(Rule):
    name = "repeats_price"
    severity = "warning"
    looks_for = "forecasts that repeat the price they were shown, more often than near misses explain"
    stage = "answer"
    modes = ("2.6",)
    chance = 0.04

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        cells = _beside_price(evidence)
        copies = cells.filter("copy")
        inner = cells.filter(pl.col("market_price").is_between(*_INNER))
        hits, events = event_shares(inner, "copy")
        p = more_often(hits, events, _CHANCE)
        if p > LEVEL:
            return
        shares = cells.group_by("configuration").agg(share=pl.col("copy").mean())["share"].to_numpy()
        says = (
            f"{copies.height:,} of {counted(cells.height, 'forecast')} ({copies.height / cells.height:.0%}) lie within "
            f"{COPIED} of "
            f"the price shown, {shares.min():.0%} to {shares.max():.0%} by configuration (of prices away from 0 and 1, "
            "more than "
            f"{_CHANCE:.0%} over {events:,} events: exact binomial p = {p:.1g})"
        )
        yield from self.found(_copies(copies), cells.height, "forecasts", says)

    def suspects(self, evidence: Evidence) -> pl.DataFrame:
        return _copies(_beside_price(evidence).filter("copy"))


class SilentFallback(Rule):
    name = "silent_fallback"
    severity = "error"
    looks_for = "failed forecasts that stand as a number, such as 0.5"
    stage = "record"
    needs = ()

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        published = evidence.published
        failed = published.filter(pl.col("failure").is_not_null() & pl.col("probability").is_not_null())
        at = ", ".join(f"{value:g}" for value in failed["probability"].unique().sort())
        says = (
            f"{failed.height:,} of {counted(published.height, 'published forecast')} failed and stand at {at}; the reasons: "
            + "; ".join(failed["failure"].unique().sort().to_list())[:200]
        )
        rows = failed.join(evidence.cells, on=["configuration", "market_id"], how="left").sort("configuration", "market_id")
        rows = of_forecasts(rows, pl.format("published as {}: {}", "probability", "failure"))
        yield from self.found(rows, published.height, "published forecasts", says)
        made = evidence.forecasts.join(evidence.asks.select("forecast_id").unique(), on="forecast_id", how="semi")
        asking = evidence.forecasts.filter(pl.col("configuration").is_in(made["configuration"].unique().implode()))
        silent = asking.filter(pl.col("status") == "answered").join(made, on="forecast_id", how="anti")
        says = f"{silent.height:,} of {counted(asking.height, 'forecast')} stand as answered although no agent said anything"
        rows = of_forecasts(silent, pl.format("answered {} without a word", "probability"))
        yield from self.found(rows, asking.height, "forecasts", says)


class ScoresDisagree(Rule):
    name = "scores_disagree"
    severity = "error"
    looks_for = "published figures, or forecasts, that do not follow from the rows they are said to be made of"
    stage = "record"
    modes = ("3.3",)
    needs = ()

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        error = (pl.col("probability") - pl.col("outcome")) ** 2
        own = evidence.published.drop_nulls(["probability", "outcome"]).group_by("configuration").agg(own=error.mean())
        told = evidence.scores.filter(pl.col("measure") == "brier").join(own, on="configuration")
        apart = told.filter((pl.col("value") - pl.col("own")).abs() > _EXACT).sort("configuration")
        listed = "; ".join(
            f"{r['configuration']} says {r['value']:.6f}, its rows give {r['own']:.6f}" for r in apart.to_dicts()
        )
        rows = pl.format("published {}, its rows give {}", pl.col("value").round(6), pl.col("own").round(6))
        yield from self.found(
            as_rows(apart.with_columns(table=pl.lit("published"), id="configuration", says=rows)),
            told.height, "published Brier scores", f"the Brier score does not follow from the published forecasts: {listed}",
        )  # fmt: skip
        cells = _pooled(evidence)
        apart = cells.filter((pl.col("probability") - pl.col("pool")).abs() > _EXACT)
        says = (
            f"{apart.height:,} of {counted(cells.height, 'forecast')} are not the mean or median of the last round that "
            "their "
            "configuration declares"
        )
        rows = pl.format("stands at {}, its last round pools to {}", pl.col("probability").round(6), pl.col("pool").round(6))
        yield from self.found(of_forecasts(apart, rows), cells.height, "forecasts", says)


def _beside_price(evidence: Evidence) -> pl.DataFrame:
    """Answered forecasts of configurations that ask a model, with a price, and `copy`."""
    asked = (pl.col("model_calls") > 0).fill_null(True)
    cells = evidence.forecasts.filter(asked & (pl.col("status") == "answered")).drop_nulls(["probability", "market_price"])
    cells = cells.with_columns(event_id=pl.coalesce("event_id", "market_id"))
    copy = (pl.col("probability") - pl.col("market_price")).abs() <= COPIED + SAME
    return cells.with_columns(copy=copy).sort("configuration", "market_id", "replicate")


def _copies(cells: pl.DataFrame) -> pl.DataFrame:
    return of_forecasts(cells, pl.format("{} beside a price of {}", "probability", pl.col("market_price").round(4)))


def _pooled(evidence: Evidence) -> pl.DataFrame:
    """Answered forecasts of configurations that declare a mean or median, with `pool`, that of their last round."""
    plain = {
        name: own for name, own in evidence.elements.items() if _PLAIN.fullmatch(str((own or {}).get("aggregation", "")))
    }
    how = {**({} if evidence.elements else AGGREGATIONS), **aggregations(plain)}
    if not how:
        return evidence.forecasts.head(0).with_columns(pool=pl.lit(None, pl.Float64))
    said = evidence.said.filter((pl.col("kind") == "estimate") & pl.col("configuration").is_in(list(how)))
    last = said.filter(pl.col("round") == pl.col("round").max().over("forecast_id")).drop_nulls("probability")
    pools = last.group_by("forecast_id").agg(mean=pl.col("probability").mean(), median=pl.col("probability").median())
    cells = evidence.forecasts.filter(pl.col("status") == "answered").drop_nulls("probability").join(pools, on="forecast_id")
    mean = pl.col("configuration").is_in([name for name, value in how.items() if value == "mean"])
    return cells.with_columns(pool=pl.when(mean).then("mean").otherwise("median")).sort("configuration", "market_id")
