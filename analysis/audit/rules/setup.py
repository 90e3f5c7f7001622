"""Rules about how a study was set up: are these several procedures, of several agents, under the same conditions?"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar, Final

import polars as pl

from coordeval.analysis.audit.evidence import Evidence
from coordeval.analysis.audit.rule import Finding, Rule, as_rows, of_asks, of_forecasts
from coordeval.analysis.base.numerals import counted

_SEVERAL: Final = re.compile(
    r"ensemble|debate|consensus|committee|delphi|jury|crowd|panel|swarm|team|vot(?:e|ing)|orchestrat|pool"
)
"""Words of a name that promise more than one agent at a time."""

_ALONE: Final = re.compile(r"nobody sees anybody|nobody else|by itself|own last|alone", re.IGNORECASE)
"""Words of the declared elements of a configuration whose agents revise without each other on purpose."""


class IdenticalRequests(Rule):
    """Configurations whose first requests are the same bytes and were sampled apart: until there, two names for one thing.

    Where they share the replies as well, as common draws do, nothing differs between them by chance, and this is silent.
    """

    name = "identical_requests"
    severity = "error"
    looks_for = "configurations of different names that send the same requests, each sampled anew"
    stage = "setup"
    needs = ("asks", "calls")

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        cells = _openings(evidence)
        names = sorted(set(cells["configuration"]))
        shared = cells.join(cells, on=["market_id", "replicate"], suffix="_other").filter(
            pl.col("configuration") < pl.col("configuration_other")
        )
        own = pl.col("draws").list.set_intersection("draws_other").list.len() == 0
        pairs = (
            shared.with_columns(
                same=(pl.col("first") == pl.col("first_other")) & own, all_same=pl.col("all") == pl.col("all_other")
            )
            .group_by("configuration", "configuration_other")
            .agg(shared=pl.len(), same=pl.col("same").sum(), whole=(pl.col("same") & pl.col("all_same")).sum())
            .filter(pl.col("same") > 0)
            .sort("configuration", "configuration_other")
        )
        for group in _groups(pairs):
            mine = pairs.filter(pl.col("configuration").is_in(group))
            same, of = int(mine["same"].sum()), int(mine["shared"].sum())
            says = (
                f"{_listed(group)} begin with byte-identical requests in {same:,} of the {of:,} cells that two of them "
                "share, and "
                "sampled them apart"
            )
            for row in mine.filter(pl.col("whole") == pl.col("shared")).to_dicts():
                both = _listed([row["configuration"], row["configuration_other"]])
                says += f"; {both} send nothing else: one procedure under two names"
            rows = cells.filter(pl.col("configuration").is_in(group)).with_columns(ask=pl.lit(0))
            rows = of_asks(rows, pl.format("first request {}", pl.col("first").list.first().str.slice(0, 12)), "calls")
            yield from self.found(rows, len(names), "configurations", says, count=len(group))


class FewerAgents(Rule):
    """Of a forecast that failed nothing is said: whoever was to speak first may have had no answer, and is a failed row."""

    name = "fewer_agents"
    severity = "error"
    looks_for = "a configuration whose name promises several agents at a time, and asks one"
    stage = "setup"
    needs = ("asks",)

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        failed = evidence.forecasts.filter(status="failed")
        said = evidence.said.join(failed, on="forecast_id", how="anti")
        said = said.filter(pl.col("configuration").str.contains(_SEVERAL.pattern) & pl.col("agent").is_not_null())
        width = said.group_by("forecast_id", "round").agg(agents=pl.col("agent").n_unique())
        widest = width.group_by("forecast_id").agg(pl.col("agents").max()).join(evidence.cells, on="forecast_id")
        alone = widest.filter(pl.col("agents") < 2).sort("configuration", "market_id", "replicate")
        names = alone["configuration"].unique().sort().to_list()
        says = (
            f"{_listed(names)} never had two agents at work at once in {counted(alone.height, 'forecast')}: there was "
            "nobody to "
            "pool, to answer or to agree with"
        )
        yield from self.found(of_forecasts(alone, "one agent at a time"), widest.height, "forecasts", says)


class EmptyPeers(Rule):
    name = "empty_peers"
    severity = "error"
    looks_for = "a revision in a group that was shown its author's own words and nobody else's"
    stage = "setup"
    modes: ClassVar = ("1.4", "2.4")
    needs = ("asks", "messages")

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        said = evidence.said
        estimates = said.filter(pl.col("kind") != "report")
        source = said.select("forecast_id", "kind", from_ask="ask", from_agent="agent")
        target = estimates.select("forecast_id", to_ask="ask", to_agent="agent")
        seen = evidence.messages.join(source, on=["forecast_id", "from_ask"]).join(target, on=["forecast_id", "to_ask"])
        same = pl.col("from_agent") == pl.col("to_agent")
        heard = seen.group_by("forecast_id", "to_ask").agg(
            own=(same & (pl.col("kind") != "report")).sum(), others=(~same).sum(), reports=(pl.col("kind") == "report").sum()
        )
        revisions = heard.filter((pl.col("own") > 0) & (pl.col("reports") == 0))
        revisions = revisions.join(said, left_on=["forecast_id", "to_ask"], right_on=["forecast_id", "ask"]).rename(
            {"to_ask": "ask"}
        )
        several = pl.col("agent").n_unique().over("forecast_id") > 1
        apart = [name for name, own in evidence.elements.items() if _ALONE.search(str(own))]
        group = pl.col("configuration").str.contains(_SEVERAL.pattern) | (several & ~pl.col("configuration").is_in(apart))
        revisions = revisions.filter(group).sort("configuration", "market_id", "replicate", "ask")
        alone = revisions.filter(pl.col("others") == 0)
        says = (
            f"{alone.height:,} of {counted(revisions.height, 'revision')} were shown their author's own estimate and no "
            "peer's, in "
            f"{_listed(alone['configuration'].unique().sort().to_list())}: a second thought under the name of an exchange"
        )
        yield from self.found(of_asks(alone, "shown nobody but itself"), revisions.height, "revisions", says)


class UnequalConditions(Rule):
    """The information-control certificate as findings: `analysis.control` has what was compared and how."""

    name = "unequal_conditions"
    severity = "error"
    looks_for = "output caps, prompts, tools, models or parameters that differ between requests"
    stage = "setup"
    needs = ()

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        control = evidence.control
        for field in () if control is None else control.differences:
            draws = [sum(value.draws.values()) for value in field.values]
            values = "; ".join(
                f"{' '.join(value.value.split())[:40]} ({sum(value.draws.values()):,})" for value in field.values[:3]
            )
            rows = pl.DataFrame({"id": [v.example for v in field.values], "says": [v.value[:200] for v in field.values]})
            says = f"{field.name} is not the same in all requests ({field.detail}): {values}"
            rows = as_rows(rows.with_columns(table=pl.lit("draws")))
            yield from self.found(rows, sum(draws), "requests", says, count=sum(draws) - max(draws, default=0))
        if control is not None and control.substituted and not any(f.name == "served model" for f in control.differences):
            others = sum(one.draws for one in control.answered if not one.alike)
            total = sum(one.draws for one in control.answered)
            yield from self.found(as_rows(pl.DataFrame({"id": []})), total, "replies", control.substituted, count=others)


def _openings(evidence: Evidence) -> pl.DataFrame:
    """configuration, market_id, replicate, forecast_id, first and all (sorted lists of request ids), draws: one row a cell.

    `first`: of the asks that were shown nothing of what others said; `draws`: the replies to those.
    """
    shown = evidence.messages.select("forecast_id", ask="to_ask").unique()
    begun = evidence.calls.filter(pl.col("request_id").is_not_null()).sort("forecast_id", "ask", "turn")
    begun = begun.unique(["forecast_id", "ask"], keep="first", maintain_order=True)
    alone = begun.join(shown, on=["forecast_id", "ask"], how="anti")
    first = alone.group_by("forecast_id").agg(first=pl.col("request_id").unique().sort(), draws=pl.col("draw_id").unique())
    every = begun.group_by("forecast_id").agg(all=pl.col("request_id").unique().sort())
    return (
        first.join(every, on="forecast_id")
        .join(evidence.cells, on="forecast_id")
        .sort("configuration", "market_id", "replicate")
    )


def _groups(pairs: pl.DataFrame) -> list[list[str]]:
    """Names that hang together by pairs."""
    groups: list[set[str]] = []
    for first, second in pairs.select("configuration", "configuration_other").iter_rows():
        touched = [group for group in groups if {first, second} & group]
        groups = [group for group in groups if group not in touched] + [{first, second}.union(*touched)]
    return sorted(sorted(group) for group in groups)


def _listed(names: list[str]) -> str:
    unique = list(Counter(names))
    return " and ".join([", ".join(unique[:-1]), unique[-1]] if len(unique) > 1 else unique)
