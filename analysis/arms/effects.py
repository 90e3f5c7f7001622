"""Is the effect of a configuration the same in every arm? Tests of interactions, and each configuration between two arms."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.arms.crossing import TIMES, Crossing
from coordeval.analysis.arms.quadratic import quadratic
from coordeval.analysis.base.checks import Floats
from coordeval.analysis.base.events import mean_of, summary
from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.base.resampling import APART, Resamples
from coordeval.analysis.differences.comparisons import holm
from coordeval.analysis.differences.sign_flips import sign_flip

TESTS: Final[dict[str, Any]] = {
    "effect": pl.String,
    **dict.fromkeys(("f", "df", "df_noise", "p_value"), pl.Float64),
    "n_events": pl.Int64,
    "reason": pl.String,
}
SAME_IN: Final[dict[str, Any]] = {
    **dict.fromkeys(("factor", "first", "second", "configuration"), pl.String),
    **dict.fromkeys(
        ("effect_first", "effect_second", "difference", "low", "high", "p_value", "p_holm", "p_joint"), pl.Float64
    ),
    "reason": pl.String,
}
_BLOCK: Final = 4_000_000


def flips(sums: Floats, *, n: int, seed: int) -> float:
    """p that the vector Σ sums, (events, dimensions), is 0: the share of random signs of events that give one as long."""
    sums = sums[np.any(np.abs(sums) > SAME, axis=1)]
    if not len(sums):
        return 1.0
    seen = float(np.sum(sums.sum(axis=0) ** 2)) * (1 - 1e-12)
    rng, beyond = np.random.default_rng(seed), 0
    step = max(1, _BLOCK // len(sums))
    for done in range(0, n, step):
        signs = 2.0 * rng.integers(0, 2, (min(step, n - done), len(sums))) - 1
        beyond += int(np.sum(np.sum((signs @ sums) ** 2, axis=1) >= seen))
    return (1 + beyond) / (1 + n)


def interactions(made: Crossing, *, n: int, seed: int) -> pl.DataFrame:
    """effect, f, df, df_noise, p_value, n_events, reason: of every effect, and of configuration × arm as a whole.

    `p_value` is by signs of events, exact where what an event brings is as often the other way round. F stands beside it,
    with Greenhouse & Geisser's degrees of freedom, and has no p of its own: where events are of unlike sizes it is no F (it
    would reject 2% to 5% of true nulls, and up to 7% with the degrees of freedom of even events). Interactions answer
    whether what a configuration does hangs on the model or the information.
    """
    counts, sums = np.bincount(made.event).astype(np.float64), made.by_event(made.x)
    spaces = {name: basis for name, basis in made.bases.items() if name != "mean"}
    whole = f"configuration{TIMES}arm"
    mixed = [basis for name, basis in spaces.items() if name.startswith(f"configuration{TIMES}")]
    if len(mixed) > 1:
        spaces[whole] = np.concatenate(mixed, axis=1)
    rows = []
    for name, basis in spaces.items():
        found = quadratic(sums, counts, basis)
        row: dict[str, Any] = {"effect": name, "n_events": made.events}
        if (tested := found.test()) is None or made.events < 2:
            rows.append(row | {"reason": "the same on every event: there is nothing to test"})
            continue
        f, df = tested
        row |= {"f": f, "df": df, "df_noise": found.freedom, "p_value": flips(sums @ basis, n=n, seed=seed)}
        rows.append(row)
    return pl.DataFrame(rows, schema=TESTS)


def same_effect(made: Crossing, *, n: int, seed: int, level: float) -> pl.DataFrame:
    """Of every pair of arms in which exactly one field differs: what a configuration does in the one and in the other.

    An effect is its Brier score less the mean of all configurations of that arm, so a negative one is better than most.
    `difference` = effect_first − effect_second, its interval and `p_value` (signs of events) by events, `p_holm` over all
    rows; `p_joint` that no configuration's effect differs between the two.
    """
    x = made.x.reshape(len(made.event), len(made.arms), len(made.configurations))
    centred = x - x.mean(axis=2, keepdims=True)
    resamples = Resamples(events=made.events, n=n, seed=seed)
    ones = np.ones((len(x), 1))
    rows: list[dict[str, Any]] = []
    for factor, a, b in one_apart(made):
        apart = centred[:, a] - centred[:, b]
        sums = made.by_event(apart)
        joint = flips(sums, n=n, seed=seed) if len(made.configurations) > 1 else None
        tests = sign_flip(sums, n=n, seed=seed)
        for c, name in enumerate(made.configurations):
            ends = summary(
                np.concatenate([ones, apart[:, [c]]], axis=1),
                made.event,
                mean_of,
                resamples=resamples,
                level=level,
                bounds=APART,
            )
            row: dict[str, Any] = {"factor": factor, "first": made.arms[a], "second": made.arms[b], "configuration": name}
            row |= {"effect_first": float(centred[:, a, c].mean()), "effect_second": float(centred[:, b, c].mean())}
            row |= {"difference": ends["estimate"], "low": ends["low"], "high": ends["high"], "reason": ends["reason"]}
            rows.append(row | {"p_value": tests[c][0], "p_joint": joint})
    for row, p in zip(rows, holm([row["p_value"] for row in rows]), strict=True):
        row["p_holm"] = p
    return pl.DataFrame(rows, schema=SAME_IN)


def one_apart(made: Crossing) -> Iterator[tuple[str, int, int]]:
    """(field, arm, arm) of the pairs of arms that differ in exactly one field: only these say what that field does."""
    for a, b in combinations(range(len(made.arms)), 2):
        first, second = made.arm_fields[made.arms[a]], made.arm_fields[made.arms[b]]
        differ = [key for key in first if first[key] != second[key]]
        if len(differ) == 1:
            yield differ[0], a, b


def arm_effects(made: Crossing) -> Floats:
    """(events, arms, configurations): sums of errors less the mean of their arm."""
    x = made.x.reshape(len(made.event), len(made.arms), len(made.configurations))
    return made.by_event(x - x.mean(axis=2, keepdims=True))
