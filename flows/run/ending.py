"""How a run ended. Its exit status, its row in the ledger, Prefect's state and what a person reads are all taken from here.

A cell is *answered*, *failed* for good, or *open*: not asked yet, or failed in a way that may pass. A study is complete when
no cell is open, whoever made the forecasts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from coordeval.analysis.base.arms import MAIN
from coordeval.analysis.base.numerals import counted
from coordeval.flows.run.reasons import Reasons
from coordeval.flows.study.names import PROBE
from coordeval.ledger import Reader

Status = Literal["complete", "incomplete", "unanswered", "stopped", "error"]

EXIT_STATUS: Mapping[Status, int] = {"complete": 0, "error": 1, "incomplete": 3, "unanswered": 4}
"""What `coordeval run` leaves with; stopped by a signal it is 128 + the signal's number. (2 is a wrong command line.)"""

NOT_ASKED = "not asked yet"
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """A study's cells as they stand: planned = answered + failed + open."""

    planned: int = 0
    answered: int = 0
    failed: int = 0
    open: int = 0
    why_open: Mapping[str, int]
    """Reason -> cells. Reasons that differ in numbers and ids only are one, shown by an example."""
    why_failed: Mapping[str, int]
    silent: tuple[str, ...] = ()
    """Configurations of which every cell has failed for good."""
    asked_in_vain: bool = False
    """No cell that asks a model was answered, and none is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a run left its study."""

    status: Status
    cells: Cells
    made: int
    """Forecasts that this run stored, failed ones included."""
    detail: str = ""
    """What stopped it, or its error."""
    page: Path | None = None
    """The report, where one was written."""
    noun: str = "forecast"
    """What a cell makes."""

    @property
    def exit_status(self) -> int:
        return EXIT_STATUS[self.status]

    def row(self, *, paid_micro_usd: int | None) -> dict[str, Any]:
        """The counts of a row of `runs`."""
        cells = self.cells
        counts = {"planned": cells.planned, "answered": cells.answered, "failed": cells.failed, "open": cells.open}
        return {**counts, "made": self.made, "paid_micro_usd": paid_micro_usd}

    def summary(self) -> str:
        """One sentence: how much of the study is there."""
        cells = self.cells
        parts = f"{cells.answered} answered, {cells.failed} failed for good, {cells.open} open"
        match self.status:
            case "complete":
                return f"complete: {counted(cells.planned, self.noun)}, {parts}"
            case "unanswered":
                return f"unanswered: every {self.noun} that asks a model has failed for good ({parts})"
            case "incomplete":
                return f"incomplete: {cells.open} of {counted(cells.planned, self.noun)} are open ({parts})"
            case _:
                why = f" ({self.detail})" if self.detail else ""
                return f"{self.status}{why}: {counted(cells.planned, self.noun)}, {parts}"

    def lines(self, command: str) -> list[str]:
        """The summary, why cells are open or failed, and which command takes the open ones up."""
        cells = self.cells
        lines = [self.summary()]
        lines += [f"  open: {count} × {reason}" for reason, count in _first(cells.why_open)]
        lines += [f"  failed for good: {count} × {reason}" for reason, count in _first(cells.why_failed)]
        lines += [f"  {name}: none of its {self.noun}s was answered" for name in cells.silent]
        if cells.open:
            lines.append(f"  `{command}` goes on: it asks for the open ones only, what is stored is not paid for again")
        return lines


def end_of(cells: Cells, *, made: int, noun: str = "forecast") -> End:
    """How a run that came to its end left a study with these cells."""
    status: Status = "incomplete" if cells.open else "unanswered" if cells.asked_in_vain else "complete"
    return End(status=status, cells=cells, made=made, detail="; ".join(_told(cells)), noun=noun)


def cells_of(
    reader: Reader,
    study_id: str,
    asking: Iterable[str],
    not_asked: str = NOT_ASKED,
    *,
    markets: Sequence[str] | None = None,
) -> Cells:
    """The cells of a stored study, or of these of its markets.

    `asking`: the configurations that ask a model; `not_asked`: why some were never made.
    """
    rows = reader.query(_CELLS, {"study": study_id, "markets": None if markets is None else list(markets)}).to_dicts()
    answered, failed = Counter[str](), Counter[str]()
    why_open, why_failed = Reasons(), Reasons()
    for row in rows:
        name, count = _name(row), row["cells"]
        if row["status"] == "answered":
            answered[name] += count
        elif row["status"] == "failed" and not row["retryable"]:
            failed[name] += count
            why_failed.add(row["reason"], count)
        else:
            why_open.add(row["reason"] or not_asked, count)
    total = sum(row["cells"] for row in rows)
    open_ = sum(why_open.counts.values())
    asks = set(asking)
    asked = {_name(row) for row in rows if row["configuration"] in asks}
    return Cells(
        planned=total,
        answered=answered.total(),
        failed=failed.total(),
        open=open_,
        why_open=why_open.shown(),
        why_failed=why_failed.shown(),
        silent=tuple(sorted(failed.keys() - answered.keys())) if not open_ else (),
        asked_in_vain=not open_ and bool(failed) and not any(answered[name] for name in asked),
    )


def _name(row: Mapping[str, Any]) -> str:
    """The configuration, and the arm where it is not the study's own or the probe's."""
    return str(row["configuration"]) + (f" in the arm {row['arm']!r}" if row["arm"] not in (MAIN, PROBE) else "")


_CELLS = """
    SELECT c.arm, c.configuration, f.status, f.retryable, f.reason, count(*) AS cells
    FROM cells c LEFT JOIN forecasts f USING (forecast_id)
    WHERE c.study_id = $study AND ($markets IS NULL OR list_contains($markets::VARCHAR[], c.market_id))
    GROUP BY ALL ORDER BY cells DESC, f.reason
"""


def _first(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    """The most frequent, and the rest as one."""
    items = list(reasons.items())
    if len(items) <= _SHOWN:
        return items
    rest = items[_SHOWN:]
    return [*items[:_SHOWN], (f"{len(rest)} other reasons", sum(count for _, count in rest))]


def _told(cells: Cells) -> list[str]:
    told = [f"open: {count} × {reason}" for reason, count in _first(cells.why_open)]
    return told + [f"failed for good: {count} × {reason}" for reason, count in _first(cells.why_failed)]
