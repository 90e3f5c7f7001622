"""All the statistics of one study under one policy, each computed once, or the reason why it is not there."""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.base.frames import Scored, nothing_scored
from coordeval.analysis.base.scipy_parts import special
from coordeval.analysis.cost.compute_matched import LONE, ComputeMatched, compute_matched
from coordeval.analysis.cost.frontier import Frontier, frontier
from coordeval.analysis.differences.comparisons import Comparisons, comparisons
from coordeval.analysis.differences.predictions import Stated, Verdicts, verdicts, withheld
from coordeval.analysis.differences.structure import Structure, structure
from coordeval.analysis.plan.variance import Variance, detectable, variance
from coordeval.analysis.quality.bootstrap import MEASURES, Bootstrap, bootstrap
from coordeval.analysis.study.family import ALPHA, ASIDE, factor, family_size, level
from coordeval.analysis.study.record import NOTHING, Record
from coordeval.market_data.errors import choose

CONTRASTS: Final = {"mcb": "calibration", "dsc": "discrimination"}
"""Measures whose differences are judged -> what they are of."""
_MOST = 10_000
_MOST_DRAWS = 1000
_WORK = 20_000_000  # resamples times markets
_CORP_WORK = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What is known of a study beyond its leaderboard. A part is None where `reasons` says why."""

    comparisons: Comparisons | None
    """Its noise floor is that of the replicates, else that of the A/A control."""
    measures: Bootstrap | None
    """The families brier and binned."""
    corp: Bootstrap | None
    contrasts: pl.DataFrame
    """first, second, measure, delta, sd, bar, differs: MCB and DSC of every pair.

    `bar`: |delta| that a share ASIDE of the tables would exceed somewhere if no two differed, after Bonferroni's correction.
    """
    frontier: Frontier | None
    matched: ComputeMatched | None
    structure: Structure | None
    variance: Variance | None
    detectable: pl.DataFrame
    """markets, replicates, delta, reason: of this study's own size, as one of the `tests`."""
    stated: Stated
    predictions: Verdicts
    tests: int
    """How many tests the questions of the report are: see `study.family`."""
    baseline: str | None
    """Whom the others are asked to beat; None where the study has no such configuration and none was named."""
    floor_source: str | None
    """`replicates`, or `control` where only configurations that are one procedure tell what noise is."""
    resamples: int
    resamples_corp: int
    seed: int
    reasons: dict[str, str]
    """Part -> why it is None, or what it lacks."""


