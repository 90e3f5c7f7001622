"""The machine-readable result of a study: strict JSON in which every null has its reason."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any, Final

import polars as pl

from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.linked.coherence import Coherence
from coordeval.analysis.study.diagnostics import Diagnostics
from coordeval.analysis.study.findings import Findings
from coordeval.analysis.study.leaderboard import REFERENCE, Leaderboard
from coordeval.analysis.study.stated import stated
from coordeval.analysis.words.answers import Answer, verdict
from coordeval.analysis.words.predictions import row_nulls

SCHEMA_VERSION: Final = 4
_STRONGEST: Final = 5
_GROUPS: Final = ("diversity", "ends", "flips", "scaling")
_USE: Final = ("_per_market", "paid_usd", "on_frontier")
_NOT_OF_THE_PRICE: Final = (*_USE, "alpha", "alpha_sem", "alpha_sem_clustered", "skill_market", "brier_spread", "simulated")


def results(
    board: Leaderboard,
    found: Findings,
    deeper: Diagnostics,
    answered: Sequence[Answer],
    *,
    study: Mapping[str, Any],
    headline: tuple[str, ...],
    failures: list[dict[str, Any]],
) -> dict[str, Any]:
    """Everything the report shows, as JSON values.

    Comparisons with the market price come first, then those between configurations, each by size of difference. `nulls`
    maps the path of a row to column -> why it is null; a part that is null has its reason in `reasons`.
    """
    rows = board.table.to_dicts()
    pairs = compared(found)
    nulls = {f"leaderboard/{r['configuration']}": why for r in rows if (why := _row_nulls(r, board.notes))}
    nulls |= {
        f"comparisons/{r['first']}/{r['second']}": why
        for r in pairs
        if (why := {k: r["reason"] or "the test is not defined" for k, v in r.items() if v is None and k != "reason"})
    }
    nulls |= {f"predictions/{i}": why for i, r in enumerate(found.predictions.table.to_dicts()) if (why := row_nulls(r))}
    settings: dict[str, Any] = {n: getattr(board, n) for n in ("bins", "edges", "epsilon", "resamples", "seed")}
    settings |= {"event_resamples": found.resamples, "event_resamples_corp": found.resamples_corp}
    settings |= {"event_resamples_diagnostics": deeper.resamples}
    return {
        "schema_version": SCHEMA_VERSION,
        "study": dict(study),
        "simulated": board.simulated,
        "policy": board.policy,
        "n_markets": board.n_markets,
        "settings": settings,
        "tests": found.tests,
        "baseline": found.baseline,
        "stated": [asdict(each) for each in stated(found, deeper, board)],
        "noise_floor": found.comparisons.noise_floor if found.comparisons else None,
        "noise_floor_from": found.floor_source,
        "noise": _noise(found),
        "headline": list(headline),
        "answers": [asdict(answer) for answer in answered],
        "leaderboard": rows,
        "comparisons": pairs,
        "intervals": intervals(found),
        "contrasts": found.contrasts.to_dicts(),
        "frontier": _part(found.frontier, "table", "dominance"),
        "compute_matched": _part(found.matched, "table", "curve", "to_match", "exact"),
        "structure": _part(found.structure, "table"),
        "variance": _part(found.variance, "components", "forecasts", "noise"),
        "detectable": found.detectable.to_dicts(),
        "coordination": _part(deeper.coordination, "gain", "rounds", "influence"),
        "groups": _part(deeper.groups, *(name for name in _GROUPS if getattr(deeper.groups, name, None) is not None)),
        "parts": None if deeper.parts is None else deeper.parts.to_dicts(),
        "pooling": _part(deeper.pooling, "table"),
        "tracking": _part(deeper.tracking, "table"),
        "influence": None if deeper.influence is None else _influence(deeper),
        "missing_bounds": None if deeper.bounds is None else deeper.bounds.to_dicts(),
        "openings": _part(deeper.openings, "groups", "pairs", "configurations"),
        "component_nulls": _part(board.nulls, "table"),
        "second_split": _part(deeper.second_split, "table"),
        "adjusted": _part(deeper.adjusted, "table"),
        "subgroups": _part(deeper.subgroups, "table", "spreads"),
        "binning": _part(deeper.binning, "table", "ranges", "pairs", "rankings"),
        "coherence": None if deeper.coherence is None else _coherence(deeper.coherence),
        "sequences": None if deeper.sequences is None else deeper.sequences.table.to_dicts(),
        "predictions": {
            "when": found.stated.when,
            "prespecified": found.stated.prespecified,
            "unscored": [{"claim": claim, "reason": reason} for claim, reason in found.stated.unscored],
            **(_part(found.predictions, "table") or {}),
        },
        "reasons": {**found.reasons, **deeper.reasons},
        "left_out": board.left_out.to_dicts(),
        "failures": failures,
        "notes": list(board.notes),
        "nulls": nulls,
    }


def _coherence(found: Coherence) -> dict[str, Any]:
    part = _part(found, "table", "details", "links") or {}
    return part | {"within": f"{found.within}"}


def _influence(deeper: Diagnostics) -> dict[str, Any]:
    """The pairs with and without the market that carries them, and of each pair the markets with most influence."""
    assert deeper.influence is not None
    strongest = deeper.influence.markets.group_by("first", "second", maintain_order=True).head(_STRONGEST)
    part = {"restated": deeper.influence.restated.to_dicts(), "strongest": strongest.to_dicts()}
    return part | {"headline": deeper.influence.headline, "strongest_per_pair": _STRONGEST}


def compared(found: Findings) -> list[dict[str, Any]]:
    """The rows of the comparisons with their verdict: against the market price first, the largest difference first."""
    if found.comparisons is None:
        return []
    margin = found.comparisons.margin
    alike = found.structure.table.filter("identical").select("first", "second").rows() if found.structure else []
    rows = [
        row | {"verdict": "one procedure; " * ((row["first"], row["second"]) in alike) + verdict(row, margin=margin)}
        for row in found.comparisons.table.to_dicts()
    ]
    return sorted(rows, key=lambda row: (row["family"] != "market", -abs(row["delta"] or 0), row["first"], row["second"]))


def intervals(found: Findings) -> list[dict[str, Any]]:
    """configuration, measure, estimate, low, high, sd, method, n_markets, reason of every measure that has an interval."""
    return [row for part in (found.measures, found.corp) if part for row in part.table.to_dicts()]


_WORKING: Final = ("shape",)
"""What a result holds for those who compute on with it, as large as its rows: no part of what is said."""


def _part(part: Any, *inside: str) -> dict[str, Any] | None:
    """A result as JSON values; `inside` are its frames and records."""
    if part is None:
        return None
    values = {name: getattr(part, name) for name in part.__dataclass_fields__ if name not in _WORKING}
    for name in inside:
        value = values[name]
        values[name] = value.to_dicts() if isinstance(value, pl.DataFrame) else None if value is None else asdict(value)
    return values


def null_reason(column: str, configuration: str, notes: tuple[str, ...]) -> str:
    """The leaderboard's own reason for a null, found in its notes, each of the form `columns: reason (whom it concerns)`."""
    if configuration == REFERENCE and column.endswith(_NOT_OF_THE_PRICE):
        return "the market price is the reference, not a configuration that ran"
    for note in notes:
        columns, _, rest = note.partition(": ")
        reason, _, whom = rest[:-1].rpartition(" (") if rest.endswith(")") else (rest, "", "")
        concerned = not whom or configuration in whom.split(", ")
        if concerned and (column in columns.split(", ") or (columns == "scores" and not column.endswith(_USE))):
            return reason
    return "not defined for these forecasts"


