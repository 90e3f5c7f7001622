"""Telemetry of coordination: one row per forecast and round, from stored rows alone and apart from what agents say of it."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.talk.credit import TOLERANCE

STORED: Final[Mapping[str, Mapping[str, Any]]] = {
    "cells": dict.fromkeys(("forecast_id", "configuration", "market_id", "event_id"), pl.String) | {"replicate": pl.Int64},
    "said": {
        "forecast_id": pl.String,
        **dict.fromkeys(("ask", "agent", "round"), pl.Int64),
        "kind": pl.String,
        "probability": pl.Float64,
    },
    "shown": {"forecast_id": pl.String, "from_ask": pl.Int64, "to_ask": pl.Int64},
    "tools": {"forecast_id": pl.String, "ask": pl.Int64, "error": pl.Boolean, "items": pl.Int64, "told": pl.UInt64},
    "calls": {
        "forecast_id": pl.String,
        **dict.fromkeys(("ask", "round", "input_tokens", "output_tokens"), pl.Int64),
        "seconds": pl.Float64,
        "micro_usd": pl.Int64,
    },
}
"""Frame -> its columns, as `ledger.talk.talk_frames` gives them; `told` is a hash of a tool's result."""

TELEMETRY: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("forecast_id", "configuration", "market_id", "event_id"), pl.String),
    **dict.fromkeys(("replicate", "round", "rounds", "asks", "failed_asks", "estimates", "messages"), pl.Int64),
    **dict.fromkeys(("spread", "agreement", "movement", "moved", "apart", "influence"), pl.Float64),
    **dict.fromkeys(("contradictions", "flips", "tool_calls", "useless_tool_calls", "calls"), pl.Int64),
    **dict.fromkeys(("input_tokens", "output_tokens"), pl.Int64),
    "seconds": pl.Float64,
    "micro_usd": pl.Int64,
    "reason": pl.String,
}
"""Column -> type. Of one forecast and round:

- rounds: of the forecast; asks, failed_asks, estimates: in this round; messages: words of others shown in it, each once
- spread: highest − lowest estimate; agreement: share of estimates within half of the tolerance of their median
- contradictions: pairs of estimates on different sides of even odds
- movement: mean |p − q| of agents that were shown their own estimate q before; flips: those of them that changed sides
- moved, apart: Σ (|q − g| − |p − g|) and Σ |q − g|, g the mean of the others' estimates that such an agent was shown;
  influence = moved / apart, the share of the way that agents went to what they were shown
- useless_tool_calls: results that are empty, an error, or what the same ask was told before
- calls, tokens (cached ones included), seconds, micro_usd: of the model calls of this round; null: none is stored, or a
  price is not known
- reason: of every null
"""
_WHY: Final = {
    "spread": "fewer than two agents estimate",
    "agreement": "fewer than two agents estimate",
    "contradictions": "fewer than two agents estimate",
    "movement": "nobody revises an estimate of its own",
    "flips": "nobody revises an estimate of its own",
    "moved": "nobody who revises was shown an estimate of another",
    "apart": "nobody who revises was shown an estimate of another",
    "influence": "nobody who revises was shown another estimate than its own",
    "calls": "no call is stored",
    "input_tokens": "no call is stored",
    "output_tokens": "no call is stored",
    "seconds": "no call is stored",
    "micro_usd": "no call is stored, or a price is not known",
}
_AT: Final = ("forecast_id", "round")


@asked
def telemetry(stored: Mapping[str, pl.DataFrame], *, tolerance: float = TOLERANCE) -> pl.DataFrame:
    """TELEMETRY of the frames in `stored` (STORED), by configuration, market, replicate and round.

    A forecast of which no ask is stored has no row: nobody was asked, or it was imported. Raises AnalysisError where a
    frame or a column is absent.

    >>> import polars as pl
    >>> from coordeval.analysis.talk.telemetry import STORED, telemetry
    >>> cell = {"forecast_id": "f", "configuration": "debate", "market_id": "m", "event_id": "e", "replicate": 0}
    >>> rows = {"cells": [cell]}
    >>> said = [(0, 0, 0, 0.4), (1, 1, 0, 0.8), (2, 0, 1, 0.6)]
    >>> rows["said"] = [{"forecast_id": "f", "ask": a, "agent": g, "round": r, "kind": "estimate", "probability": p}
    ...     for a, g, r, p in said]
    >>> rows["shown"] = [{"forecast_id": "f", "from_ask": a, "to_ask": 2} for a in (0, 1)]
    >>> found = telemetry({name: pl.DataFrame(rows.get(name, []), schema=own) for name, own in STORED.items()})
    >>> found.select("round", "asks", "messages", "contradictions", "flips", pl.col("influence").round(2)).rows()
    [(0, 2, 0, 1, None, None), (1, 1, 1, None, 1, 0.5)]
    """
    frames = {name: _typed(stored, name) for name in STORED}
    said, calls = frames["said"], frames["calls"]
    where = pl.concat([said.select(*_AT, "ask"), calls.select(*_AT, "ask")]).unique(["forecast_id", "ask"], keep="first")
    rounds = where.select(_AT).unique()
    found = rounds.join(frames["cells"], on="forecast_id", how="inner")
    for part in (
        said.group_by(_AT).agg(asks=_count(), failed_asks=(pl.col("kind") == "failed").sum()),
        _spread(said, tolerance),
        *_moves(said, frames["shown"]),
        _tools(frames["tools"], where),
        calls.group_by(_AT).agg(
            pl.col("input_tokens", "output_tokens", "seconds").sum(),
            calls=_count(),
            micro_usd=pl.when(pl.col("micro_usd").null_count() == 0).then(pl.col("micro_usd").sum()),
        ),
    ):
        found = found.join(part, on=list(_AT), how="left")
    counts = ("asks", "failed_asks", "estimates", "messages", "tool_calls", "useless_tool_calls")
    found = found.with_columns(
        *(pl.col(name).fill_null(0) for name in counts),
        rounds=pl.col("round").max().over("forecast_id") + 1,
        influence=pl.when(pl.col("apart") > 0).then(pl.col("moved") / pl.col("apart")),
    )
    whys = [pl.when(pl.col(name).is_null()).then(pl.lit(f"{name}: {why}")) for name, why in _WHY.items()]
    found = found.with_columns(reason=pl.concat_str(whys, separator="; ", ignore_nulls=True).replace("", None))
    return found.select(pl.col(name).cast(kind) for name, kind in TELEMETRY.items()).sort(
        "configuration", "market_id", "replicate", "round", "forecast_id"
    )


