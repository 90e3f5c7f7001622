"""Rules about the group: did talk add anything, who led it, and where did it end?

All three are about chance, so each is an exact test over events; what it counts in single cells are only suspects.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import polars as pl

from coordeval.analysis.audit.chance import LEVEL, by_place, event_shares, more_often
from coordeval.analysis.audit.evidence import Evidence
from coordeval.analysis.audit.rule import Finding, Rule, joined, of_forecasts
from coordeval.analysis.base.numerals import SAME, counted

APART: Final = 0.05
"""Highest − lowest first estimate from which a group has something to talk about."""
TOGETHER: Final = 0.1
"""Of that spread, what is left of it at most where a group has converged at once."""
SAME_PLACE: Final = 0.02
"""Of that spread, how far a group ends at most from an estimate of which it is said that it ended there."""
_BY_CHANCE: Final = 0.1
"""Share of groups that may be together after one exchange without being led there. Where agents move 0.4 of the way to two
others, as in `selftest.audit_world`, 1% of the groups are."""
_TOLERANCE: Final = "tolerance"
"""A word of the declared termination of a configuration that is to converge; of one that is, convergence tells nothing."""


class _Group(Rule):
    """One test per configuration; the level is shared among them."""

    stage = "talk"
    needs = ("asks",)
    what: ClassVar[str]

    def cells(self, evidence: Evidence) -> pl.DataFrame:
        """The cells that it can be told of, with `hit`."""
        raise NotImplementedError

    def p_value(self, cells: pl.DataFrame) -> float:
        raise NotImplementedError

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        parts = self.cells(evidence).partition_by("configuration", as_dict=True, maintain_order=True)
        for (name,), cells in sorted(parts.items()):
            p, hit = self.p_value(cells), cells.filter("hit")
            if p <= LEVEL / len(parts):
                says = (
                    f"{name}: {hit.height:,} of {counted(cells.height, 'group')} {self.what} (exact test over "
                    f"{counted(cells['event_id'].n_unique(), 'event')}: p = {p:.1g})"
                )
                yield from self.found(of_forecasts(hit, self.what), cells.height, "groups", says)

    def suspects(self, evidence: Evidence) -> pl.DataFrame:
        return joined([of_forecasts(self.cells(evidence).filter("hit"), self.what)])


class EarlyConvergence(_Group):
    name = "early_convergence"
    severity = "warning"
    looks_for = "groups that were apart and agree after one exchange, although agreement is not what they are for"
    modes: ClassVar = ("3.1",)
    chance = 0.05
    what = "that began apart agreed after one exchange"

    def cells(self, evidence: Evidence) -> pl.DataFrame:
        meant = [
            name
            for name, own in evidence.elements.items()
            if _TOLERANCE in str((own or {}).get("termination", "")) or "align" in name
        ]
        rounds = _rounds(evidence).filter(~pl.col("configuration").is_in(meant))
        begun = pl.col("spread").first()
        talks = rounds.group_by("forecast_id", maintain_order=True).agg(
            pl.col("configuration", "market_id", "event_id", "replicate").first(),
            before=begun, after=pl.col("spread").get(1, null_on_oob=True),
        )  # fmt: skip
        talks = talks.filter(pl.col("before") >= APART).drop_nulls("after")
        return talks.with_columns(hit=pl.col("after") <= TOGETHER * pl.col("before") + SAME)

    def p_value(self, cells: pl.DataFrame) -> float:
        return more_often(*event_shares(cells, "hit"), _BY_CHANCE)


class FirstMover(_Group):
    """Whose first estimate the forecast ends nearest to. Agents of a round are asked alike, so no place is better."""

    name = "first_mover"
    severity = "warning"
    looks_for = "groups that end where their first agent began, more often than where any other did"
    modes: ClassVar = ("2.5",)
    chance = 0.03
    what = "ended nearest to where their first agent began"

    def cells(self, evidence: Evidence) -> pl.DataFrame:
        said = _estimates(evidence).filter(pl.col("round") == 0)
        talked = _rounds(evidence).filter(pl.col("round") > 0).select("forecast_id").unique()
        final = evidence.forecasts.select("forecast_id", final="probability").drop_nulls().unique("forecast_id")
        said = said.join(talked, on="forecast_id", how="semi").join(final, on="forecast_id")
        off = (pl.col("probability") - pl.col("final")).abs()
        groups = said.sort("forecast_id", "agent").with_columns(off=off).group_by("forecast_id", maintain_order=True).agg(
            pl.col("configuration", "market_id", "event_id", "replicate").first(),
            first=pl.col("agent").min(), size=pl.len(), place=pl.col("off").arg_min(),
            tied=((pl.col("off") - pl.col("off").min()).abs() <= SAME).sum(),
            off=pl.col("off").first(), spread=pl.col("probability").max() - pl.col("probability").min(),
        )  # fmt: skip
        whole = groups.filter((pl.col("first") == 0) & (pl.col("size") > 1) & (pl.col("tied") == 1))
        usual = pl.col("size") == pl.col("size").mode().max().over("configuration")
        return whole.filter(usual).with_columns(hit=pl.col("place") == 0)

    def suspects(self, evidence: Evidence) -> pl.DataFrame:
        """One group in three ends nearest to its first agent anyway: only those that end where that one began."""
        hit = self.cells(evidence).filter(pl.col("hit") & (pl.col("off") <= SAME_PLACE * pl.col("spread") + SAME))
        return joined([of_forecasts(hit, self.what)])

    def p_value(self, cells: pl.DataFrame) -> float:
        if cells.is_empty():
            return 1.0
        size = int(cells["size"][0])
        counted_ = cells.group_by("event_id").agg((pl.col("place") == j).sum().alias(str(j)) for j in range(size))
        return by_place(counted_.select(map(str, range(size))).to_numpy())


class MovesAway(_Group):
    name = "moves_away"
    severity = "warning"
    looks_for = "groups whose talk moves them away from the truth more often than towards it"
    modes: ClassVar = ("3.3",)
    chance = 0.45
    what = "moved away from the outcome while they talked"

    def cells(self, evidence: Evidence) -> pl.DataFrame:
        rounds = _rounds(evidence)
        outcome = evidence.forecasts.select("forecast_id", "outcome").drop_nulls().unique("forecast_id")
        ends = rounds.group_by("forecast_id", maintain_order=True).agg(
            pl.col("configuration", "market_id", "event_id", "replicate").first(),
            first=pl.col("mean").first(), last=pl.col("mean").last(), n=pl.len(),
        )  # fmt: skip
        ends = ends.filter(pl.col("n") > 1).join(outcome, on="forecast_id")
        moved = (pl.col("last") - pl.col("outcome")).abs() - (pl.col("first") - pl.col("outcome")).abs()
        return ends.with_columns(moved=moved).filter(pl.col("moved").abs() > SAME).with_columns(hit=pl.col("moved") > 0)

    def p_value(self, cells: pl.DataFrame) -> float:
        return more_often(*event_shares(cells, "hit"), 0.5)


RULES: Final[Sequence[type[Rule]]] = (EarlyConvergence, FirstMover, MovesAway)


def _estimates(evidence: Evidence) -> pl.DataFrame:
    """Estimates with a probability, of groups: at least two agents in their first round."""
    said = evidence.said.filter(pl.col("kind") == "estimate").drop_nulls(["probability", "agent", "round"])
    said = said.with_columns(event_id=pl.coalesce("event_id", "market_id"))
    first = said.filter(pl.col("round") == 0).group_by("forecast_id").agg(agents=pl.col("agent").n_unique())
    return said.join(first.filter(pl.col("agents") > 1), on="forecast_id", how="semi")


def _rounds(evidence: Evidence) -> pl.DataFrame:
    """One row per round of a group, in order: spread and mean of its estimates; not of one agent alone."""
    keys = ["configuration", "market_id", "event_id", "replicate", "forecast_id", "round"]
    rounds = _estimates(evidence).group_by(keys, maintain_order=True).agg(
        spread=pl.col("probability").max() - pl.col("probability").min(),
        mean=pl.col("probability").mean(), n=pl.col("agent").n_unique(),
    )  # fmt: skip
    return rounds.filter(pl.col("n") > 1).sort("configuration", "market_id", "replicate", "forecast_id", "round")
