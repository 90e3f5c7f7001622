"""A trace in a terminal: the conversation as a table, who saw what as a graph of signs, who moved whom, and agreement."""

from rich.console import Console, Group, RenderableType
from rich.text import Text

from coordeval.flows.certificate.acted import commitment_lines, does
from coordeval.flows.certificate.trace import Flow, Step, Trace
from coordeval.flows.terminal import table, words

WIDEST = 40
"""Asks that a graph of signs has columns for; of more, only the roles are told."""
_SPEAKS, _OWN, _SHOWN = "o", "=", "x"


def print_trace(found: Trace, console: Console) -> None:
    """Words stand beside every sign, and no colour says what the words do not."""
    mark = words("[SIMULATED] ", style="bold red") if found.simulated else Text("")
    head = f"{found.configuration}, replicate {found.replicate}: {_answer(found)}"
    console.print(Text.assemble(mark, words(head, style="bold")))
    console.print(words(f"{found.question or found.market_id}  (forecast {found.forecast_id[:12]})"))
    if not found.steps:
        console.print(words("Nobody was asked, or nothing of it is stored."))
        return
    console.print(_said(found))
    console.print(_graph(found))
    console.print(_pulls(found))
    for line in agreement_lines(found):
        console.print(words(line))
    if found.commitments.acts:
        console.print(words("Commitments: to acknowledge is not to agree, and binds nobody", style="bold"))
        console.print(_acts(found))
        for line in commitment_lines(found.commitments):
            console.print(words(line))
    for line in (*topology_lines(found), *record_lines(found)):
        console.print(words(line))


def _answer(found: Trace) -> str:
    outcome = {None: "not resolved", 1: "it was YES", 0: "it was NO"}[found.outcome]
    if found.probability is None:
        return f"failed, {found.reason}; {outcome}"
    price = "" if found.market_price is None else f", the market's price {found.market_price:.3f}"
    return f"{found.probability:.3f}{price}; {outcome}"


def _said(found: Trace) -> RenderableType:
    agrees = ("agreement",) * any(step.says is not None for step in found.steps)
    made = table("ask", "round", "who", "says", "before", "moved", "moved by ask", *agrees, numbers=(0, 1, 3, 4, 5))
    for step in found.steps:
        made.add_row(
            str(step.ask),
            str(step.round),
            words(f"{step.role} {step.agent + 1}"),
            words(step.kind if step.probability is None else f"{step.probability:.3f}"),
            "" if step.before is None else f"{step.before:.3f}",
            "" if step.moved is None else f"{step.moved:+.2f}",
            words(moved_by(step)),
            *(words(agreement(step)) for _ in agrees),
        )
    return made


def moved_by(step: Step) -> str:
    """The asks that its movement is credited to, the largest part first."""
    if not step.moved:
        return "" if step.moved is None else "stayed"
    parts = sorted(step.moved_by.items(), key=lambda part: -abs(part[1]))
    said = [f"{ask} {size:+.2f}" for ask, size in parts]
    return ", ".join([*said, *([f"none shown stands there {step.alone:+.2f}"] if step.alone else [])])


def agreement(step: Step) -> str:
    """What it says of agreement, and whether its own number keeps it."""
    if step.says is None:
        return ""
    kept = {True: "kept", False: "NOT kept", None: "of what, no estimate says"}[step.kept]
    return f"says '{step.says}': {kept}"


def _graph(found: Trace) -> RenderableType:
    if len(found.steps) > WIDEST:
        return words(f"{len(found.steps)} asks are too many for a graph here; --json has every edge.")
    wide = len(str(found.steps[-1].ask)) + 1
    name = max(len(f"{step.role} {step.agent + 1}") for step in found.steps)
    lines = [
        words("Who saw what", style="bold"),
        words(" " * (name + wide + 2) + "".join(str(step.ask).rjust(wide) for step in found.steps)),
    ]
    for step in found.steps:
        signs = {step.ask: _SPEAKS, **dict.fromkeys(step.others, _SHOWN), **dict.fromkeys(step.own, _OWN)}
        row = "".join(signs.get(other.ask, "." if other.ask < step.ask else "").rjust(wide) for other in found.steps)
        lines.append(words(f"{f'{step.role} {step.agent + 1}':<{name}} {step.ask:>{wide}} {row}".rstrip()))
    lines.append(
        words(f"{_SPEAKS} speaks; {_SHOWN} was shown what another said there; {_OWN} its own earlier word; . was not")
    )
    return Group(*lines, Text(""))


def _pulls(found: Trace) -> RenderableType:
    pulls = found.pulls()
    if not pulls:
        moved = any(step.moved for step in found.steps)
        return words(f"Who moved whom: nobody {'moved toward another' if moved else 'revised an estimate of its own'}.\n")
    heard, movers = (sorted({pair[place] for pair in pulls}) for place in (0, 1))
    made = table("heard", *(f"moves agent {b + 1}" for b in movers), numbers=range(1, len(movers) + 1))
    made.title = words("Who moved whom, in logits over all rounds")
    for a in heard:
        made.add_row(words(f"agent {a + 1}"), *(f"{pulls[a, b]:.2f}" if (a, b) in pulls else "" for b in movers))
    return made


def _acts(found: Trace) -> RenderableType:
    made = table("ask", "round", "who", "does", numbers=(0, 1))
    for act in found.commitments.acts:
        made.add_row(str(act.ask), str(act.round), words(f"agent {act.agent + 1}"), words(does(act)))
    return made


def agreement_lines(found: Trace) -> list[str]:
    """Where the group agreed by its numbers, and where an agent said so: two things."""
    lines = []
    for one in found.rounds:
        if one.agreed is not None:
            what = "agree" if one.agreed else "do not agree"
            lines.append(f"After round {one.round} the estimates {what}: {one.lowest:.3f} to {one.highest:.3f}.")
    said = [step for step in found.steps if step.says is not None]
    broken = [f"ask {step.ask}" for step in said if step.kept is False]
    kept = sum(step.kept is True for step in said)
    if said:
        not_kept = f"; not kept in {', '.join(broken)}" if broken else ""
        lines.append(f"Agreement was said {len(said)} times and kept {kept} times, to {found.tolerance:g}{not_kept}.")
    elif any(step.others for step in found.steps):
        lines.append("Nobody says in words that it agrees with another.")
    return lines


def topology_lines(found: Trace) -> list[str]:
    """The declared topology against the recorded one."""
    if not found.flows:
        return ["Nobody was shown what another said, and nothing else is declared."]
    if found.flows[0].declared is None:
        return [f"Recorded, and no topology is declared to hold it against: {_named(list(found.flows))}."]
    used = [flow for flow in found.flows if flow.declared and flow.shown]
    lines = [f"Shown as declared: {_named(used)}." if used else "Nothing was shown along what is declared."]
    if found.unused:
        lines.append(f"Declared, and not used here: {_named(found.unused)}.")
    if found.undeclared:
        lines.append(f"AGAINST THE DECLARED TOPOLOGY: {_named(found.undeclared)}.")
    return lines


def record_lines(found: Trace) -> list[str]:
    """The head of the shared record, and what drifts."""
    if found.record is None:
        return []
    lines = [f"Shared record: {len(found.views)} entries, head {found.record[:16]}."]
    lines += [f"DRIFT in ask {one.ask} ({one.kind}): {one.says}." for one in found.drift]
    return lines if found.drift else [*lines, "No drift: views, references and readings of the question agree."]


def _named(flows: list[Flow]) -> str:
    return ", ".join(f"{flow.speaker} to {flow.hearer}" + (f" ({flow.shown} times)" if flow.shown else "") for flow in flows)
