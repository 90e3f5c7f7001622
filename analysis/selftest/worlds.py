"""Worlds whose truth is known: frames of forecasts of correlated events by forecasters whose equations are stated.

For market i of event e(i), with z, v, w and ε standard normal, Φ the normal distribution function and σ the logistic one:

    x_i    = latent(0.8 z_e + 0.6 z_i)                         logit of the true probability
    y_i    = 1 if Φ(0.7 w_e + √0.51 w_i) < σ(x_i) else 0      so that P(y_i = 1 | x_i) = σ(x_i)
    p_ijr  = σ(slope_j x_i + kept_j (v_ej + v_ij)/√2 + own_j ε_ijr), to two decimals

Forecaster j errs by `kept` in the same way on every replicate r, and by `own` anew; the share `alike` of the variance of
v and ε is the same for all forecasters. The outcome of a market given its x does not depend on any forecast: truth is an
integral over x and v (`analysis.selftest.truth`). The latent logits, events and `alike`: `analysis.selftest.regimes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from scipy.special import expit, ndtr

from coordeval.analysis.base.checks import Floats, Ints
from coordeval.analysis.base.frames import SCHEMA, Policy, Scored
from coordeval.analysis.base.grid import PRICE as MARKET
from coordeval.analysis.base.grid import Grid
from coordeval.analysis.selftest.regimes import Regime

_EVENT, _OUTCOME = 0.8, 0.7  # loadings on what the markets of an event share


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecaster:
    """One configuration of a world. Noise in logits; cost in USD per cell, lognormal about it with `cost_sd` in logs."""

    name: str
    slope: float = 1.0
    kept: float = 0.0
    own: float = 0.0
    replicates: int = 1
    cost: float = 0.1
    cost_sd: float = 0.4


PRICE: Final = Forecaster(name="price", own=0.35)
"""The market price, in cents."""
FORECASTERS: Final = (
    Forecaster(name="calibrated", cost=0.30),
    Forecaster(name="noisy", kept=0.9, cost=0.12),
    Forecaster(name="overconfident", slope=1.7, kept=0.3, cost=0.20),
    Forecaster(name="timid", slope=0.4, kept=0.2, cost=0.08),
    Forecaster(name="single_agent", kept=0.3, own=0.7, replicates=2, cost=0.05),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Outcomes and forecasts of `markets` markets; rows of an event are neighbours, events are numbered from 0."""

    event: Ints
    """(markets,)"""
    latent: Floats
    y: Floats
    price: Floats
    forecasts: dict[str, Floats]
    """Name -> (markets, replicates)."""


def draw(
    markets: int,
    *,
    regime: Regime,
    forecasters: Sequence[Forecaster] = FORECASTERS,
    rng: np.random.Generator,
    alone: bool = False,
) -> World:
    """One world; the same generator state gives the same world. `alone`: every market is an event of its own."""
    event = np.arange(markets) if alone else regime.events_of(markets, rng)
    events = int(event[-1]) + 1
    shared, single = rng.standard_normal((2, events)), rng.standard_normal((2, markets))
    latent = regime.latent(_EVENT * shared[0][event] + np.sqrt(1 - _EVENT**2) * single[0])
    luck = _OUTCOME * shared[1][event] + np.sqrt(1 - _OUTCOME**2) * single[1]

    def noise(replicates: int) -> tuple[Floats, Floats]:
        kept = (rng.standard_normal(events)[event] + rng.standard_normal(markets)) / np.sqrt(2)
        return kept, rng.standard_normal((markets, replicates))

    most = max((who.replicates for who in (PRICE, *forecasters)), default=1)
    common = noise(most) if regime.alike else None

    def said(who: Forecaster) -> Floats:
        kept, own = noise(who.replicates)
        if common is not None:
            mine, theirs = np.sqrt(1 - regime.alike), np.sqrt(regime.alike)
            kept, own = mine * kept + theirs * common[0], mine * own + theirs * common[1][:, : who.replicates]
        return np.asarray(expit((who.slope * latent + who.kept * kept)[:, None] + who.own * own).round(2), np.float64)

    return World(
        event=event,
        latent=latent,
        y=(ndtr(luck) < expit(latent)).astype(np.float64),
        price=said(PRICE)[:, 0],
        forecasts={who.name: said(who) for who in forecasters},
    )


def frame(world: World, forecasters: Sequence[Forecaster] = FORECASTERS, *, rng: np.random.Generator) -> pl.DataFrame:
    """The world as a frame of forecasts, (`analysis.SCHEMA`), every cell answered, at simulated costs."""
    markets = world.y.size
    numbers = np.arange(markets).astype(str)
    parts = []
    for who in forecasters:
        p = world.forecasts[who.name]
        cost = who.cost * np.exp(who.cost_sd * rng.standard_normal(p.size) - who.cost_sd**2 / 2)
        columns: dict[str, Any] = {
            "configuration": pl.repeat(who.name, p.size, eager=True),
            "market_id": np.repeat(numbers, who.replicates),
            "event_id": np.repeat(world.event.astype(str), who.replicates),
            "replicate": np.tile(np.arange(who.replicates), markets),
            "probability": p.ravel(),
            "outcome": np.repeat(world.y.astype(np.int64), who.replicates),
            "market_price": np.repeat(world.price, who.replicates),
            "cost_usd": cost,
        }
        parts.append(pl.DataFrame(columns))
    constant = {"category": "simulated", "status": "answered", "model_calls": 1, "simulated": True}
    whole = pl.concat(parts).with_columns(**{name: pl.lit(value) for name, value in constant.items()})
    return whole.select(
        (pl.col(name) if name in whole.columns else pl.lit(None)).cast(kind).alias(name) for name, kind in SCHEMA.items()
    )


def as_grid(world: World, names: Sequence[str]) -> Grid:
    """The world as arrays, as `base.grid.grid` has them, without a frame between; each forecaster has as many replicates."""
    price = np.full_like(world.forecasts[names[0]], np.nan)
    price[:, 0] = world.price
    return Grid(
        configurations=(*names, MARKET),
        markets=tuple(map(str, range(world.y.size))),
        events=tuple(map(str, range(int(world.event[-1]) + 1))),
        replicates=tuple(range(price.shape[1])),
        event=world.event,
        y=world.y,
        p=np.stack([*(world.forecasts[name] for name in names), price], axis=1),
        price=world.price,
    )


def as_scored(cells: pl.DataFrame, policy: Policy = "common") -> Scored:
    """What `analysis.scored` makes of a frame in which nothing is missing, without checking it again."""
    kept = cells.with_columns(filled=pl.lit(False))
    return Scored(frame=kept, policy=policy, n_markets=kept["market_id"].n_unique(), left_out=pl.DataFrame())
