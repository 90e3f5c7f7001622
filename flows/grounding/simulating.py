"""A study of games played by simulated players in the place of its model: what is to be known before anybody is asked."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Final

from coordeval.agents.providers import Around
from coordeval.flows.grounding.planning import plan
from coordeval.flows.grounding.study import InstancesSection, LoadedGames
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import Evaluation
from coordeval.flows.study.sections import BudgetSection, PluginModelSection
from coordeval.grounding.simulated import EVERYDAY
from coordeval.ledger import Ledger

PLAYERS: Final = "players"
"""The provider of simulated players."""


def played_by_simulated(loaded: LoadedGames, most: int, path: Path) -> LoadedGames:
    """The same study on at most `most` of its instances, played into a new ledger at `path`.

    By its own players where these are simulated ones, else by everyday ones.
    """
    section = loaded.study.markets
    assert isinstance(section, InstancesSection)
    model = loaded.study.model
    if model.provider != PLAYERS:
        model = PluginModelSection.model_validate(
            {"provider": PLAYERS, "max_tokens": model.max_tokens, "habits": asdict(EVERYDAY)}
        )
    study = loaded.study.model_copy(
        update={
            "model": model,
            "markets": section.model_copy(update={"count": min(section.count, most)}),
            "budget_usd": None,
            "budget": BudgetSection(),
            "run": loaded.study.run.model_copy(update={"batch": False}),
        }
    )
    simulated = LoadedGames(study, loaded.directory)
    with Ledger.open(path, purpose="a rehearsal") as ledger:
        evaluation = Evaluation.start(simulated, path, ledger, simulated.provider.model(simulated.study.model, Around()))
        asyncio.run(run_chunks(evaluation, plan(evaluation, simulated).chunks))
    return simulated
