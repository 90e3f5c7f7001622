"""What the agents of one forecast committed themselves to: who did what on which proposal, whom it bound, who kept to it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coordeval.configurations.acts import BINDING, Act, Acts
from coordeval.flows.certificate.conversation import Ask

_DOES = {
    "propose": "proposes",
    "acknowledge": "acknowledges",
    "agree": "agrees to",
    "reject": "rejects",
    "withdraw": "withdraws",
    "unreadable": "hands in what is no act",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One agent that a proposal binds in the end, and its last estimate after it bound itself."""

    agent: int
    estimate: float | None
    kept: bool | None
    """None: it gave no estimate after that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One proposal and who stands where on it in the end. To acknowledge is not to agree, and binds nobody."""

    proposal: int
    agent: int
    """Who proposed it."""
    ask: int
    probability: float
    within: float
    """How far a later estimate may lie from it."""
    withdrawn: bool
    agreed: tuple[int, ...]
    acknowledged: tuple[int, ...]
    rejected: tuple[int, ...]
    bound: tuple[Bound, ...]
    where: str
    """The same in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """`acts` in the order in which they were done, and the proposals in the order of their numbers."""

    acts: tuple[Act, ...] = ()
    proposals: tuple[Proposal, ...] = ()


def committed(rows: Sequence[Mapping[str, Any]], asks: Sequence[Ask]) -> Committed:
    """`rows` of the table `acts` of one forecast, in the order of asking; `asks` for what agents said later."""
    names = ("agent", "round", "ask", "position", "verb", "proposal", "probability", "within")
    acts = tuple(Act(**{name: row[name] for name in names}, text=row["said"]) for row in rows)
    standing = Acts()
    made = {act.proposal for act in acts if act.verb == "propose"}
    standing.add(act for act in acts if act.verb == "unreadable" or act.proposal in made)  # a damaged row does nothing
    last = {act.agent: act for act in standing.stands}
    said = [(ask.agent, ask.ask, ask.answer["probability"]) for ask in asks if ask.answer is not None]
    return Committed(acts=acts, proposals=tuple(_proposals(standing, last, said)))


def _proposals(standing: Acts, last: Mapping[int, Act], said: Sequence[tuple[int, int, Any]]) -> Iterator[Proposal]:
    for made in standing.all:
        if made.verb != "propose" or made.proposal is None or made.probability is None:
            continue
        number, p = made.proposal, made.probability
        bound = []
        for agent in standing.who(number, BINDING):
            later = [value for who, ask, value in said if who == agent and ask > last[agent].ask and value is not None]
            kept = abs(later[-1] - p) <= made.within + 1e-9 if later else None
            bound.append(Bound(agent=agent, estimate=later[-1] if later else None, kept=kept))
        yield Proposal(
            proposal=number,
            agent=made.agent,
            ask=made.ask,
            probability=p,
            within=made.within,
            withdrawn=number not in standing.open,
            agreed=standing.who(number, BINDING),
            acknowledged=standing.who(number, ["acknowledge"]),
            rejected=standing.who(number, ["reject"]),
            bound=tuple(bound),
            where=standing.where(number),
        )


def does(act: Act) -> str:
    """An act in words: `agrees to 2`."""
    number = "" if act.proposal is None else f" {act.proposal}"
    offer = f": {act.probability:.3f} within {act.within:g}" if act.verb == "propose" and act.probability is not None else ""
    return f"{_DOES[act.verb]}{number}{offer}"


def commitment_lines(found: Committed) -> list[str]:
    """A line for each proposal: where everybody stands, and whether whom it bound kept to it."""
    lines = []
    for one in found.proposals:
        ends = [_ends(bound) for bound in one.bound]
        head = f"Proposal {one.proposal} of agent {one.agent + 1}, {one.probability:.3f} within {one.within:g}: {one.where}."
        lines.append(head + (f" It bound {'; '.join(ends)}." if ends else " It binds nobody."))
    unread = sum(act.verb == "unreadable" for act in found.acts)
    return [*lines, *([f"{unread} parts could not be read as acts, and count for nothing."] if unread else [])]


def _ends(bound: Bound) -> str:
    if bound.estimate is None:
        return f"agent {bound.agent + 1}, who estimated no more"
    return f"agent {bound.agent + 1}, who then said {bound.estimate:.3f}: {'kept' if bound.kept else 'BROKEN'}"
