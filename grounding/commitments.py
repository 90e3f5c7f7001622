"""Agreements that bind: who proposed which plan in a round, who only acknowledged it, and who agreed.

The acts and what they mean are those of `configurations.acts`. A proposal is agreed when both players stand by it, the one
that made it and the one that agreed; from there on it binds both, and nobody can leave it alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coordeval.configurations.acts import BINDING, Standing, Verb
from coordeval.grounding.game import PLAYERS, Plan, Rules
from coordeval.grounding.handed import plan_of, purchase_problem


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanAct:
    """Who did what on which plan."""

    agent: int
    verb: Verb
    proposal: int | None
    plan: Plan | None

    @property
    def text(self) -> str:
        """As `configurations.acts` writes it: "propose", "agree 2"."""
        return self.verb if self.verb == "propose" else f"{self.verb} {self.proposal}"


class Commitments(Standing[PlanAct]):
    """All acts of one round."""

    def __init__(self, rules: Rules) -> None:
        super().__init__()
        self.rules = rules

    def problem(self, content: Mapping[str, Any], player: int) -> str:
        """What is wrong with the acts in an answer, as it is sent back; "" where nothing is."""
        there, count, bound = set(self.open), len(self._proposals), set[int]()
        for number, act in enumerate(content["acts"], start=1):
            verb, proposal = act["verb"], act["proposal"]
            if verb == "propose":
                count += 1
                there.add(proposal := count)
                if problem := self._impossible(act["plan"], player):
                    return f"act {number}: this cannot be proposed: {problem}"
            elif proposal not in there:
                return f"act {number}: there is no proposal {proposal} to {verb}; there are {sorted(there) or 'none'}"
            if verb in BINDING:
                bound.add(proposal)
        if len(bound) > 1:
            return f"it agrees to two proposals at once ({sorted(bound)}); agree to one"
        return ""

    def _impossible(self, rows: Sequence[Mapping[str, Any]], player: int) -> str:
        plan, problem = plan_of(rows, player, self.rules)
        if plan is None:
            return problem
        for who in PLAYERS:
            if problem := purchase_problem(plan[who], self.rules):
                return f"player {who + 1}: {problem}"
        if over := self.rules.over(plan):
            return f"it takes more {' and '.join(over)} than there is"
        return ""

    def do(self, content: Mapping[str, Any], player: int) -> tuple[PlanAct, ...]:
        """The acts of an answer without a problem, done one after the other."""
        made = []
        for row in content["acts"]:
            if row["verb"] == "propose":
                plan, number = plan_of(row["plan"], player, self.rules)[0], len(self._proposals) + 1
            else:
                number = row["proposal"]
                plan = self._proposals[number].plan
            made.append(PlanAct(agent=player, verb=row["verb"], proposal=number, plan=plan))
            self.add(made[-1:])
        return tuple(made)

    @property
    def bound(self) -> Plan | None:
        """The plan that both stand by; None where there is none."""
        agreed = [number for number in self.open if self.who(number, BINDING) == PLAYERS]
        return self.made(agreed[-1]).plan if agreed else None

    def words(self) -> str:
        """Every proposal and who stands where, a line each."""
        lines = []
        for number, made in self._proposals.items():
            assert made.plan is not None
            stands = self.where(number).replace("agent ", "player ")
            lines.append(f"Proposal {number} (player {made.agent + 1}): {self.rules.plan_words(made.plan)}. {stands}.")
        return "\n".join(lines) or "There is no proposal yet."
