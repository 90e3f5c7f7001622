"""Repairs: what a game does about what goes wrong between two players. Each is a small class; yours is another one.

A repair says four things, and nothing else: what a player is shown of earlier rounds, what it is shown beside the talk of
this one, whether messages can commit, and who is asked for what between the talk and the submissions. It reaches no model.

To write one, subclass `Repair`, override what differs, and offer it by the entry point group `coordeval.repairs`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from coordeval.agents.scaffold import Statement
from coordeval.grounding.game import MEDIATOR, PLAYERS, Step
from coordeval.grounding.prompts import all_facts, template
from coordeval.grounding.record import record_of_earlier, record_of_now
from coordeval.grounding.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """An ask between the talk and the submissions; both players read what comes of it."""

    player: int
    """A player, or `MEDIATOR`."""
    step: Step
    text: str
    """What it is asked, below the facts of the round."""
    facts: str | None = None
    """In place of what a player is told of the round; None: the same."""


class Repair(BaseModel):
    """Nothing is repaired: players are shown what the conditions say. The base of all others."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: ClassVar[str] = "as_it_is"
    about: ClassVar[str] = "nothing is added: earlier rounds are in sight as the conditions say"
    commits: ClassVar[bool] = False
    """Whether messages can propose, acknowledge and agree. What both stand by binds: nothing else can be submitted."""

    def earlier(self, table: Table, player: int) -> Sequence[Statement]:
        """What a player is shown of earlier rounds."""
        return table.transcript(player) if table.conditions.history == "stable" else ()

    def beside(self, table: Table, player: int) -> Sequence[Statement]:
        """What a player is shown after all that was said in this round."""
        return ()

    def extras(self, table: Table) -> Sequence[Extra]:
        """Asks between the talk and the submissions, all put at once."""
        return ()


class NoHistory(Repair):
    name: ClassVar[str] = "no_history"
    about: ClassVar[str] = "earlier rounds are out of sight, whatever the conditions say"

    def earlier(self, table: Table, player: int) -> Sequence[Statement]:
        return ()


class FreeHistory(Repair):
    name: ClassVar[str] = "free_history"
    about: ClassVar[str] = "all that was said and bought in earlier rounds stays in sight, whatever the conditions say"

    def earlier(self, table: Table, player: int) -> Sequence[Statement]:
        return table.transcript(player)


class SharedRecord(Repair):
    """The game keeps the record, in place of everybody's own reading of a transcript, and says where it drifts apart."""

    name: ClassVar[str] = "shared_record"
    about: ClassVar[str] = "the game keeps a record of who said and bought what, and says where words and deeds differ"

    def earlier(self, table: Table, player: int) -> Sequence[Statement]:
        return record_of_earlier(table)

    def beside(self, table: Table, player: int) -> Sequence[Statement]:
        return record_of_now(table)


class BindingCommitments(Repair):
    name: ClassVar[str] = "commitments"
    about: ClassVar[str] = "players propose, acknowledge and agree; what both agreed to binds them"
    commits: ClassVar[bool] = True

    def beside(self, table: Table, player: int) -> Sequence[Statement]:
        text = table.commitments.words()
        return (Statement(author="the game", role="proposals", round=table.number + 1, text=text),)


class RecordAndCommitments(BindingCommitments):
    name: ClassVar[str] = "record_and_commitments"
    about: ClassVar[str] = "the shared record and the binding commitments together"

    def earlier(self, table: Table, player: int) -> Sequence[Statement]:
        return record_of_earlier(table)

    def beside(self, table: Table, player: int) -> Sequence[Statement]:
        return (*record_of_now(table), *super().beside(table, player))


class Restating(Repair):
    name: ClassVar[str] = "restating"
    about: ClassVar[str] = "each says what it understood before both submit"

    def extras(self, table: Table) -> Sequence[Extra]:
        return [Extra(player=player, step="restating", text=template("restating")) for player in PLAYERS]


class Mediator(Repair):
    name: ClassVar[str] = "mediator"
    about: ClassVar[str] = "a third agent sees both projects and the talk, and advises before both submit"

    def extras(self, table: Table) -> Sequence[Extra]:
        facts = all_facts(table.instance, table.number)
        return [Extra(player=MEDIATOR, step="mediation", text=template("mediation"), facts=facts)]
