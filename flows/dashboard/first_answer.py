"""The first answer to a view: scores, components and paired differences from sums, in well under a second at any size.

Intervals rest on the sums over events (markets that resolve together) and Student's t. The report's are made by resampling
events, which is better where there are few; where it is there, pages show that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import polars as pl
from scipy.stats import t as student

from coordeval.analysis.base.checks import Floats, Ints
from coordeval.analysis.base.few import thin
from coordeval.analysis.base.resampling import scarce
from coordeval.analysis.quality.bootstrap import MEASURES, binned_terms
from coordeval.analysis.quality.corp import pool
from coordeval.analysis.quality.decomposition import bin_index
from coordeval.analysis.study.leaderboard import REFERENCE
from coordeval.flows.dashboard import cells

LEVEL: Final = 0.95
_BINS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """Rows as dictionaries, best Brier score first."""

    rows: list[dict[str, Any]]
    """configuration, n_markets, n_forecasts, answered, failed, pending, filled, brier, low, high, cost, cost_low, cost_high,
    paid, rel, res, unc, wbv, wbc, rel_corrected, res_corrected, mcb, dsc, reason (of an interval that is not there)."""
    pairs: list[dict[str, Any]]
    """first, second, delta, low, high, p, n_markets, n_events, reason; `second` is the market price in the first ones."""
    n_markets: int
    n_events: int


def first_answer(frame: pl.DataFrame, policy: str) -> First:
    """Of cells as `cells.load` makes them, filtered or not."""
    frame = cells.without_copies(frame)
    kept = cells.scored(frame, policy)
    names = made_of(frame)
    losses, event = _losses(kept, names)
    few = _few(kept, event)
    counts = _counts(frame, kept)
    rows = []
    for name in (*names, REFERENCE):
        row: dict[str, Any] = {"configuration": name, **counts.get(name, {})}
        row |= (
            _named(_unless(few, clustered_mean(losses[name], event)), "brier", "low", "high")
            if name in losses
            else {"reason": "nothing is scored"}
        )
        row |= _components(kept, name) if name != REFERENCE else _of_the_price(kept)
        rows.append(row)
    rows.sort(key=lambda row: (row.get("brier") is None, row.get("brier"), row["configuration"]))
    return First(
        rows=rows,
        pairs=list(_pairs(names, losses, event, few)),
        n_markets=kept["m"].n_unique(),
        n_events=kept["e"].n_unique(),
    )


def made_of(frame: pl.DataFrame) -> list[str]:
    """The configurations that have a cell here, by name."""
    return sorted(map(str, frame["configuration"].unique().to_list()))


def _losses(kept: pl.DataFrame, names: list[str]) -> tuple[dict[str, Floats], Ints]:
    """Configuration -> each market's squared error, mean over replicates, NaN where it has none; each market's event."""
    if kept.is_empty():
        return {}, np.array([], dtype=np.int64)
    seen, m = np.unique(kept["m"].to_numpy(), return_inverse=True)
    y, p, price, e = (kept[name].cast(pl.Float64).to_numpy() for name in ("outcome", "p", "price", "e"))
    event = np.zeros(seen.size, dtype=np.int64)
    event[m] = e.astype(np.int64)
    code = kept["configuration"].to_physical().to_numpy()
    found: dict[str, Floats] = {}
    for name in names:
        mine = code == cells.names(kept).index(name)
        n = np.bincount(m[mine], minlength=seen.size)
        with np.errstate(invalid="ignore", divide="ignore"):
            found[name] = np.bincount(m[mine], weights=(p[mine] - y[mine]) ** 2, minlength=seen.size) / n
    market = np.full(seen.size, np.nan)
    market[m] = (price - y) ** 2
    own = {name: values for name, values in found.items() if not np.isnan(values).all()}
    return own | ({} if np.isnan(market).all() else {REFERENCE: market}), event


def _counts(frame: pl.DataFrame, kept: pl.DataFrame) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    by = frame.group_by("configuration").agg(
        *((pl.col("status") == status).sum().alias(status) for status in ("answered", "failed", "pending")),
        pl.col("paid").sum().alias("paid"),
        pl.col("paid").is_null().any().alias("unpaid"),
    )
    for row in by.to_dicts():
        found[str(row["configuration"])] = {
            **{name: row[name] for name in ("answered", "failed", "pending")},
            "paid": None if row["unpaid"] else row["paid"],
        }
    made = frame.filter(pl.col("status") != "pending")
    costs = made.group_by("configuration", "e").agg(pl.col("cost").sum(), pl.len(), pl.col("cost").null_count().alias("no"))
    for (name,), part in costs.partition_by("configuration", as_dict=True, include_key=False).items():
        if part["no"].sum():
            cost = {"cost": None, "cost_reason": "the price of a model or tool that it used is not known"}
        else:
            cost = _named(
                ratio_of_sums(part["cost"].to_numpy(), part["len"].to_numpy().astype(float)), "cost", "cost_low", "cost_high"
            )
        found[str(name)] |= {k: v for k, v in cost.items() if k != "reason"}
    for row in kept.group_by("configuration").agg(pl.len(), pl.col("m").n_unique(), pl.col("filled").sum()).to_dicts():
        found[str(row["configuration"])] |= {
            "n_forecasts": row["len"],
            "n_markets": row["m"],
            "filled": row["filled"],
        }
    return found


def _components(kept: pl.DataFrame, name: str) -> dict[str, float | None]:
    mine = kept.filter(pl.col("configuration") == name)
    parts = [_terms(part) for _, part in mine.group_by("replicate", maintain_order=False)]
    everywhere = set.intersection(*(set(part) for part in parts)) if parts else set()  # undefined in one, undefined
    return {key: float(np.mean([part[key] for part in parts])) for key in sorted(everywhere)}


def _of_the_price(kept: pl.DataFrame) -> dict[str, Any]:
    priced = kept.select("m", "price", "outcome").drop_nulls("price").unique("m")
    own = {"n_markets": priced.height, "n_forecasts": priced.height}
    return own | (_terms(priced.with_columns(p=pl.col("price"))) if priced.height else {})


def _terms(part: pl.DataFrame) -> dict[str, float]:
    """The components of one replicate, from counts at each distinct forecast."""
    grouped = part.group_by("p").agg(pl.len(), pl.col("outcome").sum()).sort("p")
    x, n, hits = (grouped[name].to_numpy().astype(np.float64) for name in ("p", "len", "outcome"))
    bins = bin_index(x, bins=_BINS)
    per_bin = [np.bincount(bins, weights=w, minlength=_BINS) for w in (n, n * x, hits)]
    sums = np.concatenate([*per_bin, [n @ x**2, hits @ x]])[None, :, None]
    terms = dict(zip(MEASURES["binned"], binned_terms(sums)[0, :-1, 0].tolist(), strict=True))
    total = n.sum()
    curve = pool(hits / n, n.astype(np.int64))
    score, best, base = (
        (n @ x**2 - 2 * hits @ x + hits.sum()) / total,
        (hits.sum() - n @ curve**2) / total,
        hits.sum() / total,
    )
    found = {**terms, "mcb": float(score - best), "dsc": float(base * (1 - base) - best)}
    return {key: value for key, value in found.items() if np.isfinite(value)}


def _few(kept: pl.DataFrame, event: Ints) -> str | None:
    """Why sums give no interval: where few outcomes tell, the report's reach further, for what has not happened yet."""
    outcomes = kept.select("m", "outcome").unique("m").sort("m")["outcome"].cast(pl.Float64).to_numpy()
    if not outcomes.size or (reason := thin(outcomes, event)) is None:
        return None
    return f"{reason}: an interval from sums would be too short; the report has one by resampling"


