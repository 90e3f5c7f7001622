"""Telemetry of coordination: one row per forecast and round, from stored rows alone and apart from what agents say of it.

One definition, of one conversation in plain Python: a cell's row is made when the cell ends, a study's where they are asked.
"""

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any, Final

import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.talk.credit import TOLERANCE

DEFINITION: Final = 1
"""The version of the columns of TELEMETRY. It grows where one of them comes to mean something else: rows that are stored by
another number are computed anew, not read."""
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
_CELL: Final = ("forecast_id", "configuration", "market_id", "event_id", "replicate")
Rows = Iterable[Mapping[str, Any]]


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
    cells = _typed(stored, "cells")
    told = {name: _by_forecast(_typed(stored, name)) for name in STORED if name != "cells"}
    rows = [
        cell | row
        for cell in cells.select(_CELL).iter_rows(named=True)
        for row in rounds_of(**{name: own.get(cell["forecast_id"], ()) for name, own in told.items()}, tolerance=tolerance)
    ]
    return pl.DataFrame(rows, schema=dict(TELEMETRY)).sort("configuration", "market_id", "replicate", "round", "forecast_id")


def rounds_of(said: Rows, shown: Rows, tools: Rows, calls: Rows, *, tolerance: float = TOLERANCE) -> list[dict[str, Any]]:
    """TELEMETRY of one conversation, without the columns of its cell: a row per round. `shown` has no edge twice."""
    said, calls = sorted(said, key=_ask), list(calls)
    at = {row["ask"]: row["round"] for row in (*reversed(calls), *reversed(said))}  # of two that differ the first said
    found = {number: _Round(number) for number in sorted(set(at.values()))}
    by_ask = {row["ask"]: row for row in reversed(said)}
    for row in said:
        found[at[row["ask"]]].said.append(row)
    sources: dict[int, list[Mapping[str, Any]]] = {}
    for edge in shown:
        if edge["from_ask"] in by_ask and edge["to_ask"] in by_ask:
            sources.setdefault(edge["to_ask"], []).append(by_ask[edge["from_ask"]])
    for ask, seen in sources.items():
        found[at[ask]].hear(by_ask[ask], sorted(seen, key=_ask))
    results: dict[int, list[Mapping[str, Any]]] = {}
    for row in tools:
        if row["ask"] in at:
            results.setdefault(row["ask"], []).append(row)
    for ask, given in results.items():
        useful = {row["told"] for row in given if not row["error"] and row["items"] > 0}
        found[at[ask]].tool_calls += len(given)
        found[at[ask]].useless += len(given) - len(useful)
    for row in calls:
        found[at[row["ask"]]].calls.append(row)
    last = max(found, default=0)
    return [own.row(rounds=last + 1, tolerance=tolerance) for own in found.values()]


class _Round:
    """What is gathered of one round."""

    __slots__ = ("apart", "calls", "flips", "messages", "moved", "movements", "number", "said", "tool_calls", "useless")

    def __init__(self, number: int) -> None:
        self.number = number
        self.said: list[Mapping[str, Any]] = []
        self.calls: list[Mapping[str, Any]] = []
        self.movements: list[float] = []
        self.moved: list[float] = []
        self.apart: list[float] = []
        self.messages = self.flips = self.tool_calls = self.useless = 0

    def hear(self, own: Mapping[str, Any], seen: list[Mapping[str, Any]]) -> None:
        """An ask that was shown these earlier ones, in their order."""
        others, q = list[float](), None
        for source in seen:
            estimates = own["kind"] == source["kind"] == "estimate"
            if estimates and source["agent"] == own["agent"]:
                q = source["probability"]
                continue
            self.messages += 1
            if estimates and source["probability"] is not None:
                others.append(source["probability"])
        p = own["probability"]
        if q is None or p is None:
            return
        self.movements.append(abs(p - q))
        self.flips += (p - 0.5) * (q - 0.5) < 0
        if others:
            g = sum(others) / len(others)
            self.moved.append(abs(q - g) - abs(p - g))
            self.apart.append(abs(q - g))

    def row(self, *, rounds: int, tolerance: float) -> dict[str, Any]:
        last = {row["agent"]: row["probability"] for row in self.said if row["kind"] == "estimate"}
        stand = [p for p in last.values() if p is not None]
        several = len(stand) > 1
        middle = median(stand) if several else 0.0
        moved, apart = (sum(each) if each else None for each in (self.moved, self.apart))
        row: dict[str, Any] = {
            "round": self.number,
            "rounds": rounds,
            "asks": len(self.said),
            "failed_asks": sum(row["kind"] == "failed" for row in self.said),
            "estimates": len(last),
            "messages": self.messages,
            "spread": max(stand) - min(stand) if several else None,
            "agreement": sum(abs(p - middle) <= tolerance / 2 + 1e-9 for p in stand) / len(stand) if several else None,
            "movement": sum(self.movements) / len(self.movements) if self.movements else None,
            "moved": moved,
            "apart": apart,
            "influence": moved / apart if moved is not None and apart else None,
            "contradictions": sum(p > 0.5 for p in stand) * sum(p < 0.5 for p in stand) if several else None,
            "flips": self.flips if self.movements else None,
            "tool_calls": self.tool_calls,
            "useless_tool_calls": self.useless,
            "calls": len(self.calls) or None,
        }
        for name in ("input_tokens", "output_tokens", "seconds", "micro_usd"):
            amounts = [call[name] for call in self.calls]
            row[name] = sum(amounts) if amounts and None not in amounts else None
        row["reason"] = "; ".join(f"{name}: {why}" for name, why in _WHY.items() if row[name] is None) or None
        return row


def _ask(row: Mapping[str, Any]) -> int:
    return int(row["ask"])


def _typed(stored: Mapping[str, pl.DataFrame], name: str) -> pl.DataFrame:
    own = STORED[name]
    frame = stored.get(name)
    if frame is None or (absent := [column for column in own if column not in frame.columns]):
        lacks = "there is none" if frame is None else f"it lacks {', '.join(absent)}"
        raise AnalysisError(f"the frame {name!r}: {lacks}; it has the columns {', '.join(own)}")
    return frame.select(pl.col(column).cast(kind) for column, kind in own.items())


def _by_forecast(frame: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in frame.iter_rows(named=True):
        found.setdefault(row["forecast_id"], []).append(row)
    return found
