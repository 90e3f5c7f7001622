"""The shared record that the game keeps: what each player last said that both buy, what was bought, where these differ."""

import hashlib
from collections.abc import Sequence

from coordeval.agents.scaffold import Statement
from coordeval.grounding.game import PLAYERS, Message, Rules
from coordeval.grounding.saying import NOTHING, Spoken, spoken
from coordeval.grounding.table import Table


def plan_in(message: Message, rules: Rules) -> Spoken:
    """What a message says that both buy: by its own field where it has one, else as far as its text is clear."""
    return message.plan if message.plan is not None else spoken(message.text, message.player, rules.names)


def last_plans(messages: Sequence[Message], rules: Rules) -> tuple[Spoken, Spoken]:
    """The last plan that each player named in a round; nothing where it named none."""
    found: list[Spoken] = [NOTHING, NOTHING]
    for message in messages:
        if message.player in PLAYERS and (said := plan_in(message, rules)) != NOTHING:
            found[message.player] = said
    return found[0], found[1]


def record_of_now(table: Table) -> tuple[Statement, ...]:
    """Where the two stand in this round; nothing before somebody named a plan."""
    plans = last_plans(table.messages, table.rules)
    if plans == (NOTHING, NOTHING):
        return ()
    lines = [f"Last plan of player {who + 1}: {_words(plan, table.rules)}." for who, plan in enumerate(plans)]
    if NOTHING not in plans:
        lines.append("Both name the same plan." if plans[0] == plans[1] else "These plans differ.")
    return (_statement(table, lines),)


def record_of_earlier(table: Table) -> tuple[Statement, ...]:
    """All earlier rounds, a line or two each, chained by a hash that both are shown."""
    lines, head = list[str](), ""
    for played in table.done:
        told = f"Bought: {table.rules.plan_words(played.plan)}."
        ended = f" Void: too much {', '.join(played.over)} was wanted." if played.over else " It was carried out."
        lines.append(f"Round {played.number + 1}. {told}{ended}")
        plans = last_plans(played.messages, table.rules)
        for who in PLAYERS:
            if any(plan[who] not in (None, played.plan[who]) for plan in plans):
                spoke = " and ".join(dict.fromkeys(table.rules.words(plan[who] or ()) for plan in plans if plan[who]))
                lines.append(f"  It was said that player {who + 1} buys {spoke}; it bought something else.")
        head = hashlib.sha256("\x1f".join([head, *lines]).encode()).hexdigest()[:12]
    return (_statement(table, [*lines, f"Record {head}"]),) if lines else ()


def _words(plan: Spoken, rules: Rules) -> str:
    if plan == NOTHING:
        return "none yet"
    parts = (f"player {who + 1}: {rules.words(units)}" for who, units in enumerate(plan) if units is not None)
    return "; ".join(parts)


def _statement(table: Table, lines: Sequence[str]) -> Statement:
    return Statement(author="the record", role="record", round=table.number + 1, text="\n".join(lines))
