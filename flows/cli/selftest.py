"""`coordeval selftest`: what the project claims about itself, measured now."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from coordeval.flows.cli.options import JsonOption
from coordeval.flows.terminal import Terminal, print_result, table
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.files import write_whole

app = typer.Typer(no_args_is_help=True, help="What the project claims about itself, measured now.")
console = Terminal()


@app.command()
def year(
    days: Annotated[int, typer.Option(min=1, max=3650, help="How many, one after the other.")] = 365,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulated venue.")] = 1,
    miss: Annotated[str, typer.Option(help="Numbers of days on which nobody wakes, separated by commas.")] = "",
    degrade: Annotated[
        bool,
        typer.Option("--degrade", help="Plant what goes wrong in silence; the monitor has to tell."),
    ] = False,
    monitor_every: Annotated[int, typer.Option(min=1, help="Days between two looks of the monitor.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """Days of a prospective study one after the other, on a simulated venue with a time of its own, and a monitor.

    Exit status 1 where anything is lost, doubled or back-dated, and where the monitor does not find what was planted, or
    tells of what was not.
    """
    import tempfile

    from coordeval.flows.prospective.planted import planted
    from coordeval.flows.prospective.year import year as run_year

    try:
        missed = {int(part) for part in miss.split(",")} if miss else set()
    except ValueError as error:
        raise CoordevalError(f"--miss {miss!r}: give whole numbers separated by commas, such as 3,4,40") from error
    with tempfile.TemporaryDirectory(prefix="coordeval-year-") as folder:
        say = (lambda text: None) if as_json else console.print
        plan = planted(days) if degrade else ()
        found = run_year(Path(folder), days=days, seed=seed, missed=missed, plan=plan, every=monitor_every, say=say)
    if as_json:
        print_result(found.as_json())
    else:
        for line in found.lines():
            console.print(line, soft_wrap=True)
    if found.problems:
        raise typer.Exit(1)


@app.command()
def statistics(
    quick: Annotated[bool, typer.Option("--quick", help="A minute, to find gross faults.")] = False,
    seed: Annotated[int, typer.Option(help="Of all worlds.")] = 0,
    resamples: Annotated[int, typer.Option(help="In each interval.")] = 500,
    scale: Annotated[float, typer.Option(help="Times the worlds of the plan.")] = 1.0,
    cores: Annotated[int | None, typer.Option(help="Processes; else one per core.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="A bench of the plan, not all; may be given again.")] = None,
    kept: Annotated[
        Path | None, typer.Option(help="A folder that keeps the counts: a run that was interrupted goes on there.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write every row as JSON.")] = None,
    docs: Annotated[Path | None, typer.Option(help="Write docs/statistics-selftest.md.")] = None,
    coverage: Annotated[
        Path | None, typer.Option(help="Write the coverage that the library tells, analysis/data/coverage.json.")
    ] = None,
) -> None:
    """Hold every interval and test against simulated worlds whose truth is known. Exit status 1 where one is off."""
    import orjson
    from rich.progress import Progress

    from coordeval.analysis.selftest import FULL, QUICK, grouped, page, record, selftest, wanted
    from coordeval.analysis.selftest import coverage as coverage_of

    if only and (docs or coverage):
        raise CoordevalError("--only: --docs and --coverage tell of all benches; leave one of them out")
    if only and (unknown := [name for name in only if name not in FULL]):
        raise CoordevalError(f"--only {unknown[0]}: it must be one of {', '.join(FULL)}")
    command = shlex.join(["coordeval", *sys.argv[1:]])
    plan = {
        bench: {markets: max(1, round(worlds * scale)) for markets, worlds in sizes.items()}
        for bench, sizes in (QUICK if quick else FULL).items()
        if not only or bench in only
    }
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("simulated worlds", total=None)
        found = selftest(
            plan,
            seed=seed,
            resamples=resamples,
            cores=cores,
            folder=kept,
            told=lambda done, worlds: progress.update(task, completed=done, total=worlds),
        )
    for title, (header, *lines) in grouped(found.rows):
        table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
        for k, name in enumerate(header[:-1]):
            table.add_column(name, justify="left" if k in (0, len(header) - 2) else "right")
        for line in lines:
            table.add_row(*line[:-1], style="red" if line[-2] == "FAILED" else None)
        console.print(table)

    def stored(content: Any) -> bytes:
        return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    written: list[tuple[Path | None, Callable[[], bytes]]] = [
        (out, lambda: stored(record(found, command))),
        (docs, lambda: page(found, command).encode()),
        (coverage, lambda: stored(coverage_of(found, command))),
    ]
    for path, content in written:
        if path is not None:
            write_whole(path, content())
            console.print(f"wrote {path}")
    for row in found.failures:
        console.print(
            f"FAILED: {row.check.measure}, {row.check.of}, {row.check.world}, {row.check.markets} markets: "
            f"{'undefined' if row.figure is None else f'{row.figure:.1f}%'} in {row.worlds} worlds; {wanted(row)}",
            style="bold red",
        )
    console.print(f"{len(found.rows)} rows, {len(found.failures)} off beyond Monte Carlo error, {found.seconds:.0f} s")
    if found.failures:
        raise typer.Exit(1)


@app.command()
def reports(
    quick: Annotated[bool, typer.Option("--quick", help="A minute, to find gross faults.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of all worlds.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Whole reports on simulated worlds: of those in which nothing is so at most 5% may state anything, and a difference of
    the size planned for 80% is stated in 77 to 83%. Exit status 1 where that is off beyond chance.
    """
    from dataclasses import asdict

    from coordeval.analysis.selftest.reports import FULL, QUICK
    from coordeval.analysis.selftest.reports import reports as run_reports

    with console.status("simulated studies") as status:
        found = run_reports(QUICK if quick else FULL, seed=seed, told=status.update)
    failures = [failure for told in found for failure in told.failures]
    if as_json:
        print_result({"seed": seed, "reports": [asdict(told) for told in found], "failures": failures})
    else:
        made = table(
            "markets like", "markets", "reports", "state what is not so", "state what is", "of what kind", numbers=(1, 2)
        )
        for told in found:
            share = "–" if told.found is None else f"{told.found / told.reports:.1%}"
            kinds = ", ".join(f"{kind} {count}" for kind, count in told.kinds.items())
            made.add_row(told.shape, str(told.markets), str(told.reports), f"{told.wrong / told.reports:.1%}", share, kinds)
        console.print(made)
        for failure in failures:
            console.print(f"FAILED: {failure}", style="bold red", soft_wrap=True)
    if failures:
        raise typer.Exit(1)


