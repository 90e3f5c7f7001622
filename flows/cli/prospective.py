"""`coordeval forecast-open`, `resolve` and `commitment`: forecasts made before the outcome exists."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coordeval.flows.cli.options import DEFAULT_LEDGER, JsonOption, LedgerOption
from coordeval.flows.terminal import Terminal, print_result, table
from coordeval.market_data.errors import CoordevalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from coordeval.flows.costs.quote import Quote
    from coordeval.flows.prospective.forecasting import Agree
    from coordeval.flows.study.study import LoadedStudy
    from coordeval.ledger import Reader

console = Terminal()
errors = Terminal(stderr=True)

OpenStudy = Annotated[Path, typer.Argument(help="A study file with markets.source = 'open'.")]
NowOption = Annotated[
    str | None,
    typer.Option("--now", help="The simulated venue's time, such as 2026-01-31 or 2026-01-31T12:00Z; else it is now."),
]


def forecast_open(
    study: OpenStudy,
    ledger: LedgerOption = DEFAULT_LEDGER,
    now: NowOption = None,
    max_usd: Annotated[
        str | None, typer.Option(help="What the study may cost in all its days, in dollars, in place of its budget_usd.")
    ] = None,
    yes_up_to: Annotated[str | None, typer.Option(help="USD that today may cost without a question.")] = None,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Also with a model that failed `check-model`.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="No quote and no question: it may cost any amount.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Forecast today's open markets by the study's rule, and commit to the forecasts. Twice on a day is once.

    Of a study that spends money it first shows a quote of the day, and asks before it may cost more than --yes-up-to.

    Exit status: 0 all of the day is committed to; 3 forecasts are open, the same command goes on; 1 an error.
    """
    from coordeval.flows.prospective.daily import Incomplete, forecast_day
    from coordeval.flows.study.study import load_study

    at = _moment(study, now)
    loaded = load_study(study, changes={} if max_usd is None else {"budget_usd": max_usd})
    agree = _at_terminal(yes_up_to, errors if as_json else console, yes=yes, unchecked=unchecked)
    try:
        found = forecast_day(loaded, ledger, now=at, say=_say, agree=agree)
    except Incomplete as error:
        if as_json:
            print_result(error.opened.as_json())
        errors.print(str(error), style="yellow", soft_wrap=True)
        raise typer.Exit(3) from None
    if as_json:
        print_result(found.as_json())
        return
    console.print(f"{found.study}{', SIMULATED' if found.simulated else ''}: {found.words()}", soft_wrap=True)
    for reason, count in sorted(found.left_out.items(), key=lambda pair: -pair[1]):
        console.print(f"  not picked: {count} × {reason}", soft_wrap=True)
    if found.missed:
        console.print(f"  missed: {len(found.missed)} days, the last {found.missed[-1]}", soft_wrap=True)
    if found.root:
        console.print("  publish the root now, where its date is beyond your reach; `coordeval commitment` has it again")


def _at_terminal(up_to: str | None, shown: Terminal, *, yes: bool, unchecked: bool) -> "Agree":
    from coordeval.flows.cli.costs import amount, terminal

    amount("--yes-up-to", up_to)

    def agree(loaded: "LoadedStudy", path: Path, expected: "Callable[[], Quote]") -> None:
        from coordeval.flows.costs.consent import agreed
        from coordeval.flows.costs.terminal import dollars

        found = agreed(loaded, path, shown, terminal(up_to, yes=yes, unchecked=unchecked), expected=expected)
        if found is not None:
            shown.print(f"quoted at {dollars(found.live.as_json())}; what is paid stands below", soft_wrap=True)

    return agree


def resolve(
    study: OpenStudy, ledger: LedgerOption = DEFAULT_LEDGER, now: NowOption = None, as_json: JsonOption = False
) -> None:
    """Ask the venue what became of the forecast markets, and score what was committed to before its outcome."""
    from coordeval.flows.prospective.daily import resolve_day

    found = resolve_day(study, ledger, now=_moment(study, now), say=_say)
    if as_json:
        print_result(found.as_json())
        return
    console.print(f"{found.study}{', SIMULATED' if found.simulated else ''}: {found.words()}", soft_wrap=True)
    for arm, scores in (found.arms or {"": found.brier}).items():
        for name, brier in sorted(scores.items(), key=lambda pair: pair[1]):
            where = f" in the arm {arm!r}" if arm else ""
            console.print(f"  {name}{where}: Brier score {brier:.4f}", soft_wrap=True)
    if found.scored:
        console.print(f"`coordeval report {found.study}` compares them, with intervals that hold however often one looks")


