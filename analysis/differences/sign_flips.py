"""Is a difference more than the signs of events could make it? All signs, many random ones, or a fitted tail."""

from typing import Any, Final

import numpy as np

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats, at_least
from coordeval.analysis.base.numerals import SAME, without_rounding
from coordeval.analysis.base.one_thread import one_thread
from coordeval.analysis.base.scipy_parts import special

_BLOCK = 2_000_000  # random signs held at a time
_TIE = 1e-12  # rounding of a sum, relative to its largest term
_ALL: Final = 2**13
"""So many signs are always all tried."""
_COUNTED: Final = 10
"""With fewer random signs as far out than this, their share says little: the tail is fitted."""
_STEPS = 60
_SMALLEST = np.finfo(np.float64).tiny


@asked
def sign_flip(sums: Floats, *, n: int = 10_000, seed: int = 0) -> list[tuple[float, bool]]:
    """(p, exact) of each column of `sums`, (events, pairs): two-sided, that signs of events are arbitrary.

    `sums` are in Brier points; one that is no more than `base.numerals.SAME` is rounding and counts as 0. With G events
    that differ, p is the share of all 2^G signs whose |Σ ± sum| is no less than the one seen where 2^(G − 1) ≤ `n` or
    8,192; else (1 + #{…}) / (1 + n) over `n` random signs, the same for every pair, and where fewer than 10 of them are
    as far out, the saddlepoint approximation of that share: so p can be as small as a correction for many pairs needs
    it, however few signs were drawn. 1 where no event differs. Sources: Fisher (1935); Davison & Hinkley (1997) for the
    ones that are added; Lugannani & Rice (1980) and Daniels (1987) for the tail, Robinson (1982) for it in permutation
    tests.

    Raises:
        AnalysisError: `sums` is not (events, pairs) of finite numbers, or `n` is less than 1.

    >>> import numpy as np
    >>> from coordeval.analysis import sign_flip
    >>> sign_flip(np.array([[0.2], [0.1], [0.3], [-0.05], [0.0]]))  # 4 of the 16 signs are as far out
    [(0.25, True)]
    """
    at_least("n", n, 1)
    sums = np.asarray(sums, np.float64)
    if sums.ndim != 2:
        raise AnalysisError(f"sums has the shape {sums.shape}: give (events, pairs), one column for one pair")
    if (wrong := np.argwhere(~np.isfinite(sums))).size:
        event, pair = wrong[0]
        raise AnalysisError(f"sums[{event}, {pair}] is {sums[event, pair]}: it must be finite; leave an unknown event out")
    sums = without_rounding(sums)
    seen = np.abs(sums.sum(axis=0)) - _TIE * np.abs(sums).max(axis=0, initial=0)
    rng = np.random.default_rng(seed)
    events, pairs = sums.shape
    beyond = np.zeros(pairs)
    few = [np.flatnonzero(column) for column in sums.T]
    exact = [places.size <= np.log2(max(n, _ALL)) + 1 for places in few]
    rows = max(1, _BLOCK // max(1, events))
    for done in range(0, 0 if all(exact) else n, rows):
        shape = (min(rows, n - done), -(-events // 8))
        drawn = np.unpackbits(np.frombuffer(rng.bytes(shape[0] * shape[1]), np.uint8).reshape(shape), axis=1)
        with one_thread():
            flipped = 2 * (drawn[:, :events].astype(np.float64) @ sums) - sums.sum(axis=0)
        beyond += np.sum(np.abs(flipped) >= seen, axis=0)

    def one(k: int) -> tuple[float, bool]:
        own = sums[few[k], k]
        if not own.size:
            return 1.0, True
        if exact[k]:
            return _all_flips(own, float(seen[k])), True
        return (tail(own) if beyond[k] < _COUNTED else float((1 + beyond[k]) / (1 + n))), False

    return [one(k) for k in range(pairs)]


def tail(sums: Floats) -> float:
    """P(|Σ ± s| ≥ |Σ s|) of random signs, by saddlepoint; for a sum far out. `sums`: (events,), none 0.

    With K(t) = Σ ln cosh(t s), K'(t) = |Σ s|, w = √(2(t K' − K)) and, of sums that are multiples of h/2,
    u = (1 − e^(−th))/h √K''(t): 2 [Φ(−w) + φ(w)(1/u − 1/w)], and no less than the 2 of 2^G signs that are all one way.
    """
    size = np.abs(sums)
    x, least = float(abs(sums.sum())), max(2.0 ** (1 - sums.size), _SMALLEST)
    if x >= size.sum() * (1 - _TIE):
        return least
    span = 2 * SAME * float(np.gcd.reduce(np.maximum(np.rint(size / SAME), 1).astype(np.int64)))
    t = x / float(size @ size)
    for _ in range(_STEPS):  # K' is concave, so Newton's steps come from below and never pass the root
        slope = np.tanh(t * size)
        step = (x - float(size @ slope)) / float(size**2 @ (1 - slope**2))
        t += step
        if step <= 1e-12 * t:
            break
    cumulant = float(np.sum(t * size + np.log1p(np.exp(-2 * t * size)) - np.log(2)))
    curved = float(size**2 @ (1 - np.tanh(t * size) ** 2))
    w = np.sqrt(max(2 * (t * x - cumulant), 0.0))
    u = -np.expm1(-t * span) / span * np.sqrt(curved)
    share: Any = special.ndtr(-w) + np.exp(-w * w / 2) / np.sqrt(2 * np.pi) * (1 / u - 1 / w)
    return float(min(1.0, max(2 * share, least)))


def _all_flips(sums: Floats, seen: float) -> float:
    """The first sign stays: flipping all of them changes nothing."""
    flips = np.arange(2 ** (sums.size - 1))[:, None] >> np.arange(sums.size - 1) & 1
    return float(np.mean(np.abs(sums[0] + (1 - 2 * flips) @ sums[1:]) >= seen))
