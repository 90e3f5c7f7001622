"""A plan in a terminal: in words first, then the table."""

from rich import box
from rich.console import Console
from rich.table import Table

from coordeval.analysis.base.numerals import number, usd
from coordeval.flows.plan.power_plan import PowerPlan
from coordeval.flows.terminal import words


def print_plan(plan: PowerPlan, console: Console) -> None:
    """Words and table. Text from data is printed as it is, never read as markup."""
    for label in plan.first.labels:
        console.print(words(label, style="bold red"))
    console.print(words(f"{plan.first.about}.", style="dim"))
    said = Table.grid(padding=(0, 1))
    for sentence in plan.words:
        said.add_row("•", words(sentence))
    console.print(said)
    table = Table(
        title=words(f"Power to see a true difference of {plan.wanted.delta:g}, and what is seen"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in ("markets", "replicates", "USD", "power", "at ends", "sees", "at ends"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in plan.table.iter_rows(named=True):
        table.add_row(
            f"{row['markets']:,}",
            str(row["replicates"]),
            "n/a" if row["usd"] is None else usd(row["usd"]),
            _share(row["power"]),
            _pair(_share(row["power_low"]), _share(row["power_high"])),
            _brier(row["detectable"]),
            _pair(_brier(row["detectable_low"]), _brier(row["detectable_high"])),
        )
    table.caption = words("sees: the smallest difference. at ends: with the variances at the ends of their intervals")
    table.caption_justify = "left"
    console.print(table)
    for label in plan.first.labels:
        console.print(words(label.split(":")[0], style="bold red"))


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.0%}"


def _brier(value: float | None) -> str:
    return "n/a" if value is None else number(value)


def _pair(low: str, high: str) -> str:
    return "n/a" if "n/a" in (low, high) else f"{low} {high}"
