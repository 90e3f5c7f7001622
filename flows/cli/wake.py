"""`coordeval wake`: a scheduled job by hand, or by whatever else wakes it (cron, a timer): what is due is done."""

import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from coordeval.flows.cli.options import DEFAULT_LEDGER, JsonOption, LedgerOption
from coordeval.flows.terminal import Terminal, print_result
from coordeval.market_data.errors import CoordevalError

console = Terminal()
errors = Terminal(stderr=True)
DAY = "%Y-%m-%d"


def wake(
    job: Annotated[str | None, typer.Argument(help="Without it the jobs are listed.")] = None,
    study: Annotated[Path | None, typer.Argument(help="A study file; pull-markets needs none.")] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=[DAY], help="Do every day from this one on that is not done (UTC).")
    ] = None,
    now: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%dT%H:%M:%S", DAY], help="A stand-in for time, in UTC; of simulated worlds only."),
    ] = None,
    options: Annotated[
        list[str] | None, typer.Option("--set", help="An option of the job, as name=value, such as source=kalshi.")
    ] = None,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Do the days of a scheduled job that are due, each once; without Prefect. Woken again it returns at once."""
    from coordeval.flows.jobs.table import JOBS, job_of
    from coordeval.flows.jobs.wake import wake as woken

    if job is None:
        rows = [
            {"job": one.name, "does": one.about, "wakes": one.cron, "options": dict(one.options)} for one in JOBS.values()
        ]
        if as_json:
            print_result(rows)
            return
        for row in rows:
            console.print(f"{row['job']}  (cron {row['wakes']} UTC)\n    {row['does']}", soft_wrap=True)
        return
    wanted = job_of(job)
    given = _given(options or [], wanted.options, wanted.name)
    moment = datetime.now(UTC) if now is None else now.replace(tzinfo=UTC)
    if now is not None:
        _check_made_up(study, {**wanted.options, **given})
    made = woken(
        wanted,
        study,
        ledger,
        now=moment,
        say=(errors if as_json else console).print,
        by=f"coordeval wake (process {os.getpid()})",
        since=None if since is None else _day(since),
        options=given,
    )
    if as_json:
        print_result(made.as_json())
    else:
        console.print(f"{wanted.name}: {made.said()}", soft_wrap=True)


def _day(moment: datetime) -> date:
    return moment.date()


def _given(pairs: list[str], known: Any, job: str) -> dict[str, Any]:
    """name=value as the type of the default. Raises CoordevalError naming the option and what there is."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if name not in known or not equals:
            there = ", ".join(f"{key}={default if default is not None else ''}" for key, default in known.items()) or "none"
            raise CoordevalError(f"--set {pair!r}: {job} takes name=value of these options: {there}")
        kind = type(known[name]) if known[name] is not None else str
        try:
            found[name] = kind(value)
        except ValueError as error:
            raise CoordevalError(f"--set {pair!r}: {name} must be a {kind.__name__}, such as {known[name]}") from error
    return found


def _check_made_up(study: Path | None, options: dict[str, Any]) -> None:
    from coordeval.flows.study.study import load_study
    from coordeval.market_data.http import on_this_machine

    if study is None:
        made_up = on_this_machine(options.get("base_url"))
    else:  # a model that is made up forecasts real markets now, too
        markets = load_study(study).study
        made_up = markets.made_up_markets or on_this_machine(getattr(markets.markets, "base_url", None))
    if not made_up:
        raise CoordevalError(
            "--now: only a simulated world has a clock of its own; what is real happens now: leave the option out"
        )