@asked
def resamples_for(markets: int, *, corp: bool = False) -> int:
    """10,000 resamples, fewer where there are so many markets that they would take long and tell little more.

    >>> from coordeval.analysis import resamples_for
    >>> resamples_for(100), resamples_for(10_000), resamples_for(100, corp=True)
    (10000, 2000, 5000)
    """
    work, least = (_CORP_WORK, 200) if corp else (_WORK, 500)
    return int(min(_MOST, max(least, work // max(1, markets))))


def draws_for(markets: int) -> int:
    """1,000 draws of a calibrated forecaster, fewer where there are so many markets that each takes long."""
    return int(min(_MOST_DRAWS, max(200, _WORK // max(1, markets))))


@asked
def find(
    cells: pl.DataFrame,
    kept: Scored,
    *,
    record: Record = NOTHING,
    stated: Stated | None = None,
    baseline: str | None = None,
    bins: int = 10,
    n: int | None = None,
    seed: int = 0,
) -> Findings:
    """The statistics of `cells`, of which `kept` are scored. `n` resamples of events; if not given, `resamples_for` it.

    Where `record.control` is not held, nothing that compares configurations is given: each of them with the market price
    still is. `record.draws` make the curve of plain sampling, else the replicates of `baseline`: the configuration that the
    others are asked to beat, `single_agent` if not given. Where it is not among them, nothing is asked of it.
    `stated`: the study's predictions, see `analysis.differences.predictions.stated`.

    Raises:
        AnalysisError: the frame breaks a rule, or `baseline` is none of its configurations.

    >>> from coordeval.analysis import example, find, scored
    >>> found = find(example(), scored(example()), n=200)
    >>> found.comparisons.table.height, found.floor_source, found.reasons
    (6, 'replicates', {})
    """
    names = cells["configuration"].unique().sort().to_list()
    if baseline is not None and baseline not in names:
        raise AnalysisError(choose("baseline", baseline, names))
    baseline = baseline or (LONE if LONE in names else None)
    stated = stated or Stated()
    tests = family_size(
        kept.frame["configuration"].n_unique(),
        priced=kept.frame["market_price"].null_count() < kept.frame.height,
        sampled=baseline is not None or record.draws is not None,
        predictions=len(stated.predictions),
    )
    count, corp_count = (n or resamples_for(kept.n_markets, corp=corp) for corp in (False, True))
    reasons: dict[str, str] = {}
    alike: Structure | None = None
    if "call_graph" not in cells.columns:
        reasons["structure"] = "the call graphs are not in the frame"
    elif cells["call_graph"].null_count() == cells.height:
        reasons["structure"] = "no call graph was recorded"
    else:
        alike = structure(cells, policy=kept.policy, n=count, seed=seed)
    parts: dict[str, Any] = {
        "structure": alike,
        "contrasts": _no_contrasts(),
        "detectable": _no_size(),
        "floor_source": None,
        "tests": tests,
        "baseline": baseline,
    }
    if kept.frame.is_empty():
        why = nothing_scored(kept.policy)
        absent = ("comparisons", "measures", "corp", "frontier", "matched", "variance")
        reasons |= dict.fromkeys((*absent, "detectable", "contrasts"), why)
        parts |= dict.fromkeys(absent)
    else:
        options: dict[str, Any] = {"tests": tests, "baseline": baseline, "bins": bins, "seed": seed}
        parts |= _scored(cells, kept, alike, draws=record.draws, n=count, corp_n=corp_count, **options)
        if parts["floor_source"] is None:
            reasons["noise_floor"] = "no configuration was sampled twice, and no two are the same procedure"
        if parts["detectable"].is_empty():
            reasons["detectable"] = "fewer than two markets have every configuration that calls a model"
    parts["stated"] = stated
    parts["predictions"] = _judged(stated, kept, [parts["measures"], parts["corp"]], tests=tests, n=count, seed=seed)
    if record.control is not None and (difference := record.control.incomparable):
        _withhold(parts, reasons, difference)
    return Findings(**parts, resamples=count, resamples_corp=corp_count, seed=seed, reasons=reasons)


def _withhold(parts: dict[str, Any], reasons: dict[str, str], why: str) -> None:
    """A comparison says nothing of coordination where something else differs too: only the market price is left."""
    if (pairs := parts["comparisons"]) is not None:
        parts["comparisons"] = replace(pairs, table=pairs.table.filter(family="market"))
    parts |= {"contrasts": _no_contrasts(), "frontier": None, "matched": None}
    parts["predictions"] = withheld(parts["predictions"], why)
    reasons |= dict.fromkeys(("differences", "contrasts", "frontier", "matched"), why)


def _scored(
    cells: pl.DataFrame,
    kept: Scored,
    alike: Structure | None,
    *,
    draws: pl.DataFrame | None,
    tests: int,
    baseline: str | None,
    bins: int,
    n: int,
    corp_n: int,
    seed: int,
) -> dict[str, Any]:
    """The parts that need a score."""
    spread = variance(kept, n=n, seed=seed)
    control = alike.noise_floor if alike else None
    repeated = spread.noise_floor is not None
    pairs = comparisons(kept, n=n, seed=seed, control=control, alpha=ALPHA, tests=factor(tests))
    smallest = _no_size()
    if spread.n_markets > 1:
        smallest = detectable(
            spread, markets=[spread.n_markets], replicates=[max(1, round(spread.replicates))], alpha=level(tests)
        )
    bin_free = bootstrap(kept, families=["corp"], bins=bins, n=corp_n, seed=seed)
    return {
        "comparisons": pairs,
        "measures": bootstrap(kept, families=("brier", "binned"), bins=bins, n=n, seed=seed),
        "corp": bin_free,
        "contrasts": contrasts_of(bin_free),
        "frontier": frontier(
            cells,
            policy=kept.policy,
            epsilon_brier=None if repeated or not alike else alike.noise_floor,
            epsilon_cost=None if repeated or not alike else alike.cost_floor,
            n=n,
            seed=seed,
        ),
        "matched": compute_matched(kept, lone=baseline or LONE, draws=draws, n=n, seed=seed, alpha=level(tests)),
        "variance": spread,
        "detectable": smallest,
        "floor_source": "replicates" if repeated else "control" if control is not None else None,
    }


def _judged(stated: Stated, kept: Scored, parts: list[Bootstrap | None], *, tests: int, n: int, seed: int) -> Verdicts:
    """The verdicts from what is measured anyway; the measures against the market are so only where one is predicted."""
    measured = [part for part in parts if part]
    if measured and any(prediction.measure in MEASURES["market"] for prediction in stated.predictions):
        measured.append(bootstrap(kept, families=["market"], n=n, seed=seed))
    return verdicts(stated.predictions, *measured, level=1 - ALPHA, tests=factor(tests))


def contrasts_of(found: Bootstrap) -> pl.DataFrame:
    """`Findings.contrasts`, from the draws of MCB and DSC."""
    known = found.table.select("configuration", "measure", "estimate").iter_rows()
    values = {(name, measure): value for name, measure, value in known}
    pairs = list(combinations(range(len(found.configurations)), 2))
    bar = -float(special.ndtri(ASIDE / (2 * max(1, len(pairs) * len(CONTRASTS)))))
    rows: list[tuple[Any, ...]] = []
    for measure in CONTRASTS:
        for i, j in pairs:
            first, second = found.configurations[i], found.configurations[j]
            d = found.draws[measure][:, i] - found.draws[measure][:, j]
            d = d[~np.isnan(d)]
            a, b = values[first, measure], values[second, measure]
            if found.n_events < 6 or d.size < 2 or a is None or b is None or not (sd := float(d.std(ddof=1))) > 0:
                rows.append((first, second, measure, None, None, None, None))
            else:
                rows.append((first, second, measure, a - b, sd, bar * sd, abs(a - b) > bar * sd))
    return pl.DataFrame(rows, schema=_no_contrasts().schema, orient="row")


def _no_contrasts() -> pl.DataFrame:
    text, numbers = ("first", "second", "measure"), ("delta", "sd", "bar")
    schema: dict[str, Any] = {**dict.fromkeys(text, pl.String), **dict.fromkeys(numbers, pl.Float64)}
    return pl.DataFrame(schema=schema | {"differs": pl.Boolean})


def _no_size() -> pl.DataFrame:
    return pl.DataFrame(schema={"markets": pl.Int64, "replicates": pl.Int64, "delta": pl.Float64, "reason": pl.String})
