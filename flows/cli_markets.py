"""`coordeval markets`: pull real markets into the ledger, look at them, draw a sample, audit what changed."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import orjson
import polars as pl
import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from flows.as_of import WAYS, hindsight, plain, rule_of
from market_data.errors import CoordevalError

app = typer.Typer(no_args_is_help=True, help="Real markets: sources, pull, list, show, sample, audit.")
console = Console()

LedgerOption = Annotated[
    Path, typer.Option("--ledger", envvar="COORDEVAL_LEDGER", help="The DuckDB file that holds everything.")
]
DEFAULT_LEDGER = Path("results/coordeval.duckdb")
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
    from flows.pulling import FILES, pull_files, pull_markets
    from ledger import Ledger
    from market_data.venues import Query, Statement

    if order not in {"closed_time", "id"}:
        raise CoordevalError(f"--order {order!r}: it must be closed_time or id")
    with Ledger.open(ledger, purpose=f"coordeval markets pull {source}") as book:
        if source in FILES:
            if given := [name for name in ("after", "before", "min_volume") if _was_given(context, name)]:
                console.print(f"a dataset is read whole: {', '.join(given)} do not apply to {source}", style="yellow")
            console.print(pull_files(book, source, path), markup=False)
            return
        kind: Literal["closed_time", "id"] = "id" if order == "id" else "closed_time"
        query = Query(after=after.replace(tzinfo=UTC), before=before.replace(tzinfo=UTC), min_volume=min_volume, order=kind)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task(f"{source}: beginning", total=None)
            asked = False

            def on_page(statement: Statement) -> None:
                nonlocal asked
                asked = True
                words = f"{source}: {statement.pages} pages, {statement.rows} rows, {statement.kept} kept"
                bar.update(task, description=words)

            def on_prices(done: int, wanted: int) -> None:  # of one page: how many pages there are, no venue says
                bar.update(task, completed=done, total=wanted)

            statement = asyncio.run(
                pull_markets(
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
                )
            )
    console.print(statement.statement(), markup=False, highlight=False, soft_wrap=True)
    if not asked:
        words = f"nothing was asked: this window was read to its end on {statement.started_at:%Y-%m-%d %H:%M} UTC; "
        console.print(words + "--again reads it anew and stores what changed", style="yellow", soft_wrap=True)
    if statement.kept == 0:
        console.print("no market closed in this window: widen it, or lower --min-volume", style="yellow")


@app.command()
def sources() -> None:
    """Where markets can be pulled from, what each needs, and what its parser was held against."""
    from flows.pulling import FILES
    from market_data.venues import load

    found = load()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("source", "needs", "parser held against", "from"):
        table.add_column(name, overflow="fold")
    for name, cls in (*found.classes.items(), *FILES.items()):
        table.add_row(name, *map(_plain, (cls.needs, cls.checked_against, cls.__module__.partition(".")[0])))
    console.print(table)
    for name, reason in found.quarantined.items():
        console.print(f"{name} could not be loaded: {reason}", style="bold red", markup=False, soft_wrap=True)
    console.print("`markets pull --source NAME` takes one; docs/sources.md shows how to write your own.", markup=False)


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
) -> None:
    """The markets of the ledger, the last closed first."""
    from flows.markets import listed
    from ledger import read

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
    print_frame(shown.select("market_id", "status", "outcome", "closed_at", "volume", "question"))
    console.print(f"{shown.height} of {found.height} markets")
    if out is not None:
        found.write_csv(out) if out.suffix == ".csv" else found.write_parquet(out)
        console.print(f"wrote {out}", markup=False, highlight=False)


@app.command()
def show(
    market: Annotated[str, typer.Argument(help="A market's id, or the start of it.")],
    ledger: LedgerOption = DEFAULT_LEDGER,
) -> None:
    """One market whole: what was known at opening, its outcomes, prices, and what changed since."""
    from flows.markets import market_id_of, shown
    from ledger import read

    reader = read(ledger)
    for title, rows in shown(reader, market_id_of(reader, market)):
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
    ledger: LedgerOption = DEFAULT_LEDGER,
) -> None:
    """Draw a stratified sample (category × price decile), with the table of what was eligible and what was left out."""
    from flows.markets import eligible, listed
    from ledger import read
    from market_data.sampling import draw_sample
    from market_data.traces100 import NAME as TRACES

    if out is not None and out.exists():
        raise CoordevalError(f"{out} exists already; a sample never changes: choose another name")
    rule = rule_of(as_of)
    reader = read(ledger)
    found = listed(reader, source=source, category=category, after=_utc(after), before=_utc(before), min_volume=min_volume)
    frame = eligible(reader, found, rule, max_price_age_hours=max_price_age)
    drawn = draw_sample(frame, size=size, seed=seed, max_per_event=per_event or None, allow_fewer=out is None)
    taken = found.filter(pl.col("market_id").is_in(list(drawn.market_ids)))["source"]
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
    content = {
        "spec": spec,
        "drawn_at": datetime.now(UTC),
        "market_ids": list(drawn.market_ids),
        "tally": drawn.tally.to_dicts(),
        "left_out": dict(drawn.left_out),
    }
    print_frame(drawn.tally)
    for reason, count in drawn.left_out.items():
        console.print(f"left out, {reason}: {count}", markup=False, highlight=False)
    if anchored:
        console.print("hindsight-anchored: this as-of looks at when the markets in fact resolved", style="yellow")
    if out is None:
        words = f"{len(drawn.market_ids)} of {size} markets would be drawn; nothing was written, for want of a file name"
        console.print(words, markup=False, highlight=False)
        return
    out.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    console.print(f"wrote {out}: {len(drawn.market_ids)} markets; a study uses it, and its as-of, with", soft_wrap=True)
    console.print(f'    [markets]\n    source = "ledger"\n    sample = "{out.name}"', markup=False, highlight=False)


@app.command()
def audit(ledger: LedgerOption = DEFAULT_LEDGER) -> None:
    """How complete the listings are, what cannot be scored and why, what was edited, and which studies a change touches."""
    from flows.markets import audit as audit_of
    from ledger import read

    found = audit_of(read(ledger))
    for statement in found.statements:
        console.print(statement, markup=False, highlight=False, soft_wrap=True)
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
        console.print(f"{source}: {probe.says}", markup=False, highlight=False, soft_wrap=True)
    if found.unpaid:
        words = "resolved markets stand on status and prices alone: the venue states no payouts for them"
        console.print(f"\n{found.unpaid} {words}", markup=False, highlight=False, soft_wrap=True)
    for title, frame, nothing in parts:
        console.print(f"\n{title}: {nothing if frame.is_empty() else frame.height}", style="bold")
        if not frame.is_empty():
            print_frame(frame)


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def print_frame(frame: pl.DataFrame) -> None:
    """A frame as a table: numbers to the right, null as a dash."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, kind in frame.schema.items():
        table.add_column(name, justify="right" if kind.is_numeric() else "left", overflow="fold")
    for row in frame.iter_rows():
        table.add_row(*(_plain(value) for value in row))
    console.print(table)


def _plain(value: object, *, whole: bool = False) -> str:
    from rich.markup import escape

    if value is None:
        return "–"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    text = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in str(value))  # no command reaches the terminal
    return escape(text[:11] + "…" if not whole and text.startswith("0x") and len(text) > 40 else text)
