"""Fitting a gate in front of tools: what they would gain, from what any endpoint gives before they are used.

The target of a row is the squared error of its first estimates' pool minus the mean squared error of the same case with a
call. Ridge regression on standardised features, its penalty by cross-validation of events (scikit-learn); every
figure that is reported of it is of events that it was not fitted on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats, Ints, at_least
from coordeval.analysis.base.events import mean_of, summary
from coordeval.analysis.base.resampling import APART, FREE, Resamples, ratio
from coordeval.configurations.gates import FORMAT, NUMBERS, VERSION

ROWS: Final[dict[str, Any]] = {
    "market_id": pl.String,
    "event_id": pl.String,
    "category": pl.String,
    "without": pl.Float64,
    "used": pl.Float64,
    **dict.fromkeys(NUMBERS, pl.Float64),
}
"""One row per case and replicate: squared errors without tools and with a call, and the features (null: not known)."""
FOLDS: Final = 10
FEWEST: Final = 20
"""Events that a gate is fitted on at least."""
_PENALTIES: Final = tuple(10.0**k for k in range(6))
_RARE: Final = 10
"""Rows under which a category has no weight of its own."""
_GROUPS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A gate, and how it does on events that it has not seen."""

    file: dict[str, Any]
    """The gate file: JSON values, see `configurations.gates`."""
    predicted: Floats
    """(rows,): by a gate that was fitted without the row's event; NaN where a score of the row is not known."""
    measures: pl.DataFrame
    """measure, estimate, low, high, reason: gain of the gate, of always and of the two's difference over never, in Brier
    points; slope of what came on what was predicted (1: calibrated), intercept, share of cases it opens for."""
    calibration: pl.DataFrame
    """predicted, seen, rows: means of fifths of the rows, by what was predicted."""


@asked
def fit_gate(
    rows: pl.DataFrame, *, draws: int, least: float = 0.0, n: int = 2_000, seed: int = 0, level: float = 0.95
) -> Fitted:
    """`draws`: how many first estimates the features are of. `least`: Brier points that tools must gain to be used.

    Cross-fitted by event in `FOLDS` parts. Raises AnalysisError where a column is absent, for fewer than `FEWEST` events,
    and where scikit-learn is not installed.

    >>> import numpy as np
    >>> from coordeval.analysis import fit_gate
    >>> from coordeval.analysis.tools.example import gate_rows, tool_world
    >>> made = fit_gate(gate_rows(tool_world(400, rng=np.random.default_rng(1))), draws=3, n=200)
    >>> made.file["version"], made.measures.filter(measure="gain")["estimate"][0] > 0
    (1, True)
    """
    at_least("draws", draws, 1)
    if absent := [name for name in ROWS if name not in rows.columns]:
        raise AnalysisError(f"the rows of a gate lack {', '.join(absent)}: they need {', '.join(ROWS)}")
    known = rows.with_row_index("row").drop_nulls(["without", "used"]).sort("event_id", "market_id", "row")
    events = known["event_id"].n_unique()
    if events < FEWEST:
        raise AnalysisError(
            f"{events} events were answered both without tools and with a call: a gate is fitted on {FEWEST} or more; "
            "run a larger study with an arm that changes nothing but tools"
        )
    event = known["event_id"].rle_id().cast(pl.Int64).to_numpy()
    target = (known["without"] - known["used"]).to_numpy()
    x = known.select(pl.col(name).cast(pl.Float64).fill_null(np.nan) for name in NUMBERS).to_numpy()
    category = [name or "" for name in known["category"].to_list()]
    predicted = np.empty(len(target))
    fold = np.random.default_rng(seed).permutation(np.arange(events) % FOLDS)[event]
    for k in range(FOLDS):
        seen = fold != k
        made = _Linear(x[seen], [c for c, keep in zip(category, seen, strict=True) if keep], target[seen], event[seen])
        predicted[~seen] = made(x[~seen], [c for c, keep in zip(category, seen, strict=True) if not keep])
    whole = _Linear(x, category, target, event)
    told = _measures(predicted, target, event, least=least, n=n, seed=seed, level=level)
    bins = _calibration(predicted, target)
    file = {
        "format": FORMAT,
        "version": VERSION,
        "draws": draws,
        "least": least,
        "intercept": whole.intercept,
        "features": [
            {"name": name, "mean": mean, "scale": scale, "weight": weight} for name, mean, scale, weight in whole.named()
        ],
        "categories": whole.categories,
        "markets": sorted(known["market_id"].unique().to_list()),
        "fitted_on": {"rows": known.height, "events": events, "folds": FOLDS, "penalty": whole.penalty, "seed": seed},
        "held_out": {row.pop("measure"): row for row in told.to_dicts()},
        "calibration": bins.to_dicts(),
    }
    ahead = np.full(rows.height, np.nan)
    ahead[known["row"].to_numpy()] = predicted
    return Fitted(file=file, predicted=ahead, measures=told, calibration=bins)


