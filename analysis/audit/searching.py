"""A reflection-guided tree search for the first cause of a bad forecast (after arXiv 2605.03505), and its rival, one pass.

A node is a suspicion and the rows that were opened on the way to it. The leaf of highest UCT is worked on: `width`
investigators who see its rows, the suspicions before and their reviews name a cause each, and rows to open next; a reviewer
who sees only the named rows scores each, and what one holds to be shown is reviewed once more. A reward is
weight · score + (1 − weight) · share of siblings with the same cause; a value is the mean of the rewards at and below a
node, divided once. Every token of every ask is under the one budget.

The answer is the earliest cause, as causes begin, among those whose rows reviewers found to show it; where there is none,
the one of highest value. (The paper takes the best terminal; here a consequence can be proved as well as its cause.)
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import inf, log, sqrt
from statistics import fmean
from typing import Any, Final

from coordeval.agents.cell import AskFailed
from coordeval.analysis.audit.exhibits import Exhibit
from coordeval.analysis.audit.inquiry import NONE, Inquiry, Review, Suspicion

HELD: Final = 7
"""Of 10, the evidence from which on a cause is held to be shown by its rows."""
TOKENS: Final = 60_000
WIDTH: Final = 3
DEPTH: Final = 5
_C: Final = 1.0
_WEIGHT: Final = 0.6


@dataclass(eq=False, slots=True)
class Node:
    """`total` is the sum of the `visits` rewards at and below it; the root has no suspicion."""

    number: int
    opened: frozenset[int]
    said: Suspicion | None = None
    reviews: list[Review] = field(default_factory=list)
    """Empty where nobody answered; a second one where the first holds it to be shown."""
    parent: "Node | None" = None
    children: list["Node"] = field(default_factory=list)
    visits: int = 0
    total: float = 0.0

    @property
    def depth(self) -> int:
        return 0 if self.parent is None else self.parent.depth + 1

    @property
    def value(self) -> float:
        """Mean reward; 0 where nothing was rewarded."""
        return self.total / self.visits if self.visits else 0.0

    @property
    def evidence(self) -> int | None:
        """Of 10, by the more doubtful reviewer; None where there was none."""
        return min((review.evidence for review in self.reviews), default=None)

    @property
    def held(self) -> bool:
        """Whether everybody who reviewed it finds its rows to show it: who reviews ten suspicions errs in one of them."""
        return self.said is not None and self.said.cause != NONE and (self.evidence or 0) >= HELD

    @property
    def solved(self) -> bool:
        return bool(self.reviews) and all(review.solved for review in self.reviews)

    def urgency(self) -> float:
        """UCT: its value, and more the less it was visited beside its siblings."""
        if self.parent is None or not self.visits:
            return inf
        return self.value + _C * sqrt(log(max(1, self.parent.visits)) / self.visits)

    def reward(self, amount: float) -> None:
        node: Node | None = self
        while node is not None:
            node.visits, node.total = node.visits + 1, node.total + amount
            node = node.parent

    def way(self) -> list[tuple[Suspicion, Review | None]]:
        """The suspicions from the first one to its own, each with its review."""
        before = [] if self.parent is None else self.parent.way()
        return before if self.said is None else [*before, (self.said, self.reviews[-1] if self.reviews else None)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What a model found. `cause` is null where it names none, or was not heard at all."""

    cause: str | None
    why: str
    rows: tuple[Exhibit, ...]
    """What it rests on."""
    held: bool
    """Whether who reviewed it found the rows to show it."""
    ended: str
    """Why it went no further."""
    tokens: int
    budget: int
    asks: int
    nodes: tuple[Mapping[str, Any], ...]
    """number, parent, cause, rows, opened (how many), evidence, value of each node; of one pass an answer each."""

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


async def search(inquiry: Inquiry, *, width: int = WIDTH, depth: int = DEPTH) -> Searched:
    """The search, until a suspicion is solved, no leaf is above `depth`, or the budget holds no further ask."""
    root = Node(0, frozenset(inquiry.found.first))
    nodes, ended = [root], ""
    while not ended:
        leaves = [node for node in nodes if not node.children and node.depth < depth]
        if not leaves:
            ended = f"every leaf is at depth {depth}"
            break
        leaf = max(leaves, key=Node.urgency)
        said, problem = await _heard(*(inquiry.suspicion(leaf.opened, leaf.way()) for _ in range(width)))
        if not said:
            ended = _why(inquiry, problem)
            break
        leaf.children = [
            Node(len(nodes) + i, leaf.opened | {*one.open, *one.rows}, one, parent=leaf) for i, one in enumerate(said)
        ]
        nodes += leaf.children
        await asyncio.gather(*(_review(inquiry, node) for node in leaf.children))
        _reward(leaf.children)
        if any(node.solved for node in leaf.children):
            ended = "its reviewers hold it to be solved"
        elif inquiry.model.spent:
            ended = _why(inquiry, None)
    return _searched(inquiry, nodes[1:], ended)


