"""Resamples of events, drawn with replacement, and intervals from what was measured in each.

A measure is a function of sums over markets, so a resample is a row of weights, and all resamples are one matrix product.
Sources: Efron & Tibshirani (1993); Field & Welsh (2007) for clusters; Hesterberg (2015) for few of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats, Ints, at_least, chosen
from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.base.one_thread import one_thread
from coordeval.analysis.base.scipy_parts import special

Method = Literal[
    "percentile",
    "bca",
    "centred",
    "reflected",
    "student",
    "share",
    "percentile+student",
    "bca+student",
    "centred+student",
    "centred+reflected",
    "reflected+student",
    "centred+turned",
    "reflected+turned",
    "bca+student+turned",
    "centred+student+turned",
    "centred+reflected+turned",
]
PLAIN: Final[Method] = "bca+student"
"""For means and for ratios and slopes of means."""
Bounds = tuple[float, float]
"""The least and the greatest value that a quantity can have."""
FREE: Final[Bounds] = (-np.inf, np.inf)
UNIT: Final[Bounds] = (0.0, 1.0)
"""Of a share, a probability, a Brier score."""
APART: Final[Bounds] = (-1.0, 1.0)
"""Of a difference of two of these."""
AMOUNT: Final[Bounds] = (0.0, np.inf)
"""Of a cost, an area, a variance."""
Measure = Callable[[Floats], Floats]
"""Sums (rows, kinds, units) -> values (rows, measures, units), NaN where undefined; each unit on its own."""

_BLOCK = 65_000  # numbers that stay in the cache
_ROOM = 4_000_000  # numbers of a block for a side that is read again and again
_KEPT = 50_000_000  # counts that are kept for the next measure, one byte each
_TURNED: Final = 1.5  # events in a resample whose outcome is the other one
_UNDEFINED = 0.01  # share of the resamples in which a measure may be undefined


@dataclass(frozen=True, slots=True, kw_only=True)
class Resamples:
    """`n` samples of `events` events, drawn with replacement. The same three numbers give the same samples."""

    events: int
    n: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        at_least("events", self.events, 1)
        at_least("resamples", self.n, 2)

    def weights(self, *, rows: int = 1) -> Iterator[Floats]:
        """How often each event was drawn: blocks of shape (block, events), `n` rows in all, each adding up to `events`.

        A block is valid until the next one is asked for; it has `rows` rows or more if there is room, which changes the
        speed, not the draws.
        """
        known = self.n * self.events <= _KEPT
        kept = _kept(self) if known else None  # before the block, which would lie in its way
        step = self._step * (4 if known else 1)  # what is not drawn needs no room in the cache
        size = min(self.n, max(step, min(rows, _ROOM // self.events)))
        block = np.empty((size, self.events))
        if kept is not None:
            for done in range(0, self.n, size):
                part = kept[done : done + size]
                block[: len(part)] = part
                yield block[: len(part)]
            return
        drawn, done = self._drawn(), 0
        for counts in drawn:
            block[done : done + len(counts)] = counts
            done += len(counts)
            if done + self._step > size:
                yield block[:done]
                done = 0
        if done:
            yield block[:done]

    @property
    def _step(self) -> int:
        return max(1, _BLOCK // self.events)

    def _drawn(self) -> Iterator[Ints]:
        """The same counts, in blocks of `_step` rows: this alone decides what a seed gives."""
        rng = np.random.default_rng(self.seed)
        for start in range(0, self.n, self._step):
            shape = (min(self._step, self.n - start), self.events)
            places = rng.integers(0, self.events, shape)
            places += self.events * np.arange(shape[0])[:, None]
            yield np.bincount(places.ravel(), minlength=places.size).reshape(shape)


@lru_cache(maxsize=3)
def _kept(resamples: Resamples) -> npt.NDArray[np.uint8]:
    """All counts, (n, events): many measures of a study ask for the same. That a count is above 255 has P < 10⁻⁵⁰⁰."""
    counts = np.empty((resamples.n, resamples.events), np.uint8)
    done = 0
    for block in resamples._drawn():
        counts[done : done + len(block)] = block
        done += len(block)
    return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """Measures of the sample, of every resample, and of the sample without each event in turn; NaN where undefined."""

    estimate: Floats
    """(measures, units)"""
    resampled: Floats
    """(n, measures, units)"""
    left_out: Floats | None
    """(events, measures, units); None where it was not asked for."""
    turned: Floats | None = None
    """(events, measures, units): with the outcomes of each event turned over; None where it was not asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An interval, or the reason why there is none; never one without width."""

    low: float | None
    high: float | None
    sd: float | None
    """Standard deviation over the resamples."""
    reason: str | None


def measured(
    columns: Floats, measure: Measure, resamples: Resamples, *, left_out: bool = False, turned: Floats | None = None
) -> Draws:
    """`measure` of sums of `columns`, (events, kinds, units): of the sample, of resamples, if asked without each event.

    NaN where the measure is undefined. `left_out` is what the method `bca` of `interval` needs; `turned`, what `columns`
    would be if every outcome was the other one, what the method `turned` needs.

    >>> import numpy as np
    >>> from coordeval.analysis import Resamples, measured, ratio
    >>> columns = np.array([[2, 0.3], [1, 0.2], [1, 0.1]])[:, :, None]  # of three events: markets, sum of squared errors
    >>> drawn = measured(columns, lambda sums: ratio(sums[:, 1:], sums[:, :1]), Resamples(events=3, n=500))
    >>> drawn.estimate.round(4).tolist(), drawn.resampled.shape
    ([[0.15]], (500, 1, 1))
    """
    events, *shape = columns.shape
    flat = np.ascontiguousarray(columns).reshape(events, -1)
    total = flat.sum(axis=0)

    def of(sums: Floats) -> Floats:
        return measure(sums.reshape(-1, *shape))

    width = flat.shape[1]
    rows = max(1, _BLOCK // width)
    blocks = resamples.weights(rows=max(16, width // 4))  # fewer rows, and reading the right side again takes longest
    with one_thread():
        resampled = np.concatenate([of(weights @ flat) for weights in blocks])
    return Draws(
        estimate=of(total)[0],
        resampled=resampled,
        left_out=np.concatenate([of(total - flat[i : i + rows]) for i in range(0, events, rows)]) if left_out else None,
        turned=None if turned is None else _each_turned(of, total, flat, turned.reshape(events, -1), rows),
    )


def _each_turned(of: Callable[[Floats], Floats], total: Floats, flat: Floats, other: Floats, rows: int) -> Floats:
    parts = (slice(i, i + rows) for i in range(0, len(flat), rows))
    return np.concatenate([of(total - flat[part] + other[part]) for part in parts])


@asked
def interval(
    drawn: Draws,
    measure: int,
    unit: int,
    *,
    method: Method,
    events: int,
    level: float = 0.95,
    bounds: Bounds = FREE,
) -> Interval:
    """The interval of one measure of one unit, which cannot lie outside `bounds`, so neither does the interval.

    - `percentile`: quantiles of the resamples.
    - `bca`: quantiles corrected for bias and skewness; needs `left_out`. Source: Efron (1987).
    - `centred`: quantiles moved by the bias b = mean of the resamples − estimate, so that they lie around the estimate.
    - `reflected`: 2 · estimate − quantiles, and on the side that the bias points away from 2|b| further, because the
      resamples of an isotonic regression show less than half of its bias.
    - `student`: estimate ± t · the standard error of leaving out each event, at its `freedom`; needs `left_out`.
      Source: Tukey (1958).
    - `share`: of a share in [0, 1], also of none or all: that of Clopper & Pearson (1934) for as many independent events as
      give its jackknife standard error; needs `left_out`. Source: Korn & Graubard (1998).
    - `turned`: as `centred`, of resamples into which events with the other outcome come, 1.5 of them on average, each any
      of the sample's, to first order: what has not happened yet is among what may happen, as in the intervals of Agresti &
      Coull (1998) and Clopper & Pearson (1934). Left away where `turned` was not measured.
    - some of them with a plus: from the lower of the low ends to the higher of the high ones. Resamples repeat events, which
      makes the quantiles of a small sample too narrow; the symmetric interval misses the longer tail of a skewed one.

    The tails are Φ(−t √(G/(G − 1))) with Student's t at G − 1 degrees of freedom in place of (1 − level)/2, so that few
    events, G, are not overconfident (Hesterberg 2015); of n resamples the (n + 1)·q-th is the quantile (Davison & Hinkley
    1997). None where fewer events than 1 + log₂ 1/(1 − level) could not exclude anything, where the measure is undefined in
    more than 1% of the resamples, and where it never changes.
    Raises AnalysisError unless 0 < level < 1, for an unknown method, and where `left_out` is needed and missing.

    >>> import numpy as np
    >>> from coordeval.analysis import Resamples, interval, measured, ratio
    >>> columns = np.stack([np.ones(20), np.linspace(0, 1, 20) ** 2], axis=1)[:, :, None]
    >>> drawn = measured(columns, lambda sums: ratio(sums[:, 1:], sums[:, :1]), Resamples(events=20, n=500))
    >>> found = interval(drawn, 0, 0, method="percentile", events=20)
    >>> round(found.low, 2), round(found.high, 2)
    (0.21, 0.5)
    >>> interval(drawn, 0, 0, method="percentile", events=5).reason
    '5 events: an interval needs 6'
    """
    if not 0 < level < 1:
        raise AnalysisError(f"level is {level!r}: it must lie strictly between 0 and 1, such as 0.95 for 95%")
    chosen("method", method, get_args(Method))
    estimate, draws = float(drawn.estimate[measure, unit]), drawn.resampled[:, measure, unit]
    if np.isnan(estimate):
        return no_interval("undefined for these forecasts")
    if too_few := scarce(events, level):
        return no_interval(too_few)
    if (undefined := float(np.mean(np.isnan(draws)))) > _UNDEFINED:
        return no_interval(f"undefined in {undefined:.0%} of the resamples")
    draws = draws[~np.isnan(draws)]
    if method == "share" and drawn.left_out is not None:
        bounds = _share(estimate, standard_error(drawn.left_out[:, measure, unit]), events=events, level=level)
        return Interval(low=bounds[0], high=bounds[1], sd=float(draws.std(ddof=1)), reason=None)
    if np.ptp(draws) <= SAME:
        return no_interval("the same in every resample")
    if needs_left_out(method) and drawn.left_out is None:
        raise AnalysisError(f"{method} needs the estimate without each event: measure with left_out=True")
    left_out = None if drawn.left_out is None else drawn.left_out[:, measure, unit]
    parts = [part for part in method.split("+") if part != "turned"]
    ends = [_ends(part, estimate, draws, left_out, events=events, level=level) for part in parts]
    if "turned" in method and drawn.turned is not None:
        shift = _turns(drawn.turned[:, measure, unit] - estimate, draws.size)
        ends.append(_ends("centred", estimate, draws, left_out, events=events, level=level, shift=shift))
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    found = Interval(low=float(low), high=float(high), sd=float(draws.std(ddof=1)), reason=None)
    return bounded(found, estimate, bounds)


def bounded(found: Interval, estimate: float, bounds: Bounds) -> Interval:
    """The part of an interval that lies within `bounds`, widened to hold the estimate where that does."""
    if found.low is None or found.high is None:
        return found
    inside = min(max(estimate, bounds[0]), bounds[1])
    low, high = min(max(found.low, bounds[0]), inside), max(min(found.high, bounds[1]), inside)
    return replace(found, low=low, high=high) if high - low > SAME else no_interval(f"it lies at its bound, {inside:g}")


def scarce(events: int, level: float) -> str | None:
    """Why so few events have no interval; None where they have one."""
    fewest = int(np.ceil(1 - np.log2(1 - level)))
    return f"{events} event{'s' * (events > 1)}: an interval needs {fewest}" if events < fewest else None


def tails(events: int, level: float) -> Floats:
    """The shares of the resamples below the two ends of a quantile interval of two events or more: see `interval`."""
    tail = special.ndtr(special.stdtrit(events - 1, (1 - level) / 2) * np.sqrt(events / (events - 1)))
    return np.array([tail, 1 - tail])


def needs_left_out(method: Method) -> bool:
    """Whether the interval rests on the estimate without each event."""
    return not {"bca", "student", "share"}.isdisjoint(method.split("+"))


def standard_error(left_out: Floats) -> float:
    """√((G − 1)/G Σ (θ₍₋g₎ − their mean)²) of the estimates without each of G events; those that are NaN do not count."""
    known = left_out[~np.isnan(left_out)]
    return float(np.sqrt((known.size - 1) / max(known.size, 1) * np.sum((known - known.mean()) ** 2))) if known.size else 0.0


def freedom(left_out: Floats, *, events: int) -> float:
    """Degrees of freedom of that standard error: 2G/(κ − 1), at most `events` − 1, at least 1; κ their kurtosis.

    A variance that few of the G events carry is known less well than G − 1 says. An event without data for the measure
    counts among them, which widens an interval a little. Source: Satterthwaite (1946).
    """
    apart = left_out[~np.isnan(left_out)] - np.nanmean(left_out)
    excess = apart.size * np.sum(apart**4) - np.sum(apart**2) ** 2  # (κ − 1) (Σ a²)²
    known = 2 * apart.size * np.sum(apart**2) ** 2 / excess if excess > 0 else np.inf
    return float(max(1.0, min(events - 1, known)))


def _ends(
    method: str,
    estimate: float,
    draws: Floats,
    left_out: Floats | None,
    *,
    events: int,
    level: float,
    shift: Floats | None = None,
) -> tuple[float, float]:
    """Both ends, by one method that is no combination; `shift` moves each draw, and not their bias."""
    if method == "student" and left_out is not None:
        reach = float(special.stdtrit(freedom(left_out, events=events), (1 + level) / 2)) * standard_error(left_out)
        return estimate - reach, estimate + reach
    cut = tails(events, level)
    if method == "bca" and left_out is not None:
        cut = _accelerated(cut, estimate, draws, left_out)
    low, high = np.quantile(draws if shift is None else draws + shift, cut, method="weibull")
    bias = draws.mean() - estimate
    if method == "centred":
        low, high = low - bias, high - bias
    if method == "reflected":
        low, high = 2 * estimate - high - 2 * max(bias, 0), 2 * estimate - low - 2 * min(bias, 0)
    return float(low), float(high)


def _turns(apart: Floats, n: int) -> Floats:
    """What the events that were turned over add to each of `n` resamples; `apart`: what each event would, NaN: nothing."""
    known = apart[~np.isnan(apart)]
    if not known.size:
        return np.zeros(n)
    rows, which = _turned_events(n, known.size)
    return np.asarray(np.bincount(rows, known[which], minlength=n), np.float64)


@lru_cache(maxsize=8)
def _turned_events(n: int, events: int) -> tuple[Ints, Ints]:
    """The resample and the event of each that is turned over: the same for every measure."""
    rng = np.random.default_rng([n, events])
    rows = np.repeat(np.arange(n), rng.poisson(_TURNED, n))
    return rows, rng.integers(0, events, rows.size)


def _share(share: float, error: float, *, events: int, level: float) -> tuple[float, float]:
    """n = s(1 − s)/error² (the events where that is 0), times (t_{n−1}/t_{G−1})² for few events; s n successes in n."""
    tail = (1 - level) / 2
    n = share * (1 - share) / error**2 if error > SAME and 0 < share < 1 else float(events)
    n *= float((special.stdtrit(max(n - 1, 1), tail) / special.stdtrit(events - 1, tail)) ** 2)
    hits, rest = share * n, (1 - share) * n
    low = float(special.betaincinv(hits, rest + 1, tail)) if hits > 0 else 0.0
    return low, float(special.betaincinv(hits + 1, rest, 1 - tail)) if rest > 0 else 1.0


def ratio(a: Floats, b: Floats | Ints) -> Floats:
    """a / b; NaN where b is not positive.

    >>> import numpy as np
    >>> from coordeval.analysis import ratio
    >>> ratio(np.array([1.0, 1.0]), np.array([4.0, 0.0])).tolist()
    [0.25, nan]
    """
    shape = np.broadcast_shapes(a.shape, b.shape)
    return np.asarray(np.divide(a, b, out=np.full(shape, np.nan), where=b > 0), np.float64)


def no_interval(reason: str) -> Interval:
    """None, and why."""
    return Interval(low=None, high=None, sd=None, reason=reason)


def bias_and_acceleration(estimate: float, draws: Floats, left_out: Floats) -> tuple[float, float]:
    """z₀ and a of Efron (1987): the median bias of the draws in normal deviates, and a sixth of the jackknife's skewness."""
    tied = np.abs(draws - estimate) <= SAME  # sums in another order
    below = np.mean(~tied & (draws < estimate)) + tied.mean() / 2
    start = float(special.ndtri(np.clip(below, 1 / draws.size, 1 - 1 / draws.size)))
    apart = np.nanmean(left_out) - left_out[~np.isnan(left_out)]
    spread = np.sum(apart**2) ** 1.5
    return start, float(np.sum(apart**3) / (6 * spread)) if spread > 0 else 0.0


def _accelerated(tails: Floats, estimate: float, draws: Floats, left_out: Floats) -> Floats:
    """Φ(z₀ + (z₀ + z)/(1 − a(z₀ + z))) for the tails Φ(z) and 1 − Φ(z)."""
    start, acceleration = bias_and_acceleration(estimate, draws, left_out)
    z = start + special.ndtri(tails[0]) * np.array([1, -1])
    return np.asarray(special.ndtr(start + z / np.maximum(1 - acceleration * z, SAME)))
