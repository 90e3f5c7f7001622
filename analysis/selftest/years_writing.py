"""The self-test of the monitor: how many years, what may come out, and the tables of docs/monitor.md."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from scipy.stats import binom, poisson

from coordeval.analysis.monitor.signals import KINDS
from coordeval.analysis.monitor.watching import PER_FALSE_ALARM
from coordeval.analysis.selftest.years import (
    CHANGED_ON,
    CONFIGURATIONS,
    DAYS,
    PER_DAY,
    SHAPES,
    Delay,
    Silence,
    delays,
    silence,
)

BEGIN: Final = "<!-- measured: begin -->"
END: Final = "<!-- measured: end -->"
LUCK: Final = 0.001
"""Steady years fail where the promise holds and so many alarms have a smaller probability than this."""
FOUND: Final = 0.75
"""Share of the years in which a planted change must be found, of each signal and of all together, but for LUCK."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Years:
    """How many simulated years."""

    steady: int
    other: int
    """Of each shape for which nothing is promised."""
    changed: int
    """For each signal."""


FULL: Final = Years(steady=100, other=20, changed=20)
QUICK: Final = Years(steady=4, other=1, changed=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class YearsTest:
    """What came out."""

    silences: tuple[Silence, ...]
    delays: tuple[Delay, ...]
    seed: int

    @property
    def failures(self) -> Iterator[str]:
        """What is off beyond chance, in words."""
        for row in self.silences:
            if row.shape == "steady" and row.alarms > (most := allowed(row.years)):
                yield f"{row.alarms} false alarms in {row.years} steady years; at most {most} may come by chance"
        for delay in self.delays:
            if delay.found < binom.ppf(LUCK, delay.years, FOUND):
                yield f"a change of {delay.signal.name} was found in {delay.found} of {delay.years} years"
        found, years = (sum(getattr(delay, name) for delay in self.delays) for name in ("found", "years"))
        if found < binom.ppf(LUCK, years, FOUND):
            yield f"a change of any signal was found in {found} of {years} years"


def allowed(years: int) -> int:
    """False alarms in so many steady years that are no wonder where one in 100 years is promised on average."""
    return int(poisson.ppf(1 - LUCK, years * DAYS / PER_FALSE_ALARM))


def years_test(plan: Years, *, seed: int = 0, told: Callable[[str], None] = lambda said: None) -> YearsTest:
    """Runs the plan. The same plan and seed give the same result."""
    silences = []
    for shape in SHAPES:
        told(f"nothing changes, {shape}")
        silences.append(silence(shape, years=plan.steady if shape == "steady" else plan.other, seed=seed))
    found = []
    for delay in delays(years=plan.changed, seed=seed):
        told(f"a change of {delay.signal.name}")
        found.append(delay)
    return YearsTest(silences=tuple(silences), delays=tuple(found), seed=seed)


def silence_rows(test: YearsTest) -> list[tuple[str, ...]]:
    """Header and rows."""
    header = ("days", "years", "false alarms", "what they are")
    return [header, *((s.shape, str(s.years), str(s.alarms), SHAPES[s.shape]) for s in test.silences)]


def delay_rows(test: YearsTest) -> list[tuple[str, ...]]:
    """Header and rows."""
    rows: list[tuple[str, ...]] = [("signal", "of", "found in", "median delay, days", "slowest, days")]
    for d in test.delays:
        middle = "over half not found" if d.days is None else f"{d.days:g}"
        rows.append(
            (d.signal.title, d.signal.kind, f"{d.found} of {d.years}", middle, "–" if d.slowest is None else str(d.slowest))
        )
    return rows


def measured(test: YearsTest, command: str) -> str:
    """The part of docs/monitor.md that a command writes."""
    others = sum(delay.others for delay in test.delays)
    return "\n\n".join(
        (
            f"Written by `{command}`, seed {test.seed}. A year has {DAYS} days, {len(CONFIGURATIONS)} configurations and "
            f"{PER_DAY} forecasts a day of each; every signal of every configuration is watched at once.",
            "**While nothing changes**",
            _table(silence_rows(test)),
            f"**A change of 20% on day {CHANGED_ON}** (a share: 20% of the cases that were well are not)",
            _table(delay_rows(test)),
            f"In the same years {others} alarms came of signals of these configurations that had not changed. "
            + "; ".join(f"{kind}: {meaning}" for kind, meaning in KINDS.items())
            + ".",
        )
    )


def into(page: str, part: str) -> str:
    """`page` with `part` between its two marks. Raises ValueError where the marks are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{part}\n{END}{after}"


def _table(rows: list[tuple[str, ...]]) -> str:
    head, *body = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *body))
