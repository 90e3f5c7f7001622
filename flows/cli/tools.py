"""`coordeval tools`, `tools fit`, `tools ablate`: were tools needed, useful and used, and who should decide about them."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from coordeval.flows.cli.options import DEFAULT_LEDGER, JsonOption, LedgerOption
from coordeval.flows.terminal import Terminal, print_result

console = Terminal()
errors = Terminal(stderr=True)


class _ShowElse(TyperGroup):
    """`coordeval tools STUDY` is `coordeval tools show STUDY`: what is no command is a study."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = bool(args) and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if known else ["show", *args])


app = typer.Typer(cls=_ShowElse, help="Were tools needed, useful and used, and who should decide about them?")


@app.command()
def show(
    study: Annotated[
        str | None, typer.Argument(help="A study file, a name, or the start of a hash; else the one used last.")
    ] = None,
    good: Annotated[
        float, typer.Option(help="The squared error up to which an answer is good enough: .0625 is within a quarter.")
    ] = 0.0625,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples of events.")] = 0,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Were tools needed, useful and used; what would other rules of calling have scored; which calls brought nothing?

    The study needs an arm that changes nothing but tools. `coordeval tools fit` makes a gate from what it says.
    """
    from coordeval.flows.tools.looking import looked, stored_json
    from coordeval.flows.tools.terminal import print_tools
    from coordeval.ledger import read

    found = looked(read(ledger), study, good=good, n=2_000, seed=seed)
    if as_json:
        import orjson

        print_result(orjson.loads(stored_json(found.as_json())))
    else:
        print_tools(found, console)


@app.command()
def fit(
    studies: Annotated[list[str], typer.Argument(help="Studies of this ledger: files, names, or starts of hashes.")],
    out: Annotated[Path, typer.Option(help="The gate file to write.")] = Path("gate.json"),
    configuration: Annotated[str | None, typer.Option(help="Whose answers it is fitted on; else all.")] = None,
    least: Annotated[float, typer.Option(help="Brier points that tools must be expected to gain to be used.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds and resamples.")] = 0,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Fit a gate in front of tools on earlier studies, cross-fitted by event, for the configuration `tool_gate`."""
    from coordeval.flows.tools.fitting import fitted
    from coordeval.flows.tools.looking import stored_json
    from coordeval.flows.tools.terminal import print_fitted
    from coordeval.ledger import read
    from coordeval.market_data.files import write_whole

    found = fitted(read(ledger), studies, configuration=configuration, least=least, n=2_000, seed=seed)
    write_whole(out, stored_json(found.file))
    if as_json:
        print_result(found.file)
    else:
        print_fitted(found, str(out), console)


@app.command()
def ablate(
    study: Annotated[
        str | None,
        typer.Argument(
            help="A study file, a name, or the start of a hash; else the one used last. A model that is paid needs the file."
        ),
    ] = None,
    calls: Annotated[int, typer.Option(help="How many tool calls are looked at, chosen by chance.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of calls, and of the resamples of events.")] = 0,
    max_usd: Annotated[
        str | None, typer.Option("--max-usd", metavar="USD", help="No conversation begins that might pass it.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Whatever it costs.")] = False,
    yes_up_to: Annotated[str | None, typer.Option("--yes-up-to", metavar="USD", help="Up to so many US dollars.")] = None,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Also a model that failed its exam.")] = False,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """What single tool calls were worth: stored conversations go on with one result withheld, and are set against what was.

    The model is asked, at a price that is quoted first; what came is stored. Needs known outcomes.
    """
    from coordeval.flows.ablation.asking import Quoted, ablate
    from coordeval.flows.ablation.terminal import print_ablated, quote_in_words
    from coordeval.flows.cli.costs import amount, terminal
    from coordeval.flows.tools.looking import stored_json

    def quoted(told: Quoted, simulated: bool) -> None:
        errors.print(quote_in_words(told, simulated=simulated), style="dim", soft_wrap=True, highlight=False)

    door = terminal(yes_up_to, yes=yes, unchecked=unchecked)
    most = amount("--max-usd", max_usd)
    done = ablate(ledger, study, door, errors, calls=calls, seed=seed, max_usd=most, quoted=quoted)
    if as_json:
        import orjson

        print_result(orjson.loads(stored_json(done.as_json())))
    else:
        print_ablated(done, console)
