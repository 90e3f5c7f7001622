"""What was understood of forecasts that come in, and what became of them, in words."""

from coordeval.analysis.words.phrases import counted
from coordeval.flows.imports.reading import Understood
from coordeval.flows.imports.storing import Imported
from coordeval.flows.terminal import Terminal, table

_SHOWN = 12


def print_understood(what: Understood, name: str, console: Terminal) -> None:
    """Everything that an import of these files would rest on, and the first rows."""
    _print(what, console)
    if what.first:
        rows = table("row", "question", "forecaster", "probability", "outcome", "date (UTC)", "price", numbers=(3, 4, 6))
        for row in what.first:
            date = f"{row['date']:%Y-%m-%d %H:%M}" if row["date"] else "-"
            values = ["-" if row[key] is None else f"{row[key]:g}" for key in ("probability", "outcome", "market_price")]
            rows.add_row(row["place"], row["question_id"], row["forecaster"], values[0], values[1], date, values[2])
        console.print(rows)
    if problem := what.refusal():
        console.print(problem, style="red", soft_wrap=True)
    else:
        console.print(f"nothing was stored (--dry-run); without it, this becomes the study {name}", soft_wrap=True)


def print_imported(done: Imported, console: Terminal) -> None:
    """What is stored now, what is missing, and what to ask next."""
    _print(done.what, console)
    if done.changed_outcomes:
        console.print(
            f"{counted(done.changed_outcomes, 'question')} had another outcome here before; the one that came now counts, "
            "the earlier one is kept beside it (`coordeval markets audit`)",
            style="yellow",
            soft_wrap=True,
        )
    said = "was imported before from the same bytes: nothing changed" if done.again else "is stored"
    console.print(
        f"the study {done.name} ({done.study_id[:8]}) {said}; `coordeval report {done.name}` prints what it says",
        soft_wrap=True,
    )


def _print(what: Understood, console: Terminal) -> None:
    def say(line: str, style: str = "") -> None:
        console.print(line, style=style, soft_wrap=True)

    for file in what.files[:_SHOWN]:
        say(f"{file.name}: {file.kind}")
    if len(what.files) > _SHOWN:
        say(f"and {len(what.files) - _SHOWN} more files")
    say(
        "columns: "
        + ", ".join(field if field == column else f"{field} = {column}" for field, column in what.columns.items())
    )
    if what.unused:
        say(f"not used: {', '.join(what.unused[:30])}", "dim")
    for field, rule in what.scale.items():
        say(f"{field}: {rule}")
    outcomes = ", ".join(f"{number:,} {status}" for status, number in what.outcomes.items())
    of_days = f" on {what.markets:,} question-days" if what.markets != what.questions else ""
    say(
        f"{counted(what.forecasts, 'forecast')} of {counted(len(what.forecasters), 'forecaster')} for "
        f"{counted(what.questions, 'question')}{of_days} in {counted(what.events, 'event')}, "
        f"{counted(what.replicates, 'replicate')}; outcomes: {outcomes}"
    )
    busy = [f"{name} ({number:,})" for name, number in list(what.forecasters.items())[:_SHOWN]]
    more = len(what.forecasters) - len(busy)
    say(f"forecasters: {', '.join(busy)}" + (f" and {more} more" if more else ""))
    for problem in what.aside:
        say(f"set aside: {problem.says()}", "yellow")
    for note in what.notes:
        say(note, "yellow")
    if what.missing:
        say(f"not in the {'files' if len(what.files) > 1 else 'file'}: {'; '.join(what.missing)}")
