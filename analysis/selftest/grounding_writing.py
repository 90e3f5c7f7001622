"""What the grounding game's self-test measured, as tables of its page and of the terminal."""

from dataclasses import asdict
from typing import Any, Final

from coordeval.analysis.selftest.audits_writing import markdown
from coordeval.analysis.selftest.grounding import ARMS, FALSE_ALARMS, RATE, STATEMENTS, GroundingTest
from coordeval.grounding.waterfall import CAUSES

Rows = list[tuple[str, ...]]
NAMES: Final = {
    "nothing": "nothing",
    "forgets": "forgets what was reached",
    "splits": "splits everything equally",
    "slips": "submits a unit off",
    "learning": "nothing, and learns by rounds",
    "learning, anchors": "learns by rounds, and repeats a short plan",
    "all": "all of these",
    "blunders": "buys half of what it should when alone",
    "withholds": "does not tell its projects",
    "all, convention": "all of these, and a convention without talk",
}


def pattern_rows(found: GroundingTest) -> Rows:
    """Header and a row for each world: efficiency of each arm, with its interval."""
    rows: Rows = [("planted", *ARMS)]
    for world, compared in found.pattern.items():
        by = {row["arm"]: row for row in compared.means.iter_rows(named=True)}
        rows.append((NAMES[world], *(_between(by[arm]["mean"], by[arm]["low"], by[arm]["high"]) for arm in ARMS)))
    return rows


def statement_rows(found: GroundingTest) -> Rows:
    """Header and a row for each statement of the published pattern: where it is to hold and where it is not."""
    rows: Rows = [("the paper says", "where it is planted", "holds", "where it is not", "holds")]
    for one in STATEMENTS:
        cells: list[str] = []
        for world in (one.with_it, one.without):
            got = found.got(world)
            figures = ", ".join(f"{arm.replace('talk, ', '')} {got[arm]:.3f}" for arm in one.arms)
            cells += [f"{NAMES[world]}: {figures}", "yes" if one.holds(got) else "no"]
        rows.append((one.says, *cells))
    return rows


def detection_rows(found: GroundingTest) -> Rows:
    """Header and a row for each mode and way of reading."""
    rows: Rows = [("mode", "planted", "found", "95%", "chances", "false alarms")]
    for one in found.detected:
        name = one.mode.replace("_", " ") + (f", by {one.source}" if one.source else "")
        alarms = f"{one.false_alarms:.1%} of {one.clean_chances:,}"
        rows.append(
            (name, f"{one.planted:.0%}", f"{one.rate:.1%}", f"{one.low:.1%} to {one.high:.1%}", f"{one.chances:,}", alarms)
        )
    return rows


def repair_rows(found: GroundingTest) -> Rows:
    """Header and a row for each repair: what it gets, what it adds, with what probability, and what it costs in asks."""
    rows: Rows = [("repair", "efficiency", "more than as it is", "probability that it helps", "p (Holm)", "asks a game")]
    differences = {row["arm"]: row for row in found.repairs.differences.iter_rows(named=True)}
    for row in found.repairs.means.iter_rows(named=True):
        arm, by = row["arm"], differences.get(row["arm"])
        added = ("–", "–", "–")
        if by is not None:
            added = (_between(by["delta"], by["low"], by["high"], sign="+"), f"{by['probability']:.2f}", _p(by["p_holm"]))
        rows.append((f"`{arm}`", f"{row['mean']:.3f}", *added, f"{found.asks[arm]:.1f}"))
    return rows


def loss_rows(found: GroundingTest) -> Rows:
    """Header and a row for each world: from what solo agents get to what pairs got."""
    shown = [
        cause for cause in CAUSES if any(step.loss for w in found.losses.values() for step in w.steps if step.cause == cause)
    ]
    rows: Rows = [("planted", "solo", *(cause.replace("_", " ") for cause in shown), "pairs")]
    for world, one in found.losses.items():
        lost = {step.cause: float(step.loss) for step in one.steps}
        steps = (f"{-lost[cause]:+.3f}".replace("-", "−") if lost[cause] else "–" for cause in shown)
        rows.append((NAMES[world], f"{float(one.start):.3f}", *steps, f"{float(one.end):.3f}"))
    return rows


def tables(found: GroundingTest) -> dict[str, Rows]:
    """All of them by title."""
    return {
        "what of the optimum they get": pattern_rows(found),
        "what the paper says, planted and not": statement_rows(found),
        "what is found of what is planted": detection_rows(found),
        "from what solo agents get to what pairs got": loss_rows(found),
        "repairs, of players with all habits": repair_rows(found),
    }


def as_values(found: GroundingTest) -> dict[str, Any]:
    """All of it as JSON values; losses are floats, whose fractions add up exactly."""
    return {
        "size": asdict(found.size),
        "seed": found.seed,
        "games": found.games,
        "efficiency": {world: one.means.to_dicts() for world, one in found.pattern.items()},
        "statements": [
            {
                "says": one.says,
                one.with_it: one.holds(found.got(one.with_it)),
                one.without: one.holds(found.got(one.without)),
            }
            for one in STATEMENTS
        ],
        "lowered": found.lowered.differences.to_dicts(),
        "detected": [asdict(one) | {"rate": one.rate, "false_alarms": one.false_alarms} for one in found.detected],
        "repairs": found.repairs.differences.to_dicts(),
        "asks": dict(found.asks),
        "losses": {
            world: {"solo": float(one.start), "pairs": float(one.end)} | {s.cause: float(s.loss) for s in one.steps}
            for world, one in found.losses.items()
        },
        "baselines": dict(found.baselines),
        "failures": found.failures,
    }


def measured(found: GroundingTest, command: str) -> str:
    """All of it as Markdown."""
    size = found.size
    pattern, statements, detection, repairs, losses = (
        markdown(rows(found)) for rows in (pattern_rows, statement_rows, detection_rows, repair_rows, loss_rows)
    )
    base = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in found.baselines.items())
    return "\n".join(
        [
            f"`{command}`: {size.instances} instances at the three tensions, {size.replicates} replicates,",
            f"{found.games:,} games of simulated players. A habit is planted at {RATE:.0%} of the chances, slips at",
            f"{RATE / 2:.0%} where all are.",
            "",
            "Joint efficiency by what is planted and under which condition, with 95% intervals by instance:",
            "",
            pattern,
            "",
            f"Without a model: {base}.",
            "",
            "What the paper says, in players who have the failure behind it and in players who do not:",
            "",
            statements,
            "",
            "What is found of what is planted, and how often in players without any habit (at most",
            f"{FALSE_ALARMS:.0%} is promised):",
            "",
            detection,
            "",
            "From what solo agents get to what pairs that talk got:",
            "",
            losses,
            "",
            "Repairs, of players with all habits, held against the game as it is:",
            "",
            repairs,
        ]
    )


def _between(value: float, low: float | None, high: float | None, *, sign: str = "") -> str:
    around = "" if low is None or high is None or low == high else f" ({low:{sign}.2f} to {high:{sign}.2f})"
    return f"{value:{sign}.3f}{around}"


def _p(value: float | None) -> str:
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
