"""How much of a binned decomposition is the choice of bins: the same forecasts cut in many ways, beside the bin-free one."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats
from coordeval.analysis.base.frames import Scored
from coordeval.analysis.base.grid import grid, units_of
from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.quality.corp import corp
from coordeval.analysis.quality.decomposition import Edges, decompose

BINS: Final = (5, 8, 10, 12, 15, 20, 25)
Choice = tuple[Edges, int | None]
BIN_CHOICES: Final[tuple[Choice, ...]] = (
    *(("decimal", bins) for bins in BINS),
    *(("quantile", bins) for bins in BINS),
    ("distinct", None),
    ("float", 10),
)
"""Rule for the edges (`quality.decomposition.bin_index`) and number of bins; `float` 10 is what the publication used."""
MEASURES: Final = ("rel", "res", "rel_corrected", "res_corrected")
BIN_FREE: Final = {"rel": "mcb", "rel_corrected": "mcb", "res": "dsc", "res_corrected": "dsc"}
_BEST_FIRST: Final = {"rel": 1, "rel_corrected": 1, "res": -1, "res_corrected": -1}  # sign under which less is better
_WHY: Final = "rel_corrected, res_corrected: no bin holds two forecasts of a replicate: the bias is unknown"
_TABLE: Final[dict[str, Any]] = {
    **{"configuration": pl.String, "edges": pl.String, "bins": pl.Int64},
    **dict.fromkeys((*MEASURES, "mcb", "dsc"), pl.Float64),
    "reason": pl.String,
}
_RANGES: Final[dict[str, Any]] = {
    **{"configuration": pl.String, "measure": pl.String},
    **dict.fromkeys(("usual", "least", "most", "range", "bin_free"), pl.Float64),
    **{"least_at": pl.String, "most_at": pl.String, "reason": pl.String},
}
_PAIRS: Final[dict[str, Any]] = {
    **dict.fromkeys(("measure", "first", "second"), pl.String),
    **dict.fromkeys(("choices", "flips"), pl.Int64),
    **{"flipped_at": pl.List(pl.String), "bin_free_flips": pl.Boolean, "reason": pl.String},
}
_RANKINGS: Final[dict[str, Any]] = {
    **{"measure": pl.String, "usual": pl.List(pl.String)},
    **dict.fromkeys(("choices", "changed", "rankings"), pl.Int64),
    **{"best": pl.List(pl.String), "reason": pl.String},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Binning:
    """The decomposition of every configuration and of the market price under every choice of bins."""

    table: pl.DataFrame
    """configuration, edges, bins (null: one per forecast), rel, res, rel_corrected, res_corrected, mcb, dsc, reason.

    `mcb` and `dsc` need no bins, so they are the same in every row of a configuration. `reason`: of every null measure.
    """
    ranges: pl.DataFrame
    """configuration, measure, usual, least, most, range, bin_free, least_at, most_at, reason.

    `usual` is the value under the usual choice, `bin_free` is MCB beside REL and REL′, DSC beside RES and RES′.
    """
    pairs: pl.DataFrame
    """measure, first, second, choices, flips, flipped_at, bin_free_flips, reason: one row per pair of configurations.

    `first` is the better one under `usual`; in `flips` of the other `choices`, those named in `flipped_at`, it is the worse.
    `bin_free_flips`: it is by MCB or DSC. A tie is no flip. A tie under `usual` has no better one, and a reason.
    """
    rankings: pl.DataFrame
    """measure, usual (configurations, best first), choices, changed, rankings, best, reason.

    In `changed` of the other `choices` at least one pair flips; `rankings` different orders come up in all; `best` are the
    configurations that lead under some choice.
    """
    usual: str


@asked
def binning(scored: Scored, *, choices: Sequence[Choice] = BIN_CHOICES, usual: Choice = ("decimal", 10)) -> Binning:
    """REL, RES and their corrected forms under every choice of bins; a configuration is the mean of its replicates.

    The market price has rows in `table` and `ranges`, and no place in the rankings of configurations. The null REL of
    `analysis.quality.nulls` says which part of a difference is noise; what changes here changes with the same forecasts.

    Raises:
        AnalysisError: nothing is scored, a choice is unknown, or `usual` is not one of the choices.

    >>> import polars as pl
    >>> from coordeval.analysis import SCHEMA, binning, scored
    >>> said = {"sure": [0.02, 0.07, 0.88, 0.97], "unsure": [0.29, 0.31, 0.69, 0.71]}
    >>> frame = pl.DataFrame({"configuration": list(said), "probability": list(said.values())}).explode("probability")
    >>> frame = frame.with_columns(market_id=pl.Series(list("wxyz") * 2), outcome=pl.Series([0, 0, 1, 1] * 2))
    >>> frame = frame.with_columns(event_id="market_id", status=pl.lit("answered"), replicate=0, simulated=True)
    >>> frame = frame.with_columns(pl.lit(None).alias(name) for name in SCHEMA if name not in frame.columns)
    >>> found = binning(scored(frame), choices=[("decimal", 10), ("decimal", 2), ("distinct", None)])
    >>> found.ranges.filter(measure="rel").select("configuration", pl.col("usual", "least", "most").round(4)).rows()
    [('sure', 0.0048, 0.0038, 0.0052), ('unsure', 0.0901, 0.09, 0.0901)]
    >>> found.rankings.filter(measure="rel").select("usual", "choices", "changed").rows()
    [(['sure', 'unsure'], 3, 0)]
    """
    labels = [_label(choice) for choice in choices]
    if _label(usual) not in labels:
        raise AnalysisError(f"usual is {_label(usual)!r}: it must be one of the choices {', '.join(labels)}")
    sample = grid(scored)
    owner, units = units_of(sample, together=False)
    names = sample.configurations
    compared = sorted(set(scored.frame["configuration"]))
    free = np.empty((len(names), 2))
    values = np.full((len(choices), len(names), len(MEASURES)), np.nan)
    for c in range(len(names)):
        mine = [(units[u][:, 0], ~np.isnan(units[u][:, 0])) for u in np.flatnonzero(owner == c)]
        parts = [(p[there], sample.y[there]) for p, there in mine]
        free[c] = np.mean([(found.mcb, found.dsc) for found in (corp(p, y) for p, y in parts)], axis=0)
        for k, (edges, bins) in enumerate(choices):
            cut = [decompose(p, y, bins=bins or 1, edges=edges) for p, y in parts]
            values[k, c] = np.mean([[_number(getattr(d, measure)) for measure in MEASURES] for d in cut], axis=0)
    rows = [
        (name, edges, bins, *map(_known, values[k, c]), *free[c], _WHY if np.isnan(values[k, c]).any() else None)
        for c, name in enumerate(names)
        for k, (edges, bins) in enumerate(choices)
    ]
    at = labels.index(_label(usual))
    ranked = [names.index(name) for name in compared]
    pairs, rankings = [], []
    for m, measure in enumerate(MEASURES):
        cost = _BEST_FIRST[measure] * values[:, ranked, m]
        bin_free = _BEST_FIRST[measure] * free[ranked, 0 if BIN_FREE[measure] == "mcb" else 1]
        told, flipped = _flips(cost, bin_free, compared, labels, at)
        pairs += [{"measure": measure} | row for row in told]
        rankings.append({"measure": measure} | _ranking(cost, compared, flipped, at))
    return Binning(
        table=pl.DataFrame(rows, schema=_TABLE, orient="row"),
        ranges=pl.DataFrame(
            [
                {"configuration": name, "measure": measure} | _range(values[:, c, m], free[c], measure, labels, at)
                for c, name in enumerate(names)
                for m, measure in enumerate(MEASURES)
            ],
            schema=_RANGES,
        ),
        pairs=pl.DataFrame(pairs, schema=_PAIRS),
        rankings=pl.DataFrame(rankings, schema=_RANKINGS),
        usual=labels[at],
    )


def _label(choice: Choice) -> str:
    edges, bins = choice
    return edges if bins is None else f"{edges} {bins}"


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _range(values: Floats, free: Floats, measure: str, labels: list[str], at: int) -> dict[str, Any]:
    row: dict[str, Any] = {"bin_free": float(free[0 if BIN_FREE[measure] == "mcb" else 1]), "usual": _known(values[at])}
    if np.isnan(values).all():
        return row | {"reason": "no choice of bins puts two forecasts of a replicate into one"}
    least, most = int(np.nanargmin(values)), int(np.nanargmax(values))
    row |= {"least": float(values[least]), "most": float(values[most]), "range": float(values[most] - values[least])}
    row |= {"least_at": labels[least], "most_at": labels[most]}
    return row | {"reason": None if row["usual"] is not None else "usual: no bin holds two forecasts of a replicate"}


def _flips(
    cost: Floats, free: Floats, names: list[str], labels: list[str], at: int
) -> tuple[list[dict[str, Any]], set[int]]:
    """The rows of the pairs, and where any pair flips; `cost` (choices, configurations), less is better."""
    rows: list[dict[str, Any]] = []
    anywhere: set[int] = set()
    for i, j in combinations(range(len(names)), 2):
        d = cost[:, i] - cost[:, j]
        better, worse = (i, j) if d[at] < 0 else (j, i)
        row: dict[str, Any] = {"first": names[better], "second": names[worse], "choices": int(np.sum(~np.isnan(d)))}
        if np.isnan(d[at]) or abs(d[at]) <= SAME:
            why = "is not known" if np.isnan(d[at]) else "is a tie"
            rows.append(row | {"reason": f"flips, flipped_at, bin_free_flips: under {labels[at]} it {why}"})
            continue
        flipped = np.flatnonzero((d * np.sign(d[at]) < 0) & (np.abs(d) > SAME))
        anywhere |= set(flipped.tolist())
        row |= {"flips": flipped.size, "flipped_at": [labels[k] for k in flipped]}
        rows.append(row | {"bin_free_flips": bool(free[better] > free[worse] + SAME)})
    return rows, anywhere


def _ranking(cost: Floats, names: list[str], flipped: set[int], at: int) -> dict[str, Any]:
    known = [k for k in range(len(cost)) if not np.isnan(cost[k]).any()]
    orders = {k: tuple(names[c] for c in np.argsort(cost[k], kind="stable")) for k in known}
    row: dict[str, Any] = {"choices": len(known), "rankings": len(set(orders.values()))}
    row |= {"best": sorted({order[0] for order in orders.values()})}
    if at not in orders:
        return row | {"reason": "usual, changed: the usual choice does not tell it for every configuration"}
    return row | {"usual": list(orders[at]), "changed": len(flipped)}
