"""Why was this forecast bad? The rows of every rule that are about it, ranked, and the most probable first cause.

What begins earlier in the making of a forecast comes first: a search that fails explains an estimate that repeats the price,
and not the other way round. A row that is proof comes before one that chance leaves in some forecasts anyway; of those the
rarer one comes first. This is a ranking of what is recorded, not a proof of cause.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from coordeval.analysis.audit.auditing import blind
from coordeval.analysis.audit.evidence import Evidence
from coordeval.analysis.audit.rule import ROWS, STAGES, Rule, Severity
from coordeval.analysis.audit.taxonomy import MAST
from coordeval.analysis.base.checks import AnalysisError

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One rule that this forecast shows."""

    rule: str
    severity: Severity
    stage: str
    modes: tuple[str, ...]
    """Modes of MAST that it is a sign of; empty where the taxonomy has none."""
    chance: float
    """Share of the forecasts without the fault that show it all the same; 0: it is proof."""
    looks_for: str
    ask: int | None
    """The first ask in which it shows; None where it belongs to the whole forecast."""
    rows: pl.DataFrame
    """Of `rule.ROWS`."""

    @property
    def says(self) -> str:
        """The rows in words, the first few."""
        said = self.rows["says"].drop_nulls().unique(maintain_order=True).to_list()
        more = f" and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
        return "; ".join(said[:_SHOWN]) + more

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        values = {name: getattr(self, name) for name in ("rule", "severity", "stage", "chance", "looks_for", "ask", "says")}
        return values | {"modes": {mode: MAST[mode] for mode in self.modes}, "rows": self.rows.to_dicts()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The causes, the most probable first one at the top; empty where no rule has anything about this forecast."""

    forecast: Mapping[str, Any]
    causes: tuple[Cause, ...]
    circumstances: tuple[Cause, ...]
    """What is to be known and is no cause: notes."""

    @property
    def first(self) -> Cause | None:
        """The most probable first cause."""
        return self.causes[0] if self.causes else None

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values; `first` is the rule."""
        values: dict[str, Any] = {"forecast": dict(self.forecast), "first": None if self.first is None else self.first.rule}
        parts = {"causes": self.causes, "circumstances": self.circumstances}
        return values | {name: [cause.as_json() for cause in causes] for name, causes in parts.items()}


def suspects(evidence: Evidence, rules: Sequence[Rule]) -> pl.DataFrame:
    """rule, and the columns of ROWS: everything that any rule would look at twice, also what it may well leave to chance."""
    parts = [pl.DataFrame(schema={"rule": pl.String, **ROWS})]
    for rule in rules:
        if blind(evidence, rule) is None:
            parts.append(rule.suspects(evidence).select(pl.lit(rule.name).alias("rule"), *ROWS))
    return pl.concat(parts)


def diagnose(evidence: Evidence, forecast_id: str, rules: Sequence[Rule], found: pl.DataFrame | None = None) -> Diagnosis:
    """The diagnosis of one forecast; `found`: what `suspects` gave, for those who ask about several.

    Raises AnalysisError where there is no such forecast.

    >>> from coordeval.analysis.audit import diagnose, evidence
    >>> from coordeval.analysis.audit.registry import load
    >>> from coordeval.analysis.selftest.audit_world import world
    >>> frames = world(20)
    >>> frames["tool_calls"] = frames["tool_calls"].with_columns(error=True)
    >>> diagnose(evidence(frames), "independent_ensemble-0003", load().made()).first.rule
    'tool_failed'
    """
    known = evidence.forecasts.filter(pl.col("forecast_id") == forecast_id)
    if known.is_empty():
        raise AnalysisError(f"forecast {forecast_id!r} is not among the {evidence.forecasts.height:,} of this study")
    facts = known.row(0, named=True)
    rows = suspects(evidence, rules) if found is None else found
    draws = evidence.calls.filter(pl.col("forecast_id") == forecast_id)["draw_id"]
    about_market = pl.col("forecast_id").is_null() & (pl.col("market_id") == facts["market_id"])
    about_draw = (pl.col("table") == "draws") & pl.col("id").is_in(draws.implode())
    mine = rows.filter((pl.col("forecast_id") == forecast_id) | about_market | about_draw)
    causes = sorted((_cause(rule, mine.filter(pl.col("rule") == rule.name)) for rule in rules), key=_order)
    shown = [cause for cause in causes if cause.rows.height]
    return Diagnosis(
        forecast=facts,
        causes=tuple(cause for cause in shown if cause.severity != "note"),
        circumstances=tuple(cause for cause in shown if cause.severity == "note"),
    )


def _cause(rule: Rule, rows: pl.DataFrame) -> Cause:
    asks = rows["ask"].drop_nulls().to_list()
    return Cause(
        **{name: getattr(rule, name) for name in ("severity", "stage", "modes", "chance", "looks_for")},
        rule=rule.name,
        ask=min(asks, default=None),
        rows=rows.select(list(ROWS)),
    )


def _order(cause: Cause) -> tuple[bool, float, int, int]:
    return cause.chance > 0, cause.chance, STAGES.index(cause.stage), -1 if cause.ask is None else cause.ask
