"""Two studies compared, in a terminal: the answer first, what else differs, then pairs; 40 lines unless all is asked."""

from typing import Any, Final

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from coordeval.analysis.base.numerals import number
from coordeval.analysis.report.results import strict_json
from coordeval.analysis.words.phrases import counted
from coordeval.flows.compare.beside import Beside
from coordeval.flows.compare.comparing import Compared
from coordeval.flows.terminal import print_json
from coordeval.market_data.text import one_line

LINES: Final = 40
WIDTH: Final = 80
CALLS_NO_MODEL: Final = "market_price"
_MORE: Final = {
    False: "More differs than what coordinates the agents, and a difference may come from it:",
    True: "Between the arms exactly this differs; within one nothing but what coordinates the agents:",
}
_FEW: Final = 4  # of what differs, and of the notes


def print_compared(found: Compared, console: Console, *, full: bool = False) -> None:
    """The answer, then what it rests on. Text from data is printed as it is, never read as markup."""
    head = Text.assemble((one_line(f"{found.names[0]} / {found.names[1]}"), "bold"))
    for line in said_of_arms(found):
        head.append(f"\n{one_line(line)}", "dim")
    for label in found.labels:
        head.append(f"\n{one_line(label)}", "bold red")
    top: list[RenderableType] = [
        head,
        Text(one_line(found.answer), style="bold"),
        Text(one_line(found.overlap), style="dim"),
    ]
    if found.differs:
        top.append(Text(_MORE[found.study_ids[0] == found.study_ids[1]]))
        top += _listed(found.differs, full=full)
    else:
        top.append(Text("Model, tools, price visibility and all other settings are the same in both."))
    top += _listed(found.notes, full=full)
    used = sum(len(console.render_lines(part, console.options.update(width=min(WIDTH, console.width)))) for part in top)
    rows = _ordered(found)
    shown = rows if full else rows[: max(3, LINES - used - 8)]
    console.print(*top, sep="\n")
    console.print(_table(found, shown))
    if len(shown) < len(rows):
        console.print(Text(f"{counted(len(rows) - len(shown), 'pair')} more: --full prints all, --json too.", style="dim"))


def said_of_arms(found: Compared) -> list[str]:
    """Which arms are compared, and what the others are called; nothing where each study has one."""
    first, second = found.arms
    if found.study_ids[0] == found.study_ids[1]:
        rest = [name for name in first.others if name != second.arm]
        return [
            f"two arms of one study; its others are {', '.join(map(repr, rest))}" if rest else "the two arms of one study"
        ]
    return [f"{name}: {one.says}" for name, one in zip(found.names, found.arms, strict=True) if one.others]


def print_beside(found: Beside, console: Console, *, as_json: bool) -> None:
    """A backtest and a prospective study: the answer, each against its own price, and what differs between them."""
    if as_json:
        print_json(strict_json(found.as_json()))
        return
    head = Text(one_line(f"{found.backtest} (backtest) / {found.ahead} (before the outcomes)"), style="bold")
    for name, one in zip((found.backtest, found.ahead), found.arms, strict=True):
        if one.others:
            head.append(f"\n{one_line(f'{name}: {one.says}')}", "not bold dim")
    console.print(head, *(Text(one_line(label), style="bold red") for label in found.labels), sep="\n")
    console.print(Text(one_line(found.answer), style="bold"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("Brier score minus the price's", "backtest", "events", "ahead", "events", "gap"):
        table.add_column(column, justify="left" if column.startswith("Brier") else "right")
    for row in found.rows:
        table.add_row(
            Text(one_line(row.configuration)),
            _spanned(row.backtest, row.backtest_low, row.backtest_high),
            str(row.backtest_events),
            _spanned(row.ahead, row.ahead_low, row.ahead_high),
            str(row.ahead_events),
            _spanned(row.gap, row.gap_low, row.gap_high),
        )
    console.print(table)
    console.print(Text("Intervals hold however often one looks. A gap above 0: the backtest flattered it.", style="dim"))
    for said in found.differs:
        console.print(Text(f"• {one_line(said)}"), soft_wrap=True)


def _spanned(value: float | None, low: float | None, high: float | None) -> str:
    span = "" if low is None or high is None else f" [{number(low, 2)}, {number(high, 2)}]"
    return "n/a" if value is None else f"{number(value, 3)}{span}"


def _ordered(found: Compared) -> list[dict[str, Any]]:
    """One configuration in both studies first, then the largest differences."""
    rows = found.table.to_dicts()
    return sorted(rows, key=lambda row: (_own(row["first"]) != _own(row["second"]), -abs(row["delta"] or 0), row["first"]))


def _own(name: str) -> str:
    return name.split(":", 1)[1]


def _said(name: str) -> str:
    """The reference that repeats the price coordinates nobody, and is not shown as if it did."""
    return "the market price" if name == CALLS_NO_MODEL else name


def _table(found: Compared, rows: list[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(one_line(f"{found.names[0]} / {found.names[1]}"), overflow="ellipsis", no_wrap=True, max_width=36)
    for column, width in (("markets", 7), ("Δ Brier", 7), ("95%", 10), ("p, Holm", 7)):
        table.add_column(column, justify="right", no_wrap=True, min_width=width)
    for row in rows:
        first, second = (_said(_own(row[side])) for side in ("first", "second"))
        pair = first if first == second else f"{first} / {second}"
        told = row["verdict"] if row["verdict"] not in ("undecided", "not known") else ""
        ends = (row["low"], row["high"])
        table.add_row(
            Text(one_line(f"{pair}{': ' * bool(told)}{told}")),
            str(row["n_markets"]),
            _short(row["delta"], 4),
            "n/a" if None in ends else " ".join(_short(end, 3).replace("0.", ".", 1) for end in ends),
            _short(row["p_holm"], 3),
        )
    made = found.found
    noise = "not known" if made.noise_floor is None else number(made.noise_floor)
    if made.noise_low is not None and made.noise_high is not None:
        noise += f" [{number(made.noise_low)}, {number(made.noise_high)}]"
    table.caption = Text(
        "Δ: first − second, negative if the first is better. p: after correction for "
        f"{counted(found.table.height, 'pair')}. Sampling again changes: {noise}."
    )
    table.caption_justify = "left"
    return table


def _listed(sentences: tuple[str, ...], *, full: bool) -> list[RenderableType]:
    shown = sentences if full or len(sentences) <= _FEW else sentences[: _FEW - 1]
    said: list[RenderableType] = []
    for sentence in shown:
        line = Table.grid(padding=(0, 1))
        line.add_row("•", Text(one_line(sentence)))
        said.append(line)
    if len(shown) < len(sentences):
        said.append(Text(f"  and {len(sentences) - len(shown)} more: --full", style="dim"))
    return said


def _short(value: float | None, digits: int) -> str:
    return "n/a" if value is None else number(value, digits)
