"""What a study of games should cost: the calls of games that simulated players play, at the model's own prices."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import polars as pl

from coordeval.agents.providers import Around
from coordeval.flows.costs.quote import Quote, quoted
from coordeval.flows.costs.rehearsal import Rehearsed, made_among
from coordeval.flows.costs.sample import Sample, calls_of
from coordeval.flows.grounding.arms import Oracle
from coordeval.flows.grounding.planning import cells_of
from coordeval.flows.grounding.simulating import played_by_simulated
from coordeval.flows.grounding.study import LoadedGames
from coordeval.flows.study.evaluation import Evaluation, data_directory
from coordeval.ledger import Ledger, read

INSTANCES: Final = 6
"""Instances that simulated players play for a quote: more tell little, and it should take seconds."""


def quoted_games(loaded: LoadedGames, ledger: Path) -> Quote:
    """What a run of the study would take now. Asks no model, and only reads `ledger`."""
    stored = read(ledger) if ledger.is_file() else None
    with TemporaryDirectory(prefix="coordeval-rehearsal-") as folder:
        path = Path(folder) / "ledger.duckdb"
        asking = [name for name, arm in loaded.configurations.items() if arm.elements.endpoints]
        model = loaded.provider.model(loaded.study.model, Around(data=data_directory(ledger), asks=False, asking=asking))
        with Ledger.open(path, purpose="a rehearsal") as own:
            evaluation = Evaluation.start(loaded, path, own, model)
            cells = cells_of(evaluation, loaded)
            rehearsal = Rehearsed(evaluation, (), cells, made_among(stored, cells), stored)
            sample = _simulated(loaded, Path(folder) / "simulated.duckdb")
            found = quoted(rehearsal, sample)
            notes = [note.partition("; --pilot")[0] for note in found.notes]  # there is no pilot of games
            one_by_one = [name for name, arm in loaded.configurations.items() if isinstance(arm, Oracle)]
            return replace(found, waves=longest_chain(sample.calls, one_by_one) if found.open else 0, notes=notes)


def longest_chain(calls: pl.DataFrame, one_by_one: Sequence[str] = ()) -> int:
    """Calls of one game that have to follow one another, in the game with the most: as many batches it takes.

    `calls` has configuration, forecast_id, round, role, turn. What one player says the other reads, so words follow one
    another; what a pair restates, is advised or submits goes out at once, and only a corrective turn follows. `one_by_one`:
    arms of one agent, who submits for both in turn.
    """
    steps = calls.group_by("forecast_id", "configuration", "round", "role").agg(all=pl.len(), turns=pl.col("turn").max() + 1)
    follow = (pl.col("role") == "talk") | pl.col("configuration").is_in(list(one_by_one))
    chains = steps.with_columns(pl.when(follow).then("all").otherwise("turns").alias("n")).group_by("forecast_id")
    return max(chains.agg(pl.col("n").sum())["n"].to_list(), default=0)


def _simulated(loaded: LoadedGames, path: Path) -> Sample:
    simulated = played_by_simulated(loaded, INSTANCES, path)
    calls, requests = calls_of(read(path), simulated.id)
    few = len(simulated.instances)
    source = f"simulated players on {few} of the study's instances"
    return Sample(calls=calls, markets=few, kind="simulated", source=source, requests=requests)
