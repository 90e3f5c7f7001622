"""A plan before a study of games is paid for: how many instances tell a difference, and what so many cost."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import polars as pl

from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.games.planning import GamesPlan, plan
from coordeval.flows.grounding.simulating import played_by_simulated
from coordeval.flows.grounding.study import LoadedGames
from coordeval.ledger import Reader, read
from coordeval.ledger.games import games_frame

SIMULATED: Final = 12
"""Instances that simulated players play where nothing is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerPlan:
    """A plan, and whose games it rests on."""

    name: str
    plan: GamesPlan
    source: str
    simulated: bool
    usd_per_game: dict[str, float]
    """Arm -> what one game of it costs; those whose price is known."""

    def as_json(self) -> dict[str, Any]:
        made = self.plan
        own = {name: getattr(made, name) for name in ("measure", "baseline", "difference", "power", "alpha")}
        tables = {name: getattr(made, name).to_dicts() for name in ("spreads", "detectable", "needed")}
        return {
            "study": self.name,
            "source": self.source,
            "simulated": self.simulated,
            "usd_per_game": self.usd_per_game,
            **own,
            **tables,
        }


def power_of(loaded: LoadedGames, ledger: Path, **wanted: Any) -> PowerPlan:
    """The plan of a study file, from its stored games; from games of simulated players where fewer than three instances are.

    `wanted`: what `analysis.games.plan` takes. Raises AnalysisError where the study has one pair only.
    """
    baseline = loaded.study.baseline
    if baseline is None:
        raise AnalysisError("the study has no pair, so there is nothing to tell apart: add conditions named 'pair'")
    if ledger.is_file() and (stored := _stored(read(ledger), loaded.id)) is not None:
        return _planned(
            loaded, stored, baseline, f"{_count(stored)} stored games of this study", simulated=loaded.simulated, **wanted
        )
    with TemporaryDirectory(prefix="coordeval-plan-") as folder:
        path = Path(folder) / "ledger.duckdb"
        simulated = played_by_simulated(loaded, SIMULATED, path)
        frame = games_frame(read(path), simulated.id)
    source = f"{_count(frame)} games of simulated players: a guess at a model's, so play a few instances first"
    return _planned(loaded, frame, baseline, source, simulated=True, **wanted)


def _stored(reader: Reader, study_id: str) -> pl.DataFrame | None:
    frame = games_frame(reader, study_id)
    played = frame.filter(pl.col("efficiency").is_not_null())
    return frame if played["instance_id"].n_unique() >= 3 else None


def _planned(
    loaded: LoadedGames, frame: pl.DataFrame, baseline: str, source: str, *, simulated: bool, **wanted: Any
) -> PowerPlan:
    pairs = [name for name, arm in loaded.configurations.items() if getattr(arm, "seat", "") == "pair"]
    played = frame.filter(pl.col("arm").is_in(pairs))
    costs = played.group_by("arm").agg(pl.col("cost_usd").cast(pl.Float64).mean()).drop_nulls() if not simulated else None
    return PowerPlan(
        name=loaded.study.name,
        plan=plan(played, "efficiency", baseline=baseline, **wanted),
        source=source,
        simulated=simulated,
        usd_per_game={} if costs is None else dict(costs.iter_rows()),
    )


def _count(frame: pl.DataFrame) -> str:
    return f"{frame['efficiency'].count():,}"
