"""The cells of one study as one compact frame: what every aggregate of the dashboard is made of, at any size."""

from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.quality.decomposition import bin_index
from coordeval.flows.study.names import PROBE
from coordeval.ledger import Reader
from coordeval.ledger.commitments import LATE

# Numbers stand for names and hashes for ids: a million texts, and a join by ids of 64 characters, take most of a gigabyte.
_NAMES: Final = "SELECT DISTINCT configuration FROM cells WHERE study_id = ? AND configuration <> ? ORDER BY 1"
_CATEGORIES: Final = "SELECT DISTINCT category FROM markets ORDER BY 1"
_CELLS: Final = f"""
    WITH made AS (
        SELECT hash(forecast_id) AS forecast, CASE status WHEN 'answered' THEN 1 ELSE 2 END AS status, probability,
            attributed_micro_usd, paid_micro_usd, model_calls = 0 AS free FROM forecasts
    ), facts AS (
        SELECT hash(m.market_id) AS market, hash(m.event_id) AS event, m.category, o.value
        FROM markets m LEFT JOIN (FROM current_outcomes WHERE market_id NOT IN ({LATE})) o USING (market_id)
    )
    SELECT CAST(list_position($names::VARCHAR[], c.configuration) - 1 AS UINTEGER) AS configuration,
        CAST(c.replicate AS INTEGER) AS replicate, hash(c.market_id) AS market,
        coalesce(m.event, hash(c.market_id)) AS event,
        CAST(coalesce(list_position($categories::VARCHAR[], m.category), 0) AS UINTEGER) AS category,
        c.market_price AS price, CAST(m.value AS TINYINT) AS outcome,
        CAST(coalesce(f.status, 0) AS UINTEGER) AS status, f.probability AS p,
        f.attributed_micro_usd / 1e6 AS cost, f.paid_micro_usd / 1e6 AS paid, coalesce(f.free, false) AS free
    FROM cells c LEFT JOIN facts m ON m.market = hash(c.market_id) LEFT JOIN made f ON f.forecast = hash(c.forecast_id)
    WHERE c.study_id = $study AND c.configuration <> $probe
"""
STATUS: Final = ("pending", "answered", "failed")


def load(reader: Reader, study_id: str) -> pl.DataFrame:
    """One row per cell: configuration, replicate, market, category, price, outcome, status, p, cost, paid, free, m,
    e, decile.

    `market` is the hash of its id; `m` and `e` number the markets and events of the study, from 0; `free`: no model
    was called.
    `decile` is k for a price in [k/10, (k + 1)/10), 9 for 1, null where no price was known.
    """
    names = reader.query(_NAMES, [study_id, PROBE])["configuration"].to_list()
    known = [category for category in reader.query(_CATEGORIES)["category"].to_list() if category]
    bound = {"study": study_id, "probe": PROBE, "names": names, "categories": known}
    frame = reader.query(_CELLS, bound)
    texts = {"configuration": names, "category": ["", *known], "status": STATUS}
    codes = {
        short: np.unique(frame[long].to_numpy(), return_inverse=True)[1] for short, long in (("m", "market"), ("e", "event"))
    }
    frame = frame.with_columns(pl.Series(short, code, dtype=pl.UInt32) for short, code in codes.items()).drop("event")
    return deciles(frame.with_columns(pl.col(name).cat.to(pl.Enum(values)) for name, values in texts.items()))


def without_copies(frame: pl.DataFrame) -> pl.DataFrame:
    """Without the configurations that ask no model and answer the market price: that is there once, under its own name.

    The rule is that of `analysis.base.frames.price_copies`, over cells that are made.
    """
    same = pl.col("p").is_null() | pl.col("p").eq_missing(pl.col("price"))
    made = frame.filter(pl.col("status") != "pending").group_by("configuration")
    each = made.agg(copy=same.all() & pl.col("free").all() & pl.col("p").is_not_null().any())
    copies = [] if each["copy"].all() else each.filter("copy")["configuration"].to_list()
    return frame.filter(~pl.col("configuration").is_in(copies)) if copies else frame


def names(frame: pl.DataFrame) -> list[str]:
    """The study's configurations, whether or not a filter left any of their cells."""
    kind = frame.schema["configuration"]
    assert isinstance(kind, pl.Enum)
    return kind.categories.to_list()


def deciles(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with `decile`, of its column `price`."""
    prices = frame.select("price").drop_nulls().unique()
    decile = pl.Series("decile", bin_index(prices["price"].to_numpy()) if prices.height else [], dtype=pl.Int8)
    return frame.join(prices.with_columns(decile), on="price", how="left", maintain_order="left")


def within(frame: pl.DataFrame, scope: tuple[str, int | None, int | None]) -> pl.DataFrame:
    """The cells that the filters (category, decile, replicate) let through."""
    category, decile, replicate = scope
    wanted: list[Any] = []
    if category:
        kind = frame.schema["category"]
        absent = isinstance(kind, pl.Enum) and category not in kind.categories.to_list()
        wanted.append(pl.lit(False) if absent else pl.col("category") == category)
    if decile is not None:
        wanted.append(pl.col("decile") == decile)
    if replicate is not None:
        wanted.append(pl.col("replicate") == replicate)
    return frame.filter(*wanted) if wanted else frame


def scored(frame: pl.DataFrame, policy: str) -> pl.DataFrame:
    """What `policy` scores, as `analysis.base.frames.scored` has it; adds `filled`, and `p` is never null."""
    made = frame.filter(pl.col("status") != "pending")
    fallback = {"fallback_half": pl.lit(0.5), "fallback_market": pl.col("price")}.get(policy, pl.lit(None, pl.Float64))
    ready = made.filter(pl.col("outcome").is_not_null()).with_columns(
        pl.coalesce("p", fallback).alias("p"), filled=pl.col("p").is_null()
    )
    ready = ready.filter(pl.col("p").is_not_null())
    if policy == "common":
        needed = made.select("configuration", "replicate").n_unique()
        m = ready["m"].to_numpy()
        ready = ready.filter(pl.Series(np.bincount(m)[m] == needed, dtype=pl.Boolean)) if ready.height else ready
    return ready
