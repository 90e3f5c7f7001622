"""What a simulated player reads: the text of an ask, the same that a real model would read, and nothing else."""

import re
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from typing import Final

from coordeval.grounding.game import Plan, Project, Projects, Resource, Rules, Units
from coordeval.grounding.saying import spoken

_ROLE: Final = re.compile(r'<role name="(\w+)">')
_ME: Final = re.compile(r"^You are player ([12])\.", re.MULTILINE)
_FOR: Final = re.compile(r"Hand in what player ([12]) buys")
_ROUND: Final = re.compile(r"This is round (\d+) of (\d+)\.")
_RESOURCE: Final = re.compile(r"^- (\w+): (\d+) units, ([\d.]+) coins each$", re.MULTILINE)
_BUDGET: Final = re.compile(r"may spend ([\d.]+) coins in this round, on (\d+) kinds")
_PROJECT: Final = re.compile(r"(\w+): each run needs ([^;\n]*?) and earns (\d+)")
_LISTS: Final = re.compile(
    r"^(Your projects|The other player's projects|The projects of player ([12])):\n((?:- .*\n?)*)", re.MULTILINE
)
_STATEMENT: Final = re.compile(
    r'^<statement from="([^"]*)" role="(\w+)" round="(\d+)">\n(.*?)\n</statement>$', re.MULTILINE | re.DOTALL
)
_BOUGHT: Final = re.compile(r"player 1: ([^;\n]*); player 2: ([^;.\n]*)")
_RECORDED: Final = re.compile(r"^Round (\d+)\. Bought: ([^.]*)\.( Void)?", re.MULTILINE)
_STANDS: Final = re.compile(r"^Proposal (\d+) \(player ([12])\): (player 1: [^.]*)\. (.*)\.$", re.MULTILINE)
_FIXED: Final = re.compile(r"Player ([12]) buys ([^.]*)\.")
_AMOUNT: Final = re.compile(r"(\w+) (\d+)")


@dataclass(frozen=True, slots=True)
class Told:
    """The facts of a round."""

    rules: Rules
    number: int
    me: int | None
    projects: tuple[Projects | None, Projects | None]
    """By player, as far as they are told."""
    rotating: bool
    """Whether other rounds have other projects."""
    answers_for: int | None
    """The player for whom somebody who plays both hands in."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One statement."""

    author: str
    role: str
    round: int
    text: str
    plan: Plan | None


@dataclass(frozen=True, slots=True)
class Past:
    """How an earlier round ended."""

    number: int
    plan: Plan
    void: bool


@dataclass(frozen=True, slots=True)
class Offer:
    """A numbered proposal and who stands by it."""

    number: int
    by: int
    plan: Plan
    agreed: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """All that an ask tells."""

    step: str
    form: str
    told: Told
    heard: tuple[Heard, ...]
    past: tuple[Past, ...]
    offers: tuple[Offer, ...]
    fixed: tuple[tuple[int, Units], ...]
    """What a player buys whatever happens."""

    @property
    def me(self) -> int:
        return self.told.me if self.told.me is not None else self.told.answers_for or 0


def units_in(text: str, names: tuple[str, ...]) -> Units:
    """Of "timber 3, iron 2" or "nothing"."""
    amounts = {kind: int(count) for kind, count in _AMOUNT.findall(text)}
    return tuple(amounts.get(name, 0) for name in names)


def plan_in(text: str, names: tuple[str, ...]) -> Plan | None:
    """Of "player 1: ...; player 2: ...", the last in a text."""
    found = _BOUGHT.findall(text)
    return (units_in(found[-1][0], names), units_in(found[-1][1], names)) if found else None


def projects_in(text: str, names: tuple[str, ...]) -> Projects:
    """All projects that a text describes."""
    return tuple(Project(name, units_in(needs, names), int(reward)) for name, needs, reward in _PROJECT.findall(text))


def read(text: str) -> Seen:
    """Everything in an ask's text."""
    role, _, shown = text.partition("</role>")
    told = _told(role)
    names, heard, past = told.rules.names, list[Heard](), dict[int, Past]()
    offers: tuple[Offer, ...] = ()
    fixed: list[tuple[int, Units]] = []
    for author, step, number, words in _STATEMENT.findall(shown):
        said = unescape(words)
        if step == "outcome":
            if (plan := plan_in(said, names)) is not None:
                past[int(number) - 1] = Past(int(number) - 1, plan, "The round was void" in said)
        elif step == "record":
            for earlier, bought, void in _RECORDED.findall(said):
                if (plan := plan_in(bought, names)) is not None:
                    past[int(earlier) - 1] = Past(int(earlier) - 1, plan, bool(void))
        elif step == "fixed":
            fixed += [(int(who) - 1, units_in(bought, names)) for who, bought in _FIXED.findall(said)]
        elif step == "proposals":
            offers = tuple(
                Offer(
                    int(n),
                    int(by) - 1,
                    plan,
                    f"player {2 if by == '1' else 1}" in stands.partition("agreed: ")[2].split(";")[0],
                )
                for n, by, bought, stands in _STANDS.findall(said)
                if (plan := plan_in(bought, names)) is not None
            )
        else:
            heard.append(Heard(author, step, int(number) - 1, said, plan_in(said, names) or _spoken(said, author, told)))
    step = _ROLE.search(role)
    form = text.rpartition("`submit_")[2].rstrip("`.\n")
    return Seen(
        step[1] if step else "", form, told, tuple(heard), tuple(past[n] for n in sorted(past)), offers, tuple(fixed)
    )


def _spoken(text: str, author: str, told: Told) -> Plan | None:
    speaker = told.me if author == "you" else int(author[-1]) - 1 if author.startswith("player ") else None
    first, second = spoken(text, 2 if speaker is None else speaker, told.rules.names)
    return None if first is None or second is None else (first, second)


@lru_cache(maxsize=512)
def _told(role: str) -> Told:
    resources = tuple(Resource(name, int(supply), float(cost)) for name, supply, cost in _RESOURCE.findall(role))
    budget, turn, me, answers = _BUDGET.search(role), _ROUND.search(role), _ME.search(role), _FOR.search(role)
    assert budget is not None
    assert turn is not None
    rules = Rules(resources=resources, budget=float(budget[1]), most_types=int(budget[2]), rounds=int(turn[2]))
    own = int(me[1]) - 1 if me else None
    told: list[Projects | None] = [None, None]
    for title, player, lines in _LISTS.findall(role):
        whose = int(player) - 1 if player else None if own is None else own if title == "Your projects" else 1 - own
        if whose is not None and (found := projects_in(lines, rules.names)):
            told[whose] = found
    return Told(
        rules,
        int(turn[1]) - 1,
        own,
        (told[0], told[1]),
        "others in each round" in role,
        int(answers[1]) - 1 if answers else None,
    )
