"""The checks of a user who does not trust: of one forecast, of a study's conditions, and of its data."""

from dataclasses import asdict
from typing import Annotated

import typer

from coordeval.flows.cli.ending import errors
from coordeval.flows.cli.options import DEFAULT_LEDGER, EveryArm, JsonOption, LedgerOption, StudyArgument
from coordeval.flows.terminal import Terminal, print_result

console = Terminal()


def certificate(
    forecast: Annotated[
        str, typer.Argument(help="A forecast's id, or the start of it; `coordeval forecasts STUDY` lists them.")
    ],
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """What the agents of one forecast could see, what was held back, and a re-check of both from stored bytes."""
    from coordeval.flows.certificate.certificate import certificate as certificate_of
    from coordeval.flows.certificate.terminal import print_certificate
    from coordeval.ledger import read

    found = certificate_of(read(ledger), forecast)
    if as_json:
        print_result(found.as_json())
    else:
        print_certificate(found, console)
    if found.verdict == "failed":
        raise typer.Exit(1)


def control(
    study: StudyArgument,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Whether all configurations of a study were given the same model, settings, tools and facts, from stored bytes.

    Of a study with arms: within each arm, and whether between arms exactly what they declare differs.
    """
    from coordeval.flows.certificate.terminal import print_between, print_control
    from coordeval.flows.grounding.stored import games_meant
    from coordeval.flows.run.between import between
    from coordeval.flows.run.control import control as control_of
    from coordeval.flows.run.waiting import so_far, told
    from coordeval.flows.study.in_arms import arms_of, in_arm
    from coordeval.flows.study.stored import chosen
    from coordeval.ledger import read

    reader = read(ledger)
    asked = games_meant(reader, study) or chosen(reader, study)  # of games the same is held fixed
    names = arms_of(reader, asked)
    found = {}
    with told(so_far("every stored request to be compared"), errors.print):
        for name in names:
            with in_arm(reader, asked, name) as held:
                found[name] = control_of(held, asked)
        beside = between(reader, asked)
    if as_json:
        whole = found[names[0]].as_json()
        arms = {name: one.as_json() for name, one in found.items()}
        print_result(whole if len(names) == 1 else {**whole, "arms": arms, "between": [asdict(one) for one in beside]})
    else:
        for name, one in found.items():
            print_control(one, console, arm=name if len(names) > 1 else "")
        print_between(beside, console)
    if False in [one.held for one in found.values()] + [one.held for one in beside]:
        raise typer.Exit(1)


def leaks(
    study: StudyArgument,
    arm: EveryArm = None,
    ledger: LedgerOption = DEFAULT_LEDGER,
    as_json: JsonOption = False,
) -> None:
    """Probe a study's data for side doors to the answer: early closing, siblings, copied prices, training cutoff.

    Of a study with arms: of each; what several say alike stands once.
    """
    from coordeval.flows.certificate.leaks import details, leaks_by_arm
    from coordeval.flows.run.waiting import so_far, told
    from coordeval.flows.study.in_arms import arms_of
    from coordeval.flows.study.stored import chosen
    from coordeval.ledger import read

    reader = read(ledger)
    asked = chosen(reader, study)
    with told(so_far("the probes for leaks"), errors.print):
        found = leaks_by_arm(reader, asked, arm)
    if as_json:
        print_result(
            [
                {"probe": one.title, "arms": list(one.arms), "says": one.probe.says, "n": one.probe.n}
                | {"n_events": one.probe.n_events, "more": details(one.probe)}
                for one in found
            ]
        )
        return
    several = len(arms_of(reader, asked)) > 1
    for one in found:
        where = f" ({', '.join(one.arms)})" if several else ""
        console.print(f"{one.title}{where}. {one.probe.says}", markup=False)
        for line in details(one.probe):
            console.print(f"    {line}", style="dim", soft_wrap=True, markup=False)
