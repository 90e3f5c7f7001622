"""`coordeval markets`: pull real markets into the ledger, look at them, draw a sample, audit what changed."""

import os
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich import box
from rich.table import Table

from coordeval.flows.cli.ending import errors
from coordeval.flows.cli.options import DEFAULT_LEDGER, JsonOption, LedgerOption
from coordeval.flows.study.ways import WAYS
from coordeval.flows.terminal import Terminal, print_result
from coordeval.market_data.errors import CoordevalError, choose
from coordeval.market_data.files import csv_of, write_whole
from coordeval.market_data.text import shown as clean

if TYPE_CHECKING:
    import polars as pl

app = typer.Typer(no_args_is_help=True, help="Real markets: sources, pull, list, show, sample, audit.")
console = Terminal()

After = Annotated[datetime, typer.Option("--resolved-after", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="UTC.")]
Before = Annotated[datetime, typer.Option("--resolved-before", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="UTC.")]


ClosedAfter = Annotated[datetime | None, typer.Option("--resolved-after", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])]
ClosedBefore = Annotated[datetime | None, typer.Option("--resolved-before", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])]
MinVolume = Annotated[float | None, typer.Option(min=0, help="In the venue's own unit.")]
SourceFilter = Annotated[str | None, typer.Option(help="Of one venue or dataset only.")]


@app.command()
def pull(
    context: typer.Context,
    after: After = datetime(2025, 8, 1),  # noqa: DTZ001  a date of the command line is UTC
    before: Before = datetime(2026, 11, 1),  # noqa: DTZ001
    min_volume: Annotated[float, typer.Option(min=0, help="In the venue's own unit.")] = 0.0,
    source: Annotated[
        str, typer.Option(help="A name that `markets sources` lists, or a Python file with a source of your own.")
    ] = "polymarket",
    prices: Annotated[float, typer.Option(min=0, help="Days of prices before each market closed; 0: none.")] = 15.0,
    price_every: Annotated[
        int, typer.Option(min=0, help="Keep the last price in so many minutes, at its own moment; 0: all.")
    ] = 10,
    again: Annotated[
        bool, typer.Option("--again", help="Read a window that was read already anew, and store what changed.")
    ] = False,
    order: Annotated[str, typer.Option(help="closed_time, or id: reads every closed market.")] = "closed_time",
    path: Annotated[Path | None, typer.Option(help="For forecastbench and dataset: the folder of files.")] = None,
    base_url: Annotated[str | None, typer.Option(help="A stand-in instead of the venue.")] = None,
    contact: Annotated[str, typer.Option(help="How the venue reaches you, for the User-Agent.")] = "",
    ledger: LedgerOption = DEFAULT_LEDGER,
) -> None:
    """Every resolved market of a window, with its event, prices and resolution evidence. Goes on where it stopped."""
    import asyncio
    from contextlib import nullcontext

    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from coordeval.flows.markets.pulling import FILES, pull_files, pull_markets
    from coordeval.flows.run.waiting import told
    from coordeval.ledger import Ledger
    from coordeval.market_data.venues import Query, Statement, load

    if order not in {"closed_time", "id"}:
        raise CoordevalError(f"--order {order!r}: it must be closed_time or id")
    installed = load()
    if not source.endswith(".py") and source not in {*installed.classes, *installed.quarantined, *FILES}:
        raise CoordevalError(choose("source", source, [*installed.classes, *FILES]) + ", or a Python file, NAME.py")
    with Ledger.open(ledger, purpose=f"coordeval markets pull {source}") as book:
        if source in FILES:
            if given := [name for name in ("after", "before", "min_volume") if _was_given(context, name)]:
                console.print(f"a dataset is read whole: {', '.join(given)} do not apply to {source}", style="yellow")
            console.print(pull_files(book, source, path))
            return
        kind: Literal["closed_time", "id"] = "id" if order == "id" else "closed_time"
        query = Query(after=after.replace(tzinfo=UTC), before=before.replace(tzinfo=UTC), min_volume=min_volume, order=kind)
        waiting = f"{source}: beginning"
        confirmed: list[str] = []
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task(f"{source}: beginning", total=None)
            asked = False

            def on_page(statement: Statement) -> None:
                nonlocal asked, waiting
                asked = True
                waiting = f"{source}: {statement.pages} pages, {statement.rows} rows, {statement.kept} kept"
                bar.update(task, description=waiting)

            def on_prices(done: int, wanted: int) -> None:  # of one page: how many pages there are, no venue says
                nonlocal waiting
                waiting = f"{waiting.partition(';')[0]}; prices of {done} of {wanted} markets of the next page"
                bar.update(task, completed=done, total=wanted)

            async def go() -> Statement:
                lines = nullcontext() if console.is_terminal else told(lambda: f"waiting for {waiting}", console.print)
                with lines:
                    return await pull_markets(
                        book,
                        source,
                        query,
                        base_url=base_url,
                        price_days=prices,
                        price_every=timedelta(minutes=price_every),
                        again=again,
                        contact=contact,
                        on_page=on_page,
                        on_prices=on_prices,
                        on_confirmed=lambda found: confirmed.extend(found.words()),
                    )

            statement = asyncio.run(go())
    console.print(statement.statement(), soft_wrap=True)
    for words in confirmed:
        console.print(words, style="yellow", soft_wrap=True)
    if not asked:
        words = f"nothing was asked: this window was read to its end on {statement.started_at:%Y-%m-%d %H:%M} UTC; "
        console.print(words + "--again reads it anew and stores what changed", style="yellow", soft_wrap=True)
    if statement.kept == 0:
        console.print("no market closed in this window: widen it, or lower --min-volume", style="yellow")


