"""Simulated years of a monitored study: is it silent while nothing changes, and how long does it take to see what does?

Rows are drawn directly, without agents, so that twenty years take seconds. What is drawn is what a study of 20 forecasts a
day and configuration looks like: shares of a few percent, whole numbers of asks, log-normal latencies and prices.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final, Literal

import numpy as np
import polars as pl

from coordeval.analysis.base.checks import Floats
from coordeval.analysis.monitor import RECORD, SIGNALS, Alarm, Signal, monitor

Shape = Literal["steady", "weekly", "sticky", "uneven"]
SHAPES: Final[dict[Shape, str]] = {
    "steady": "days that differ by chance alone: what the guarantee is for",
    "uneven": "1 to 40 forecasts a day, at random",
    "weekly": "Saturdays and Sundays 10% higher",
    "sticky": "days that resemble the day before (correlation 0.3)",
}
DAYS: Final = 365
PER_DAY: Final = 20
CONFIGURATIONS: Final = ("alpha", "beta", "gamma", "delta", "epsilon")
CHANGED_ON: Final = 120
SHIFT: Final = 0.2
_SHARES: Final = {"failed": "failed", "failed_asks": "asks", "corrections": "asks", "retries": "calls",
                  "other_model": "calls", "empty_results": "tool_calls"}  # fmt: skip
"""Counts that are a share of another one."""
_RATES: Final = {
    "failed": 0.02,
    "failed_asks": 0.01,
    "corrections": 0.03,
    "retries": 0.02,
    "other_model": 0.0,
    "empty_results": 0.1,
}


@dataclass(frozen=True, slots=True)
class Planted:
    """From CHANGED_ON this signal is 20% higher; if it is a share, 20% of the cases that were well are not."""

    configuration: str
    signal: Signal


def year(
    rng: np.random.Generator, planted: Sequence[Planted] = (), *, shape: Shape = "steady", days: int = DAYS
) -> pl.DataFrame:
    """A record of `days` days of all CONFIGURATIONS."""
    changed = {plant.configuration: plant.signal for plant in planted}
    return pl.concat(_one(rng, name, changed.get(name), shape, days) for name in CONFIGURATIONS)


def _one(rng: np.random.Generator, name: str, changed: Signal | None, shape: Shape, days: int) -> pl.DataFrame:
    each = rng.integers(1, 2 * PER_DAY + 1, days) if shape == "uneven" else np.full(days, PER_DAY)
    day = np.repeat(np.arange(days), each)
    n = day.size
    level = _levels(rng, shape, days)[day]
    late = day >= CHANGED_ON
    top = None if changed is None else changed.top

    def grown(column: str) -> Floats:
        return level * np.where(late & (top == column), 1 + SHIFT, 1.0)

    def near(mean: float, sd: float, column: str) -> Floats:
        return np.asarray(mean * np.exp(sd * rng.normal(size=n) - sd * sd / 2) * grown(column), np.float64)

    def whole(values: Sequence[int], p: Sequence[float], column: str) -> Floats:
        drawn = rng.choice(values, n, p=p) * grown(column)
        return np.asarray(np.floor(drawn + rng.random(n)), np.float64)  # rounded up or down at random, right on average

    asks = whole((6, 7, 9), (0.8, 0.15, 0.05), "asks")
    calls = asks * 2.0
    tool_calls = rng.poisson(1.5 * asks * grown("tool_calls")).astype(np.float64)
    counts = {"asks": asks, "calls": calls, "tool_calls": tool_calls}
    columns: dict[str, Any] = {"configuration": np.full(n, name), "period": day, "outcome_period": day, **counts}
    for column, of in _SHARES.items():
        rate = np.minimum(1.0, _RATES[column] * level)
        rate = np.where(late & (top == column), rate + SHIFT * (1 - rate), rate)
        columns[column] = rng.binomial(counts.get(of, np.ones(n)).astype(np.int64), rate).astype(np.float64)
    apart = near(0.2, 0.5, "")
    wrong = rng.beta(0.6, 3.4, n)
    columns |= {
        "estimates": asks, "statements": asks, "apart": apart,
        "boldness": asks * near(0.25, 0.4, "boldness"), "length": asks * near(400, 0.3, "length"),
        "call_tokens": near(300, 0.3, "call_tokens"), "call_ms": near(4000, 0.5, "call_ms"),
        "rounds": whole((2, 3, 4), (0.6, 0.3, 0.1), "rounds"),
        "opening_spread": near(0.15, 0.6, "opening_spread"), "spread": near(0.1, 0.6, "spread"),
        "moved": apart * (0.4 * grown("moved") + 0.25 * rng.normal(size=n)), "from_price": near(0.08, 0.8, "from_price"),
        "tokens": near(9000, 0.4, "tokens"), "ms": near(30_000, 0.5, "ms"), "micro_usd": near(90_000, 0.4, "micro_usd"),
        "brier": wrong * grown("brier"),
        "excess": rng.normal(0, 0.08, n) * level + np.where(late & (top == "excess"), SHIFT * 0.15, 0.0),
        "forecast_id": [f"{name}-{i}" for i in range(n)],
    }  # fmt: skip
    return pl.DataFrame({key: pl.Series(key, columns[key]).cast(kind) for key, kind in RECORD.items()})


def _levels(rng: np.random.Generator, shape: Shape, days: int) -> Floats:
    """What each day multiplies: 3% of its own, and what the shape adds."""
    noise = 0.03 * rng.normal(size=days)
    if shape == "weekly":
        return np.asarray(np.where(np.arange(days) % 7 >= 5, 1.1, 1.0) * np.exp(noise), np.float64)
    if shape == "sticky":
        for day in range(1, days):
            noise[day] = 0.3 * noise[day - 1] + np.sqrt(1 - 0.09) * noise[day]
    return np.asarray(np.exp(noise), np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Years in which nothing changed."""

    shape: Shape
    years: int
    alarms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """Years in which one signal changed on day CHANGED_ON."""

    signal: Signal
    years: int
    found: int
    days: float | None
    """Median days from the change to the alarm, of all those years; None where fewer than half found it within the year."""
    slowest: int | None
    """Days of the slowest alarm that came."""
    others: int
    """Alarms of signals that had not changed."""


