"""What two players agreed on in a round, read in one of three ways that are kept apart.

`binding`: what both stood by where agreements bind. `structure`: plans in the fields of messages. `text`: plans in the words
of messages, as far as they are clear (`grounding.saying`). Whoever names the plan that the other named last, or says that it
agrees and names none of its own, has agreed; whoever then names another plan takes it back.
"""

from typing import Final, Literal

from coordeval.grounding.game import PLAYERS, Message, Round, Rules, Units
from coordeval.grounding.saying import NOTHING, Spoken, agrees, spoken

Source = Literal["binding", "structure", "text"]
SOURCES: Final[tuple[Source, ...]] = ("binding", "structure", "text")


def named(message: Message, rules: Rules, source: Source) -> Spoken:
    """The plan in a message, in one way of reading; `NOTHING` where it names none."""
    if source == "structure":
        return message.plan if message.plan is not None else NOTHING
    return spoken(message.text, message.player, rules.names)


def agreed(played: Round, rules: Rules, source: Source) -> Spoken:
    """What each is to buy by the agreement that stood at the end of the talk; None for whom it says nothing."""
    if source == "binding":
        return played.bound if played.bound is not None else NOTHING
    last: list[Spoken] = [NOTHING, NOTHING]
    standing = NOTHING
    for message in played.messages:
        if message.step != "talk" or message.player not in PLAYERS:
            continue
        own, other = named(message, rules, source), last[1 - message.player]
        if own == NOTHING:
            accepts = agrees(message.text) or any(act.startswith("agree ") for act in message.acts)
            standing = other if accepts and other != NOTHING else standing
            continue
        last[message.player] = own
        standing = _joined(own, other) if other != NOTHING and _alike(own, other) else NOTHING
    return standing


def advised(played: Round, rules: Rules) -> Spoken:
    """What a mediator last advised each to buy, from its words; None for whom it names nothing."""
    last = [message for message in played.messages if message.step == "mediation"]
    return spoken(last[-1].text, last[-1].player, rules.names) if last else NOTHING


def kept(played: Round, rules: Rules, player: int, part: Units) -> bool:
    """Whether a player submitted its part of an agreement, or what a mediator then advised it to in place of that."""
    bought = played.submitted[player]
    return bought is not None and bought in (part, advised(played, rules)[player])


def meant(played: Round, rules: Rules) -> Spoken:
    """What the two meant to do: a mediator's advice where both followed it, else what they agreed on."""
    advice = advised(played, rules)
    return advice if None not in advice and advice == played.submitted else understood(played, rules)[0]


def understood(played: Round, rules: Rules) -> tuple[Spoken, Source | None]:
    """The agreement by the surest way of reading that has one."""
    for source in SOURCES:
        if (found := agreed(played, rules, source)) != NOTHING:
            return found, source
    return NOTHING, None


def _alike(own: Spoken, other: Spoken) -> bool:
    """Whether two plans say the same where both say anything, and do so for somebody."""
    both = [(one, two) for one, two in zip(own, other, strict=True) if one is not None and two is not None]
    return bool(both) and all(one == two for one, two in both)


def _joined(own: Spoken, other: Spoken) -> Spoken:
    first, second = (one if one is not None else two for one, two in zip(own, other, strict=True))
    return first, second
