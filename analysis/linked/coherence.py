"""Do forecasts of linked markets fit together, and what would making them fit gain?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats, probabilities
from coordeval.analysis.base.events import mean_of, summary
from coordeval.analysis.base.frames import validated
from coordeval.analysis.base.grid import PRICE
from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.base.resampling import AMOUNT, APART, UNIT, Resamples
from coordeval.analysis.base.scipy_parts import optimize
from coordeval.analysis.linked.links import checked

MEASURES: Final = ("violated", "excess", "gain")
_BOUNDS: Final = {"violated": UNIT, "excess": AMOUNT, "gain": APART}
_TABLE: Final[dict[str, Any]] = {
    **dict.fromkeys(("configuration", "kind", "measure"), pl.String),
    **dict.fromkeys(("estimate", "low", "high"), pl.Float64),
    **dict.fromkeys(("n_links", "n_markets", "n_events"), pl.Int64),
    "reason": pl.String,
}
_DETAILS: Final[dict[str, Any]] = {
    **dict.fromkeys(("configuration", "link_id", "event_id", "kind"), pl.String),
    **{"replicate": pl.Int64, "n_markets": pl.Int64},
    **dict.fromkeys(("excess", "gain"), pl.Float64),
    **{"forecasts": pl.List(pl.Float64), "projected": pl.List(pl.Float64), "reason": pl.String},
}
_LINKS: Final[dict[str, Any]] = {
    **dict.fromkeys(("link_id", "event_id", "kind", "rule"), pl.String),
    **{"n_markets": pl.Int64, "used": pl.Boolean, "reason": pl.String},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Coherence:
    """Every configuration, and the market price, on the linked markets that it has a forecast of."""

    table: pl.DataFrame
    """configuration, kind, measure (MEASURES), estimate, low, high, n_links, n_markets, n_events, reason (of every null).

    `violated`: share of links that are broken by more than `tolerance`. `excess`: mean over links of what is too much: of an
    exclusive link max(0, Σp − 1), |Σp − 1| where it is exhaustive and whole; of a ladder the mean over neighbours of
    max(0, p_k − p_{k+1}). `gain`: Brier − Brier of the projected forecasts, mean over the linked markets.
    """
    details: pl.DataFrame
    """configuration, link_id, event_id, kind, replicate, n_markets, excess, gain, forecasts, projected, reason.

    One row per link, configuration and replicate, `forecasts` by the order of the link. `gain` is the sum over its markets.
    """
    links: pl.DataFrame
    """link_id, event_id, kind, rule, n_markets, used, reason: which links were measured, and why the others were not."""
    tolerance: float
    within: timedelta
    n: int
    seed: int
    level: float


@asked
def coherence(
    frame: pl.DataFrame,
    links: pl.DataFrame,
    *,
    within: timedelta = timedelta(hours=1),
    tolerance: float = 0.0,
    n: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
) -> Coherence:
    """Measures `links` (`analysis.linked.links`) on `frame`: the columns of `analysis.SCHEMA` and `as_of`.

    Forecasts of one moment have to fit, so a link is used where the as-of times of its markets are no more than `within`
    apart. It is not used where outcomes contradict it: then the link is wrong, or a resolution. Where some of its markets
    have no forecast, it is measured on the others, two at least; replicates of a link share its weight of 1.

    The projection is the nearest point, in Euclidean distance, at which no constraint is broken: isotonic regression of a
    ladder, exclusive legs moved onto a sum of 1. Outcomes are such a point, so on each link the gain is no less than the
    squared distance that the forecasts are moved (de Finetti 1974; Predd et al. 2009). Intervals: resamples of events.

    Raises:
        AnalysisError: a frame breaks its rules, there is no as_of, or an option is out of its range.

    >>> import polars as pl
    >>> from coordeval.analysis import SCHEMA, coherence
    >>> frame = pl.DataFrame({"market_id": ["by May", "by June"], "probability": [0.5, 0.3], "outcome": [0, 1]})
    >>> frame = frame.with_columns(configuration=pl.lit("a"), event_id=pl.lit("launch"), replicate=0, simulated=True)
    >>> frame = frame.with_columns(status=pl.lit("answered"), as_of=pl.datetime(2026, 4, 1, time_zone="UTC"))
    >>> frame = frame.with_columns(pl.lit(None).alias(name) for name in SCHEMA if name not in frame.columns)
    >>> links = pl.DataFrame({"market_id": ["by May", "by June"], "order": [0, 1]})
    >>> links = links.with_columns(link_id=pl.lit("l"), event_id=pl.lit("launch"), kind=pl.lit("ladder"))
    >>> found = coherence(frame, links.with_columns(exhaustive=False, rule=pl.lit("mine")))
    >>> found.details.select("excess", "forecasts", "projected", pl.col("gain").round(2)).rows()
    [(0.2, [0.5, 0.3], [0.4, 0.4], 0.22)]
    """
    if not 0 <= tolerance < 1:
        raise AnalysisError(f"tolerance is {tolerance!r}: it must be a probability in [0, 1), such as 0.01")
    if "as_of" not in frame.columns:
        raise AnalysisError(
            "the frame lacks as_of, the time that a forecast is made for; the ledger's forecast_frame has it"
        )
    cells = validated(frame)
    markets = _markets(frame, cells)
    said = _said(cells)
    told: list[dict[str, Any]] = []
    details: list[dict[str, Any]] = []
    for (link_id,), part in checked(links).group_by("link_id", maintain_order=True):
        ids = part["market_id"].to_list()
        head = part.row(0, named=True)
        base = {"link_id": link_id, "event_id": head["event_id"], "kind": head["kind"]}
        reason = _unusable(ids, markets, head["kind"], exhaustive=head["exhaustive"], within=within)
        told.append({**base, "rule": head["rule"], "n_markets": len(ids), "used": reason is None, "reason": reason})
        if reason is None:
            y = [markets[market]["outcome"] for market in ids]
            details += [base | row for row in _measured(ids, said, y, head["kind"], exhaustive=head["exhaustive"])]
    return Coherence(
        table=_summarised(
            details, sorted(said, key=lambda name: (name == PRICE, name)), tolerance, n=n, seed=seed, level=level
        ),
        details=pl.DataFrame(details, schema=_DETAILS).sort("configuration", "link_id", "replicate"),
        links=pl.DataFrame(told, schema=_LINKS),
        tolerance=tolerance,
        within=within,
        n=n,
        seed=seed,
        level=level,
    )


@asked
def project_ladder(p: ArrayLike) -> Floats:
    """The nondecreasing probabilities nearest to `p`, (rungs,). Pool adjacent violators.

    >>> from coordeval.analysis import project_ladder
    >>> project_ladder([0.2, 0.5, 0.3]).tolist()
    [0.2, 0.4, 0.4]
    """
    return np.asarray(optimize.isotonic_regression(probabilities(p)).x, np.float64)


@asked
def project_exclusive(p: ArrayLike, *, exhaustive: bool = False) -> Floats:
    """The probabilities nearest to `p`, (legs,), that add up to at most 1, or to 1 where `exhaustive`.

    All legs move by one amount, and none below 0. Source: Held, Wolfe & Crowder (1974).

    >>> from coordeval.analysis import project_exclusive
    >>> project_exclusive([0.75, 0.5, 0.0]).tolist(), project_exclusive([0.25, 0.25], exhaustive=True).tolist()
    ([0.625, 0.375, 0.0], [0.5, 0.5])
    """
    p = probabilities(p)
    if p.sum() <= 1 + SAME and not (exhaustive and p.sum() < 1 - SAME):
        return p
    falling = np.sort(p)[::-1]
    shift = (np.cumsum(falling) - 1) / np.arange(1, p.size + 1)
    return np.asarray(np.maximum(p - shift[np.flatnonzero(falling > shift)[-1]], 0), np.float64)


def _markets(frame: pl.DataFrame, cells: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Market -> its outcome and the earliest and latest time that it was forecast for."""
    times = frame.group_by("market_id").agg(first=pl.col("as_of").min(), last=pl.col("as_of").max())
    facts = cells.select("market_id", "outcome").unique().join(times, on="market_id")
    return {row["market_id"]: row for row in facts.to_dicts()}


