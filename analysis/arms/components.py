"""Where the squared error varies: configuration, model, information, what they do together, the market, sampling again.

With K cells (configurations in arms), P the projection on an effect (`crossing`), x_i the K mean errors of market i over R
replicates, x̄ their mean over markets and S its covariance by events:

    an effect                (|P x̄|² − tr PS)/K
    market, market × effect  (Σ_i |P (x_i − x̄)|²/N + tr PS)/K − w,  w = Σ_i Σ_r |P (e_ir − x_i)|²/(N K R (R − 1))
    sampling again           Σ_i Σ_r |e_ir − x_i|²/(N K (R − 1))

They are the parts of the variance of one forecast's squared error, of a market, a cell and a draw taken at random, so their
shares add up to 1; market takes the mean's projection. Configurations, models and information are these and no others
(fixed effects); draws that cells share are no part of an effect. Source: Searle, Casella & McCulloch (1992).
"""

from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.arms.crossing import TIMES, Crossing
from coordeval.analysis.arms.quadratic import Quadratic, quadratic
from coordeval.analysis.base.checks import Floats
from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.base.resampling import AMOUNT, PLAIN, Interval, Resamples, interval, measured

MARKET: Final = "market"
AGAIN: Final = "sampling again"
_ONE: Final = "one replicate: it cannot be told from sampling again"
SCHEMA: Final[dict[str, Any]] = {
    "component": pl.String,
    "kind": pl.String,
    **dict.fromkeys(("variance", "low", "high", "share", "estimate"), pl.Float64),
    "reason": pl.String,
}


def components(made: Crossing, *, n: int, seed: int, level: float) -> pl.DataFrame:
    """component, kind (effect, market, sampling), variance, low, high, share, estimate, reason; in Brier points squared.

    `estimate` may be below 0; `variance` is then 0 and the reason says so. `share` is of the sum of all variances. With one
    replicate what the market does includes sampling again.
    """
    cells, replicates = made.errors.shape[1:]
    counts = np.bincount(made.event).astype(np.float64)
    sums = made.by_event(made.x)
    rows: list[dict[str, Any]] = []
    for name, basis in made.bases.items():
        if name != "mean":
            found = quadratic(sums, counts, basis)
            rows.append({"component": name, "kind": "effect"} | _effect(found, cells, level))
    names = list(made.bases)
    drawn = measured(
        _columns(made)[:, :, None],
        lambda given: _markets(given, [basis.shape[1] for basis in made.bases.values()], cells, replicates),
        Resamples(events=made.events, n=n, seed=seed),
        left_out=True,
    )
    for k, name in enumerate((*names, AGAIN)):
        label = name if name == AGAIN else MARKET if name == "mean" else f"{MARKET}{TIMES}{name}"
        row: dict[str, Any] = {"component": label, "kind": "sampling" if name == AGAIN else "market"}
        estimate = float(drawn.estimate[k, 0])
        if np.isnan(estimate):
            rows.append(row | {"reason": _ONE})
            continue
        ends = interval(drawn, k, 0, method=PLAIN, events=made.events, level=level, bounds=AMOUNT)
        rows.append(row | _told(estimate, ends, "it includes sampling again: one replicate" if replicates < 2 else None))
    total = sum(row.get("variance") or 0.0 for row in rows)
    for row in rows:
        if row.get("variance") is not None and total > SAME**2:
            row["share"] = row["variance"] / total
    return pl.DataFrame(rows, schema=SCHEMA)


def _effect(found: Quadratic, cells: int, level: float) -> dict[str, Any]:
    ends = found.interval(level)
    scaled = Interval(
        low=None if ends.low is None else ends.low / cells,
        high=None if ends.high is None else ends.high / cells,
        sd=None,
        reason=ends.reason,
    )
    return _told(found.estimate / cells, scaled, None)


def _told(estimate: float, ends: Interval, note: str | None) -> dict[str, Any]:
    reasons = [note] if note else []
    if estimate < 0:
        reasons.append(f"the estimate is negative, {estimate:.2g}: taken as 0")
    if ends.reason:
        reasons.append(f"low, high: {ends.reason}")
    value = {"variance": max(estimate, 0.0), "low": ends.low, "high": ends.high, "estimate": estimate}
    return value | {"reason": "; ".join(reasons) or None}


def _columns(made: Crossing) -> Floats:
    """Per event what the parts are functions of: see `_markets`."""
    basis = np.concatenate(list(made.bases.values()), axis=1)
    where = np.repeat(np.arange(len(made.bases)), [b.shape[1] for b in made.bases.values()])

    def by_effect(squares: Floats) -> Floats:
        return np.stack([squares[:, where == k].sum(axis=1) for k in range(len(made.bases))], axis=1)

    own = made.x @ basis
    inside = ((made.errors - made.x[:, :, None]).transpose(0, 2, 1) @ basis) ** 2  # (markets, replicates, cells)
    counts = np.bincount(made.event).astype(np.float64)[:, None]
    sums = made.by_event(own)
    return np.concatenate(
        [
            counts,
            counts**2,
            sums,
            counts * sums,
            by_effect(made.by_event(own**2)),
            by_effect(sums**2),
            by_effect(made.by_event(inside.sum(axis=1))),
            np.ones_like(counts),
        ],
        axis=1,
    )


def _markets(given: Floats, sizes: list[int], cells: int, replicates: int) -> Floats:
    """(rows, effects + 1): the variance of markets in each effect, and of sampling again, from sums of `_columns`."""
    effects = len(sizes)
    where = np.repeat(np.arange(effects), sizes)

    def by_effect(values: Floats) -> Floats:
        return np.stack([values[:, where == k].sum(axis=1) for k in range(effects)], axis=1)

    markets, squared, events = given[:, :1], given[:, 1:2], given[:, -1:]
    sums, weighted = given[:, 2 : 2 + cells], given[:, 2 + cells : 2 + 2 * cells]
    alone, together, inside = (given[:, 2 + 2 * cells + k * effects :][:, :effects] for k in range(3))
    mean = sums / markets
    apart = alone / markets - by_effect(mean**2)
    noise = by_effect(-2 * weighted * mean + squared * mean**2) + together
    clustered = noise / markets**2 * events / np.maximum(events - 1, 1)
    again = np.full_like(markets, np.nan)
    within = np.zeros_like(inside)
    if replicates > 1:
        again = inside.sum(axis=1, keepdims=True) / markets / cells / (replicates - 1)
        within = inside / markets / cells / replicates / (replicates - 1)
    return np.concatenate([(apart + clustered) / cells - within, again], axis=1)
