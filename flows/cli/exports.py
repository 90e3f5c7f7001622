"""`coordeval export`: a study out of the ledger, as a folder that stands for itself or as one table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coordeval.flows.cli.options import DEFAULT_LEDGER, JsonOption, LedgerOption, Policy, StudyArgument
from coordeval.flows.terminal import Terminal, print_result

if TYPE_CHECKING:
    from coordeval.flows.exports.bundle import Bundle

console = Terminal()


def export(
    study: StudyArgument,
    target: Annotated[Path, typer.Argument(help="A folder for everything; or a .csv, .parquet or .json: the leaderboard.")],
    ledger: LedgerOption = DEFAULT_LEDGER,
    policy: Annotated[Policy, typer.Option(help="What is done about missing forecasts.")] = Policy.common,
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw figures too (needs a Chromium).")] = True,
    as_json: JsonOption = False,
) -> None:
    """Write a study out: Parquet, results, figures; `coordeval report --from DIR` gives every number again elsewhere."""
    from coordeval.flows.exports.bundle import export_study, export_table
    from coordeval.flows.grounding.stored import games_meant
    from coordeval.flows.study.stored import chosen
    from coordeval.ledger import read

    if games := games_meant(read(ledger), study):
        from coordeval.flows.grounding.exporting import export_games, export_table_of_games

        if target.suffix and not target.is_dir():
            rows = export_table_of_games(ledger, games, target)
            if as_json:
                print_result({"file": str(target), "rows": rows})
            else:
                console.print(f"wrote {target}: every game of {study}, {rows} rows", soft_wrap=True)
            return
        _told(export_games(ledger, games, target, with_figures=figures), "coordeval grounding report", as_json=as_json)
        return
    study_id = chosen(read(ledger), study)
    if target.suffix and not target.is_dir():
        rows = export_table(ledger, study_id, target, policy=policy.value)
        if as_json:
            print_result({"file": str(target), "rows": rows})
        else:
            console.print(f"wrote {target}: the leaderboard of {study}, {rows} rows", soft_wrap=True)
        return
    _told(
        export_study(ledger, study_id, target, policy=policy.value, with_figures=figures),
        "coordeval report",
        as_json=as_json,
    )


def _told(done: "Bundle", again: str, *, as_json: bool) -> None:
    """What was written, and the command that computes it `again`."""
    if as_json:
        print_result(done.as_json())
        return
    console.print(
        f"wrote {done.folder}: {sum(done.rows.values()):,} rows in {len(done.rows)} tables, {done.figures} figures",
        soft_wrap=True,
    )
    if done.no_figures:
        console.print(f"no figures: {done.no_figures}", style="yellow", soft_wrap=True)
    console.print(f"`{again} --from {done.folder}` computes every number again from it", soft_wrap=True)
