"""Two studies compared, in a terminal: the overlap and what else differs first, then the table."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.numerals import number
from flows.comparing import Compared


def print_compared(found: Compared, console: Console) -> None:
    """Words and table. Text from data is printed as it is, never read as markup."""
    for label in found.labels:
        console.print(Text(label, style="bold red"))
    console.print(Text(found.overlap))
    if found.differs:
        console.print(Text("The studies differ in more than what coordinates the agents, so a difference may come from it:"))
        _list(console, found.differs)
    else:
        console.print(Text("Model, tools, price visibility and all other settings are the same in both."))
    _list(console, found.notes)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(f"{found.names[0]} / {found.names[1]}", overflow="fold")
    for column in ("markets", "Δ Brier", "interval", "Δ/floor", "p", "p, Holm"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in found.table.iter_rows(named=True):
        pair = " / ".join(row[side].split(":", 1)[1] for side in ("first", "second"))
        told = row["verdict"] if row["verdict"] not in ("undecided", "not known") else row["reason"] or ""
        ends = (row["low"], row["high"])
        table.add_row(
            Text(f"{pair}{': ' * bool(told)}{told}"),
            str(row["n_markets"]),
            _short(row["delta"], 4),
            "n/a" if None in ends else " ".join(_short(end, 3) for end in ends),
            _short(row["ratio"], 1),
            _short(row["p_value"], 3),
            _short(row["p_holm"], 3),
        )
    console.print(table)
    made = found.found
    noise = "not known, nothing was sampled twice" if made.noise_floor is None else number(made.noise_floor)
    console.print(
        Text(
            f"Δ: first − second, negative if the first is better; {made.level:.0%} intervals of {made.n:,} resamples of "
            f"events; p by sign flips of events, Holm over these {found.table.height} pairs. Noise floor: {noise}."
        )
    )


def _list(console: Console, sentences: tuple[str, ...]) -> None:
    said = Table.grid(padding=(0, 1))
    for sentence in sentences:
        said.add_row("•", Text(sentence))
    if sentences:
        console.print(said)


def _short(value: float | None, digits: int) -> str:
    return "n/a" if value is None else number(value, digits)
