"""Each configuration in one row: its score, components and cost with their intervals, and its place on the frontier."""

from typing import Any, Final

from coordeval.analysis.study.findings import Findings
from coordeval.analysis.study.leaderboard import Leaderboard

_OF_THE_BOARD: Final = (
    *("configuration", "n_markets", "answered", "failed", "brier", "rel", "res", "unc", "wbv", "wbc"),
    *("rel_corrected", "res_corrected", "unc_corrected", "mcb", "dsc", "null_rel_low", "null_rel_high"),
    *("on_frontier", "dominated_by"),
)


def placed(board: Leaderboard, findings: Findings) -> list[dict[str, Any]]:
    """What the figures draw, in the order of the leaderboard: its columns, and low, high, reason, cost, cost_low, cost_high,
    probability.

    low and high are of the Brier score, cost in USD per market, probability that of being on the frontier over resamples.
    """
    measures, front = findings.measures, findings.frontier
    ends = {} if measures is None else {r["configuration"]: r for r in measures.table.filter(measure="brier").to_dicts()}
    place = {} if front is None else {row["configuration"]: row for row in front.table.to_dicts()}
    nothing: dict[str, Any] = {}
    rows = []
    for row in board.table.to_dicts():
        name = row["configuration"]
        found = {key: row[key] for key in _OF_THE_BOARD} | {"cost": row["cost_usd_per_market"]}
        found |= {key: ends.get(name, nothing).get(key) for key in ("low", "high", "reason")}
        found |= {key: place.get(name, nothing).get(key) for key in ("cost_low", "cost_high", "probability")}
        rows.append(found)
    return rows
