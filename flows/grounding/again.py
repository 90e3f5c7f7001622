"""What a stored game was played with, as objects again: enough for it to be played from its stored replies."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from coordeval.agents.cell import Settings
from coordeval.agents.messages import canonical
from coordeval.flows.certificate.restored import settings_from
from coordeval.flows.grounding.arms import ARMS, Arm
from coordeval.flows.grounding.planning import code_of_game, identity_of, scaffold, view_of
from coordeval.flows.grounding.sitting import Played
from coordeval.flows.study.evaluation import Cell
from coordeval.grounding.game import Instance
from coordeval.grounding.registry import Repairs
from coordeval.grounding.repairs import Repair
from coordeval.ledger import Reader
from coordeval.ledger.games import instances_of
from coordeval.market_data.errors import CoordevalError


@dataclass(frozen=True, slots=True)
class MadeOf:
    """All that a game is, but for its replicate."""

    instance: Instance
    arm: Arm
    repair: Repair
    settings: Settings


class StoredGames:
    """Makes again what games of a ledger were played with. `repairs`: those that there are here."""

    def __init__(self, reader: Reader, repairs: Repairs) -> None:
        self._reader, self._repairs = reader, repairs
        self._arms: dict[bytes, tuple[Arm, Repair, Settings] | str] = {}
        self._instances: dict[str, Instance] = {}

    def made_of(self, identity: Mapping[str, Any]) -> MadeOf | str:
        """Of a cell's identity; or why it cannot be played again here."""
        if identity["game"] != code_of_game():
            return "a game by other rules or prompts than this version's: verify it with the version that played it"
        key = canonical([identity["configuration"], identity["settings"]])
        if key not in self._arms:
            self._arms[key] = self._arm(identity)
        if isinstance(made := self._arms[key], str):
            return made
        name = identity["market"]["id"]
        if name not in self._instances:
            self._instances |= instances_of(self._reader, [name])
        if name not in self._instances:
            return "the instance is not stored"
        arm, repair, settings = made
        return MadeOf(self._instances[name], arm, repair, settings)

    def _arm(self, identity: Mapping[str, Any]) -> tuple[Arm, Repair, Settings] | str:
        told = dict(identity["configuration"])
        if told["name"] not in ARMS:
            return f"condition {told['name']} is not here"
        mended = told.pop("repair")
        try:
            arm = ARMS[told["name"]](**told["parameters"])
            repair = self._repairs.create(mended["name"], mended["parameters"])
        except (CoordevalError, ValueError):
            return f"repair {mended['name']} is not here: give the study file, whose plugins are then loaded"
        now = orjson.loads(canonical(dict(arm.identity()))), orjson.loads(canonical(identity_of(repair)))
        if now != (told, mended):
            what = f"condition {told['name']} or repair {mended['name']}"
            return f"{what} has changed since: verify it with the version that made it"
        settings = settings_from(identity["settings"], scaffold())
        return settings if isinstance(settings, str) else (arm, repair, settings)


def game_cell(made: MadeOf, label: str, replicate: int, forecast_id: str, identity: dict[str, Any]) -> Cell:
    """The cell of a stored game."""
    sits = partial(Played, instance=made.instance, arm=made.arm, repair=made.repair)
    return Cell(view_of(made.instance), label, made.arm, {}, made.settings, replicate, forecast_id, identity, sits)