def strict_json(value: Any) -> str:
    """JSON that every parser reads. Raises AnalysisError where a number is not finite: it should be a null with a reason."""
    return json.dumps(_plain(value, "results"), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _row_nulls(row: Mapping[str, Any], notes: tuple[str, ...]) -> dict[str, str]:
    return {column: null_reason(column, row["configuration"], notes) for column, value in row.items() if value is None}


def _plain(value: Any, path: str) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v, f"{path}/{k}") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v, f"{path}/{i}") for i, v in enumerate(value)]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise AnalysisError(f"{path} is {value}: a number in the results is finite, an undefined one is null with a reason")
    return value


def _noise(found: Findings) -> dict[str, Any]:
    """The noise floor with its interval, and what it decides."""
    pairs = found.comparisons
    low, high = (None, None) if pairs is None else (pairs.noise_low, pairs.noise_high)
    reason = None
    if low is None or high is None:
        known = found.reasons.get("noise_floor") or found.reasons.get("comparisons")
        reason = known or "low, high: it is 0, that of two runs of one procedure, or from fewer than 6 events"
    floor = None if pairs is None else pairs.noise_floor
    gates = "a difference between configurations is shown where it passes its test and exceeds the floor"
    return {"floor": floor, "low": low, "high": high, "gates": gates, "reason": reason}
