"""What a scheduled job is: data about it, and a plain function that does one day."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from coordeval.analysis.report.page import Report
from coordeval.flows.study.study import LoadedStudy

Say = Callable[[str], None]
"""Is told, in sentences, what goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a job did on one day."""

    said: str
    """A sentence, which is kept as the day's reason."""
    report: Report | None = None
    page: Path | None = None
    alarms: Sequence[Mapping[str, Any]] = ()
    """One event per alarm that has not been told before: what Prefect's `emit_event` takes by name."""


class Doing(Protocol):
    """One day of a job. `study` is None for a job of the whole ledger. It may be called again for the same day, after a
    failure or a kill, and then does only what is left. Nothing in it asks the machine what time it is."""

    def __call__(self, study: Path | None, ledger: Path, *, day: date, now: datetime, say: Say, **options: Any) -> Done: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One line of the table of jobs."""

    name: str
    about: str
    """What it does, in one sentence, for whoever meets it in Prefect's UI."""
    do: Doing
    cron: str
    """When it wakes, in UTC."""
    of: Literal["study", "venue"]
    """What its days are counted for: a study file, or the venue that `source` names."""
    catch_up: Literal["each", "last", "never"]
    """Of missed days: each is done; the last alone, because it covers the others; or none, because the past is over."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What can be set, and its default."""
    fits: Callable[[LoadedStudy], bool] = lambda loaded: True
    """Whether it makes sense for a study."""
    writes: bool = True
    """It stores rows; a job that only reads can go on beside a writer."""
