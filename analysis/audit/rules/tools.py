"""Rules about tools: did what came back tell anything, and about this market?"""

from collections.abc import Iterator
from typing import ClassVar, Final

import polars as pl

from coordeval.analysis.audit.evidence import Evidence
from coordeval.analysis.audit.rule import Finding, Rule, Severity, of_tool_calls
from coordeval.analysis.base.numerals import counted

_FEW: Final = 5
"""Calls of a tool below which it is not said that it never works."""


class _PerTool(Rule):
    """One finding per tool: `column` of `Evidence.used` is what is wrong with a result."""

    stage = "tools"
    needs = ("tool_calls",)
    column: ClassVar[str]
    what: ClassVar[str]
    some: ClassVar[Severity | None] = None
    """The severity where it is less than half of a tool's results; None: as otherwise."""

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        for (tool,), calls in evidence.used.sort("tool", maintain_order=True).partition_by("tool", as_dict=True).items():
            hit = calls.filter(self.column)
            share = f"{hit.height:,} of {counted(calls.height, 'call')} of {tool}"
            severity = self.some if 2 * hit.height < calls.height else None
            rows = of_tool_calls(hit, pl.lit(f"{tool} {self.what}"))
            yield from self.found(
                rows, calls.height, f"calls of {tool}", f"{share} {self.what}{self.more(hit)}", severity=severity
            )

    def more(self, hit: pl.DataFrame) -> str:
        """What is added to the sentence."""
        return ""


class OtherMarket(_PerTool):
    name = "tool_other_market"
    severity = "error"
    looks_for = "tool results that name another question than the market's"
    column, what = "other", "came back with another market"

    def more(self, hit: pl.DataFrame) -> str:
        if hit.is_empty():
            return ""
        question, n = hit["question"].value_counts(sort=True).row(0)
        return f"; {n:,} of them with {str(question)[:80]!r}"


class ToolFailed(_PerTool):
    name = "tool_failed"
    severity = "error"
    looks_for = "tool calls that ended in an error"
    column, what, some = "error", "failed", "note"


class ToolEmpty(_PerTool):
    name = "tool_empty"
    severity = "warning"
    looks_for = "tool calls that came back empty"
    column, what, some = "empty", "came back empty", "note"


class ToolRepeated(_PerTool):
    name = "tool_repeated"
    severity = "warning"
    looks_for = "tool results that the same ask had already been given"
    modes = ("1.3",)
    column, what, some = "repeated", "said what the ask had been told already", "note"


class ToolNeverUseful(Rule):
    name = "tool_never_useful"
    severity = "error"
    looks_for = "a tool that is offered, is called, and never once tells anything about the market"
    stage = "tools"
    needs = ("tool_calls",)

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        used = evidence.used
        tools = used.group_by("tool").agg(calls=pl.len(), useful=pl.col("useful").sum()).sort("tool")
        useless = tools.filter((pl.col("useful") == 0) & (pl.col("calls") >= _FEW))
        hit = used.filter(pl.col("tool").is_in(useless["tool"].implode()))
        named = ", ".join(f"{tool} ({calls:,} calls)" for tool, calls, _ in useless.iter_rows())
        says = (
            f"{useless.height} of {counted(tools.height, 'tool')} never gave a useful result: {named}; "
            f"{hit.height:,} of {counted(used.height, 'tool call')} went there"
        )
        why = (
            pl.when("error")
            .then(pl.lit("failed"))
            .when("other")
            .then(pl.lit("another market"))
            .when("empty")
            .then(pl.lit("empty"))
        )
        rows = of_tool_calls(hit, pl.format("{}: {}", "tool", why.otherwise(pl.lit("told already"))))
        yield from self.found(rows, used.height, "tool calls", says)
