"""Games and their telemetry, for the terminal."""

from typing import Any, Final

import polars as pl
from rich.console import Console

from coordeval.analysis.base.numerals import counted
from coordeval.flows.grounding.power import PowerPlan
from coordeval.flows.study.stored import SHORT
from coordeval.flows.terminal import print_result, table, words
from coordeval.ledger import Reader
from coordeval.ledger.games import games_frame

_SHOWN: Final = (
    ("messages", "said", 1),
    ("acknowledgements", "ack.", 1),
    ("agreements", "agree", 1),
    ("agreed", "agreed", 2),
    ("kept", "kept", 2),
    ("void", "void", 2),
    ("recovered", "recov.", 2),
    ("forfeited", "forfeit", 2),
    ("efficiency", "effic.", 2),
)
"""Column, its heading, decimals: what fits a terminal of 80; a file has them all."""


def print_games_of(reader: Reader, study_id: str, console: Console, *, as_json: bool) -> None:
    """Every game of a study: who played, what they got of the optimum, and the id by which `replay` shows one."""
    frame = games_frame(reader, study_id)
    if as_json:
        print_result(frame.to_dicts())
        return
    made = table("game", "arm", "instance", "tension", "replicate", "of the optimum", "status", numbers=(3, 4, 5))
    for row in frame.iter_rows(named=True):
        got = "" if row["efficiency"] is None else f"{row['efficiency']:.0%}"
        ids = row["forecast_id"][:SHORT], row["arm"], row["instance_id"][:SHORT]
        made.add_row(*map(words, [*ids, f"{row['tension']:g}", row["replicate"] + 1, got, row["status"]]))
    console.print(made)


def print_telemetry(rows: pl.DataFrame, console: Console) -> None:
    """Means by arm and round."""
    names = [name for name, _, _ in _SHOWN]
    means = rows.group_by("arm", "round", maintain_order=True).agg(
        pl.len().alias("games"), *(pl.col(name).cast(pl.Float64).mean() for name in names)
    )
    columns = ("round", *(heading for _, heading, _ in _SHOWN))
    for own in means.partition_by("arm", maintain_order=True):
        made = table(*columns, numbers=range(len(columns)))
        for row in own.sort("round").iter_rows(named=True):
            said = ["" if row[of] is None else f"{row[of]:,.{digits}f}" for of, _, digits in _SHOWN]
            made.add_row(*map(words, [str(row["round"]), *said]))
        first = own.row(0, named=True)
        console.print(words(f"{first['arm']}, {first['games']:,} games"))
        console.print(made)
    if rows.is_empty():
        console.print("No game of this study was played yet.")


def print_plan(found: PowerPlan, console: Console) -> None:
    """In words first: what it takes to tell the difference that was asked about."""
    made, few = found.plan, found.plan.needed.filter(replicates=found.plan.needed["replicates"].min())
    worst = few.sort("instances", descending=True, nulls_last=False).row(0, named=True)
    mark = "SIMULATED. " if found.simulated else ""
    console.print(words(f"{mark}{found.name}, from {found.source}.", "dim"))
    wanted = "more than can be planned" if worst["instances"] is None else f"{worst['instances']:,} instances"
    console.print(
        words(
            f"To tell a true difference of {made.difference:.0%} of the optimum from {made.baseline} with probability "
            f"{made.power:g} for every arm takes {wanted}, each played {counted(worst['replicates'], 'time')}: "
            f"{worst['arm']} needs most.",
            "bold",
        )
    )
    sizes = made.detectable["instances"].unique().sort().to_list()
    rows = table(
        "arm",
        "replicates",
        f"needed for {made.difference:.0%}",
        *(f"at {n}" for n in sizes),
        "USD",
        numbers=range(1, 4 + len(sizes)),
    )
    for row in made.needed.iter_rows(named=True):
        own = made.detectable.filter(arm=row["arm"], replicates=row["replicates"])
        shown: list[Any] = [f"{value:.1%}" for value in own.sort("instances")["detectable"]]
        price = found.usd_per_game.get(row["arm"])
        cost = "" if price is None or row["instances"] is None else f"${price * row['instances'] * row['replicates']:,.2f}"
        needed = f"{row['instances']:,}" if row["instances"] is not None else row["reason"]
        rows.add_row(*map(words, [row["arm"], row["replicates"], needed, *shown, cost]))
    console.print(rows)
    console.print(
        words("at N: the true difference that N instances show with that probability, in points of the optimum", "dim")
    )
