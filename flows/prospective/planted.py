"""What goes wrong in a simulated year, from which day to which, and whether the monitor found it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from coordeval.agents.degraded import USUAL, Degraded

FIRST: Final = 60
"""The day, counted from 0, on which the first thing goes wrong: the monitor's baseline is 28 days."""
LASTS: Final = 40
PAUSE: Final = 20
"""Days on which all is well again, between two of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to degrade without an error."""

    name: str
    model: Degraded
    shows: frozenset[str]
    """Signals of which at least one has to be told: the others need not move far enough in these days."""


FAULTS: Final = (
    Fault(name="a search returns nothing", model=Degraded(blind=True), shows=frozenset({"empty_results"})),
    Fault(name="another model answers", model=Degraded(served="simulated-forecaster-2"), shows=frozenset({"other_model"})),
    Fault(
        name="agents copy each other",
        model=Degraded(replace(USUAL, herding=1.0, conformity=0.0, revision_noise=0.0)),
        shows=frozenset({"influence", "spread"}),
    ),
    Fault(
        name="agents hardly agree",
        model=Degraded(replace(USUAL, herding=0.05, conformity=0.0, private_noise=2.5)),
        shows=frozenset({"path", "rounds", "opening_spread"}),
    ),
    Fault(
        name="answers malformed",
        model=Degraded(replace(USUAL, malformed_rate=0.3)),
        shows=frozenset({"corrections"}),
    ),
    Fault(name="YES and NO mixed up", model=Degraded(turned=True), shows=frozenset({"from_price", "brier", "excess"})),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A fault on the days `first` to `last`, both included, counted from 0."""

    fault: Fault
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An alarm of the monitor; days counted from 0."""

    configuration: str
    signal: str
    kind: str
    since: int
    raised: int
    """The day with which the evidence sufficed."""
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the monitor said of what was planted."""

    planted: Planted
    told: tuple[Told, ...]
    delay: int | None = field(default=None)
    """Days from the first bad one to the first alarm of a signal that has to show it, both counted; None: not found."""

    def line(self) -> str:
        """For people."""
        one = self.planted
        signals = ", ".join(dict.fromkeys(told.signal for told in self.told))
        found = "NOT FOUND" if self.delay is None else f"found after {self.delay} days"
        return f"  days {one.first}-{one.last}, {one.fault.name}: {found}; {signals or 'no signal'}"


def planted(days: int) -> tuple[Planted, ...]:
    """The faults that fit into so many days, one after the other, each followed by days on which all is well."""
    begins = range(FIRST, days - LASTS + 1, LASTS + PAUSE)
    return tuple(
        Planted(fault=fault, first=first, last=first + LASTS - 1) for fault, first in zip(FAULTS, begins, strict=False)
    )


def model_of(plan: Sequence[Planted], day: int) -> Degraded | None:
    """What answers on that day; None: the study's own model."""
    return next((one.fault.model for one in plan if one.first <= day <= one.last), None)


def findings(plan: Sequence[Planted], told: Sequence[Told]) -> tuple[tuple[Finding, ...], tuple[Told, ...]]:
    """(what became of each planted fault, alarms that none of them explains).

    An alarm is that of the last fault which had begun when it was raised: since when a signal has changed is an estimate,
    and that a fault ends is a change too.
    """
    own: dict[int, list[Told]] = {n: [] for n in range(len(plan))}
    unexplained = []
    for one in sorted(told, key=lambda one: (one.raised, one.configuration, one.signal)):
        begun = [n for n, fault in enumerate(plan) if fault.first <= one.raised]
        if begun:
            own[begun[-1]].append(one)
        else:
            unexplained.append(one)
    found = []
    for n, fault in enumerate(plan):
        shown = [one.raised for one in own[n] if one.signal in fault.fault.shows and one.raised <= fault.last]
        delay = min(shown) - fault.first + 1 if shown else None
        found.append(Finding(planted=fault, told=tuple(own[n]), delay=delay))
    return tuple(found), tuple(unexplained)
