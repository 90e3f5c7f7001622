"""`coordeval runs`: how each run of a ledger ended, and each day of a scheduled job."""

from pathlib import Path
from typing import Annotated, Any

import typer

from coordeval.flows.cli.options import DEFAULT_LEDGER, JsonOption, LedgerOption
from coordeval.flows.terminal import Terminal, print_result, table

console = Terminal()
WORDS = 300
"""Characters of a reason that are printed."""


def runs(
    limit: Annotated[int, typer.Option(min=0, help="How many of each to print; 0: all.")] = 30,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """What ran, the newest first: runs with how each ended and what it paid of which budget, and days of scheduled jobs."""
    from coordeval.flows.run.history import runs as runs_of
    from coordeval.flows.schedule.days import history
    from coordeval.ledger import read

    reader = read(ledger)
    found, days = runs_of(reader, ledger), history(reader)
    if as_json:
        both = [{"kind": "run", **row} for row in found] + [{"kind": "day", **row} for row in days]
        print_result(sorted(both, key=lambda row: row["started_at"], reverse=True))
        return
    if found or not days:
        _print_runs(found[: limit or None])
    if days:
        _print_days(days[: limit or None])
    for what, rows in (("runs", found), ("days", days)):
        if limit and len(rows) > limit:
            console.print(f"{limit} of {len(rows)} {what}; --limit 0 prints all")


def _print_runs(found: list[dict[str, Any]]) -> None:
    columns = ("run", "began (UTC)", "study", "end", "made", "failed", "open", "paid")
    rows = table(*columns, numbers=(4, 5, 6, 7), whole=(0, 1, 3, 4, 5, 6))
    for row in found:
        counts = ["–" if row[name] is None else str(row[name]) for name in ("made", "failed", "open")]
        paid = "–" if row["paid_usd"] is None else f"${row['paid_usd']:.2f}"
        paid += "" if row["budget_usd"] is None else f" of ${row['budget_usd']:,.2f}"
        started = f"{row['started_at']:%y-%m-%d %H:%M}"
        rows.add_row(row["run_id"][:8], started, row["study"] or "–", row["status"], *counts, paid)
    console.print(rows)
    for row in found[:5]:
        if row["detail"]:
            console.print(f"{row['run_id'][:8]}: {row['detail']}", soft_wrap=True)


def _print_days(days: list[dict[str, Any]]) -> None:
    rows = table("day (UTC)", "job", "study", "end", "try", "began", numbers=(4,))
    for row in days:
        study = row["name"] or Path(row["study"]).name
        study = study[:8] if len(study) == 64 else study
        rows.add_row(
            str(row["day"]), row["job"], study, row["status"], str(row["attempt"]), f"{row['started_at']:%m-%d %H:%M}"
        )
    console.print(rows)
    for row in days[:5]:
        why = row["reason"] or row["status"]
        why = why if len(why) <= WORDS else f"{why[:WORDS]}… (--json has all of it)"
        console.print(f"{row['day']} {row['job']}: {why}", soft_wrap=True)
