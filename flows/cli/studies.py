"""`coordeval studies` and `coordeval forecasts`: what a ledger holds, with the names and ids that other commands want."""

from typing import Annotated

import typer

from coordeval.flows.cli.options import DEFAULT_LEDGER, JsonOption, LedgerOption, StudyArgument
from coordeval.flows.terminal import Terminal, print_result, table
from coordeval.market_data.errors import CoordevalError

console = Terminal()


def studies(ledger: LedgerOption = DEFAULT_LEDGER, as_json: JsonOption = False) -> None:
    """The studies of the ledger, the last used first: name, hash, how far each is, and what marks its results."""
    from coordeval.flows.study.stored import SHORT
    from coordeval.flows.study.stored import studies as studies_of
    from coordeval.ledger import read

    found = studies_of(read(ledger))
    if as_json:
        print_result(found.to_dicts())
        return
    if found.is_empty():
        console.print(f"{ledger} holds no study yet; `coordeval run STUDY.toml` stores one", soft_wrap=True)
        return
    rows = table("study", "hash", "used (UTC)", "model", "answered", "failed", "open", "marks", numbers=(4, 5, 6))
    for row in found.to_dicts():
        marks = [word for word, holds in (("SIMULATED", row["simulated"]), ("hindsight", row["hindsight"])) if holds]
        used = f"{row['used_at']:%Y-%m-%d %H:%M}"
        counts = (row["answered"], row["failed"], row["open"])
        rows.add_row(row["name"], row["study_id"][:SHORT], used, row["model"], *map(str, counts), ", ".join(marks))
    console.print(rows)


def forecasts(
    study: StudyArgument,
    market: Annotated[str | None, typer.Option(help="Of one market only: its id, or the start of it.")] = None,
    configuration: Annotated[str | None, typer.Option(help="Of one configuration only.")] = None,
    status: Annotated[str | None, typer.Option(help="answered, failed or open.")] = None,
    arm: Annotated[str | None, typer.Option(help="Of one arm only.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many to print; 0: all.")] = 50,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """The forecasts of a study with their ids: `coordeval certificate ID` shows what the agents of one could see."""
    from coordeval.flows.grounding.stored import games_meant
    from coordeval.flows.study.stored import SHORT, chosen
    from coordeval.flows.study.stored import forecasts as forecasts_of
    from coordeval.ledger import read

    reader = read(ledger)
    if games := games_meant(reader, study):
        if market or configuration or arm or status:
            raise CoordevalError(f"{study} is a study of games: `coordeval grounding games {study}` lists all of them")
        from coordeval.flows.grounding.listing import print_games_of

        print_games_of(reader, games, console, as_json=as_json)
        return
    wanted = {"market": market, "configuration": configuration, "status": status, "arm": arm}
    found = forecasts_of(reader, chosen(reader, study), **wanted)
    if as_json:
        print_result(found.to_dicts())
        return
    shown = found.head(limit) if limit else found
    several = found["arm"].n_unique() > 1  # of one arm nothing is to be told
    columns = (
        "id",
        "market",
        *(("arm",) if several else ()),
        "configuration",
        "replicate",
        "status",
        "probability",
        "reason",
    )
    rows = table(*columns, numbers=(3 + several, 5 + several))
    for row in shown.to_dicts():
        answer = "–" if row["probability"] is None else f"{row['probability']:.4g}"
        names = (row["forecast_id"][:SHORT], row["market_id"], *((row["arm"],) if several else ()), row["configuration"])
        rows.add_row(*names, str(row["replicate"]), row["status"], answer, row["reason"] or "")
    if shown.height:
        console.print(rows)
    console.print(
        f"{shown.height} of {found.height} forecasts{'; --limit 0 prints all' if shown.height < found.height else ''}"
    )
