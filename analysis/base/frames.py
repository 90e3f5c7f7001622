"""The frame of forecasts that every analysis starts from, its rules, and what is done about missing forecasts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, chosen
from coordeval.analysis.base.numerals import SAME

Policy = Literal["common", "available", "fallback_half", "fallback_market"]

SCHEMA: Final[dict[str, type[pl.DataType]]] = {
    "configuration": pl.String,
    "market_id": pl.String,
    "event_id": pl.String,
    "category": pl.String,
    "replicate": pl.Int64,
    "status": pl.String,
    "probability": pl.Float64,
    "reason": pl.String,
    "outcome": pl.Int64,
    "market_price": pl.Float64,
    "cost_usd": pl.Float64,
    "paid_usd": pl.Float64,
    "input_tokens": pl.Int64,
    "output_tokens": pl.Int64,
    "total_tokens": pl.Int64,
    "model_calls": pl.Int64,
    "tool_calls": pl.Int64,
    "seconds": pl.Float64,
    "simulated": pl.Boolean,
}
"""Column -> type, integers of any width; one row is one cell. USD and seconds are of that cell; an unknown one is null.

`total_tokens` need not be there: it is the sum of the two before it, and known alone where somebody else's log says no more.
"""

KEY: Final = ("configuration", "market_id", "replicate")
_NEVER_NULL: Final = (*KEY, "event_id", "status", "simulated")
_FACTS: Final = ("outcome", "market_price", "event_id", "category")
_AMOUNTS: Final = (
    "cost_usd",
    "paid_usd",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "model_calls",
    "tool_calls",
    "seconds",
)
_answered = pl.col("status") == "answered"

# column, what breaks the rule, the rule and the fix
_RULES: Final[tuple[tuple[str, pl.Expr, str], ...]] = (
    *((name, pl.col(name).is_null(), "it must be known for every cell") for name in _NEVER_NULL),
    ("status", ~pl.col("status").is_in(["answered", "failed"]), "it must be 'answered' or 'failed'"),
    (
        "probability",
        ~pl.col("probability").is_between(0, 1),
        "it must lie in [0, 1]; divide percentages by 100, store a missing forecast as failed with its reason",
    ),
    (
        "probability",
        _answered != pl.col("probability").is_not_null(),
        "an answered cell has a probability and a failed one has none; mend its status or its probability",
    ),
    ("outcome", ~pl.col("outcome").is_in([0, 1]), "it must be 0 or 1, or null while the market is unresolved"),
    ("market_price", ~pl.col("market_price").is_between(0, 1), "it must lie in [0, 1], or be null where none was known"),
    *(
        (
            name,
            (pl.col(name) < 0) | ~pl.col(name).cast(pl.Float64).is_finite(),
            "it must be finite and not negative, or null if unknown",
        )
        for name in _AMOUNTS
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """The forecasts that a policy scores, and the account of those that it does not."""

    frame: pl.DataFrame
    """The columns of SCHEMA with `probability` and `outcome` never null, and `filled` (bool: a fallback stands in)."""
    policy: Policy
    n_markets: int
    """Markets with at least one scored forecast."""
    left_out: pl.DataFrame
    """Per configuration, in cells: `cells` = `scored` + `unresolved` + `unanswered` + `not_common`.

    `filled` is part of `scored`. `cells` is every market of the frame times the configuration's replicates.
    `unanswered`: failed, or not there at all.
    `not_common`: answered, but another configuration or replicate did not answer that market.
    """


@asked
def validated(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with the columns and types of SCHEMA, sorted by configuration, market and replicate.

    Raises:
        AnalysisError: a column is absent or of another kind; a value breaks its rule; a cell is there twice; a market
            has two outcomes, prices, events or categories.

    >>> from coordeval.analysis import example, validated
    >>> validated(example(markets=4).drop("question")).height
    24
    >>> validated(example(markets=4).drop("outcome", "cost_usd"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    coordeval.analysis.base.checks.AnalysisError: the frame of forecasts lacks outcome, cost_usd: it needs...
    """
    cells = _typed(frame)
    for column, broken, rule in _RULES:
        if (wrong := cells.filter(broken)).height:
            raise AnalysisError(f"{_cell(wrong)}: {column} is {wrong[column][0]!r}, {rule}")
    ordered = ascends(cells, KEY)
    if not ordered and (twice := cells.filter(cells.select(KEY).is_duplicated()).sort(KEY)).height:
        raise AnalysisError(
            f"{_cell(twice)}: this cell is there more than once; keep one row per (configuration, market, replicate)"
        )
    cells = _one_price(cells)
    of_markets = cells.select("market_id", *_FACTS).unique()
    several = of_markets.filter(of_markets["market_id"].is_duplicated())["market_id"]
    spread = (
        cells.filter(pl.col("market_id").is_in(several.implode()))
        .group_by("market_id", maintain_order=True)
        .agg(pl.col(_FACTS).unique(maintain_order=True))
    )
    for fact in _FACTS:
        if (wrong := spread.filter(pl.col(fact).list.len() > 1)).height:
            raise AnalysisError(
                f"market {wrong['market_id'][0]}: {fact} is {wrong[fact][0].to_list()}, one market has one {fact}; "
                "if these are different markets or as-of times, give them ids or frames of their own"
            )
    return in_order(cells, KEY, ordered=ordered)


