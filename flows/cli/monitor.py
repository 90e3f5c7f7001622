"""`coordeval monitor`: has a configuration degraded in silence?"""

import re
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from coordeval.flows.cli.options import DEFAULT_LEDGER, EveryArm, JsonOption, LedgerOption
from coordeval.flows.terminal import Terminal, print_result
from coordeval.market_data.errors import CoordevalError

console = Terminal()


class By(StrEnum):
    """What a period is."""

    day = "day"
    block = "block"


def monitor(
    study: Annotated[
        str | None, typer.Argument(help="A study file, a name, or the start of a hash; else the study used last.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Periods to compare with: a number (28), or days such as 2026-01-01..2026-01-31.")
    ] = None,
    by: Annotated[
        By | None, typer.Option(help="Periods: UTC days by as-of time, or blocks of markets; else as the study is.")
    ] = None,
    acknowledge: Annotated[
        str | None,
        typer.Option(metavar="ALARM", help="Say of this alarm that it is known: what is now is the new baseline."),
    ] = None,
    note: Annotated[str, typer.Option(help="With --acknowledge: why.")] = "",
    full: Annotated[bool, typer.Option("--full", help="Print every signal.")] = False,
    arm: EveryArm = None,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Hold how agents work together against a baseline: what changed, since when, and what no single agent's output showed.

    Each arm of a study has a baseline of its own. Alarms are kept in the ledger. With --baseline it only looks, and stores
    nothing.
    """
    from coordeval.flows.monitor.terminal import print_watched
    from coordeval.flows.monitor.watching import acknowledge as acknowledged
    from coordeval.flows.monitor.watching import keep, look
    from coordeval.flows.study.in_arms import arms_of
    from coordeval.flows.study.stored import chosen
    from coordeval.ledger import read

    if acknowledge is not None:
        kept = acknowledged(ledger, acknowledge, note=note)
        if as_json:
            print_result(kept.as_json())
        else:
            console.print(f"alarm {kept.finding_id[:8]} is acknowledged: its signal begins a new baseline", soft_wrap=True)
        return
    window = None if baseline is None else _window(baseline)
    reader = read(ledger)
    now = datetime.now(UTC)
    periods: Any = None if by is None else by.value
    study_id = chosen(reader, study)
    names = arms_of(reader, study_id, arm)
    every = [look(reader, study_id, now=now, by=periods, baseline=window, arm=name) for name in names]
    if baseline is None:
        keep(ledger, *every)
    if as_json:
        arms = {} if len(every) == 1 else {"arms": {seen.arm.arm: seen.as_json() for seen in every}}
        print_result(every[0].as_json() | arms)
        return
    for seen in every:
        print_watched(seen, console, full=full)


def _window(text: str) -> int | tuple[int, int]:
    """A number of periods, or two dates as days since 1970-01-01."""
    if re.fullmatch(r"\d{1,6}", text):
        return int(text)
    first, dots, last = text.partition("..")
    if dots:
        try:
            days = [(date.fromisoformat(end) - date(1970, 1, 1)).days for end in (first, last)]
        except ValueError as error:
            raise CoordevalError(f"--baseline {text!r}: {error}; give two dates such as 2026-01-01..2026-01-31") from error
        return days[0], days[1]
    raise CoordevalError(
        f"--baseline {text!r}: give a number of periods, such as 28, or days such as 2026-01-01..2026-01-31"
    )