def _said(cells: pl.DataFrame) -> dict[str, dict[int, dict[str, float]]]:
    """Configuration -> replicate -> market -> probability; the market price as if it were a configuration."""
    if PRICE in cells["configuration"]:
        raise AnalysisError(f"a configuration is called {PRICE!r}: that is the reference row; name it otherwise")
    found: dict[str, dict[int, dict[str, float]]] = {}
    for name, replicate, market, p in cells.select("configuration", "replicate", "market_id", "probability").iter_rows():
        mine = found.setdefault(name, {}).setdefault(replicate, {})
        if p is not None:
            mine[market] = p
    prices = dict(cells.select("market_id", "market_price").drop_nulls().unique().iter_rows())
    return found | ({PRICE: {0: prices}} if prices else {})


def _unusable(
    ids: Sequence[str], markets: dict[str, dict[str, Any]], kind: str, *, exhaustive: bool, within: timedelta
) -> str | None:
    """Why a link cannot be measured."""
    if absent := [market for market in ids if market not in markets]:
        return f"the frame has no market {absent[0]}"
    rows = [markets[market] for market in ids]
    if unknown := [row["market_id"] for row in rows if row["first"] is None]:
        return f"the as-of time of market {unknown[0]} is not known"
    apart = max(row["last"] for row in rows) - min(row["first"] for row in rows)
    if apart > within:
        return f"its markets were forecast for times that are {apart} apart, {within} is allowed"
    known = [row["outcome"] for row in rows if row["outcome"] is not None]
    if kind == "ladder":
        broken = known != sorted(known)
        return "outcomes contradict it: a lower rung resolved YES and a higher one NO" if broken else None
    broken = sum(known) > 1 or (exhaustive and len(known) == len(rows) and not sum(known))
    return f"outcomes contradict it: {sum(known)} of its markets resolved YES" if broken else None


