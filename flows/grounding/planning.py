"""The cells of a study of games: each instance under each condition in each replicate, by the hash of what can change it."""

import inspect
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import cache, partial
from importlib.resources import files
from typing import Any, Final

import orjson

from coordeval.agents.cell import Settings
from coordeval.agents.forms import MESSAGE, PROPOSAL, SUBMISSION, WORDS, Scaffold
from coordeval.agents.messages import content_hash
from coordeval.flows.grounding.arms import Arm
from coordeval.flows.grounding.sitting import Played
from coordeval.flows.grounding.study import SOURCE, LoadedGames
from coordeval.flows.run.planning import cell_row, chunked, study_row
from coordeval.flows.study.evaluation import Cell, Evaluation, Plan
from coordeval.flows.study.identity import asked_again
from coordeval.flows.study.schemes import FORECAST
from coordeval.grounding.game import Instance
from coordeval.grounding.prompts import instructions
from coordeval.grounding.repairs import Repair
from coordeval.market_data.gate import MarketView
from coordeval.market_data.types import Market

WHEN: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""A game is of no moment: the one that stands where a forecast's as-of time does."""


def plan(evaluation: Evaluation, loaded: LoadedGames) -> Plan:
    """Every game of the study, and which are still to be played. Stores the study, the run, its instances and its cells."""
    cells = cells_of(evaluation, loaded)
    chunks = chunked(evaluation, cells)
    note = asked_again(evaluation.reader, loaded, [cell for chunk in chunks for cell in chunk])
    evaluation.ledger.write_all(
        {
            "studies": [study_row(evaluation)],
            "runs": [evaluation.run_row("running")],
            "instances": [instance_row(instance) for instance in loaded.instances],
            "cells": [cell_row(loaded.id, cell) for cell in cells],
        }
    )
    return Plan(cells, chunks, () if note is None else (note,))


def cells_of(evaluation: Evaluation, loaded: LoadedGames, instances: Sequence[Instance] | None = None) -> list[Cell]:
    """The cells of these instances (None: all of the study's). Nothing is stored."""
    settings = replace(loaded.study.settings(), scaffold=scaffold())
    arms = [
        (label, arm, {**arm.identity(), "repair": identity_of(loaded.mending[label])})
        for label, arm in loaded.configurations.items()
        if isinstance(arm, Arm)
    ]
    fixed, model = settings.identity(), {**evaluation.model.identity, "draws": "common"}
    made = []
    for instance in loaded.instances if instances is None else instances:
        view = view_of(instance)
        for label, arm, declared in arms:
            for replicate in range(loaded.study.replicates):
                made.append(
                    _cell(view, instance, label, arm, loaded.mending[label], settings, replicate, model, fixed, declared)
                )
    return made


@cache
def scaffold() -> Scaffold:
    """What every player of every arm reads around its question: the same instructions and tools, whatever differs."""
    return Scaffold(instructions=instructions(), forms=(WORDS, MESSAGE, PROPOSAL, SUBMISSION))


def _cell(
    view: MarketView,
    instance: Instance,
    label: str,
    arm: Arm,
    repair: Repair,
    settings: Settings,
    replicate: int,
    model: dict[str, Any],
    fixed: dict[str, Any],
    declared: dict[str, Any],
) -> Cell:
    identity = {
        "model": model,
        "settings": fixed,
        "market": {"id": instance.id},
        "configuration": declared,
        "game": code_of_game(),
        "replicate": replicate,
    }
    game_id = content_hash(FORECAST, identity)
    sits = partial(Played, instance=instance, arm=arm, repair=repair)
    return Cell(view, label, arm, {}, settings, replicate, game_id, identity, sits)


def identity_of(repair: Repair) -> dict[str, Any]:
    """Everything about a repair that could change a game: its parameters, and the code of a plugin's."""
    own = type(repair)
    try:
        code = inspect.getsource(sys.modules.get(own.__module__) or own)
    except (OSError, TypeError):  # defined at a prompt
        code = repr(own)
    return {"name": own.name, "parameters": repair.model_dump(mode="json"), "code": content_hash("repair/1", code)}


def view_of(instance: Instance) -> MarketView:
    """What stands where a forecast's market does: the instance's id, and no fact that an agent would be shown."""
    question = f"The grounding game, instance {instance.id[:12]}"
    return MarketView(
        Market(id=instance.id, source=SOURCE, event_id=instance.id, simulated=False, question=question), WHEN, [], []
    )


@cache
def code_of_game() -> str:
    """A hash of the game's own code, prompts included: what is played by other rules is another game."""
    texts = []
    folder = files("coordeval.grounding")
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith((".py", ".md")):
            texts.append([entry.name, entry.read_text(encoding="utf-8")])
    return content_hash("grounding-code/1", texts)


def instance_row(instance: Instance) -> dict[str, Any]:
    return {
        "instance_id": instance.id,
        "tension": instance.tension,
        "rotating": instance.rotating,
        "content": orjson.dumps(asdict(instance)).decode(),
    }
