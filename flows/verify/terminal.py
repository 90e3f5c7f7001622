"""What a look at a ledger came to, for the terminal: the answer, where it began, a line for each look."""

from rich.console import Console
from rich.text import Text

from coordeval.flows.terminal import table
from coordeval.flows.verify.found import Verified
from coordeval.market_data.text import shown

NAMED = 3
"""Faults of a part that are printed; `--json` has a hundred."""


def print_verified(found: Verified, console: Console) -> None:
    console.print(Text(shown(found.says), style="" if found.verdict == "whole" else "bold red"), soft_wrap=True)
    if found.simulated:
        console.print("SIMULATED: nothing here is about a real model or a real market.", soft_wrap=True)
    if (began := found.began) is not None:
        part, fault = began
        at = "" if fault.at is None else f", stored {fault.at:%Y-%m-%d %H:%M} UTC"
        console.print(f"where it began: {part.name}, {fault.where}{at}: {fault.says}", soft_wrap=True)
    made = table("look", "held", "wrong", "the rule", numbers=(1, 2), whole=(0,))
    for part in found.parts:
        wrong = Text(f"{part.wrong:,}", style="bold red" if part.wrong else "")
        made.add_row(part.name, f"{part.looked - min(part.wrong, part.looked):,}", wrong, part.rule)
    console.print(made)
    for part in found.parts:
        for fault in part.faults[:NAMED]:
            console.print(f"{part.name}: {fault.where}: {fault.says}", style="red", soft_wrap=True)
        if part.wrong > NAMED:
            console.print(f"{part.name}: and {part.wrong - NAMED:,} more; --json lists {len(part.faults)}", style="red")
        for reason, n in part.not_looked.most_common():
            console.print(f"not looked at, {part.name}: {n:,}, {reason}", style="dim", soft_wrap=True)
