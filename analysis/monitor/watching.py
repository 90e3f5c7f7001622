"""Every signal of every configuration against its baseline: what changed, since when, and what no single agent showed."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
import polars as pl

from coordeval.analysis.base.checks import AnalysisError, Floats, Ints, at_least, chosen
from coordeval.analysis.base.numerals import counted, number
from coordeval.analysis.monitor.evidence import evidence
from coordeval.analysis.monitor.signals import BY_NAME, SIGNALS, Signal, checked, extremes, values

By = Literal["day", "block"]
State = Literal["open", "acknowledged", "over"]
BASELINE: Final = 28
"""Periods that are only compared with."""
LEAST: Final = 8
"""A shorter baseline could not be told from chance for very long."""
PER_FALSE_ALARM: Final = 36_500
"""Periods, 100 years of days, in which all signals of all configurations together raise at most one false alarm on average:
more than one in 20 years has a probability under 2%."""
OVER: Final = 7
"""An alarm is over once so many periods in a row have a median between the 10th and the 90th percentile of those before."""
SHOWN: Final = 20
"""Forecasts that an alarm names."""
_STREAMS: Final[dict[str, Any]] = {
    **dict.fromkeys(("configuration", "signal", "kind", "state"), pl.String),
    **dict.fromkeys(("periods", "forecasts"), pl.Int64),
    **dict.fromkeys(("baseline", "latest", "evidence", "needed"), pl.Float64),
    "reason": pl.String,
}
Key = tuple[str, str]
"""(configuration, signal)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One change of one signal. Periods are numbers; `before` and `after` in the signal's own unit."""

    configuration: str
    signal: str
    begun: int
    """First period of the baseline that it is told against."""
    since: int
    """Period in which the change most likely began."""
    raised: int
    """Period with which the evidence sufficed."""
    latest: int
    """The last period that belongs to it."""
    before: float
    after: float
    """Over all periods before `since`, and from it to `latest`: ratios of sums, as in a period."""
    evidence: float
    needed: float
    forecasts: tuple[str, ...]
    """Ids of the forecasts from `since` to `raised` that went furthest."""
    state: State
    alone: bool | None
    """Of a joint signal: none of a single agent's output had an alarm open when it was raised. None: it is no joint one."""

    @property
    def kind(self) -> str:
        return BY_NAME[self.signal].kind

    @property
    def up(self) -> bool:
        return self.after > self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """One stream, (n,) each: what a chart draws. Evidence is 0 within baselines and after alarms."""

    periods: Ints
    values: Floats
    """In the signal's own unit."""
    evidence: Floats
    watched: Floats
    """1 where the period was judged, 0 in a baseline, NaN while an alarm is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitored:
    """All signals of one study."""

    by: By
    streams: pl.DataFrame
    """configuration, signal, kind, state (quiet, alarm; null: not watched), periods, forecasts, baseline and latest value,
    evidence, needed, reason."""
    alarms: tuple[Alarm, ...]
    paths: Mapping[Key, Path]
    needed: float
    seed: int

    @cached_property
    def open(self) -> tuple[Alarm, ...]:
        return tuple(alarm for alarm in self.alarms if alarm.state == "open")


def label(by: str, period: int) -> str:
    """A period in words: `2026-03-01`, or `block 12`, counted from 1."""
    return f"{date(1970, 1, 1) + timedelta(days=period):%Y-%m-%d}" if by == "day" else f"block {period + 1}"


def monitor(
    record: pl.DataFrame,
    *,
    by: By = "day",
    baseline: int | tuple[int, int] = BASELINE,
    ended: Mapping[Key, Sequence[tuple[int, int]]] | None = None,
    seed: int = 0,
) -> Monitored:
    """Watches every signal of every configuration of `record` (`analysis.monitor.RECORD`).

    `baseline`: how many periods begin each stream and are only compared with, or the first and last period that do.
    `ended`: (configuration, signal) -> first and last period of each alarm that was acknowledged; after it the stream begins
    a new baseline. `seed` orders equal values.

    An alarm needs evidence of PER_FALSE_ALARM × signals × configurations (Bonferroni), so that as long as nothing changes
    36,500 periods bring at most one false alarm in expectation over everything that is watched, whatever depends on what,
    and 365 periods bring any with probability at most 1%.

    Raises:
        AnalysisError: the record breaks a rule, or the baseline is no window of at least LEAST periods.
    """
    chosen("by", by, ("day", "block"))
    if not isinstance(baseline, tuple):
        at_least("baseline", baseline, LEAST)
    elif baseline[1] - baseline[0] + 1 < LEAST:
        said = " to ".join(label(by, end) for end in baseline)
        raise AnalysisError(f"the baseline {said} holds fewer than {LEAST} periods: give a longer one")
    rows = checked(record)
    configurations = rows["configuration"].unique().sort().to_list()
    needed = float(PER_FALSE_ALARM * len(SIGNALS) * max(1, len(configurations)))
    streams: list[dict[str, Any]] = []
    alarms: list[Alarm] = []
    paths: dict[Key, Path] = {}
    for signal in SIGNALS:
        known = dict(values(rows, signal).partition_by("configuration", as_dict=True))
        for name in configurations:
            row: dict[str, Any] = {"configuration": name, "signal": signal.name, "kind": signal.kind, "needed": needed}
            own = known.get((name,))
            if own is not None and isinstance(baseline, tuple):
                own = own.filter(pl.col("period") >= baseline[0])
            if own is None or own.is_empty():
                streams.append(row | {"periods": 0, "forecasts": 0, "reason": signal.lacking})
                continue
            stream = _Stream(rows, signal, name, own, by, baseline, needed, (ended or {}).get((name, signal.name), ()), seed)
            paths[name, signal.name] = stream.path()
            alarms += stream.alarms
            streams.append(row | stream.row())
    table = pl.DataFrame([{key: row.get(key) for key in _STREAMS} for row in streams], schema=_STREAMS)
    return Monitored(by=by, streams=table, alarms=tuple(_told_apart(alarms)), paths=paths, needed=needed, seed=seed)


class _Stream:
    """One signal of one configuration: cycles of a baseline, a watch and perhaps an alarm, one after the other."""

    def __init__(
        self, record: pl.DataFrame, signal: Signal, configuration: str, own: pl.DataFrame, by: By,
        baseline: int | tuple[int, int], needed: float, ended: Sequence[tuple[int, int]], seed: int,
    ) -> None:  # fmt: skip
        self.record, self.signal, self.configuration, self.by, self.needed = record, signal, configuration, by, needed
        self.periods, self.x = own["period"].to_numpy(), own["value"].to_numpy()
        self.weight = own["below"].to_numpy()
        self.forecasts = int(own["forecasts"].sum())
        self.ended = ended
        self.alarms: list[Alarm] = []
        self.evidence, self.watched = np.zeros(len(self.x)), np.zeros(len(self.x))
        digest = hashlib.sha256(f"{seed}|{configuration}|{signal.name}".encode()).digest()
        self.ties = np.random.default_rng(int.from_bytes(digest[:8])).random(len(self.x))
        self.reason: str | None = None
        self.begun = 0
        length = baseline if isinstance(baseline, int) else int(np.sum(self.periods <= baseline[1]))
        if length < LEAST:
            said = label(by, baseline[1]) if isinstance(baseline, tuple) else ""
            self.reason = f"{counted(length, 'period')} with a value up to {said}, and a baseline takes {LEAST} or more"
            return
        while self._cycle(length):
            length = length if isinstance(baseline, int) else BASELINE

    def _cycle(self, length: int) -> bool:
        """One baseline and what follows; True: an alarm of it has ended, so that another one begins."""
        first, n = self.begun, len(self.x) - self.begun
        if n <= length:
            what = "so far" if not self.alarms else f"since the last alarm, in {label(self.by, self.alarms[-1].latest)}"
            self.reason = f"{counted(n, 'period')} {what}, and the baseline takes {length} before the first that is judged"
            return False
        found = evidence(self.x[first:], self.ties[first:], baseline=length)
        at = found.first(self.needed)
        end = len(self.x) if at is None else first + at + 1
        self.evidence[first:end] = found.value[: end - first]
        self.watched[first + length : end] = 1.0
        if at is None:
            return False
        since, raised = first + int(found.since[at]), first + at
        stop, again, state = self._end(first, since, raised)
        self.watched[raised + 1 : again] = np.nan
        before, after = self._level(first, since), self._level(since, stop)
        up = after > before
        ids = extremes(
            self.record, self.signal, self.configuration, (self.periods[since], self.periods[raised]), up=up, n=SHOWN
        )
        self.alarms.append(
            Alarm(
                configuration=self.configuration, signal=self.signal.name, begun=int(self.periods[first]),
                since=int(self.periods[since]), raised=int(self.periods[raised]), latest=int(self.periods[stop - 1]),
                before=self.signal.shown(before), after=self.signal.shown(after), evidence=float(found.value[at]),
                needed=self.needed, forecasts=tuple(ids), state=state, alone=None,
            )
        )  # fmt: skip
        self.begun = again
        return state != "open"

    def _end(self, first: int, since: int, raised: int) -> tuple[int, int, State]:
        """The position after the alarm's last period, that of the next baseline, and what the alarm is."""
        own = [last for begin, last in self.ended if begin <= self.periods[raised] and last >= self.periods[since]]
        known = max(own, default=None)
        low, high = np.quantile(self.x[first:since], (0.1, 0.9))
        last = len(self.x) if known is None else int(np.searchsorted(self.periods, known, side="right"))
        for start in range(raised + 1, last - OVER + 1):
            if low <= np.median(self.x[start : start + OVER]) <= high:
                return start, start + OVER, "over"  # what was looked at to say so is no part of a baseline
        if known is not None:
            return max(last, raised + 1), max(last, raised + 1), "acknowledged"
        return len(self.x), len(self.x), "open"

    def _level(self, first: int, stop: int) -> float:
        """The value of periods put together. Of several, no one weighs more than what is in it."""
        return float(np.average(self.x[first:stop], weights=self.weight[first:stop]))

    def path(self) -> Path:
        shown = np.array([self.signal.shown(value) for value in self.x])
        return Path(periods=self.periods, values=shown, evidence=self.evidence, watched=self.watched)

    def row(self) -> dict[str, Any]:
        alarm = self.alarms[-1] if self.alarms and self.alarms[-1].state == "open" else None
        found = {"periods": len(self.x), "forecasts": self.forecasts, "latest": self.signal.shown(float(self.x[-1]))}
        if alarm is not None:
            return found | {"state": "alarm", "baseline": alarm.before, "evidence": alarm.evidence}
        if self.reason is not None:
            return found | {"reason": self.reason}
        return found | {
            "state": "quiet",
            "baseline": self.signal.shown(self._level(self.begun, len(self.x) - 1)),
            "evidence": float(self.evidence[-1]),
        }