async def one_pass(inquiry: Inquiry, *, until: int | None = None) -> Searched:
    """The same question with all rows opened at once, as far as half of the budget holds them, asked anew until the budget
    holds no further ask, or `until` tokens are used; the cause that most answers name, of equally many the earliest."""
    opened: list[int] = list(inquiry.found.first)
    room = inquiry.model.tokens - sum(len(inquiry.found.row(number).words) for number in opened)
    for row in inquiry.found.rows:  # half of the budget, by two characters a token at the worst
        room -= len(row.words) if row.number not in opened else 0
        if room < 0:
            break
        opened.append(row.number)
    nodes: list[Node] = []
    problem: AskFailed | None = None
    while until is None or inquiry.model.used < until:
        said, problem = await _heard(inquiry.suspicion(opened, []))
        if not said:
            break
        nodes.append(Node(len(nodes) + 1, frozenset(opened), said[0]))
    ended = f"it used {until:,} tokens" if until is not None and not problem else _why(inquiry, problem)
    return _voted(inquiry, nodes, ended)


def _voted(inquiry: Inquiry, nodes: Sequence[Node], ended: str) -> Searched:
    votes = Counter(node.said.cause for node in nodes if node.said is not None)
    order = [*inquiry.causes, NONE]
    named = max(votes, key=lambda cause: (votes[cause], -order.index(cause)), default=None)
    best = next((node for node in nodes if node.said is not None and node.said.cause == named), None)
    return _result(inquiry, best, nodes, ended)


def _searched(inquiry: Inquiry, nodes: Sequence[Node], ended: str) -> Searched:
    order = {cause: place for place, cause in enumerate((*inquiry.causes, NONE))}
    held = [(order[node.said.cause], -node.value, place) for place, node in enumerate(nodes) if node.held and node.said]
    best = nodes[min(held)[2]] if held else None
    if best is None:
        best = max(nodes, key=lambda node: node.value, default=None)
    return _result(inquiry, best, nodes, ended)


def _result(inquiry: Inquiry, best: Node | None, nodes: Sequence[Node], ended: str) -> Searched:
    said = None if best is None else best.said
    named = said is not None and said.cause != NONE
    return Searched(
        cause=said.cause if said is not None and named else None,
        why="" if said is None else said.why,
        rows=tuple(inquiry.found.row(number) for number in said.rows) if said is not None and named else (),
        held=best is not None and best.held,
        ended=ended,
        tokens=inquiry.model.used,
        budget=inquiry.model.tokens,
        asks=inquiry.model.calls,
        nodes=tuple(map(_as_row, nodes)),
    )


def _as_row(node: Node) -> dict[str, Any]:
    return {
        "number": node.number,
        "parent": None if node.parent is None else node.parent.number,
        "cause": None if node.said is None else node.said.cause,
        "rows": [] if node.said is None else list(node.said.rows),
        "opened": len(node.opened),
        "evidence": node.evidence,
        "value": node.value,
    }


def _reward(siblings: Sequence[Node]) -> None:
    for node in siblings:
        assert node.said is not None
        others = [one.said.cause for one in siblings if one is not node and one.said is not None]
        held = [(_WEIGHT, fmean(review.score for review in node.reviews))] if node.reviews else []
        held += [(1 - _WEIGHT, others.count(node.said.cause) / len(others))] if others else []
        weight = sum(w for w, _ in held)
        node.reward(sum(w * value for w, value in held) / weight if weight else 0.0)


async def _review(inquiry: Inquiry, node: Node) -> None:
    assert node.said is not None
    try:
        node.reviews.append(await inquiry.review(node.said, node.opened))
        if node.held:
            node.reviews.append(await inquiry.review(node.said, node.opened))
    except AskFailed:  # one without a review counts by what its siblings say
        return


async def _heard(*asks: Any) -> tuple[list[Suspicion], AskFailed | None]:
    """(the answers that came, the last failure). What is no failure of an ask is raised."""
    done = await asyncio.gather(*asks, return_exceptions=True)
    for one in done:
        if isinstance(one, BaseException) and not isinstance(one, AskFailed):
            raise one
    failed = [one for one in done if isinstance(one, AskFailed)]
    return [one for one in done if isinstance(one, Suspicion)], failed[-1] if failed else None


def _why(inquiry: Inquiry, problem: AskFailed | None) -> str:
    if inquiry.model.spent:
        return f"the budget of {inquiry.model.tokens:,} tokens holds no further ask"
    return "nobody answered" if problem is None else problem.reason