def _typed(stored: Mapping[str, pl.DataFrame], name: str) -> pl.DataFrame:
    own = STORED[name]
    frame = stored.get(name)
    if frame is None or (absent := [column for column in own if column not in frame.columns]):
        lacks = "there is none" if frame is None else f"it lacks {', '.join(absent)}"
        raise AnalysisError(f"the frame {name!r}: {lacks}; it has the columns {', '.join(own)}")
    return frame.select(pl.col(column).cast(kind) for column, kind in own.items())


def _count() -> pl.Expr:
    return pl.len().cast(pl.Int64)


def _spread(said: pl.DataFrame, tolerance: float) -> pl.DataFrame:
    """Where the last estimates of the agents of a round stand."""
    p = pl.col("probability")
    last = said.filter(kind="estimate").sort("ask").group_by(*_AT, "agent", maintain_order=True).last()
    several = pl.len() > 1
    near = ((p - p.median()).abs() <= tolerance / 2 + 1e-9).mean()
    return last.group_by(_AT).agg(
        estimates=_count(),
        spread=pl.when(several).then(p.max() - p.min()),
        agreement=pl.when(several).then(near),
        contradictions=pl.when(several).then((p > 0.5).sum().cast(pl.Int64) * (p < 0.5).sum().cast(pl.Int64)),
    )


def _moves(said: pl.DataFrame, shown: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What was shown in a round, and where those who were shown their own estimate then stand."""
    source = said.select("forecast_id", from_ask="ask", from_agent="agent", q="probability", from_kind="kind")
    edges = shown.join(source, on=["forecast_id", "from_ask"], how="inner").join(
        said.select("forecast_id", "agent", "round", "kind", p="probability", to_ask="ask"),
        on=["forecast_id", "to_ask"],
        how="inner",
    )
    both = (pl.col("from_kind") == "estimate") & (pl.col("kind") == "estimate")
    own = (pl.col("from_agent") == pl.col("agent")) & both
    messages = edges.filter(~own).group_by(_AT).agg(messages=_count())
    asks = (
        edges.sort("from_ask")
        .group_by(*_AT, "to_ask", maintain_order=True)
        .agg(q=pl.col("q").filter(own).last(), g=pl.col("q").filter(~own & both).mean(), p=pl.col("p").first())
    )
    q, p, g = (pl.col(name) for name in ("q", "p", "g"))
    heard = q.is_not_null() & g.is_not_null()
    revised = (
        asks.filter(q.is_not_null() & p.is_not_null())
        .group_by(_AT)
        .agg(
            movement=(p - q).abs().mean(),
            flips=((p - 0.5) * (q - 0.5) < 0).sum(),
            moved=pl.when(heard.any()).then(((q - g).abs() - (p - g).abs()).sum()),
            apart=pl.when(heard.any()).then((q - g).abs().sum()),
        )
    )
    return messages, revised


def _tools(tools: pl.DataFrame, where: pl.DataFrame) -> pl.DataFrame:
    useful = ~pl.col("error") & (pl.col("items") > 0)
    asked = tools.group_by("forecast_id", "ask").agg(
        tool_calls=_count(), useful=pl.col("told").filter(useful).n_unique().cast(pl.Int64)
    )
    return (
        asked.join(where, on=["forecast_id", "ask"], how="inner")
        .group_by(_AT)
        .agg(pl.col("tool_calls").sum(), useless_tool_calls=(pl.col("tool_calls") - pl.col("useful")).sum())
    )
