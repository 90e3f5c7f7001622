"""What lies on the table in a round, as a repair sees it: all that was said and done so far, and nothing of the model."""

from dataclasses import dataclass, field

from coordeval.agents.scaffold import Statement
from coordeval.grounding.commitments import Commitments
from coordeval.grounding.game import MEDIATOR, Conditions, Instance, Message, Plan, Projects, Round, Rules
from coordeval.grounding.prompts import outcome


@dataclass(slots=True)
class Table:
    """One round under way. `done` are the rounds before it, `messages` what was said in it."""

    instance: Instance
    conditions: Conditions
    number: int
    """Of the round, from 0."""
    done: list[Round]
    commitments: Commitments
    messages: list[Message] = field(default_factory=list)
    past: dict[tuple[int, int], tuple[Statement, ...]] = field(default_factory=dict)
    """(round, player) -> all of a round that is over, as it is shown: it is the same in every later ask of a game."""

    @property
    def rules(self) -> Rules:
        return self.instance.rules

    @property
    def projects(self) -> tuple[Projects, Projects]:
        return self.instance.projects[self.number]

    @property
    def bound(self) -> Plan | None:
        """What an agreement binds the two to."""
        return self.commitments.bound

    def said(self, player: int) -> list[Statement]:
        """What was said in this round, as `player` is shown it."""
        return [self.statement(message, self.number, player) for message in self.messages]

    def statement(self, message: Message, number: int, player: int) -> Statement:
        """One message as `player` is shown it; `number` is that of its round."""
        lines = [message.text]
        if message.plan is not None and "propose" not in message.acts:
            lines.append(f"Plan: {self.rules.plan_words(message.plan)}")
        if message.acts:
            lines.append(f"Acts: {', '.join(message.acts)}")
        return Statement(author=_author(message.player, player), role=message.step, round=number + 1, text="\n".join(lines))

    def outcomes(self, player: int) -> list[list[Statement]]:
        """By earlier round: how it ended, as `player` is shown it."""
        return [[self._outcome(played, player)] for played in self.done]

    def _outcome(self, played: Round, player: int) -> Statement:
        earned = None if player == MEDIATOR else played.rewards[player]
        text = outcome(self.rules, played.plan, played.over, earned)
        return Statement(author="the game", role="outcome", round=played.number + 1, text=text)

    def transcript(self, player: int) -> list[Statement]:
        """All earlier rounds: what was said in them, and how they ended."""
        shown: list[Statement] = []
        for played in self.done:
            key = (played.number, player)
            if key not in self.past:
                said = (self.statement(message, played.number, player) for message in played.messages)
                self.past[key] = (*said, self._outcome(played, player))
            shown += self.past[key]
        return shown


def _author(speaker: int, player: int) -> str:
    if speaker == MEDIATOR:
        return "the mediator"
    return "you" if speaker == player else f"player {speaker + 1}"
