"""`coordeval trace` and `coordeval telemetry`: what agents did together, on the way to one forecast and in a whole study."""

from pathlib import Path
from typing import Annotated

import typer

from coordeval.flows.cli.options import DEFAULT_LEDGER, EveryArm, JsonOption, LedgerOption, StudyArgument
from coordeval.flows.terminal import Terminal, print_result

console = Terminal()


def trace(
    forecast: Annotated[
        str, typer.Argument(help="A forecast's id, or the start of it; `coordeval forecasts STUDY` lists them.")
    ],
    tolerance: Annotated[float, typer.Option(help="How far apart estimates agree.")] = 0.05,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Who saw what, who moved whom, where agreement was said and where it was kept, from what is stored of one forecast.

    Exit status 1 where something was shown against the declared topology.
    """
    from coordeval.flows.certificate.trace import trace as trace_of
    from coordeval.flows.certificate.trace_terminal import print_trace
    from coordeval.ledger import read
    from coordeval.market_data.errors import CoordevalError

    if not 0 <= tolerance <= 1:
        raise CoordevalError(f"--tolerance {tolerance}: it is a difference of probabilities, from 0 to 1, such as 0.05")
    found = trace_of(read(ledger), forecast, tolerance=tolerance)
    if as_json:
        print_result(found.as_json())
    else:
        print_trace(found, console)
    if found.undeclared:
        raise typer.Exit(1)


_SHOWN = (
    ("spread", "spread", 3),
    ("agreement", "agree", 2),
    ("movement", "moved", 3),
    ("influence", "influence", 2),
    ("flips", "flips", 2),
    ("tool_calls", "tools", 1),
    ("useless_tool_calls", "useless", 1),
)
"""Column, its heading, decimals: what fits a terminal of 80; a file has them all."""


def telemetry(
    study: StudyArgument,
    target: Annotated[
        Path | None, typer.Argument(help="A .csv, .parquet or .json for every row; else means are printed.")
    ] = None,
    arm: EveryArm = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Compute all of it anew from the stored conversations, and store it.")
    ] = False,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """What agents did together, round by round: spread, movement, influence, useless tool calls.

    A run stores it with each forecast, in the table `telemetry`; what is not stored, or by an earlier version, is computed.
    Of a study with arms: of each by itself.
    """
    import polars as pl

    from coordeval.flows.exports.bundle import write_table
    from coordeval.flows.grounding.stored import games_meant
    from coordeval.flows.run.telemetry import recompute, telemetry_of
    from coordeval.flows.study.in_arms import arms_of
    from coordeval.flows.study.stored import chosen
    from coordeval.flows.terminal import table, words
    from coordeval.ledger import Ledger, read

    if games := games_meant(read(ledger), study):
        from coordeval.flows.grounding.listing import print_telemetry
        from coordeval.flows.grounding.told import telemetry_of_games

        if anew:
            from coordeval.market_data.errors import CoordevalError

            raise CoordevalError("--anew: what players of games did together is computed at each reading; leave it out")
        rows = telemetry_of_games(read(ledger), games)
        if target is not None:
            write_table(rows, target)
            console.print(f"wrote {target}: {rows.height:,} rows, one per game and round", soft_wrap=True)
        elif as_json:
            print_result(rows.to_dicts())
        else:
            print_telemetry(rows, console)
        return
    study_id = chosen(read(ledger), study)
    if anew:
        with Ledger.open(ledger, purpose="coordeval telemetry --anew") as open_:
            recompute(open_, read(ledger), study_id)
    with read(ledger).moment() as reader:
        rows = telemetry_of(reader, study_id, arm=arm)
        several = len(arms_of(reader, study_id)) > 1
    if target is not None:
        write_table(rows, target)
        console.print(f"wrote {target}: {rows.height:,} rows, one per forecast and round", soft_wrap=True)
        return
    if as_json:
        print_result(rows.to_dicts())
        return
    if rows.is_empty():
        console.print("No ask of this study is stored: nobody was asked, or it was imported.")
        return
    means = rows.group_by("arm", "configuration", "round", maintain_order=True).agg(
        pl.len().alias("forecasts"),
        *(pl.col(name).mean() for name, _, _ in _SHOWN if name != "influence"),
        influence=pl.when(pl.col("apart").sum() > 0).then(pl.col("moved").sum() / pl.col("apart").sum()),
    )
    columns = ("round", *(heading for _, heading, _ in _SHOWN))
    order = pl.col("arm").replace_strict(list(dict.fromkeys(rows["arm"])), list(range(rows["arm"].n_unique())))
    means = means.sort(order, "configuration", "round")
    for rounds in means.partition_by("arm", "configuration", maintain_order=True):
        made = table(*columns, numbers=range(len(columns)))
        for row in rounds.iter_rows(named=True):
            said = ["" if row[of] is None else f"{row[of]:,.{digits}f}" for of, _, digits in _SHOWN]
            made.add_row(*map(words, [str(row["round"]), *said]))
        first = rounds.row(0, named=True)
        where = f" in the arm {first['arm']!r}" if several else ""
        console.print(words(f"{first['configuration']}{where}, {first['forecasts']:,} forecasts"))
        console.print(made)