def _unless(few: str | None, found: dict[str, Any]) -> dict[str, Any]:
    """`found`, without its interval where there is a reason."""
    return {"estimate": found["estimate"], "reason": found["reason"] or few} if few else found


def _pairs(names: list[str], losses: Mapping[str, Floats], event: Ints, few: str | None) -> Iterator[dict[str, Any]]:
    against = [(name, REFERENCE) for name in names]
    for first, second in [*against, *combinations(names, 2)]:
        row = {"first": first, "second": second, "family": "market" if second == REFERENCE else "configurations"}
        if first not in losses or second not in losses:
            yield row | {"delta": None, "reason": "nothing is scored"}
            continue
        apart = losses[first] - losses[second]
        both = ~np.isnan(apart)
        found = _unless(few, clustered_mean(apart, event))
        yield (
            row
            | _named(found, "delta", "low", "high")
            | {
                "n_markets": int(both.sum()),
                "n_events": int(np.unique(event[both]).size),
                "p": found.get("p"),
            }
        )


def clustered_mean(values: Floats, event: Ints) -> dict[str, Any]:
    there = ~np.isnan(values)
    if not there.any():
        return {"estimate": None, "reason": "nothing is scored"}
    _, of = np.unique(event[there], return_inverse=True)
    return ratio_of_sums(np.bincount(of, weights=values[there]).astype(np.float64), np.bincount(of).astype(np.float64))


def ratio_of_sums(sums: Floats, weights: Floats) -> dict[str, Any]:
    """Σ sums / Σ weights over independent events, with the interval of its linearisation."""
    events, total = sums.size, weights.sum()
    estimate = float(sums.sum() / total)
    if reason := scarce(events, LEVEL):
        return {"estimate": estimate, "reason": reason}
    spread = sums - estimate * weights
    error = float(np.sqrt(events / (events - 1) * (spread @ spread)) / total)
    half = float(student.ppf((1 + LEVEL) / 2, events - 1)) * error
    p = float(2 * student.sf(abs(estimate) / error, events - 1)) if error > 0 else None
    return {"estimate": estimate, "low": estimate - half, "high": estimate + half, "p": p, "reason": None}


def _named(found: Mapping[str, Any], estimate: str, low: str, high: str) -> dict[str, Any]:
    return {
        estimate: found["estimate"],
        low: found.get("low"),
        high: found.get("high"),
        "reason": found.get("reason"),
    }
