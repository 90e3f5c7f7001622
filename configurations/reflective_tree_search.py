"""Reflective tree search (after arXiv 2605.03505): it goes on where a reviewer who sees no price finds good work.

Two faults of the released search are left out: a value is the mean of all rewards below a node, divided once, and there is a
budget of tokens, of which what the end takes is held back.
"""

import re
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil, inf, log, sqrt
from typing import ClassVar

from pydantic import Field

from coordeval.configurations.base import Configuration
from coordeval.configurations.elements import Elements, Endpoint
from coordeval.configurations.panel import Estimate, Forecast, Material, NoAnswer, NoForecast, Panel, Report

HOLD = 1.5
"""Times what the like of it took that an ask must find left in the budget: the next may take more."""
_SCORE = re.compile(r"(evidence|completeness|consistency) (10|\d)")


@dataclass(eq=False)
class Node:
    """One estimate in the tree; `total` is the sum of the `visits` rewards at and below it."""

    estimate: Estimate
    parent: "Node | None" = None
    review: Report | None = None
    children: list["Node"] = field(default_factory=list)
    visits: int = 0
    total: float = 0.0
    solved: bool = False

    @property
    def depth(self) -> int:
        return 0 if self.parent is None else self.parent.depth + 1

    @property
    def value(self) -> float:
        return self.total / self.visits if self.visits else 0.0

    def urgency(self, c: float) -> float:
        """UCT: its mean reward, and more the less it was visited beside its siblings."""
        if self.parent is None or not self.visits:
            return inf
        return self.value + c * sqrt(log(max(self.parent.visits, 1)) / self.visits)

    def reward(self, amount: float) -> None:
        node: Node | None = self
        while node is not None:
            node.visits, node.total = node.visits + 1, node.total + amount
            node = node.parent


class ReflectiveTreeSearch(Configuration):
    """Estimates are reviewed and the best leaf is worked on, until solved or spent; terminals are pooled by their value."""

    name: ClassVar[str] = "reflective_tree_search"
    elements: ClassVar[Elements] = Elements(
        endpoints=(
            Endpoint("forecaster", "estimate", sees_price=False),
            Endpoint("expander", "estimate", sees_price=False),
            Endpoint("reflector", "report", sees_price=False),
            Endpoint("price_reader", "estimate"),
        ),
        topology=(
            ("forecaster", "expander"),
            ("forecaster", "reflector"),
            ("expander", "expander"),
            ("expander", "reflector"),
            ("reflector", "expander"),
            ("forecaster", "price_reader"),
            ("expander", "price_reader"),
        ),
        authority="the reviewer says where to search; it sees no price, or it would reward who copies it",
        synchronisation="one leaf at a time; its candidates at once, then their reviews in turn",
        aggregation="the best terminals, each estimated again alone with the price, weighted by their values",
        termination="when a candidate is solved, or expansions, depth or tokens are spent",
        failure_handling="exclude",
    )

    width: int = Field(default=3, ge=2, le=10, description="Candidates for each leaf that is worked on.")
    expansions: int = Field(default=2, ge=1, le=50)
    depth: int = Field(default=5, ge=1, le=20)
    tokens: int = Field(
        default=300_000, ge=1, description="Of all its asks. None begins without half as much again as the like of it took."
    )
    c: float = Field(default=1.0, ge=0, description="How much the search prefers what it knows little of.")
    weight: float = Field(
        default=0.6, ge=0, le=1, description="Of the review in a reward; the rest is agreement of siblings."
    )
    near: float = Field(default=0.05, ge=0, le=1, description="How close siblings are that agree.")

    async def forecast(self, panel: Panel) -> Forecast:
        root = Node(await panel.ask("forecaster"))
        one = HOLD * panel.tokens  # held back for each estimate at the end
        await self._review(panel, [root])
        nodes, last = [root], self.width * panel.tokens
        if (least := ceil(panel.tokens + one)) > self.tokens:
            raise NoForecast(f"tokens = {self.tokens:,} holds no search: its first estimate, the review and one with the "
                             f"price take up to {least:,}; give more")  # fmt: skip
        for _ in range(self.expansions):
            open_ = [node for node in nodes if not node.children and node.depth < self.depth]
            held = panel.tokens + HOLD * last + self.width * one
            if not open_ or any(node.solved for node in nodes) or held > self.tokens:
                break
            before = panel.tokens
            leaf = max(open_, key=lambda node: node.urgency(self.c))
            shown: list[Material] = [leaf.estimate, *([leaf.review] if leaf.review else [])]
            try:
                said = await panel.ask_each("expander", self.width, shown=shown)
            except NoAnswer:  # most candidates have none: what there is counts
                break
            leaf.children = [Node(one, parent=leaf) for one in said]
            await self._review(panel, leaf.children)
            nodes += leaf.children
            last = panel.tokens - before
        leaves = [node for node in nodes if not node.children]
        best = sorted([node for node in leaves if node.solved] or leaves, key=lambda node: -node.value)[: self.width]
        pooled: list[tuple[float, float]] = []
        for node in best:
            if (before := panel.tokens) + one > self.tokens:
                break
            with suppress(NoAnswer):
                [seeing] = await panel.revise([node.estimate], role="price_reader", shown=lambda *_: [])
                pooled.append((node.value + 1e-6, seeing.probability))  # where all are worth nothing, they weigh the same
            one = max(one, HOLD * (panel.tokens - before))
        if not pooled:
            raise NoForecast(f"none of the {len(best)} best terminals was estimated again with the price, within "
                             f"{self.tokens:,} tokens, of which {panel.tokens:,} are used")  # fmt: skip
        return panel.conclude(min(1.0, sum(w * p for w, p in pooled) / sum(w for w, _ in pooled)))

    async def _review(self, panel: Panel, siblings: list[Node]) -> None:
        """Rewards each by its review and by the share of its siblings that agree with it; what has no review, by these."""
        for node in siblings:
            with suppress(NoAnswer):
                node.review = await panel.report("reflector", shown=[node.estimate])
        for node in siblings:
            parts = [part.strip() for part in node.review.parts] if node.review else []
            scores = {found[1]: int(found[2]) / 10 for part in parts if (found := _SCORE.fullmatch(part))}
            node.solved = "solved yes" in parts
            others = [one.estimate.probability for one in siblings if one is not node]
            close = [abs(p - node.estimate.probability) <= self.near for p in others]
            held = [(self.weight, sum(scores.values()) / 3)] if len(scores) == 3 else []
            held += [(1 - self.weight, sum(close) / len(close))] if close else []
            weight = sum(w for w, _ in held)
            node.reward(sum(w * value for w, value in held) / weight if weight else 0.0)
