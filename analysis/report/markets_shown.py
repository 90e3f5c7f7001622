"""The markets of a study as its report shows them: all of them in a file, on the page those that tell most."""

from typing import Any, Final

import polars as pl

SHOWN: Final = 1000
"""Markets on the page at most: a browser has to lay out and filter them."""


def market_means(made: pl.DataFrame) -> pl.DataFrame:
    """market_id, configuration, mean (of its answered replicates), answered, failed: one row per pair that was asked."""
    return made.group_by("market_id", "configuration").agg(
        mean=pl.col("probability").mean(),
        answered=(pl.col("status") == "answered").sum(),
        failed=(pl.col("status") == "failed").sum(),
    )


def market_facts(made: pl.DataFrame, means: pl.DataFrame) -> pl.DataFrame:
    """market_id, question, event_id, outcome, market_price, failed, apart; by question.

    `apart`: highest − lowest mean forecast of the configurations; null where none answered.
    """
    facts = made.select("market_id", "question", "event_id", "outcome", "market_price").unique("market_id")
    each = means.group_by("market_id").agg(pl.col("failed").sum(), apart=pl.col("mean").max() - pl.col("mean").min())
    return facts.join(each, on="market_id").sort("question", "market_id")


def shown(facts: pl.DataFrame, means: pl.DataFrame, *, most: int = SHOWN) -> list[dict[str, Any]]:
    """The rows of `market_facts` with forecasts (configuration -> mean, answered, failed).

    All of them by question; of more than `most` those on which the configurations are furthest apart, these first.
    """
    rows = facts
    if facts.height > most:
        rows = facts.sort("apart", "market_id", descending=[True, False], nulls_last=True).head(most)
    forecasts: dict[str, dict[str, Any]] = {}
    for row in means.filter(pl.col("market_id").is_in(rows["market_id"].implode())).iter_rows(named=True):
        forecasts.setdefault(row["market_id"], {})[row["configuration"]] = row
    return [{**row, "forecasts": forecasts[row["market_id"]]} for row in rows.to_dicts()]


def every_market(facts: pl.DataFrame, means: pl.DataFrame) -> pl.DataFrame:
    """`facts` with a column `forecast_NAME` for each configuration: the mean of its answered replicates."""
    named = means.with_columns(pl.format("forecast_{}", "configuration").alias("configuration")).sort("configuration")
    wide = named.pivot(on="configuration", index="market_id", values="mean")
    return facts.join(wide, on="market_id", how="left", maintain_order="left")
