"""Predictions stated before a study ran, and what became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import Floats
from coordeval.analysis.base.grid import PRICE
from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.base.resampling import (
    Draws,
    Method,
    bias_and_acceleration,
    bounded,
    freedom,
    interval,
    standard_error,
)
from coordeval.analysis.base.scipy_parts import special
from coordeval.analysis.differences.comparisons import holm
from coordeval.analysis.quality.bootstrap import BOUNDS, MEASURES, METHODS, Bootstrap
from coordeval.analysis.quality.nulls import upper_tail
from coordeval.market_data.errors import choose

Verdict = Literal["upheld", "not upheld", "undecided at this N"]
UNDECIDED: Final[Verdict] = "undecided at this N"
KNOWN: Final = tuple(measure for family in MEASURES.values() for measure in family)
# The true value of a binned component rests on its unbiased estimate.
_FROM: Final = {"rel": "rel_corrected", "res": "res_corrected"}
# Of UNC itself, whose interval in a table is the range over that of the base rate: BCa fails at its maximum, ȳ = 1/2.
_OWN: Final[Mapping[str, Method]] = dict.fromkeys(("unc", "unc_corrected"), "percentile+student")
_AGAINST_PRICE: Final = ("alpha", "skill_market")  # the market price has none against itself
_TEXT: Final = ("claim", "measure", "of", "than", "direction", "source", "verdict", "reason")
COLUMNS: Final = (
    *("claim", "measure", "of", "than", "value", "direction", "source", "estimate", "low", "high", "probability"),
    *("resamples", "verdict", "p_value", "p_holm", "p_whole", "stands", "reason"),
)


class Prediction(BaseModel):
    """One of a study file's `[[predictions]]`: `measure` of `of` is lower or higher than that of `than`, or than `value`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    claim: str = Field(min_length=1)
    """The prediction in words; the report prints it."""
    measure: str
    """One of `KNOWN`, such as "brier" or "rel"."""
    of: str = Field(min_length=1)
    """A configuration, or "market price"."""
    than: str | None = Field(default=None, min_length=1)
    """A configuration, or "market price"."""
    value: float | None = None
    """A number in place of `than`."""
    direction: Literal["lower", "higher"]
    """Which way `of` differs."""
    source: str | None = Field(default=None, min_length=1)
    """Who stated it first, if it was not the author of the study, such as a publication."""

    @field_validator("measure")
    @classmethod
    def _known(cls, measure: str) -> str:
        if measure not in KNOWN:
            raise ValueError(choose("measure", measure, list(KNOWN)))
        return measure

    @model_validator(mode="after")
    def _one_comparison(self) -> "Prediction":
        if (self.than is None) == (self.value is None):
            raise ValueError(f"prediction {self.claim!r}: give either than (a configuration) or value (a number)")
        if self.than == self.of:
            raise ValueError(f"prediction {self.claim!r}: than is {self.than!r} itself; name another configuration")
        if self.measure in _AGAINST_PRICE and PRICE in (self.of, self.than):
            raise ValueError(
                f"prediction {self.claim!r}: {self.measure} is measured against the {PRICE}; it has none itself"
            )
        return self

    @property
    def rule(self) -> tuple[Any, ...]:
        """What is tested, whatever it is called."""
        return self.measure, self.of, self.than, self.value, self.direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """The predictions that stand in a study's content, and whether they can count as stated before it ran."""

    predictions: tuple[Prediction, ...] = ()
    unscored: tuple[tuple[str, str], ...] = ()
    """(claim, why no rule can be made of it), where the predictions were taken from a text."""
    prespecified: bool | None = None
    """None: there is none, or it is not known."""
    when: str = "No prediction was stated"
    """A clause for people: by whom and when."""