@app.command()
def sources(as_json: JsonOption = False) -> None:
    """Where markets can be pulled from, what each needs, and what its parser was held against."""
    from coordeval.flows.markets.pulling import FILES
    from coordeval.market_data.venues import load

    found = load()
    if as_json:
        rows = {
            name: {"needs": cls.needs, "checked_against": cls.checked_against, "from": cls.__module__}
            for name, cls in (*found.classes.items(), *FILES.items())
        }
        print_result({"sources": rows, "could_not_be_loaded": dict(found.quarantined)})
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("source", "needs", "parser held against", "from"):
        table.add_column(name, overflow="fold")
    for name, cls in (*found.classes.items(), *FILES.items()):
        table.add_row(name, *map(_plain, (cls.needs, cls.checked_against, cls.__module__.partition(".")[0])))
    console.print(table)
    for name, reason in found.quarantined.items():
        console.print(f"{name} could not be loaded: {reason}", style="bold red", soft_wrap=True)
    console.print("`markets pull --source NAME` takes one; docs/sources.md shows how to write your own.")


@app.command("list")
def list_(
    source: SourceFilter = None,
    status: Annotated[str | None, typer.Option(help="resolved, fifty_fifty, disputed, ...")] = None,
    category: str | None = None,
    event: Annotated[str | None, typer.Option(help="The event's id, as `markets show` prints it.")] = None,
    words: Annotated[str | None, typer.Option("--question", help="Words that stand in the question.")] = None,
    after: ClosedAfter = None,
    before: ClosedBefore = None,
    min_volume: MinVolume = None,
    limit: Annotated[int, typer.Option(min=0, help="How many to print; 0: all.")] = 30,
    out: Annotated[Path | None, typer.Option(help="Also write all of them to this .csv or .parquet file.")] = None,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """The markets of the ledger, the last closed first."""
    from coordeval.flows.markets.listing import listed
    from coordeval.ledger import read

    if out is not None and out.suffix not in {".csv", ".parquet"}:
        raise CoordevalError(f"--out {out}: its name must end in .csv or .parquet")
    found = listed(
        read(ledger),
        source=source,
        status=status,
        category=category,
        event=event,
        words=words,
        after=_utc(after),
        before=_utc(before),
        min_volume=min_volume,
    )
    shown = found.head(limit) if limit else found
    if out is not None:
        write_whole(out, csv_of(found) if out.suffix == ".csv" else _parquet(found))
    if as_json:
        print_result(shown.to_dicts())
        return
    print_frame(shown.select("market_id", "status", "outcome", "closed_at", "volume", "question"))
    console.print(f"{shown.height} of {found.height} markets")
    if out is not None:
        console.print(f"wrote {out}", soft_wrap=True)


@app.command()
def show(
    market: Annotated[str, typer.Argument(help="A market's id, or the start of it.")],
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """One market whole: what was known at opening, its outcomes, prices, and what changed since."""
    from coordeval.flows.markets.listing import market_id_of, shown
    from coordeval.ledger import read

    reader = read(ledger)
    groups = shown(reader, market_id_of(reader, market))
    if as_json:
        print_result([{"title": title, "values": dict(rows)} for title, rows in groups])
        return
    for title, rows in groups:
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(str(name), _plain(value, whole=True))
        console.print(table)


@app.command()
def sample(
    out: Annotated[
        Path | None, typer.Argument(help="The sample file to write; a study names it. Without it nothing is written.")
    ] = None,
    size: Annotated[int, typer.Option(min=1)] = 100,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    source: SourceFilter = None,
    category: str | None = None,
    after: ClosedAfter = None,
    before: ClosedBefore = None,
    min_volume: MinVolume = None,
    per_event: Annotated[int, typer.Option(min=0, help="Markets per event at most; 0: no limit.")] = 1,
    as_of: Annotated[str, typer.Option(help="As a study's as_of: " + WAYS)] = "hours_before_close=24",
    max_price_age: Annotated[float, typer.Option(min=0, help="Hours; an older price is none.")] = 24.0,
    include_simulated: Annotated[
        bool, typer.Option("--include-simulated", help="Draw made-up markets too where there are real ones.")
    ] = False,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Draw a stratified sample (category × price decile), with the table of what was eligible and what was left out."""
    import orjson
    import polars as pl

    from coordeval.flows.markets.listing import eligible, listed, nearest_rules
    from coordeval.flows.study.as_of import hindsight, plain, rule_of
    from coordeval.ledger import read
    from coordeval.market_data.sampling import draw_sample
    from coordeval.market_data.traces100 import NAME as TRACES

    if out is not None and os.path.lexists(out):
        raise CoordevalError(f"{out} exists already; a sample never changes: choose another name")
    rule = rule_of(as_of)
    reader = read(ledger)
    found = listed(reader, source=source, category=category, after=_utc(after), before=_utc(before), min_volume=min_volume)
    say = errors if as_json else console  # what is for people must not stand in the JSON
    frame = eligible(reader, found, rule, max_price_age_hours=max_price_age, include_simulated=include_simulated)
    if found.height and not frame.filter((pl.col("reason") == "") & pl.col("price").is_not_null()).height:
        why = frame.group_by("reason").len().sort("len", "reason", descending=[True, False]).iter_rows()
        others = nearest_rules(
            reader, found, max_price_age_hours=max_price_age, include_simulated=include_simulated, but=rule
        )
        say.print(f"--as-of {as_of}: not one of {found.height} markets is eligible", style="yellow")
        for reason, count in why:
            say.print(f"    {reason or 'no price at as-of'}: {count}")
        told_rules = "; ".join(f"--as-of {other} ({count})" for other, count in others)
        say.print(
            f"rules that would not be empty: {told_rules}"
            if told_rules
            else "no other rule helps: pull more days of prices (--prices), or another window",
            style="yellow",
            soft_wrap=True,
        )
    drawn = draw_sample(frame, size=size, seed=seed, max_per_event=per_event or None, allow_fewer=out is None)
    drawn_rows = found.filter(pl.col("market_id").is_in(list(drawn.market_ids)))
    taken, made_up = drawn_rows["source"], bool(drawn_rows["simulated"].any())
    anchored = hindsight(rule) or (rule == "source" and TRACES in taken)  # that dataset's own time is counted from the end
    spec = {
        "size": size,
        "seed": seed,
        "source": source,
        "category": category,
        "resolved_after": after,
        "resolved_before": before,
        "min_volume": min_volume,
        "per_event": per_event,
        "as_of": plain(rule),
        "hindsight": anchored,
        "max_price_age_hours": max_price_age,
    }
    if made_up:
        say.print("SIMULATED: the sample holds made-up markets, and every study of it says so", style="bold red")
    content = {
        "spec": spec,
        **({"simulated": True} if made_up else {}),
        "drawn_at": datetime.now(UTC),
        "market_ids": list(drawn.market_ids),
        "tally": drawn.tally.to_dicts(),
        "left_out": dict(drawn.left_out),
    }
    if out is not None:
        write_whole(out, orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    if as_json:
        print_result(content)
        return
    print_frame(drawn.tally)
    for reason, count in drawn.left_out.items():
        console.print(f"left out, {reason}: {count}")
    if anchored:
        console.print("hindsight-anchored: this as-of looks at when the markets in fact resolved", style="yellow")
    if out is None:
        words = f"{len(drawn.market_ids)} of {size} markets would be drawn; nothing was written, for want of a file name"
        console.print(words)
        return
    console.print(f"wrote {out}: {len(drawn.market_ids)} markets; a study uses it, and its as-of, with", soft_wrap=True)
    console.print(f'    [markets]\n    source = "ledger"\n    sample = "{out.name}"')


@app.command()
def audit(ledger: LedgerOption = DEFAULT_LEDGER, as_json: JsonOption = False) -> None:
    """How complete the listings are, what cannot be scored and why, what was edited, and which studies a change touches."""
    from coordeval.flows.markets.listing import audit as audit_of
    from coordeval.ledger import read

    found = audit_of(read(ledger))
    if as_json:
        frames = ("statuses", "changed", "touched", "two_winners", "edits", "refused")
        early = [{"source": source, "says": probe.says} for source, probe in found.early]
        own = {name: getattr(found, name).to_dicts() for name in frames}
        print_result({"statements": found.statements, "early_closing": early, "without_payouts": found.unpaid, **own})
        return
    for statement in found.statements:
        console.print(statement, soft_wrap=True)
    parts = (
        ("Outcomes", found.statuses, "no market"),
        ("Resolutions that changed", found.changed, "none"),
        ("Studies that a changed resolution touches", found.touched, "none"),
        ("Negative-risk groups with more than one YES (never drawn)", found.two_winners, "none"),
        ("Texts edited since they were first seen (the first one is kept)", found.edits, "none"),
        ("Rows that could not be read", found.refused, "none"),
    )
    console.print("\nWhat early closing tells of the outcome, over all resolved markets", style="bold")
    for source, probe in found.early:
        console.print(f"{source}: {probe.says}", soft_wrap=True)
    if found.unpaid:
        words = "resolved markets stand on status and prices alone: the venue states no payouts for them"
        console.print(f"\n{found.unpaid} {words}", soft_wrap=True)
    for title, frame, nothing in parts:
        console.print(f"\n{title}: {nothing if frame.is_empty() else frame.height}", style="bold")
        if not frame.is_empty():
            print_frame(frame)


def _parquet(frame: "pl.DataFrame") -> bytes:
    buffer = BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def print_frame(frame: "pl.DataFrame") -> None:
    """A frame as a table: numbers to the right, null as a dash."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, kind in frame.schema.items():
        table.add_column(name, justify="right" if kind.is_numeric() else "left", overflow="fold")
    for row in frame.iter_rows():
        table.add_row(*(_plain(value) for value in row))
    console.print(table)


def _plain(value: object, *, whole: bool = False) -> str:
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    text = clean(value)
    return text[:11] + "…" if not whole and text.startswith("0x") and len(text) > 40 else text
