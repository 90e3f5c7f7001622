"""`coordeval serve` and `coordeval deploy`: the scheduled jobs on a Prefect server, its own or one that exists."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coordeval.flows.cli.options import DEFAULT_LEDGER, JsonOption, LedgerOption
from coordeval.flows.terminal import Terminal, print_result

if TYPE_CHECKING:
    from coordeval.flows.orchestration.deployments import Deployed

console = Terminal()
RETRIED = "what may pass by itself is tried again"

Studies = Annotated[list[Path] | None, typer.Argument(metavar="[STUDY]...", help="Study files.")]
Sources = Annotated[
    list[str] | None, typer.Option("--source", help="A venue whose markets are pulled; may be given several times.")
]
Show = Annotated[bool, typer.Option("--show", help="Print what would be made, and make nothing.")]


def serve(
    studies: Studies = None,
    sources: Sources = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Of the server started here; else 4200 or a free one.")
    ] = None,
    catch_up: Annotated[bool, typer.Option(help="Wake every job once at the start, for the days that were missed.")] = True,
    show: Show = False,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Serve the scheduled jobs until Ctrl-C, with a Prefect server of its own where none is configured."""
    from coordeval.flows.orchestration.deployments import planned

    wanted = planned(studies or [], ledger, sources or [])
    if show or as_json:
        _show(wanted, ledger, as_json)
        return
    from coordeval.flows.orchestration.serve import serve as serving
    from coordeval.flows.run.stopping import Stop

    stop = Stop()
    try:
        with stop.caught():
            serving(wanted, ledger, console, port=port, catch_up=catch_up, stop=stop)
    except KeyboardInterrupt:
        console.print(
            f"stopped by {stop.by}: everything that was started has ended; what was done is in the ledger", soft_wrap=True
        )
        raise typer.Exit(stop.exit_status) from None


def deploy(
    studies: Studies = None,
    sources: Sources = None,
    work_pool: Annotated[str, typer.Option(help="A work pool of type process that exists on the server.")] = "coordeval",
    notify: Annotated[str | None, typer.Option(help="A notification block, TYPE/NAME, that the alarms are sent to.")] = None,
    show: Show = False,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Make the scheduled jobs on the Prefect server and work pool that exist; made again they are renewed."""
    from coordeval.flows.orchestration.deployments import planned

    wanted = planned(studies or [], ledger, sources or [])
    if show:
        _show(wanted, ledger, as_json)
        return
    from coordeval.flows.orchestration.serve import deploy as deploying

    made, alarms = deploying(wanted, ledger, work_pool, notify)
    if as_json:
        print_result({"deployments": dict(made), "automations": alarms})
        return
    for name, made_id in made:
        console.print(f"{name}  {made_id}", soft_wrap=True)
    for name in alarms:
        console.print(f"automation: {name}", soft_wrap=True)
    console.print(f"`prefect worker start --pool {work_pool}` runs them, on a machine that sees these paths", soft_wrap=True)


def _show(wanted: "list[Deployed]", ledger: Path, as_json: bool) -> None:
    from coordeval.flows.orchestration.deployments import alarms

    rows = [one.as_json() for one in wanted]
    waits = [alarm.as_json() for alarm in alarms(ledger)]
    if as_json:
        print_result({"deployments": rows, "automations": waits})
        return
    for row in rows:
        console.print(f"{row['deployment']}  (cron {row['cron']} UTC)", style="bold", soft_wrap=True)
        console.print(f"    {row['does']}", soft_wrap=True)
        for name, value in row["parameters"].items():
            console.print(f"    {name} = {value!r}", style="dim", soft_wrap=True)
        console.print(
            f"    tags {', '.join(row['tags'])}; one run at a time, others wait; {RETRIED}", style="dim", soft_wrap=True
        )
    for wait in waits:
        console.print(f"automation {wait['automation']!r}: {wait['when']}", soft_wrap=True)
    console.print("nothing was made")
