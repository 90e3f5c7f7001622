"""The arms of a study beside the one that a report compares in: what each scored, and what is separable."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from coordeval.analysis.arms.separable import Separable, separable
from coordeval.analysis.base.arms import FACTORS, comparable, varied
from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.base.frames import Policy, scored
from coordeval.analysis.base.numerals import counted
from coordeval.analysis.control import Between
from coordeval.analysis.figures.arms import arm_panels, split_bars
from coordeval.analysis.figures.style import Look, Picture
from coordeval.analysis.words.separable import on_separable

LEAST_EVENTS = 3
"""So that one can be left out, and others still differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """All arms of one study under one policy."""

    table: pl.DataFrame
    """One row for each arm with its factors: `base.arms.arms_table`."""
    scores: pl.DataFrame
    """arm, configuration, brier, n_markets, answered, failed, pending, cost_usd_per_market: each arm by itself."""
    found: Separable | None
    reason: str | None
    """Why nothing is said of what is separable; None where it is."""
    overlap: str
    """How many markets are scored in every arm."""
    comparable: tuple[tuple[str, str, str], ...]
    """(first, second, factor): the arms that one factor alone tells apart."""
    between: tuple[Between, ...] = ()
    """The certificate of each arm against the first, where somebody looked."""

    @property
    def says(self) -> tuple[str, ...]:
        """What is due to coordination, to the model, to information, and whether the ranking holds; the overlap last."""
        broken = [f"{one.second} ({'; '.join(one.problems)})" for one in self.between if one.held is False]
        if broken:
            return (f"Arms differ in more than they declare, or in less, so they are not compared: {', '.join(broken)}.",)
        said = (
            tuple(on_separable(self.found))
            if self.found is not None
            else (f"What is separable is not known: {self.reason}.",)
        )
        return (*said, self.overlap)

    @property
    def order(self) -> list[str]:
        """The configurations, the best on average first: the same in every arm."""
        if self.found is not None:
            return self.found.means["configuration"].unique(maintain_order=True).to_list()
        mean = self.scores.group_by("configuration", maintain_order=True).agg(pl.col("brier").mean())
        return mean.sort("brier", nulls_last=True)["configuration"].to_list()

    def pictures(self, look: Mapping[str, Look], *, simulated: bool, missing: str) -> tuple[Picture, ...]:
        """A small panel for each arm, then the parts of the variance."""
        if self.found is None or any(one.held is False for one in self.between):
            return ()
        bars = split_bars(self.found.components, simulated=simulated, missing=missing)
        panels = arm_panels(self.found.means, look, simulated=simulated, missing=missing)
        return (*panels, *((bars,) if bars is not None else ()))

    def as_json(self, arm: str) -> dict[str, Any]:
        """JSON values; `arm` is the one in which the rest of the results compares."""
        found = None
        if self.found is not None:
            values = {name: getattr(self.found, name) for name in self.found.__dataclass_fields__}
            found = {name: v.to_dicts() if isinstance(v, pl.DataFrame) else v for name, v in values.items()}
        return {
            "arm": arm,
            "arms": self.table.to_dicts(),
            "varied": list(varied(self.table)),
            "scores": self.scores.to_dicts(),
            "comparable": [dict(zip(("first", "second", "factor"), pair, strict=True)) for pair in self.comparable],
            "overlap": self.overlap,
            "between": [asdict(one) for one in self.between],
            "separable": found,
            "reason": self.reason,
            "says": list(self.says),
        }


def arms_of(
    frame: pl.DataFrame,
    table: pl.DataFrame,
    *,
    policy: Policy = "common",
    between: Sequence[Between] = (),
    n: int = 2_000,
    seed: int = 0,
) -> Arms:
    """All arms of `frame` (the columns of a forecast frame and `arm`; `status` may be pending), with `table` of its arms.

    Scores are of each arm by itself under `policy`; what is separable is of the markets that every arm and configuration
    answered, whatever the policy. `n` resamples of events from `seed`.
    """
    table = table.filter(pl.col("arm").is_in(frame["arm"].unique().to_list()))
    place = pl.col("arm").replace_strict(table["arm"].to_list(), range(table.height), return_dtype=pl.Int64)
    frame = frame.sort(place, maintain_order=True)  # in the study's order, as everything is shown
    made = frame.filter(pl.col("status") != "pending")
    rows, markets = [], []
    for arm in table["arm"].to_list():
        own = made.filter(arm=arm)
        kept = scored(own, policy=policy).frame if own.height else own.with_columns(filled=False)
        markets.append(set(kept["market_id"].to_list()))
        rows += _scores(arm, frame.filter(arm=arm), kept)
    reason, found = None, None
    try:
        if made["event_id"].n_unique() < LEAST_EVENTS:
            raise AnalysisError(f"it takes {LEAST_EVENTS} events, and there are {made['event_id'].n_unique()}")
        found = separable(made, table.select("arm", *FACTORS), n=n, seed=seed)
    except AnalysisError as error:
        reason = str(error)
    every = frame["market_id"].n_unique()
    alike = len(set.intersection(*markets)) if markets else 0
    lacking = [f"{every - len(own)} in {arm}" for arm, own in zip(table["arm"], markets, strict=True) if len(own) < every]
    return Arms(
        table=table,
        scores=pl.DataFrame(rows, schema=_SCORES),
        found=found,
        reason=reason,
        overlap=f"{alike} of {counted(every, 'market')} are scored in every arm"
        + (f"; not scored: {', '.join(lacking)}." if lacking else "."),
        comparable=tuple(comparable(table)),
        between=tuple(between),
    )


_SCORES: dict[str, Any] = {
    **dict.fromkeys(("arm", "configuration"), pl.String),
    "brier": pl.Float64,
    **dict.fromkeys(("n_markets", "answered", "failed", "pending"), pl.Int64),
    "cost_usd_per_market": pl.Float64,
}


def _scores(arm: str, cells: pl.DataFrame, kept: pl.DataFrame) -> list[dict[str, Any]]:
    """A row for each configuration of an arm: replicates of a market count as one."""
    error = (pl.col("probability") - pl.col("outcome")) ** 2
    briers = kept.group_by("configuration", "market_id").agg(error=error.mean()).group_by("configuration")
    by_name = {row["configuration"]: row for row in briers.agg(brier=pl.col("error").mean(), n=pl.len()).to_dicts()}
    known = pl.col("cost_usd").filter(pl.col("status") != "pending").null_count() == 0
    counts = cells.group_by("configuration").agg(
        *(pl.col("status").eq(status).sum().cast(pl.Int64).alias(status) for status in ("answered", "failed", "pending")),
        cost=pl.when(known).then(pl.col("cost_usd").sum() / pl.col("market_id").n_unique() / pl.col("replicate").n_unique()),
    )
    return [
        {
            "arm": arm,
            "configuration": row["configuration"],
            "brier": by_name.get(row["configuration"], {}).get("brier"),
            "n_markets": by_name.get(row["configuration"], {}).get("n", 0),
            **{name: row[name] for name in ("answered", "failed", "pending")},
            "cost_usd_per_market": row["cost"],
        }
        for row in counts.sort("configuration").to_dicts()
    ]
