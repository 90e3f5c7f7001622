"""The interface of an audit rule, and what it finds."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Literal, get_args

import polars as pl

from coordeval.analysis.audit.evidence import Evidence

Severity = Literal["note", "warning", "error"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""From the mildest. An error makes a comparison or a figure meaningless; a warning weakens it; a note is to be known."""

Stage = Literal["setup", "prompt", "tools", "reading", "talk", "answer", "record"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
"""Where a fault begins, in the order in which a forecast is made."""

ROWS: Final[dict[str, Any]] = {
    **dict.fromkeys(("table", "id", "configuration", "market_id", "forecast_id"), pl.String),
    "ask": pl.Int64,
    "says": pl.String,
}
"""The rows behind a finding: the table, the row's id in words, and where it stands (null where that says nothing)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one rule found: `count` of `of` things, in one sentence, and the rows (of ROWS) that it was counted from."""

    rule: str
    severity: Severity
    count: int
    of: int
    unit: str
    """What is counted, in the plural."""
    says: str
    rows: pl.DataFrame
    left_out: int = 0
    """Rows that are not in `rows`, because it was shortened."""
    arms: tuple[str, ...] = ()
    """The arms of the study that it was found in; empty where nobody told them apart."""

    @property
    def n_rows(self) -> int:
        """How many rows it was counted from."""
        return self.rows.height + self.left_out

    def shortened(self, rows: int) -> "Finding":
        """With the first `rows` rows only."""
        return replace(self, rows=self.rows.head(rows), left_out=self.left_out + max(0, self.rows.height - rows))

    def as_json(self, *, rows: int | None = None) -> dict[str, Any]:
        """Plain values; the first `rows` rows, all where it is None."""
        kept = self.rows if rows is None else self.rows.head(rows)
        values = {name: getattr(self, name) for name in ("rule", "severity", "count", "of", "unit", "says")}
        return values | {"arms": list(self.arms), "n_rows": self.n_rows, "rows": kept.to_dicts()}


class Rule(ABC):
    """One kind of silent failure. A subclass declares what it is and finds it in the frames of `Evidence`.

    `find` yields nothing where all is well. It must not change the evidence and needs no seed: the same rows give the same
    findings. One that is about chance says in its sentence which test it made, and is silent in at least 98% of the studies
    without the fault.
    """

    name: ClassVar[str]
    severity: ClassVar[Severity]
    looks_for: ClassVar[str]
    """One line: what is wrong where this finds something."""
    stage: ClassVar[Stage]
    modes: ClassVar[tuple[str, ...]] = ()
    """Modes of MAST (`analysis.audit.taxonomy`) that this is a sign of."""
    chance: ClassVar[float] = 0.0
    """What share of the forecasts without this fault may show it all the same; 0 where a row is proof."""
    needs: ClassVar[tuple[str, ...]] = ("forecasts",)
    """Frames without which it cannot look."""

    @abstractmethod
    def find(self, evidence: Evidence) -> Iterable[Finding]:
        """Everything of this kind that is in the evidence."""

    def suspects(self, evidence: Evidence) -> pl.DataFrame:
        """The rows (of ROWS) in which it shows, whether or not they are more than chance would leave."""
        return joined(finding.rows for finding in self.find(evidence))

    def found(
        self,
        rows: pl.DataFrame,
        of: int,
        unit: str,
        says: str,
        *,
        count: int | None = None,
        severity: Severity | None = None,
    ) -> Iterator[Finding]:
        """One finding, or none where nothing was counted."""
        n = rows.height if count is None else count
        if n:
            grave = severity or self.severity
            yield Finding(rule=self.name, severity=grave, count=n, of=of, unit=unit, says=says, rows=as_rows(rows))


def as_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns of ROWS, those that are not there as null."""
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(kind).alias(name) for name, kind in ROWS.items()
    )


def joined(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Several frames of ROWS as one."""
    return pl.concat([pl.DataFrame(schema=ROWS), *parts])


def of_forecasts(frame: pl.DataFrame, says: pl.Expr | str) -> pl.DataFrame:
    """Rows for forecasts: `frame` has forecast_id and its cell."""
    return as_rows(frame.with_columns(table=pl.lit("forecasts"), id="forecast_id", says=_text(says)))


def of_asks(frame: pl.DataFrame, says: pl.Expr | str, table: str = "estimates") -> pl.DataFrame:
    """Rows for asks: `frame` has forecast_id and ask."""
    where = pl.format("{} ask {}", pl.col("forecast_id").str.slice(0, 12), "ask")
    return as_rows(frame.with_columns(table=pl.lit(table), id=where, says=_text(says)))


def of_tool_calls(frame: pl.DataFrame, says: pl.Expr | str) -> pl.DataFrame:
    """Rows for tool calls: `frame` has the columns of `Evidence.used`."""
    short = pl.col("forecast_id").str.slice(0, 12)
    where = pl.format("{} ask {} turn {} position {}", short, "ask", "turn", "position")
    return as_rows(frame.with_columns(table=pl.lit("tool_calls"), id=where, says=_text(says)))


def of_markets(frame: pl.DataFrame, says: pl.Expr | str) -> pl.DataFrame:
    """Rows for markets: `frame` has market_id."""
    return as_rows(frame.with_columns(table=pl.lit("markets"), id="market_id", says=_text(says)))


def _text(says: pl.Expr | str) -> pl.Expr:
    return pl.lit(says) if isinstance(says, str) else says