def silence(shape: Shape, *, years: int, seed: int) -> Silence:
    """How many alarms `years` years of this shape raise."""
    place = list(SHAPES).index(shape)
    alarms = sum(
        len(monitor(year(np.random.default_rng([seed, 0, place, k]), shape=shape), seed=k).alarms) for k in range(years)
    )
    return Silence(shape=shape, years=years, alarms=alarms)


def delays(*, years: int, seed: int, signals: Sequence[Signal] = SIGNALS) -> Iterator[Delay]:
    """Of each signal, `years` years in which it changed; several share a year, each in a configuration of its own."""
    groups = [signals[k : k + len(CONFIGURATIONS)] for k in range(0, len(signals), len(CONFIGURATIONS))]
    for number, group in enumerate(groups):
        planted = [Planted(name, signal) for name, signal in zip(CONFIGURATIONS, group, strict=False)]
        seen: list[tuple[Alarm, ...]] = []
        for k in range(years):
            seen.append(monitor(year(np.random.default_rng([seed, 1, number, k]), planted), seed=k).alarms)
        for plant in planted:
            yield _delay(plant, seen)


def _delay(plant: Planted, seen: Sequence[tuple[Alarm, ...]]) -> Delay:
    after: list[float] = []
    others = 0
    for alarms in seen:
        mine = [alarm for alarm in alarms if alarm.configuration == plant.configuration]
        hits = [
            alarm.raised - CHANGED_ON + 1
            for alarm in mine
            if alarm.signal == plant.signal.name and alarm.raised >= CHANGED_ON
        ]
        after.append(min(hits, default=np.inf))
        others += sum(alarm.signal != plant.signal.name or alarm.raised < CHANGED_ON for alarm in mine)
    came = [int(days) for days in after if np.isfinite(days)]
    middle = median(after)
    return Delay(
        signal=plant.signal, years=len(seen), found=len(came), days=middle if np.isfinite(middle) else None,
        slowest=max(came, default=None), others=others,
    )  # fmt: skip
