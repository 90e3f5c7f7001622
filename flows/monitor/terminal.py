"""What a look of the monitor found, for the terminal."""

from math import log

from rich.console import Console

from coordeval.analysis.base.numerals import number
from coordeval.analysis.monitor import BY_NAME, says
from coordeval.analysis.monitor.signals import KINDS
from coordeval.flows.monitor.watching import Watched, joint_words, summary
from coordeval.flows.study.stored import SHORT
from coordeval.flows.terminal import table

_REASONS = 5


def weight(evidence: float, needed: float) -> float:
    """How far the evidence is on its way to an alarm, by its logarithm, 0 to 1."""
    return min(1.0, max(0.0, log(max(evidence, 1.0)) / log(needed)))


def print_watched(seen: Watched, console: Console, *, full: bool = False) -> None:
    """Alarms first; then, with `full`, every signal; what is not watched says why."""
    console.print(summary(seen), soft_wrap=True)
    if seen.study.simulated:
        console.print("SIMULATED: nothing here is about a real model or a real market.", soft_wrap=True)
    for kept in seen.alarms:
        mark = {"open": "ALARM", "acknowledged": "known", "over": "over "}[kept.alarm.state]
        style = "bold red" if kept.alarm.state == "open" else "dim"
        console.print(f"{mark} {kept.finding_id[:SHORT]} {says(kept.alarm, seen.found.by)}", style=style, soft_wrap=True)
        if kept.alarm.state == "open" and kept.alarm.forecasts:
            ids = ", ".join(forecast[:SHORT] for forecast in kept.alarm.forecasts[:4])
            console.print(
                f"      its furthest forecasts: {ids}; `coordeval certificate ID` opens one", style="dim", soft_wrap=True
            )
    if (said := joint_words(seen)) is not None:
        console.print(said, soft_wrap=True)
    rows = seen.found.streams
    if full:
        for name in rows["configuration"].unique().sort():
            made = table("signal", "of", "baseline", "latest", "evidence", "state", numbers=(2, 3, 4), title=name)
            for row in rows.filter(configuration=name).to_dicts():
                signal = BY_NAME[row["signal"]]
                ends = ("–" if row[end] is None else number(row[end], signal.digits) for end in ("baseline", "latest"))
                share = "–" if row["evidence"] is None else f"{weight(row['evidence'], row['needed']):.0%}"
                made.add_row(signal.name, signal.kind, *ends, share, row["state"] or row["reason"])
            console.print(made)
        for kind, meaning in KINDS.items():
            console.print(f"{kind}: {meaning}", style="dim")
        console.print("evidence: of what an alarm takes, in orders of magnitude", style="dim")
        return
    reasons = rows.filter(rows["state"].is_null())["reason"].value_counts(sort=True).rows()
    for reason, count in reasons[:_REASONS]:
        console.print(f"not watched, {count} of {rows.height}: {reason}", style="dim", soft_wrap=True)
    if seen.found.by == "block" and seen.alarms:
        console.print(
            "Blocks are markets in the order in which they were begun: a change can be one of the markets, too.",
            style="dim", soft_wrap=True,
        )  # fmt: skip
