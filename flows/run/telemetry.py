"""Telemetry of coordination as rows of the ledger: made as a cell ends, stored with it, read or computed anew."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from coordeval.analysis.talk.telemetry import DEFINITION, TELEMETRY, rounds_of, telemetry
from coordeval.flows.study.in_arms import arms_of, in_arm, left_out
from coordeval.ledger import CellRows, Ledger, Reader
from coordeval.ledger.talk import stored_telemetry, talk_frames

_ORDER = ("configuration", "market_id", "replicate", "round", "forecast_id")
_OF_CELLS = ("configuration", "market_id", "event_id", "replicate")
"""Columns that are no part of the stored rows: a forecast may be a cell of several studies."""


def told(cell: CellRows) -> CellRows:
    """The cell with the telemetry of its own rows, by round; a game has a telemetry of its own."""
    if cell.games:
        return cell
    shown = {(row["from_ask"], row["to_ask"]): row for row in cell.messages}
    tools = [{**row, "told": row["result"]} for row in cell.tool_calls]
    rounds = rounds_of(cell.estimates, shown.values(), tools, [_call(row) for row in cell.calls])
    return replace(cell, telemetry=[{**row, "definition": DEFINITION} for row in rounds])


def _call(row: Mapping[str, Any]) -> dict[str, Any]:
    tokens = row["input_tokens"] + row["cache_read_tokens"] + row["cache_write_tokens"]
    return {**row, "input_tokens": tokens, "micro_usd": row["attributed_micro_usd"]}


def telemetry_of(
    reader: Reader, study: str, run_id: str | None = None, *, arm: str | None = None, anew: bool = False
) -> pl.DataFrame:
    """`arm` and `analysis.talk.telemetry.TELEMETRY` of a study (name or id), or of what one run of it made, arm by arm.

    Of every arm that there is to `reader`, or of the one that is named; probes are left out. Rows that are stored by this
    definition are read, the others computed; `anew`: all are computed.
    """
    parts = []
    with reader.moment() as one:
        for name in arms_of(one, study, arm):
            with in_arm(one, study, name) as held:
                own = _rows(held, study, run_id, anew=anew)
            parts.append(own.select(pl.lit(name).alias("arm"), pl.all()))
    return pl.concat(parts)


def recompute(ledger: Ledger, reader: Reader, study: str) -> int:
    """Computes the telemetry of every forecast of a study (name or id) anew, all arms and probes of it, and stores it in
    place of what is there. Returns how many rows that are."""
    made = telemetry(talk_frames(reader, study)).drop(_OF_CELLS)
    made = made.unique(["forecast_id", "round"], maintain_order=True)  # two cells may share a forecast
    ledger.recompute(made.with_columns(definition=pl.lit(DEFINITION)))
    return made.height


def _rows(held: Reader, study: str, run_id: str | None, *, anew: bool) -> pl.DataFrame:
    own = pl.col("configuration") != left_out(held)
    frames = talk_frames(held, study, run_id, but=None if anew else DEFINITION)
    computed = telemetry({**frames, "cells": frames["cells"].filter(own)})
    if anew:
        return computed
    stored = stored_telemetry(held, study, DEFINITION, run_id).filter(own)
    if stored.is_empty():
        return computed
    stored = stored.select(pl.col(name).cast(kind) for name, kind in TELEMETRY.items())
    return pl.concat([stored, computed]).sort(_ORDER)
