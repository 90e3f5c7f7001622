"""What single tool calls were worth, on a terminal: the answer in words first, then by tool, then the harmful calls."""

from typing import Any, Final

from coordeval.analysis.base.numerals import counted, number
from coordeval.analysis.tools.ablation import EVERY
from coordeval.flows.ablation.asking import Ablated, Quoted
from coordeval.flows.terminal import table
from coordeval.market_data.text import one_line, shown

_SHOWN: Final = 10


def quote_in_words(told: Quoted, *, simulated: bool) -> str:
    """One sentence, before anything is asked."""
    if simulated:
        return f"{counted(told.conversations, 'conversation')} will go on with a simulated model: nobody pays."
    likely = "an amount that is not known" if told.expected_usd is None else f"about ${told.expected_usd:,.2f}"
    most = "with no known upper end" if told.most_usd is None else f"at most ${told.most_usd:,.2f}"
    return f"{counted(told.conversations, 'conversation')} will go on, for {likely} by what the stored ones took; {most}."


def words(done: Ablated) -> list[str]:
    """What it says, in sentences."""
    found = done.found
    of = {row["measure"]: row for row in found.totals.to_dicts() if row["tool"] == EVERY}
    gain, moved, harmful = of["utility"], of["moved"], of["harmful"]
    sure = gain["low"] is not None and (gain["low"] > 0 or gain["high"] < 0)
    word = "better" if gain["estimate"] >= 0 else "worse"
    had = "its result" if found.n_calls == 1 else "their results"
    said = [
        f"{done.study}: {counted(found.n_calls, 'tool call')} of {counted(found.n_events, 'event')}, of "
        f"{done.chosen.eligible:,} that there are, had {had} withheld.",
        f"An answer is {word} by {number(abs(gain['estimate']))} Brier points{_ends(gain)} for one result"
        f"{'' if sure else ': not shown to differ'}.",
        f"Without it the answer moves by {number(moved['estimate'])}{_ends(moved)}; after "
        f"{harmful['estimate']:.0%} of calls it was worse than without.",
    ]
    if done.left:
        kinds = "; ".join(f"{count:,}: {shown(why)}" for why, count in done.left.items())
        said.append(f"{counted(sum(done.left.values()), 'chosen call')} left out ({kinds}).")
    return said


def print_ablated(done: Ablated, console: Any) -> None:
    if done.simulated:
        console.print("SIMULATED: nothing here is about a real model.", soft_wrap=True)
    for sentence in words(done):
        console.print(sentence, soft_wrap=True, highlight=False, markup=False)
    rows = {(row["tool"], row["measure"]): row for row in done.found.totals.to_dicts()}
    made = table("tool", "calls", "utility", "moved", "helpful", "harmful", numbers=(1, 2, 3, 4, 5))
    for tool in dict.fromkeys(row["tool"] for row in rows.values()):
        one = {name: rows[tool, name] for name in ("utility", "moved", "helpful", "harmful")}
        if one["utility"]["estimate"] is None:
            made.add_row(tool, "0", *("n/a",) * 4)
            continue
        made.add_row(
            tool,
            f"{one['utility']['calls']:,}",
            f"{number(one['utility']['estimate'])}{_ends(one['utility'])}",
            number(one["moved"]["estimate"]),
            *(f"{one[name]['estimate']:.0%}" for name in ("helpful", "harmful")),
        )
    console.print(made)
    _print_harmful(done, console)
    cost = "" if done.simulated or done.paid_usd is None else f" ${done.paid_usd:,.4f} was paid."
    console.print(
        "One draw stands on each side, so a single call's number is mostly noise; the mean is not biased by it." + cost,
        style="dim", soft_wrap=True, highlight=False,
    )  # fmt: skip


def _print_harmful(done: Ablated, console: Any) -> None:
    worst = done.found.harmful
    if worst.is_empty():
        console.print("After no call was the answer worse than without its result.")
        return
    console.print(f"Harmful calls, the worst {min(_SHOWN, worst.height)} of {worst.height:,}; --json has all:")
    for row in worst.head(_SHOWN).to_dicts():
        answers = f"{number(row['given'])} with, {number(row['without'])} without, it ended {('NO', 'YES')[row['outcome']]}"
        where = f"{row['market_id']}, {row['configuration']}, forecast {row['forecast_id'][:12]}"
        console.print(
            f"  {number(-row['utility'])} worse: {row['tool']} {one_line(row['arguments'])[:60]}: {answers} "
            f"({where}, ask {row['ask']}, turn {row['turn']})",
            soft_wrap=True, highlight=False, markup=False,
        )  # fmt: skip


def _ends(row: dict[str, Any]) -> str:
    return "" if row["low"] is None else f" ({number(row['low'])} to {number(row['high'])})"