@asked
def stated(study: Mapping[str, Any]) -> Stated:
    """What `study` states. Its `content` (JSON values) may hold `predictions`; where it is `published` they are not its own.

    A study that was given its predictions late is another study, by its hash, but shares the forecasts of the first one:
    `forecasts_before` says how many of its forecasts were stored before the study itself was, so before its predictions.

    >>> from coordeval.analysis import stated
    >>> row = {"claim": "Debate helps", "measure": "brier", "of": "debate", "than": "alone", "direction": "lower"}
    >>> found = stated({"content": {"predictions": [row]}, "forecasts_before": 0})
    >>> len(found.predictions), found.prespecified, found.when
    (1, True, "Stated before the first forecast was stored, as part of the study's hash")
    """
    content = study["content"] if isinstance(study["content"], Mapping) else {}
    if not (rows := content.get("predictions")):
        return Stated()
    before = study.get("forecasts_before")
    prespecified: bool | None
    if "published" in content:
        prespecified = False
        when = "Stated by the publication in words, made rules here when its results were known: not pre-specified"
    elif before is None:
        prespecified, when = None, "Part of the study's hash; whether any forecast is older is not known here"
    elif before:
        prespecified = False
        when = f"Stated when {before:,} of the forecasts were stored already: not pre-specified for these"
    else:
        prespecified, when = True, "Stated before the first forecast was stored, as part of the study's hash"
    return Stated(
        predictions=tuple(Prediction.model_validate(row) for row in rows),
        unscored=tuple((row["claim"], row["reason"]) for row in content.get("predictions_unscored", [])),
        prespecified=prespecified,
        when=when,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """Every prediction of a study, in the order stated."""

    table: pl.DataFrame
    """One row per prediction; see COLUMNS.

    `estimate`: measure of `of` − that of `than` (or − `value`), with its interval. `probability`: share of the `resamples`
    in the direction predicted, as the interval's method counts them; of two methods the less certain one. `verdict`: upheld
    if the interval lies in the direction predicted, not upheld where it lies in the other, else undecided. `p_value`: the
    largest 1 − level at which the interval still reaches 0 from the side predicted (beyond what the resamples can tell, of
    a tail that is fitted to them: `quality.nulls.upper_tail`); `p_holm`: for all predictions of the
    study; `p_whole`: that, or as one of `tests`. `stands`: upheld, and p_whole ≤ 1 − level; null where undefined.
    """
    n_markets: int
    n_events: int
    seed: int | None
    """None where nothing was drawn."""
    level: float


@asked
def verdicts(
    predictions: Sequence[Prediction], *found: Bootstrap, level: float = 0.95, tests: float | None = None
) -> Verdicts:
    """The verdicts from the draws of `quality.bootstrap.bootstrap`, which are paired: a difference is of the same events.

    Families may come from bootstraps of their own, of the same cells and level: a prediction is about one measure, so it is
    judged by the one that has it, and `resamples` says how many draws that was. Without any, nothing is scored.

    A measure keeps the interval method of `METHODS`, but for UNC; a difference of REL or RES is one of the corrected ones. A
    prediction on what was not measured is undecided with its reason, and is not counted in the correction. `tests`: as one
    of so many each is corrected, see `differences.comparisons.comparisons`.

    >>> import polars as pl
    >>> from coordeval.analysis import Prediction, bootstrap, example, scored, verdicts
    >>> facts = {"measure": "brier", "of": "independent_ensemble", "than": "single_agent", "direction": "lower"}
    >>> found = bootstrap(scored(example()), families=["brier"], n=500)
    >>> told = verdicts([Prediction(claim="Three agents know more than one", **facts)], found).table
    >>> told.select("verdict", pl.col("estimate", "low", "high", "probability").round(2), "stands").row(0)
    ('undecided at this N', -0.02, -0.05, 0.01, 0.93, False)
    """
    if found:
        level = found[0].level
    rows = [_judged(prediction, found) for prediction in predictions]
    for row, adjusted in zip(rows, holm([row["p_value"] for row in rows]), strict=True):
        row["p_holm"] = row["p_whole"] = adjusted
        if adjusted is not None:
            row["p_whole"] = adjusted if tests is None else min(1.0, tests * row["p_value"])
            row["stands"] = row["verdict"] == "upheld" and row["p_whole"] <= 1 - level + 1e-12
    schema: dict[str, Any] = {c: pl.String if c in _TEXT else pl.Float64 for c in COLUMNS}
    schema |= {"stands": pl.Boolean, "resamples": pl.Int64}
    return Verdicts(
        table=pl.DataFrame([{column: row.get(column) for column in COLUMNS} for row in rows], schema=schema),
        n_markets=found[0].n_markets if found else 0,
        n_events=found[0].n_events if found else 0,
        seed=found[0].seed if found else None,
        level=level,
    )


def withheld(found: Verdicts, why: str) -> Verdicts:
    """The verdicts without those between two configurations, which are undecided for the reason `why`."""
    between = pl.col("than").is_not_null() & (pl.col("than") != PRICE)
    kept = ("claim", "source", "measure", "of", "than", "value", "direction")
    changed = {name: pl.when(between).then(None).otherwise(name) for name in found.table.columns if name not in kept} | {
        "verdict": pl.when(between).then(pl.lit(UNDECIDED)).otherwise("verdict"),
        "reason": pl.when(between).then(pl.lit(why)).otherwise("reason"),
    }
    return replace(found, table=found.table.with_columns(**changed))


def _judged(prediction: Prediction, bootstraps: Sequence[Bootstrap]) -> dict[str, Any]:
    row: dict[str, Any] = {**prediction.model_dump(), "verdict": UNDECIDED, "p_value": None}
    if not bootstraps:
        return row | {"reason": "nothing is scored"}
    found = next((part for part in bootstraps if prediction.measure in part.draws), bootstraps[0])
    values = {(c, m): x for c, m, x in found.table.select("configuration", "measure", "estimate").iter_rows()}
    measure = _FROM.get(prediction.measure, prediction.measure)
    estimate, draws = -(prediction.value or 0.0), np.zeros(found.n) - (prediction.value or 0.0)
    left_out = np.full(found.n_events, estimate)
    for name, sign in ((prediction.of, 1), (prediction.than, -1)):
        if name is None:
            continue
        value = values.get((name, measure))
        if value is None or measure not in found.draws:
            scored = name in found.configurations
            return row | {"reason": f"{measure} of {name!r} is not measured" if scored else f"{name!r} is not scored"}
        place = found.configurations.index(name)
        estimate += sign * value
        draws = draws + sign * found.draws[measure][:, place]
        if measure in found.left_out:
            left_out = left_out + sign * found.left_out[measure][:, place]
    method = _OWN.get(measure, METHODS[measure])
    drawn = Draws(
        estimate=np.array([[estimate]]),
        resampled=draws[:, None, None],
        left_out=left_out[:, None, None] if measure in found.left_out else None,
    )
    reached = interval(drawn, 0, 0, method=method, events=found.n_events, level=found.level)
    row |= {"estimate": estimate, "low": reached.low, "high": reached.high, "resamples": found.n}
    if reached.low is None or reached.high is None:
        return row | {"reason": f"low, high, probability: {reached.reason}"}
    least, most = BOUNDS[prediction.measure]
    apart = (most, least) if prediction.value is None else (prediction.value,) * 2
    inside = bounded(reached, estimate, (least - apart[0], most - apart[1]))
    if inside.low is not None:
        row |= {"low": inside.low, "high": inside.high}
    sign = 1 if prediction.direction == "higher" else -1
    ends = sorted((sign * reached.low, sign * reached.high))
    row["verdict"] = "upheld" if ends[0] > 0 else "not upheld" if ends[1] < 0 else UNDECIDED
    judged = [
        _part(part, draws[~np.isnan(draws)], estimate, left_out, sign=sign, events=found.n_events)
        for part in method.split("+")
        if part != "turned"  # left away above too: a claim is judged by what was seen
    ]
    probability = min((told[1] for told in judged), key=lambda share: abs(share - 0.5))
    return row | {"probability": probability, "p_value": max(told[0] for told in judged)}


def _part(method: str, draws: Floats, estimate: float, left_out: Floats, *, sign: int, events: int) -> tuple[float, float]:
    """The p-value that an end of one interval gives, and the share of what lies in the direction predicted."""
    if method == "student":
        error = standard_error(left_out)
        share = (
            float(special.stdtr(freedom(left_out, events=events), -sign * estimate / error))
            if error > 0
            else float(sign * estimate <= 0)
        )
        return 2 * min(share, 0.5), 1 - share
    toward = sign * _moved(draws, estimate, method=method, sign=sign)
    tied = np.abs(toward) <= SAME
    against = float(np.mean(~tied & (toward < 0)) + tied.mean() / 2)
    deviates = special.ndtri([upper_tail(-toward, 0.0), against])
    if method == "bca":  # the tail whose corrected quantile is 0
        start, acceleration = bias_and_acceleration(sign * estimate, toward, sign * left_out)
        apart = deviates - start
        with np.errstate(invalid="ignore"):  # ∞/∞, where all resamples agree
            deviates = np.where(np.isinf(apart), apart, apart / np.maximum(1 + acceleration * apart, SAME) - start)
    return _p_value(float(deviates[0]), events=events), float(special.ndtr(-deviates[1]))


def _moved(draws: Floats, estimate: float, *, method: str, sign: int) -> Floats:
    """The draws whose quantile is the end of the interval that lies nearest to 0 if the prediction holds."""
    bias = float(draws.mean() - estimate)
    if method == "centred":
        return draws - bias
    if method == "reflected":
        return 2 * estimate - draws - 2 * (max(bias, 0) if sign > 0 else min(bias, 0))
    return draws


def _p_value(z: float, *, events: int) -> float:
    """Inverts the tails of `base.resampling.interval`: the share of draws at or below 0 is Φ(z), z = −t √(G/(G − 1))."""
    return float(2 * min(special.stdtr(events - 1, z / np.sqrt(events / (events - 1))), 0.5))