def commitment(
    what: Annotated[str, typer.Argument(help="A study: its roots. A forecast's id: its proof. Or: verify FILE.")],
    file: Annotated[Path | None, typer.Argument(help="With verify: the proof, as JSON; - reads standard input.")] = None,
    day: Annotated[str | None, typer.Option(help="Of a study: this day only, such as 2026-01-31.")] = None,
    root: Annotated[str | None, typer.Option(help="With verify: the root that was published.")] = None,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """The roots of a prospective study, to be published before the outcomes; a forecast's proof; or whether a proof holds.

    Exit status 1 where a proof does not hold, or the ledger says otherwise than what was committed to.
    """
    if what == "verify":
        _verify(file, root, as_json)
        return
    if file is not None or root is not None:
        given = str(file) if file is not None else f"--root {root}"
        raise CoordevalError(f"{given} goes with `coordeval commitment verify FILE`; {what!r} is a study or a forecast")
    from coordeval.ledger import read
    from coordeval.ledger.commitments import proof_of

    reader = read(ledger)
    if (forecast_id := _forecast(reader, what)) is not None:
        proof = proof_of(reader, forecast_id)
        if proof is None:
            raise CoordevalError(
                f"forecast {forecast_id[:12]} is not committed to: only those of a study with markets.source = 'open' are, "
                "once all of their day are there"
            )
        if as_json or not sys.stdout.isatty():
            print_result(proof)
            return
        console.print(f"forecast {forecast_id}\nday {proof['day']}, committed {proof['committed_at']}\nroot {proof['root']}")
        console.print(f"leaf {proof['index']} of {proof['size']}: {proof['leaf']}", soft_wrap=True)
        console.print("`coordeval commitment ID --json > proof.json` writes the proof for others", soft_wrap=True)
        return
    _roots(reader, what, day, as_json)


def _roots(reader: "Reader", what: str, day: str | None, as_json: bool) -> None:
    from coordeval.flows.prospective.committing import changed_since
    from coordeval.flows.study.stored import chosen
    from coordeval.ledger.commitments import day_roots

    study_id = chosen(reader, what)
    days = day_roots(reader, study_id)
    if not days:
        raise CoordevalError(
            f"study {what!r} commits to nothing: its forecasts are made of resolved markets; "
            "`coordeval forecast-open` makes those of a study with markets.source = 'open'"
        )
    if day is not None:
        known = [row["day"] for row in days]
        days = [row for row in days if row["day"] == day]
        if not days:
            raise CoordevalError(f"--day {day!r}: nothing was forecast on it; there is {known[0]} to {known[-1]}")
    changed = changed_since(reader, study_id)
    if as_json:
        print_result({"study_id": study_id, "days": days, "changed": list(changed)})
    else:
        rows = table("day", "markets", "leaves", "committed (UTC)", numbers=(1, 2))
        for row in days:
            at = "not yet" if row["committed_at"] is None else f"{row['committed_at']:%Y-%m-%d %H:%M}"
            rows.add_row(row["day"], str(row["picked"]), str(row["size"] or "–"), at)
        console.print(rows)
        for row in days:
            if row["root"]:  # in one piece, to be copied
                console.print(f"{row['day']} {row['root']}", soft_wrap=True)
        console.print("each root holds the one before it, so the last one that you publish covers them all")
    if changed:
        row = changed[0]
        raise CoordevalError(
            f"{len(changed)} forecasts say otherwise than what was committed to, the first is {row['forecast_id'][:12]} of "
            f"{row['day']}: the ledger was changed by hand; the leaf says {row['leaf']}"
        )


def _verify(file: Path | None, root: str | None, as_json: bool) -> None:
    import orjson

    from coordeval.ledger.commitments import ProofError, verify

    if file is None:
        raise CoordevalError(
            "commitment verify: give the proof's file; `coordeval commitment ID --json > proof.json` writes one"
        )
    try:
        proof = orjson.loads(sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise ProofError(f"{file}: this is no JSON: {error}") from error
    except FileNotFoundError as error:
        raise ProofError(f"{file}: there is no such file; `coordeval commitment ID --json > {file}` writes one") from error
    said = verify(proof)
    if root is not None and root.strip().lower() != str(proof["root"]):
        raise ProofError(f"the proof leads to the root {proof['root']}, and {root} was published: it is of another tree")
    if as_json:
        print_result({"holds": True, "root": proof["root"], "published": root is not None, "leaf": said})
        return
    console.print(f"the proof holds: this is leaf {proof['index']} of {proof['size']} under the root {proof['root']}")
    for name, value in said.items():
        console.print(f"  {name}: {'–' if value is None else value}", soft_wrap=True)
    if root is None:
        console.print("that this root was public before the outcome is for you to check: --root compares it", soft_wrap=True)


_HEX = frozenset("0123456789abcdef")


def _forecast(reader: "Reader", what: str) -> str | None:
    """The forecast whose id begins so; None where it is no id, or one of a study."""
    if len(what) < 8 or not set(what) <= _HEX:
        return None
    rows = reader.query("SELECT forecast_id FROM forecasts WHERE starts_with(forecast_id, ?) LIMIT 2", [what])
    if rows.height > 1:
        raise CoordevalError(f"forecast id {what!r} is ambiguous; write more of it")
    return str(rows.item()) if rows.height else None


def _say(text: str) -> None:
    errors.print(text, soft_wrap=True)


def _moment(study: Path, said: str | None) -> datetime:
    """The present; of the simulated venue whatever is said. A date alone is its noon."""
    if said is None:
        return datetime.now(UTC)
    from coordeval.flows.prospective.ground import prospective_study

    _, rule = prospective_study(study)
    if rule.venue != "simulated":
        raise CoordevalError(
            f"--now {said!r}: the markets of {rule.venue} are forecast as of the present; only the simulated venue "
            "(markets.venue = 'simulated') has a time of its own"
        )
    try:
        at = datetime.fromisoformat(f"{said}T12:00:00" if len(said) == len("2026-01-31") else said)
        return (at.replace(tzinfo=UTC) if at.tzinfo is None else at).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise CoordevalError(f"--now {said!r}: {error}; write a date such as 2026-01-31, or 2026-01-31T12:00Z") from error
