"""A game at a cell: its asks go through the cell's custody, as a forecast's do, and its rows are those of a game."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from coordeval.agents.answers import Answer
from coordeval.agents.cell import AskFailed
from coordeval.agents.scaffold import Ask
from coordeval.configurations import PanelError
from coordeval.configurations.panel import call_graph
from coordeval.flows.grounding.arms import Arm
from coordeval.flows.run.cell import Result
from coordeval.flows.run.custody import Custody
from coordeval.flows.study.evaluation import Cell
from coordeval.grounding.baselines import BASELINES, baseline
from coordeval.grounding.game import Game, Instance
from coordeval.grounding.playing import play
from coordeval.grounding.repairs import Repair
from coordeval.ledger.games import game_rows


class Played:
    """One game of one arm on one instance."""

    def __init__(self, cell: Cell, custody: Custody, *, instance: Instance, arm: Arm, repair: Repair) -> None:
        self._cell, self._custody = cell, custody
        self._instance, self._arm, self._repair = instance, arm, repair
        self._game: Game | None = None
        self._asks: list[dict[str, Any]] = []

    async def run(self) -> object:
        seat, replicate = self._arm.seat, self._cell.replicate
        if seat in BASELINES:  # computed players, who ask no model
            self._game = baseline(seat, self._instance, replicate)
            return self._game
        assert seat in ("pair", "solo", "oracle")
        playing = play(self._instance, self._arm.conditions, self._repair, seat=seat, replicate=replicate)
        asks = next(playing)
        while True:
            replies = [await self._put(asks[0])] if len(asks) == 1 else await asyncio.gather(*map(self._put, asks))
            try:
                asks = playing.send(replies)
            except StopIteration as end:
                self._game = end.value
                return self._game

    def result(self, returned: object) -> Result:
        if returned is not self._game or self._game is None:
            raise PanelError(f"{self._cell.label}: its game did not come to its end")
        return self._game.efficiency, None, False

    @property
    def asks(self) -> Sequence[Mapping[str, Any]]:
        return self._asks

    @property
    def call_graph(self) -> str:
        return call_graph([(one["role"], one["round"], one["kind"], ()) for one in self._asks])

    def rows(self, asks: Sequence[Mapping[str, Any]]) -> dict[str, Sequence[dict[str, Any]]]:
        return {} if self._game is None else dict(game_rows(self._game, self._cell.label))

    async def _put(self, ask: Ask) -> Answer | AskFailed:
        """What came of an ask: the game has a rule for an agent that has no valid answer."""
        record: dict[str, Any] = {
            "ask": ask.ordinal,
            "agent": ask.agent,
            "round": ask.round,
            "role": ask.role,
            "kind": ask.answer,
            "said": None,
            "failure": "not answered",
        }
        self._asks.append(record)
        try:
            answer = await self._custody.answer(ask)
        except AskFailed as failure:
            record["failure"] = failure.reason
            return failure
        record["said"], record["failure"] = answer, None
        return answer