@app.command()
def monitor(
    quick: Annotated[bool, typer.Option("--quick", help="Some seconds, to find gross faults.")] = False,
    seed: Annotated[int, typer.Option(help="Of all years.")] = 0,
    docs: Annotated[Path | None, typer.Option(help="Write the tables into this page, docs/monitor.md.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Hold the monitor against simulated years: silent while nothing changes, and quick where a signal moves by 20%.

    Exit status 1 where it is off beyond chance.
    """
    from dataclasses import asdict

    from coordeval.analysis.selftest.years_writing import (
        FULL,
        QUICK,
        delay_rows,
        into,
        measured,
        silence_rows,
        years_test,
    )

    page = None
    if docs is not None:
        try:
            page = docs.read_text(encoding="utf-8")
            into(page, "")
        except ValueError as error:
            raise CoordevalError(f"{docs}: {error}; give docs/monitor.md") from error
    with console.status("simulated years") as status:
        found = years_test(QUICK if quick else FULL, seed=seed, told=status.update)
    failures = list(found.failures)
    if docs is not None and page is not None:
        write_whole(docs, into(page, measured(found, shlex.join(["coordeval", *sys.argv[1:]]))).encode())
    if as_json:
        delays = [asdict(delay) | {"signal": delay.signal.name} for delay in found.delays]
        print_result({"seed": seed, "silences": [asdict(s) for s in found.silences], "delays": delays, "failures": failures})
    else:
        for (head, *lines), numbers in ((silence_rows(found), (1, 2)), (delay_rows(found), (3, 4))):
            made = table(*head, numbers=numbers)
            for line in lines:
                made.add_row(*line)
            console.print(made)
        for failure in failures:
            console.print(f"FAILED: {failure}", style="bold red", soft_wrap=True)
    if failures:
        raise typer.Exit(1)


@app.command()
def audit(
    quick: Annotated[bool, typer.Option("--quick", help="Some seconds, to find gross faults.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of all studies.")] = 0,
    docs: Annotated[Path | None, typer.Option(help="Write the tables into this page, docs/audit.md.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Hold the audit and the diagnosis against simulated studies with faults planted at known rates, and without any.

    Exit status 1 where a rule cries wolf in more than 2% of the clean studies, misses what is planted, or fewer than 80%
    of the planted first causes are named.
    """
    from dataclasses import asdict

    from coordeval.analysis.audit.registry import load
    from coordeval.analysis.selftest.audits import FULL, QUICK, audits
    from coordeval.analysis.selftest.audits_writing import cause_rows, detection_rows, into, measured, way_rows

    page = None
    if docs is not None:
        try:
            page = docs.read_text(encoding="utf-8")
            into(page, "")
        except ValueError as error:
            raise CoordevalError(f"{docs}: {error}; give docs/audit.md") from error
    with console.status("simulated studies") as status:
        found = audits(QUICK if quick else FULL, load().made(), seed=seed, told=status.update)
    if docs is not None and page is not None:
        write_whole(docs, into(page, measured(found, shlex.join(["coordeval", *sys.argv[1:]]))).encode())
    if as_json:
        print_result(asdict(found) | {"right": found.right, "failures": found.failures})
    else:
        for header, *lines in (detection_rows(found), cause_rows(found), way_rows(found)):
            made = table(*header, numbers=tuple(range(2 if "rule" in header else 1, len(header))))
            for line in lines:
                made.add_row(*line)
            console.print(made)
        alarms = ", ".join(f"{rule} {n}" for rule, n in found.alarms.items() if n) or "none"
        console.print(f"false alarms in {found.size.clean} clean studies: {alarms}", soft_wrap=True)
        console.print(f"first causes named: {found.right:.1%}; faults proved where there is none: {found.accused[0]}")
        for failure in found.failures:
            console.print(f"FAILED: {failure}", style="bold red", soft_wrap=True)
    if found.failures:
        raise typer.Exit(1)


@app.command()
def grounding(
    quick: Annotated[bool, typer.Option("--quick", help="Some seconds, to find gross faults.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of all instances.")] = 0,
    docs: Annotated[Path | None, typer.Option(help="Write the tables into this page, docs/grounding.md.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Play the grounding game with simulated pairs in whom each failure mode is planted, and see what is found of it.

    Exit status 1 where a mode is not found at its planted rate, is found in more than 2% of the chances where nothing is
    planted, the waterfall does not add up, or the published pattern does not come out.
    """
    from coordeval.analysis.selftest.audits_writing import into
    from coordeval.analysis.selftest.grounding import FULL, QUICK, grounding
    from coordeval.analysis.selftest.grounding_writing import as_values, measured, tables
    from coordeval.grounding.registry import load

    page = None
    if docs is not None:
        try:
            page = docs.read_text(encoding="utf-8")
            into(page, "")
        except ValueError as error:
            raise CoordevalError(f"{docs}: {error}; give docs/grounding.md") from error
    repairs = load()
    with console.status("simulated games") as status:
        made = [repairs.create(name) for name in repairs.classes]
        found = grounding(QUICK if quick else FULL, made, seed=seed, told=status.update)
    if docs is not None and page is not None:
        write_whole(docs, into(page, measured(found, shlex.join(["coordeval", *sys.argv[1:]]))).encode())
    if as_json:
        print_result(as_values(found))
    else:
        for title, (header, *lines) in tables(found).items():
            made_table = table(*header, numbers=tuple(range(1, len(header))))
            made_table.title = title
            for line in lines:
                made_table.add_row(*line)
            console.print(made_table)
        for failure in found.failures:
            console.print(f"FAILED: {failure}", style="bold red", soft_wrap=True)
    if found.failures:
        raise typer.Exit(1)


@app.command()
def drift(
    conversations: Annotated[int, typer.Option(help="Debates of each kind, and without any drift.")] = 500,
    seed: Annotated[int, typer.Option(help="The same seed gives the same counts.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Plant drift into debates, and count how much is found and how often a clean one alarms.

    Exit status 1 where clean debates alarm in more than 2%.
    """
    from dataclasses import asdict

    from coordeval.analysis.selftest.drift import rates
    from coordeval.flows.terminal import words

    if conversations < 1:
        raise CoordevalError(f"--conversations {conversations}: it is a whole number from 1")
    told = rates(conversations, seed=seed)
    if as_json:
        print_result(asdict(told))
    else:
        made = table("planted", "kind", "debates", "found", numbers=(2, 3))
        for rate in told.planted:
            made.add_row(words(rate.planted), rate.kind, f"{rate.conversations:,}", f"{rate.share:.1%}")
        made.add_row("nothing", "any", f"{told.clean:,}", f"{told.false_alarms / told.clean:.1%}")
        console.print(made)
    if told.false_alarms > 0.02 * told.clean:
        raise typer.Exit(1)


@app.command("tools")
def tools_(
    quick: Annotated[bool, typer.Option("--quick", help="Some seconds, to find gross faults.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of all worlds.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Hold a gate in front of tools against simulated worlds in which what tools gain is planted.

    And what single calls are worth, as `tools ablate` tells it: how often its intervals hold the true value. Exit status 1
    where what a gate says of its own gain is off by more than 2 standard errors, beyond the luck of draws that calling
    always has too; where at equal calls it does not gain more than the agent's own choice; or where an interval holds too
    rarely.
    """
    from dataclasses import asdict

    from coordeval.analysis.selftest.ablations import ablations
    from coordeval.analysis.selftest.gates import WORLDS, gates

    with console.status("simulated worlds"):
        found = gates(WORLDS // 5 if quick else WORLDS, seed=seed)
        single = ablations(50 if quick else 1000, seed=seed)
    failures = [*found.failures, *(row.failure for row in single if row.failure)]
    if as_json:
        print_result(asdict(found) | {"single_calls": [asdict(row) for row in single], "failures": failures})
    else:
        made = table("Brier points gained over never calling", "mean", numbers=(1,))
        for name, value in (
            ("what gates say of themselves", found.estimated),
            ("what they do gain", found.true),
            ("the agent's own choice", found.own_choice),
            ("a gate, at as many calls", found.at_own),
            ("the best, at as many calls", found.best_at_own),
            ("always", found.always),
        ):
            made.add_row(name, f"{value:.4f}")
        console.print(made)
        off = (
            f"off by {found.error:.5f} ± {found.error_sem:.5f}, of which the luck of the draws is {found.luck:.5f} and the "
        )
        off += f"gates' own {found.own:.5f} ± {found.own_sem:.5f}; true gains rise by {found.slope:.2f} per predicted one"
        console.print(
            f"{found.worlds} worlds of {found.markets} markets: what gates say of their gain is {off}", soft_wrap=True
        )
        made = table("single calls", "tool", "true", "markets", "its interval holds it", numbers=(2, 3, 4))
        for row in single:
            held = f"{row.coverage:.1f} ± {row.sem:.1f}%"
            made.add_row(row.measure, row.tool, f"{row.true:.4f}", str(row.markets), held)
        console.print(made)
        for failure in failures:
            console.print(f"FAILED: {failure}", style="bold red", soft_wrap=True)
    if failures:
        raise typer.Exit(1)


@app.command("cascade")
def cascade_(
    markets: Annotated[int, typer.Option(help="Simulated markets, the same for every topology.")] = 4000,
    rounds: Annotated[int, typer.Option(help="Rounds of revision.")] = 2,
    agents: Annotated[int, typer.Option(help="Agents, of whom one errs.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same worlds.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Plant one wrong first estimate in simulated groups: what share of the other agents ends with it, by topology."""
    from dataclasses import asdict

    from coordeval.analysis.selftest.cascade import cascade
    from coordeval.flows.terminal import words

    told = cascade(markets, rounds=rounds, agents=agents, seed=seed)
    if as_json:
        print_result([asdict(one) for one in told])
        return
    made = table("topology", "others who end with it", "forecasts", "shift", "by the weights", numbers=(1, 2, 3, 4))
    for one in told:
        shares = (f"{one.infected:.1%}", f"{one.forecasts:.1%}", f"{one.shift:.3f}", f"{one.expected:.3f}")
        made.add_row(words(one.topology), *shares)
    console.print(made)
