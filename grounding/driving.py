"""Games without a model: whoever can answer an ask's text plays, under the same forms and the same corrective re-ask."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from coordeval.agents.answers import Answer, read
from coordeval.agents.cell import AskFailed
from coordeval.agents.forms import MESSAGE, PROPOSAL, SUBMISSION, WORDS
from coordeval.agents.messages import Block
from coordeval.agents.scaffold import Ask, next_message
from coordeval.grounding.game import Game
from coordeval.grounding.playing import Play

FORMS = {form.name: form for form in (WORDS, MESSAGE, PROPOSAL, SUBMISSION)}
"""The forms in which players answer."""
Handed = Sequence[tuple[str, Mapping[str, Any]]]
"""What is handed in at once: (form, content), exactly one where all is well."""


class Player(Protocol):
    """Reads what a model would read, and hands in."""

    def hand_in(self, text: str, *, replicate: int, problem: str) -> Handed:
        """`problem`: what was wrong with what it handed in first; "" where it is asked for the first time."""
        ...


def played(playing: Play, players: Sequence[Player], *, replicate: int = 0) -> Game:
    """A game to its end; `players` by number, of which a mediator is the third, and the last one where there are fewer."""
    asks = next(playing)
    while True:
        replies = [_asked(ask, players[min(ask.agent, len(players) - 1)], replicate) for ask in asks]
        try:
            asks = playing.send(replies)
        except StopIteration as end:
            game: Game = end.value
            return replace(game, replicate=replicate)


def _asked(ask: Ask, player: Player, replicate: int) -> Answer | AskFailed:
    wrong, text, problem = "", next_message(ask), ""
    for _ in range(2):
        handed = player.hand_in(text, replicate=replicate, problem=problem)
        blocks: list[Block] = [{"type": "tool_use", "name": f"submit_{form}", "input": content} for form, content in handed]
        answer, problem = read(blocks, ask, FORMS[ask.answer].read)
        if answer is not None:
            return replace(answer, sent_back=wrong)
        problem = problem or f"the turn ended without a call of submit_{ask.answer}"
        wrong = wrong or problem
    return AskFailed(
        f"malformed {ask.answer}, also after a corrective re-ask: {problem}", given=[c for _, c in handed] or None
    )