def _measured(
    ids: Sequence[str],
    said: dict[str, dict[int, dict[str, float]]],
    outcomes: Sequence[int | None],
    kind: str,
    *,
    exhaustive: bool,
) -> list[dict[str, Any]]:
    rows = []
    for name, replicates in said.items():
        for replicate, mine in replicates.items():
            there = [k for k, market in enumerate(ids) if market in mine]
            if len(there) < 2:
                continue
            p, y = np.array([mine[ids[k]] for k in there]), [outcomes[k] for k in there]
            whole = exhaustive and len(there) == len(ids)
            if kind == "ladder":
                excess, q = float(np.mean(np.maximum(0, p[:-1] - p[1:]))), project_ladder(p)
            else:
                over = float(p.sum() - 1)
                excess, q = abs(over) if whole else max(0.0, over), project_exclusive(p, exhaustive=whole)
            row: dict[str, Any] = {"configuration": name, "replicate": replicate, "n_markets": p.size}
            row |= {"excess": excess if excess > SAME else 0.0, "forecasts": p.tolist(), "projected": q.tolist()}
            known = np.array([np.nan if value is None else value for value in y], np.float64)
            if np.isnan(known).any():
                rows.append(row | {"gain": None, "reason": "gain: one of its markets is not resolved"})
            else:
                rows.append(row | {"gain": float(np.sum((p - known) ** 2 - (q - known) ** 2)), "reason": None})
    return rows


def _summarised(
    details: list[dict[str, Any]], names: Sequence[str], tolerance: float, *, n: int, seed: int, level: float
) -> pl.DataFrame:
    rows: list[dict[str, Any]] = []
    for name in names:
        for kind in ("exclusive", "ladder"):
            mine = [row for row in details if row["configuration"] == name and row["kind"] == kind]
            replicates: dict[str, int] = {}
            for row in mine:
                replicates[row["link_id"]] = replicates.get(row["link_id"], 0) + 1
            for measure in MEASURES:
                head: dict[str, Any] = {"configuration": name, "kind": kind, "measure": measure}
                used = [row for row in mine if measure != "gain" or row["gain"] is not None]
                links = {row["link_id"]: row["n_markets"] for row in used}
                events, event = np.unique([row["event_id"] for row in used], return_inverse=True)
                head |= {"n_links": len(links), "n_markets": sum(links.values()), "n_events": events.size}
                if not used:
                    why = "no link has two of its forecasts" if not mine else "no link is resolved"
                    rows.append(head | {"reason": why})
                    continue
                weight = np.array([1 / replicates[row["link_id"]] for row in used])
                columns = np.array([_column(row, measure, tolerance) for row in used]) * weight[:, None]
                resamples = Resamples(events=events.size, n=n, seed=seed)
                rows.append(
                    head
                    | summary(
                        columns, event.astype(np.int64), mean_of, resamples=resamples, level=level, bounds=_BOUNDS[measure]
                    )
                )
    return pl.DataFrame([{column: row.get(column) for column in _TABLE} for row in rows], schema=_TABLE)


def _column(row: dict[str, Any], measure: str, tolerance: float) -> tuple[float, float]:
    """Weight and weighted value."""
    if measure == "gain":
        return float(row["n_markets"]), row["gain"]
    return 1.0, float(row["excess"] > tolerance + SAME) if measure == "violated" else row["excess"]
