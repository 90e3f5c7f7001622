"""Sums and means over events: what every measure with events that resolve together is computed from."""

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from coordeval.analysis.base.checks import Floats, Ints
from coordeval.analysis.base.few import FEW, thin
from coordeval.analysis.base.numerals import SAME, counted
from coordeval.analysis.base.resampling import FREE, PLAIN, UNIT, Bounds, Draws, Method, Resamples, interval, measured, ratio

EPSILON: Final = 1e-3
"""Probabilities are held in [ε, 1 − ε] before their logit is taken."""


def logit(p: ArrayLike, *, epsilon: float = EPSILON) -> Floats:
    """ln(p/(1 − p)), with p held in [epsilon, 1 − epsilon]; NaN stays NaN.

    >>> from coordeval.analysis.base.events import logit
    >>> logit([0.5, 0.9, 1.0]).round(3).tolist()
    [0.0, 2.197, 6.907]
    """
    held = np.clip(np.asarray(p, np.float64), epsilon, 1 - epsilon)
    return np.asarray(np.log(held / (1 - held)), np.float64)


def event_sums(values: Floats, event: Ints) -> Floats:
    """Sums over the rows of each event: (rows, kinds) and positions 0..G − 1 in any order -> (G, kinds).

    >>> import numpy as np
    >>> from coordeval.analysis.base.events import event_sums
    >>> event_sums(np.array([[1, 0.2], [1, 0.3], [1, 0.5]]), np.array([1, 0, 1])).tolist()
    [[1.0, 0.3], [2.0, 0.7]]
    """
    size = int(event.max()) + 1
    return np.stack([np.bincount(event, column, minlength=size) for column in values.T], axis=1)


def mean_of(sums: Floats) -> Floats:
    """The measure Σ second column / Σ first column: a weighted mean, or a regression through 0.

    >>> import numpy as np
    >>> from coordeval.analysis.base.events import mean_of
    >>> mean_of(np.array([[4.0, 1.0], [0.0, 0.0]])).tolist()
    [[0.25], [nan]]
    """
    return ratio(sums[:, 1:2], sums[:, 0:1])


def clustered_error(d: Floats, event: Ints) -> tuple[float, float]:
    """(standard error, degrees of freedom) of the mean of `d`, (rows,), whose events count as one observation each.

    With N rows, n_g of them and the sum D_g of d − d̄ in event g: SE² = Σ D_g²/(1 − n_g/N)/N² (CR2; with G events of one size
    G/(G − 1) Σ D_g²/N²), and df = N²/(Σ n_g² + ((Σ u_g)² − Σ u_g²)/N²), u_g = n_g²/(1 − n_g/N): G − 1 with events of one
    size, and less where few large ones carry the mean. (0, 0) of fewer than two events.

    Sources: Bell & McCaffrey (2002); Pustejovsky & Tipton (2018).

    >>> import numpy as np
    >>> from coordeval.analysis.base.events import clustered_error
    >>> d, event = np.array([0.1, 0.3, 0.2, 0.6, 0.0, 0.1]), np.array([0, 0, 1, 1, 1, 1])
    >>> [round(x, 4) for x in clustered_error(d, np.arange(6))], round(clustered_error(d, event)[1], 2)
    ([0.0872, 5.0], 1.0)
    """
    place = np.unique(event, return_inverse=True)[1]
    size = np.bincount(place).astype(np.float64)
    if size.size < 2:
        return 0.0, 0.0
    rest = 1 - size / d.size
    sums = np.bincount(place, d - d.mean()) / d.size
    u = size**2 / rest
    apart = (float(u.sum()) ** 2 - float(u @ u)) / d.size**2
    return float(np.sqrt(np.sum(sums**2 / rest))), float(d.size**2 / (size @ size + apart))


def summary(
    columns: Floats,
    event: Ints,
    of: Any,
    *,
    resamples: Resamples,
    level: float,
    reason: str = "undefined here",
    method: Method = PLAIN,
    bounds: Bounds = FREE,
    outcome: Floats | None = None,
) -> dict[str, Any]:
    """estimate, low, high, reason of the measure `of` sums of `columns`, (rows, kinds); `reason` where it is undefined.

    A share (a mean, within `UNIT`, of what is or is not) has the interval of a share, also where it is none or all. There is
    no interval where the data cannot carry one: where three in four events say the same and fewer than `few.FEW` anything
    else, and of a score, whose `outcome` of each row is given, where the study is `few.thin`.

    >>> import numpy as np
    >>> from coordeval.analysis import Resamples
    >>> from coordeval.analysis.base.events import mean_of, summary
    >>> columns = np.stack([np.ones(20), np.linspace(0, 1, 20)], axis=1)
    >>> found = summary(columns, np.arange(20) // 2, mean_of, resamples=Resamples(events=10, n=500), level=0.95)
    >>> round(found["estimate"], 2), found["low"] < 0.5 < found["high"], found["reason"]
    (0.5, True, None)
    >>> rare = np.stack([np.ones(40), np.arange(40) == 7], axis=1)
    >>> how = {"resamples": Resamples(events=40, n=500), "level": 0.95}
    >>> found = summary(rare, np.arange(40), mean_of, bounds=(0.0, 1.0), **how)
    >>> [round(found[name], 3) for name in ("estimate", "low", "high")]
    [0.025, 0.001, 0.134]
    >>> summary(rare * [1.0, 0.3], np.arange(40), mean_of, **how)["reason"]
    'low, high: 39 of 40 events say 0: an interval needs 15 that say something else'
    """
    if of is mean_of and bounds == UNIT and method == PLAIN and _yes_or_no(columns):
        method = "share"
    drawn: Draws = measured(event_sums(columns, event)[:, :, None], of, resamples, left_out=True)
    estimate = float(drawn.estimate[0, 0])
    if np.isnan(estimate):
        return {"estimate": None, "low": None, "high": None, "reason": reason}
    few = thin(outcome, event) if outcome is not None else None
    if few is None and of is mean_of and method != "share":
        few = _alike(columns, event)
    if few is not None:
        return {"estimate": estimate, "low": None, "high": None, "reason": f"low, high: {few}"}
    found = interval(drawn, 0, 0, method=method, events=resamples.events, level=level, bounds=bounds)
    ends = {"low": found.low, "high": found.high, "reason": found.reason and f"low, high: {found.reason}"}
    return {"estimate": estimate, **ends}


def _yes_or_no(columns: Floats) -> bool:
    weight, total = columns.T
    return bool(np.all((np.abs(total) <= SAME) | (np.abs(total - weight) <= SAME)))


def _alike(columns: Floats, event: Ints) -> str | None:
    """Why the mean of what so few events say has no interval; None where they do not say it alike."""
    sums = event_sums(columns, event)
    values = np.round(ratio(sums[:, 1], sums[:, 0]), 12)
    said, times = np.unique(values[~np.isnan(values)], return_counts=True)
    most, events = int(times.max()), int(times.sum())
    if 4 * (events - most) >= events or not 0 < events - most < FEW:
        return None
    usual = f"{said[times.argmax()] + 0.0:.3g}"  # without the sign of -0
    return f"{most} of {counted(events, 'event')} say {usual}: an interval needs {FEW} that say something else"