def _told_apart(alarms: list[Alarm]) -> list[Alarm]:
    """In order of time; of each joint alarm, whether an agent's own output showed anything when it was raised."""
    leaves = [alarm for alarm in alarms if alarm.kind == "leaf"]
    found = []
    for alarm in sorted(alarms, key=lambda a: (a.raised, a.configuration, a.signal)):
        beside = (leaf for leaf in leaves if leaf.configuration == alarm.configuration)
        seen = any(leaf.raised <= alarm.raised <= leaf.latest for leaf in beside)
        found.append(replace(alarm, alone=not seen if alarm.kind == "joint" else None))
    return found


def says(alarm: Alarm, by: str) -> str:
    """The alarm in one sentence, and a second where no single agent's output showed it."""
    signal = BY_NAME[alarm.signal]
    unit = f" {signal.unit}" if signal.unit else ""
    change = "" if alarm.before <= 0 else f" ({'+' if alarm.up else '−'}{abs(alarm.after / alarm.before - 1):.0%})"
    said = (
        f"{alarm.configuration}: {signal.title} went from {number(alarm.before, signal.digits)} to "
        f"{number(alarm.after, signal.digits)}{unit}{change} since {label(by, alarm.since)}"
    )
    if alarm.state == "over":
        said += f"; it was back after {label(by, alarm.latest)}"
    if alarm.alone:
        said += ". No signal of a single agent's output showed it"
    return said
