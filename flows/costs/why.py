"""Why something is asked: what a run would ask now, and in which field two forecasts of one cell are not the same."""

from pathlib import Path
from typing import Any, Final

import orjson

from coordeval.flows.costs.rehearsal import rehearsed
from coordeval.flows.study.evaluation import Cell
from coordeval.flows.study.identity import differing
from coordeval.flows.study.study import LoadedStudy
from coordeval.ledger import Reader
from coordeval.market_data.errors import CoordevalError

_BEFORE: Final = """
    WITH last AS (
        SELECT study_id FROM studies WHERE (study_id = $id OR name = $name) AND locked_at IS NOT NULL
        ORDER BY study_id = $id DESC, locked_at DESC LIMIT 1
    )
    SELECT c.market_id, c.arm, c.configuration, c.replicate, c.forecast_id, c.identity, f.status, f.reason
    FROM (FROM cells SEMI JOIN last USING (study_id)) c LEFT JOIN forecasts f USING (forecast_id)
"""
_FAILED: Final = """
    SELECT forecast_id, reason FROM forecasts SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS forecast_id) USING (forecast_id)
    WHERE status = 'failed'
"""
_CELL: Final = """
    SELECT c.*, s.name AS study, f.status, f.probability, f.reason, f.created_at, f.model_calls,
        f.attributed_micro_usd, f.paid_micro_usd
    FROM cells c JOIN studies s USING (study_id) LEFT JOIN forecasts f USING (forecast_id)
"""


def would_ask(loaded: LoadedStudy, ledger: Path) -> dict[str, Any]:
    """The cells that a run would make now, each with the reason; asks nothing and writes nothing.

    `cells` holds market, arm, configuration, replicate, forecast_id and `why`; baselines that ask no model are left out.
    `why` starts with "never asked", "failed", "left open" or "asked before", and then says with what.
    """
    with rehearsed(loaded, ledger) as rehearsal:
        wanted = [cell for cell in rehearsal.open if cell.configuration.elements.endpoints]
        before: dict[tuple[str, str, str, int], dict[str, Any]] = {}
        failed: dict[str, str] = {}
        if (stored := rehearsal.stored) is not None:
            rows = stored.query(_BEFORE, {"id": loaded.id, "name": loaded.study.name}).to_dicts()
            before = {(row["market_id"], row["arm"], row["configuration"], row["replicate"]): row for row in rows}
            failed = dict(stored.query(_FAILED, [[cell.forecast_id for cell in wanted]]).iter_rows())
        cells = [
            {
                "market": cell.view.market.id,
                "arm": cell.arm,
                "configuration": cell.label,
                "replicate": cell.replicate,
                "forecast_id": cell.forecast_id,
                "why": _why(cell, before.get((cell.view.market.id, cell.arm, cell.label, cell.replicate)), failed),
            }
            for cell in wanted
        ]
        made = sum(cell.forecast_id in rehearsal.made for cell in rehearsal.cells)
        return {
            "study": loaded.study.name,
            "study_id": loaded.id,
            "planned": len(rehearsal.cells),
            "made": made,
            "cells": cells,
        }


def _why(cell: Cell, before: dict[str, Any] | None, failed: dict[str, str]) -> str:
    if cell.forecast_id in failed:
        return f"failed, and may succeed: {failed[cell.forecast_id]}"
    if before is None:
        return "never asked"
    if before["forecast_id"] == cell.forecast_id:
        return "left open by an earlier run"
    if before["status"] is None:
        return "never asked"
    changed = _said(orjson.loads(before["identity"]), cell.identity)
    return f"asked before as {before['forecast_id'][:8]}, and changed since: {changed}"


def _said(was: Any, now: Any) -> str:
    now = orjson.loads(orjson.dumps(now))
    return "; ".join(f"{key}: {_short(one)} → {_short(other)}" for key, one, other in differing(was, now))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:12]}…"


def explain(reader: Reader, forecast: str) -> dict[str, Any]:
    """One forecast's identity, and every other forecast that was planned for the same cell, with the fields that differ.

    `forecast` is an id or the start of one. Raises CoordevalError where there is none, or more than one.
    """
    one = f"{_CELL} WHERE starts_with(c.forecast_id, ?) ORDER BY f.created_at NULLS LAST"
    rows = reader.query(one, [forecast]).to_dicts()
    ids = sorted({row["forecast_id"] for row in rows})
    if not ids:
        raise CoordevalError(f"no forecast's id begins with {forecast!r}; `coordeval forecasts STUDY --limit 0` lists them")
    if len(ids) > 1:
        raise CoordevalError(f"{len(ids)} forecasts' ids begin with {forecast!r}: {', '.join(i[:12] for i in ids[:4])} ...")
    own = rows[0]
    key = [own["market_id"], own["arm"], own["configuration"], own["replicate"], own["forecast_id"]]
    others = reader.query(
        f"{_CELL} WHERE c.market_id = ? AND c.arm = ? AND c.configuration = ? AND c.replicate = ? AND c.forecast_id <> ? "
        "ORDER BY f.created_at NULLS LAST, s.name",
        key,
    ).to_dicts()
    identity = orjson.loads(own["identity"])
    return {
        **_shown(own),
        "studies": sorted({row["study"] for row in rows}),
        "identity": identity,
        "others": [
            {
                **_shown(other),
                "study": other["study"],
                "differs": [
                    {"field": field, "this": one, "other": another}
                    for field, one, another in differing(identity, orjson.loads(other["identity"]))
                ],
            }
            for other in others
        ],
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    names = (
        "forecast_id",
        "market_id",
        "arm",
        "configuration",
        "replicate",
        "status",
        "probability",
        "reason",
        "created_at",
    )
    return {name: row[name] for name in (*names, "model_calls", "attributed_micro_usd", "paid_micro_usd")}
