"""`coordeval quote`, `costs`, `check-model` and `explain`: what a study will cost, what it did cost, and why."""

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coordeval.flows.cli.ending import errors
from coordeval.flows.cli.options import DEFAULT_LEDGER, JsonOption, LedgerOption
from coordeval.flows.terminal import Terminal, print_result
from coordeval.market_data.errors import CoordevalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from coordeval.flows.costs.consent import Door
    from coordeval.flows.grounding.study import LoadedGames
    from coordeval.flows.study.study import LoadedStudy

console = Terminal()


def quote(
    study: Annotated[Path, typer.Argument(help="A study file.")],
    ledger: LedgerOption = DEFAULT_LEDGER,
    pilot: Annotated[int, typer.Option(min=0, help="First forecast this many of its markets, which costs money.")] = 0,
    yes_up_to: Annotated[str | None, typer.Option(help="With --pilot: the USD that it may cost without a question.")] = None,
    count_tokens: Annotated[
        bool, typer.Option("--count-tokens", help="Ask the server to count some prompts, for free.")
    ] = False,
    at_prices_of: Annotated[str | None, typer.Option(help="A model's id: what the same calls would cost there.")] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Of a prospective study: so many days of it; else one.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """What a run of the study should take: calls, tokens, dollars and time. Asks no model, unless --pilot says so.

    After a run the quote that it began with stands beside what came.
    """
    from coordeval.flows.costs.kept import beside
    from coordeval.flows.costs.quote import quote as quoted
    from coordeval.flows.costs.terminal import print_beside, print_quote
    from coordeval.flows.run.waiting import so_far, told
    from coordeval.flows.study.study import load_study
    from coordeval.ledger import read

    loaded = load_study(study)
    if pilot:
        from coordeval.flows.costs.pilot import piloted

        piloted(loaded, ledger, errors if as_json else console, pilot, amount("--yes-up-to", yes_up_to), asker())
    with told(so_far("the quote to be computed"), errors.print):
        found = quoted(loaded, ledger, at_prices_of=at_prices_of, count_tokens=count_tokens, days=days).as_json()
    last = beside(read(ledger), loaded.id) if ledger.is_file() else None
    if as_json:
        print_result({**found, "last_run": last})
        return
    print_quote(found, console)
    if last is not None:
        print_beside(last, console)


def costs(
    study: Annotated[
        str | None, typer.Argument(help="A study file, a name, or the start of a hash; else all studies.")
    ] = None,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """What was spent: at list price, less cache and batch, charged, and paid; by configuration, role, round and tool.

    What commands asked beside a study's forecasts (diagnose, tools ablate, check-model) has a row of its own.
    """
    from coordeval.flows.costs.bill import bill, bills
    from coordeval.flows.costs.terminal import print_bill, print_bills
    from coordeval.flows.study.stored import chosen
    from coordeval.flows.study.wiring import stored_prices
    from coordeval.ledger import read

    reader = read(ledger)
    if study is None:
        rows = bills(reader)
        print_result(rows) if as_json else print_bills(rows, console)
        return
    study_id = chosen(reader, study, games=True)
    found = bill(reader, study_id, stored_prices(reader.study(study_id).content))
    print_result(found) if as_json else print_bill(found, console)


def check_model(
    study: Annotated[Path, typer.Argument(help="A study file.")],
    ledger: LedgerOption = DEFAULT_LEDGER,
    asks: Annotated[int, typer.Option(min=1, max=100, help="Asks of every role.")] = 12,
    arm: Annotated[
        str | None, typer.Option(help="The arm whose model is examined, as it is set there; else the first.")
    ] = None,
    max_usd: Annotated[str, typer.Option(help="What it may cost at most, in US dollars.")] = "5",
    yes: Annotated[bool, typer.Option("--yes", help="Also where no price is known, which --max-usd needs.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Examine a study's model on made-up markets before money is spent: tools, form, cap, the model's name, price.

    Exit status 1 where it fails; `coordeval run` then refuses it, unless told --unchecked.
    """
    from coordeval.flows.costs.exam import examine, keep
    from coordeval.flows.costs.terminal import print_exam
    from coordeval.flows.run.waiting import so_far, told
    from coordeval.flows.study.study import load_study

    whole = load_study(study)
    loaded = whole if arm is None else whole.alone(arm)
    limit = amount("--max-usd", max_usd)
    known = _priced(loaded, yes)
    with told(so_far("the exam"), errors.print):
        found = examine(loaded, ledger, asks=asks, max_usd=limit if known else None)
    keep(loaded, ledger, found, of=whole)
    print_result(found) if as_json else print_exam(found, console)
    if not found["passed"]:
        raise typer.Exit(1)


def explain(
    forecast: Annotated[str, typer.Argument(metavar="CELL", help="A forecast's id, or the start of it.")],
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Which field of its identity differs where a cell was asked again: one forecast beside the others of its cell."""
    from coordeval.flows.costs.terminal import print_explained
    from coordeval.flows.costs.why import explain as explained
    from coordeval.ledger import read

    found = explained(read(ledger), forecast)
    print_result(found) if as_json else print_explained(found, console)


def listed(loaded: "LoadedStudy", ledger: Path, *, dry: bool, as_json: bool) -> bool:
    """Whether a run is to be dry: then what it would ask, and why, is printed."""
    if as_json and not dry:
        raise CoordevalError("--json goes with --dry; `coordeval report STUDY --json` prints the results of a run")
    if not dry:
        return False
    from coordeval.flows.costs.terminal import print_would_ask
    from coordeval.flows.costs.why import would_ask

    found = would_ask(loaded, ledger)
    print_result(found) if as_json else print_would_ask(found, console)
    return True


def _priced(loaded: "LoadedStudy", yes: bool) -> bool:
    """Whether the limit of an exam can be kept. Raises NotAgreed where it cannot, and nobody said yes to that."""
    from coordeval.agents.prices import utc_today
    from coordeval.flows.costs.consent import agreed_without_limit
    from coordeval.flows.study.wiring import price_book

    known = price_book(loaded.study).price(loaded.study.model_name, utc_today(), 1) is not None
    if not known and loaded.money == "paid":
        agreed_without_limit(loaded, yes=yes, ask=asker())
    return known


def asker() -> "Callable[[str], bool] | None":
    """Asks at the terminal; None where there is none."""
    import sys

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return lambda question: typer.confirm(question, err=True)


def amount(option: str, said: str | None) -> Decimal | None:
    """The dollars that an option says. Raises CoordevalError for what is no amount."""
    if said is None:
        return None
    try:
        value = Decimal(said)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or value < 0:
        raise CoordevalError(f"{option} {said}: it must be an amount of US dollars, such as 40 or 2.50")
    return value


def agreed_to(loaded: "LoadedStudy", ledger: Path, up_to: str | None, *, yes: bool, unchecked: bool) -> bool:
    """Whether a quote was shown, agreed to and stored. Raises NotAgreed, CoordevalError for a model that failed its exam."""
    amount("--yes-up-to", up_to)  # what is no amount is told in any case
    if loaded.money != "paid":
        return False
    from coordeval.flows.costs.consent import agreed
    from coordeval.flows.costs.kept import keep

    found = agreed(loaded, ledger, console, terminal(up_to, yes=yes, unchecked=unchecked))
    if found is not None:
        keep(found, ledger)
    return found is not None


def agreed_to_games(loaded: "LoadedGames", ledger: Path, up_to: str | None, *, yes: bool) -> bool:
    """As `agreed_to`, for a study of games: its quote is of games that simulated players play."""
    amount("--yes-up-to", up_to)
    if loaded.money != "paid":
        return False
    from coordeval.flows.costs.consent import agreed
    from coordeval.flows.costs.kept import keep
    from coordeval.flows.grounding.quoting import quoted_games

    door = terminal(up_to, yes=yes, unchecked=True)  # the exam is of forecasts
    found = agreed(loaded, ledger, console, door, expected=lambda: quoted_games(loaded, ledger))
    if found is not None:
        keep(found, ledger)
    return found is not None


def terminal(up_to: str | None, *, yes: bool, unchecked: bool) -> "Door":
    """What a command that spends money takes for a yes."""
    from coordeval.flows.costs.consent import COMMAND, Door

    return Door(how=COMMAND, up_to=amount("--yes-up-to", up_to), ask=asker(), yes=yes, unchecked=unchecked)


def print_quoted(ledger: Path, study_id: str) -> None:
    """What a run that is over was quoted at, beside what it came to."""
    from coordeval.flows.costs.kept import beside
    from coordeval.flows.costs.terminal import print_beside
    from coordeval.ledger import read

    if (found := beside(read(ledger), study_id)) is not None:
        print_beside(found, console)
