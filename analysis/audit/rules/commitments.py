"""Rules about what agents committed themselves to."""

from collections.abc import Iterator
from typing import ClassVar

import polars as pl

from coordeval.analysis.audit.evidence import Evidence
from coordeval.analysis.audit.rule import Finding, Rule, as_rows
from coordeval.analysis.base.numerals import counted


class CommitmentBroken(Rule):
    """To have acknowledged a proposal binds nobody, so only who agreed and then estimated again can have broken anything."""

    name = "commitment_broken"
    severity = "warning"
    looks_for = "agents that agreed to a number and then gave another, further from it than they had agreed to"
    stage = "talk"
    modes: ClassVar = ("2.6",)

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        bound = evidence.commitments.drop_nulls("kept").join(evidence.cells, on="forecast_id", how="left")
        for (name,), own in sorted(bound.partition_by("configuration", as_dict=True).items(), key=str):
            broken = own.filter(~pl.col("kept"))
            said = pl.format(
                "agreed to {} within {}, then said {}", *(pl.col(c).round(3) for c in ("probability", "within", "estimate"))
            )
            where = pl.format("{} agent {}", pl.col("forecast_id").str.slice(0, 12), pl.col("agent") + 1)
            rows = as_rows(broken.with_columns(table=pl.lit("acts"), id=where, says=said))
            says = f"{name}: {broken.height:,} of {counted(own.height, 'agreement')} that bound an agent were broken by it"
            yield from self.found(rows, own.height, "agreements", says)
