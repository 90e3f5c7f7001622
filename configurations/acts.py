"""What agents commit themselves to, as data: acts on numbered proposals, out of the parts of their reports.

A part is one act, written in one way only:

    propose 0.42      a new proposal; it gets the next number, and binds who makes it as an agreement would
    acknowledge 2     it was understood. It is no agreement, and is never counted as one
    agree 2           the agent binds itself to proposal 2; of several the last one binds
    reject 2          a dissent; the report holds its reasons
    withdraw 2        of one's own proposal: it is void for everybody. Of another's: the agreement with it is taken back

Anything else is recorded as "unreadable" and counts for nothing.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar, get_args

Verb = Literal["propose", "acknowledge", "agree", "reject", "withdraw", "unreadable"]
VERBS: tuple[str, ...] = get_args(Verb)
BINDING = frozenset({"propose", "agree"})
_PROPOSE = re.compile(r"propose (0(?:\.\d+)?|1(?:\.0+)?)")
_ON = re.compile(r"(acknowledge|agree|reject|withdraw) ([1-9]\d{0,5})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who did what, when, and what it binds: later estimates of `agent` to within `within` of `probability`."""

    agent: int
    round: int
    ask: int
    position: int
    """Among the parts of its report, from 0."""
    verb: Verb
    proposal: int | None
    """The number of the proposal; None where it is unreadable."""
    probability: float | None
    """Of the proposal."""
    within: float
    text: str
    """The part as it was handed in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Who stands where on one proposal. Whoever is in none of the three said nothing on it that counts."""

    proposal: int
    probability: float
    agreed: tuple[int, ...]
    acknowledged: tuple[int, ...]
    """Understood it, and did not bind themselves: not agreed."""
    rejected: tuple[int, ...]


class Done(Protocol):
    """What `Standing` has to know of an act."""

    @property
    def agent(self) -> int: ...
    @property
    def verb(self) -> Verb: ...
    @property
    def proposal(self) -> int | None: ...


A = TypeVar("A", bound=Done)


class Standing(Generic[A]):
    """All acts in the order in which they were done, and who stands where after them, whatever the proposals are of."""

    def __init__(self) -> None:
        self.all: list[A] = []
        self._proposals: dict[int, A] = {}
        self._void: set[int] = set()
        self._stands: dict[int, A] = {}

    def add(self, acts: Iterable[A]) -> None:
        for act in acts:
            self.all.append(act)
            if act.verb == "propose" and act.proposal is not None:
                self._proposals[act.proposal] = act
            if act.verb == "withdraw" and act.proposal is not None:
                if self._proposals[act.proposal].agent == act.agent:
                    self._void.add(act.proposal)
                if (stood := self._stands.get(act.agent)) is not None and stood.proposal == act.proposal:
                    del self._stands[act.agent]
            elif act.verb in BINDING or act.verb == "reject" or (act.verb == "acknowledge" and not self._bound(act.agent)):
                self._stands[act.agent] = act

    def _bound(self, agent: int) -> bool:
        stood = self._stands.get(agent)
        return stood is not None and stood.verb in BINDING and stood.proposal not in self._void

    @property
    def stands(self) -> list[A]:
        """The act by which each agent stands where it stands, by agent."""
        return [act for _, act in sorted(self._stands.items())]

    @property
    def open(self) -> list[int]:
        """The numbers of all proposals that are not withdrawn."""
        return [number for number in self._proposals if number not in self._void]

    def made(self, proposal: int) -> A:
        """The act that made it. Raises KeyError where there is none."""
        return self._proposals[proposal]

    def who(self, proposal: int, verbs: Iterable[str]) -> tuple[int, ...]:
        """The agents who stand on it by one of `verbs`; nobody does where it is withdrawn."""
        if proposal in self._void:
            return ()
        wanted = set(verbs)
        there = (a for a, act in self._stands.items() if act.proposal == proposal and act.verb in wanted)
        return tuple(sorted(there))

    def where(self, proposal: int) -> str:
        """Who stands where on it, in words."""
        if proposal in self._void:
            return "withdrawn"
        ways = (("agreed", BINDING), ("acknowledged, not agreed", ("acknowledge",)), ("rejected", ("reject",)))
        here = [(what, self.who(proposal, verbs)) for what, verbs in ways]
        said = (f"{what}: {', '.join(f'agent {agent + 1}' for agent in agents)}" for what, agents in here if agents)
        return "; ".join(said) or "nobody stands by it any more"


class Acts(Standing[Act]):
    """The acts of one cell, on proposals of a probability."""

    def read(self, parts: Sequence[str], *, agent: int, round_: int, ask: int, within: float) -> tuple[Act, ...]:
        """The acts in a report's parts, done one after the other."""
        made = []
        for position, text in enumerate(parts):
            verb, proposal, probability = self._meant(text.strip(), agent)
            act = Act(
                agent=agent,
                round=round_,
                ask=ask,
                position=position,
                verb=verb,
                proposal=proposal,
                probability=probability,
                within=within,
                text=text,
            )
            self.add([act])
            made.append(act)
        return tuple(made)

    def _meant(self, text: str, agent: int) -> tuple[Verb, int | None, float | None]:
        if proposed := _PROPOSE.fullmatch(text):
            return "propose", len(self._proposals) + 1, float(proposed[1])
        on = _ON.fullmatch(text)
        if on is None or (number := int(on[2])) not in self._proposals or number in self._void:
            return "unreadable", None, None
        return on[1], number, self._proposals[number].probability  # type: ignore[return-value]

    def on(self, proposal: int) -> Agreement:
        """Who stands where on it."""
        made = self.made(proposal)
        assert made.probability is not None
        return Agreement(
            proposal=proposal,
            probability=made.probability,
            agreed=self.who(proposal, BINDING),
            acknowledged=self.who(proposal, ["acknowledge"]),
            rejected=self.who(proposal, ["reject"]),
        )

    def best(self) -> Agreement | None:
        """The proposal that most agents agreed to; of several the newest. None where there is none that is not withdrawn."""
        return max((self.on(number) for number in self.open), key=lambda one: (len(one.agreed), one.proposal), default=None)

    def words(self) -> str:
        """All proposals and who stands where, a line each, as agents are shown it."""
        lines = [
            f"Proposal {number} (agent {made.agent + 1}): {made.probability:.3f}. {self.where(number)}."
            for number, made in self._proposals.items()
        ]
        return "\n".join(lines) or "There is no proposal yet."