class _Linear:
    """Ridge on standardised features and categories; what is not known is at its mean."""

    def __init__(self, x: Floats, category: Sequence[str], target: Floats, event: Ints) -> None:
        choosing, ridge = _scikit_learn()
        there = ~np.isnan(x)
        count = np.maximum(there.sum(axis=0), 1)
        self._mean = np.where(there, x, 0).sum(axis=0) / count
        spread = np.sqrt(np.where(there, (x - self._mean) ** 2, 0).sum(axis=0) / count)
        self._used = spread > 1e-9
        self._scale = np.where(self._used, spread, 1.0)
        names, counts = np.unique(np.asarray(category), return_counts=True)
        self._names = [str(name) for name, n in zip(names, counts, strict=True) if name and n >= _RARE]
        columns = self._columns(x, category)
        # the penalty by generalised cross-validation of events: rows of a market, and markets of an event, are alike
        size = np.bincount(event).astype(np.float64)
        there = size > 0
        sums = [np.stack([np.bincount(event, c) for c in part.T], 1)[there] for part in (columns, target[:, None])]
        means = [np.asarray(part / size[there, None], np.float64) for part in sums]
        chosen = choosing(alphas=_PENALTIES).fit(means[0], means[1][:, 0], sample_weight=size[there])
        self.penalty = float(chosen.alpha_)
        made = ridge(alpha=self.penalty).fit(columns, target)
        self._weights, self.intercept = np.asarray(made.coef_, np.float64), float(made.intercept_)

    def __call__(self, x: Floats, category: Sequence[str]) -> Floats:
        return np.asarray(self._columns(x, category) @ self._weights + self.intercept, np.float64)

    def named(self) -> list[tuple[str, float, float, float]]:
        """Feature, mean, scale, weight, of those that vary."""
        rows = zip(NUMBERS, self._mean, self._scale, self._weights, self._used, strict=False)
        return [(name, float(a), float(b), float(c)) for name, a, b, c, used in rows if used]

    @property
    def categories(self) -> dict[str, float]:
        return dict(zip(self._names, self._weights[len(NUMBERS) :].tolist(), strict=True))

    def _columns(self, x: Floats, category: Sequence[str]) -> Floats:
        numbers = np.where(np.isnan(x) | ~self._used, 0.0, (x - self._mean) / self._scale)
        kinds = np.array([[float(c == name) for name in self._names] for c in category]).reshape(len(x), len(self._names))
        return np.concatenate([numbers, kinds], axis=1)


def _scikit_learn() -> tuple[Any, Any]:
    try:
        from sklearn.linear_model import Ridge, RidgeCV
    except ImportError as error:
        fix = "pip install 'coordeval[gate]'"
        raise AnalysisError(f"a gate is fitted with scikit-learn, which is not installed: {fix}") from error
    return RidgeCV, Ridge


def _measures(
    predicted: Floats, target: Floats, event: Any, *, least: float, n: int, seed: int, level: float
) -> pl.DataFrame:
    opened = (predicted > least).astype(np.float64)
    ones, resamples = np.ones_like(target), Resamples(events=int(event[-1]) + 1, n=n, seed=seed)
    rows = []
    for name, values in (
        ("gain", opened * target),
        ("gain of always", target),
        ("gain over always", (opened - 1) * target),
        ("share", opened),
    ):
        columns = np.stack([ones, values], axis=1)
        rows.append({"measure": name, **summary(columns, event, mean_of, resamples=resamples, level=level, bounds=APART)})
    line = np.stack([ones, predicted, target, predicted**2, predicted * target], axis=1)
    for k, name in enumerate(("slope", "intercept")):

        def of(sums: Floats, k: int = k) -> Floats:
            return _line(sums)[:, [k]]

        told = summary(line, event, of, resamples=resamples, level=level, bounds=FREE, reason="every prediction is the same")
        rows.append({"measure": name, **told})
    schema: dict[str, Any] = {"measure": pl.String, **dict.fromkeys(("estimate", "low", "high"), pl.Float64)}
    return pl.DataFrame(rows, schema=schema | {"reason": pl.String})


def _line(sums: Floats) -> Floats:
    """(rows, 2, 1): slope and intercept of target on prediction, from sums of (1, p, t, p², pt)."""
    count, p, t, pp, pt = (sums[:, i] for i in range(5))
    slope = ratio(pt - p * t / count, pp - p**2 / count)
    return np.stack([slope, t / count - slope * p / count], axis=1)


def _calibration(predicted: Floats, target: Floats) -> pl.DataFrame:
    parts = [part for part in np.array_split(np.argsort(predicted, kind="stable"), _GROUPS) if part.size]
    return pl.DataFrame(
        {
            "predicted": [float(predicted[part].mean()) for part in parts],
            "seen": [float(target[part].mean()) for part in parts],
            "rows": [part.size for part in parts],
        }
    )