def in_order(frame: pl.DataFrame, key: Sequence[str], *, ordered: bool) -> pl.DataFrame:
    """The frame sorted by `key`; one that is `ordered` is not sorted again, but in all else what sorting would give: Polars
    adds up groups of rows in pieces, or not marked as sorted, in another order, and the last bits of a mean hang on it."""
    return frame.rechunk().with_columns(pl.col(key[0]).set_sorted()) if ordered else frame.sort(key)


def ascends(frame: pl.DataFrame, key: Sequence[str]) -> bool:
    """Whether every row has a higher key than the one before: then nothing need be sorted, and no row is there twice.

    >>> import polars as pl
    >>> from coordeval.analysis.base.frames import ascends
    >>> frame = pl.DataFrame({"market": ["a", "a", "b"], "replicate": [0, 1, 0]})
    >>> ascends(frame, ["market", "replicate"]), ascends(frame, ["market"]), ascends(frame, ["replicate"])
    (True, False, False)
    """
    after = pl.lit(False)
    for name in reversed(key):
        after = (pl.col(name) > pl.col(name).shift()) | ((pl.col(name) == pl.col(name).shift()) & after)
    return frame.height < 2 or frame.select(after.slice(1).all(ignore_nulls=False)).item() is True


def nothing_scored(policy: Policy) -> str:
    """Why nothing is scored under this policy, where something was made."""
    return {
        "common": "no resolved market was answered by every configuration in every replicate",
        "available": "no resolved market was answered",
        "fallback_half": "no market is resolved",
        "fallback_market": "no market whose price is known is resolved",
    }[policy]


def price_copies(frame: pl.DataFrame) -> list[str]:
    """Configurations that ask no model and answer the market price wherever they answer: the price under another name.

    Cells that are not made yet say nothing. Empty where nothing else is made, which then is all there is to measure.

    >>> import polars as pl
    >>> from coordeval.analysis import example
    >>> from coordeval.analysis.base.frames import price_copies
    >>> copy = example().filter(configuration="single_agent").with_columns(
    ...     configuration=pl.lit("market_price"), probability="market_price", status=pl.lit("answered"),
    ...     model_calls=pl.lit(0, pl.Int64),
    ... )
    >>> price_copies(pl.concat([example(), copy], how="vertical_relaxed"))
    ['market_price']
    """
    same = pl.col("probability").is_null() | (pl.col("probability") - pl.col("market_price")).abs().le(SAME).fill_null(False)
    free, answers = (pl.col("model_calls") == 0).fill_null(False).all(), pl.col("probability").is_not_null().any()
    made = frame.filter(pl.col("status") != "pending")
    each = made.group_by("configuration").agg(copy=same.all() & free & answers).sort("configuration")
    return [] if each["copy"].all() else each.filter("copy")["configuration"].to_list()


@asked
def scored(frame: pl.DataFrame, *, policy: Policy = "common") -> Scored:
    """The resolved cells that `policy` scores.

    - `common`: markets that every configuration answered in every one of its replicates.
    - `available`: whatever was answered; each configuration has markets of its own.
    - `fallback_half`, `fallback_market`: a failed cell counts as 0.5 or as the market price. Nothing stands in
      where no price is known, and where a cell is not there at all.

    Raises:
        AnalysisError: an unknown policy, or what `validated` raises.

    >>> from coordeval.analysis import example, scored
    >>> scored(example()).left_out.select("configuration", "cells", "scored", "unanswered", "not_common").rows()
    [('independent_ensemble', 80, 78, 0, 2), ('peer_critique_debate', 80, 78, 1, 1), ('single_agent', 80, 78, 0, 2)]
    >>> [scored(example(), policy=policy).frame.height for policy in ("common", "available", "fallback_market")]
    [234, 239, 240]
    """
    chosen("policy", policy, get_args(Policy))
    cells = validated(frame)
    fallback = {"fallback_half": pl.lit(0.5), "fallback_market": pl.col("market_price")}.get(
        policy, pl.lit(None, pl.Float64)
    )
    ready = (
        cells.filter(pl.col("outcome").is_not_null())
        .with_columns(pl.coalesce("probability", fallback), filled=pl.col("probability").is_null())
        .filter(pl.col("probability").is_not_null())
    )
    kept = ready
    if policy == "common":
        needed = cells.select("configuration", "replicate").n_unique()
        kept = ready.filter(pl.len().over("market_id") == needed)
    return Scored(
        frame=kept,
        policy=policy,
        n_markets=kept["market_id"].n_unique(),
        left_out=_left_out(cells, ready=ready, kept=kept),
    )


def _left_out(cells: pl.DataFrame, *, ready: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    markets = cells["market_id"].n_unique()
    resolved = cells.filter(pl.col("outcome").is_not_null())["market_id"].n_unique()

    def count(part: pl.DataFrame, name: str) -> pl.DataFrame:
        return part.group_by("configuration").agg(pl.len().cast(pl.Int64).alias(name))

    return (
        cells.group_by("configuration")
        .agg(replicates=pl.col("replicate").n_unique().cast(pl.Int64))
        .join(count(ready, "ready"), on="configuration", how="left")
        .join(count(kept, "scored"), on="configuration", how="left")
        .join(count(kept.filter("filled"), "filled"), on="configuration", how="left")
        .fill_null(0)
        .select(
            "configuration",
            "replicates",
            "scored",
            "filled",
            cells=markets * pl.col("replicates"),
            unresolved=(markets - resolved) * pl.col("replicates"),
            unanswered=resolved * pl.col("replicates") - pl.col("ready"),
            not_common=pl.col("ready") - pl.col("scored"),
        )
        .sort("configuration")
    )


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    if "total_tokens" not in frame.columns and {"input_tokens", "output_tokens"} <= set(frame.columns):
        frame = frame.with_columns(total_tokens=pl.col("input_tokens") + pl.col("output_tokens"))
    if absent := [name for name in SCHEMA if name not in frame.columns]:
        raise AnalysisError(f"the frame of forecasts lacks {', '.join(absent)}: it needs the columns {', '.join(SCHEMA)}")
    if frame.is_empty():
        raise AnalysisError("the frame of forecasts is empty: there must be at least one cell; run the study first")
    for name, wanted in SCHEMA.items():
        found = frame.schema[name]
        same_kind = (
            found == pl.Null
            or (wanted == pl.Float64 and found.is_numeric())
            or (wanted.is_integer() and (found.is_integer() or _whole(frame[name])))
            or (wanted == pl.String and found in (pl.Categorical, pl.Enum))
            or found == wanted
        )
        if not same_kind:
            raise AnalysisError(
                f"column {name} holds {found}: it must hold {wanted.__name__}; cast it where the frame is made"
            )
    return frame.select(pl.col(name).cast(wanted) for name, wanted in SCHEMA.items())


def _whole(values: pl.Series) -> bool:
    """Whether floats are whole numbers, as pandas makes of those of a column in which one is missing."""
    return values.dtype.is_float() and bool((values == values.round(0)).fill_null(True).all())


def _one_price(cells: pl.DataFrame) -> pl.DataFrame:
    """Prices of a market that differ by rounding only are one, the lowest."""
    ends = cells.group_by("market_id").agg(low=pl.col("market_price").min(), high=pl.col("market_price").max())
    blurred = ends.filter((pl.col("high") != pl.col("low")) & (pl.col("high") - pl.col("low") <= SAME))
    if blurred.is_empty():
        return cells
    joined = cells.join(blurred.select("market_id", "low"), on="market_id", how="left", maintain_order="left")
    known = pl.col("market_price").is_not_null() & pl.col("low").is_not_null()
    return joined.with_columns(market_price=pl.when(known).then("low").otherwise("market_price")).drop("low")


def _cell(rows: pl.DataFrame) -> str:
    row = rows.row(0, named=True)
    return f"configuration {row['configuration']}, market {row['market_id']}, replicate {row['replicate']}"
