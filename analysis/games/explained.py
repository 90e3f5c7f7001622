"""All that a study of games tells, as tables: what arms get, how far they lie apart, what is lost to what, by round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.games.comparing import Compared, compared
from coordeval.grounding.game import Game
from coordeval.grounding.measures import MEASURES, by_round, measured
from coordeval.grounding.modes import Counted, counted
from coordeval.grounding.repairs import Repair
from coordeval.grounding.waterfall import Waterfall, waterfall


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmFacts:
    """What an arm is, as its study's file says."""

    label: str
    seat: str
    history: str = "stable"
    talk: bool = True
    disclosed: bool = False
    structured: bool = False
    repair: str = Repair.name

    @property
    def repaired(self) -> bool:
        return self.repair != Repair.name


@dataclass(frozen=True, kw_only=True)
class GamesFound:
    """What was found; `arms` in the order of the study's file."""

    arms: Mapping[str, ArmFacts]
    baseline: str | None
    """The pair that others are held against; None: the study has no pair that was played."""
    games: pl.DataFrame
    """A row a game: arm, instance_id, replicate, tension, each of `grounding.measures.MEASURES`, cost_usd, calls, tokens."""
    compared: Compared | None
    """Efficiency; None where there is no baseline."""
    measures: pl.DataFrame
    """arm, and the mean of each measure over instances; null where it is defined in no game."""
    rounds: pl.DataFrame
    """arm, round, games, efficiency, overdraw_rate, recovery, reason."""
    modes: Mapping[str, tuple[Counted, ...]]
    """Arm -> its failure modes, of pairs."""
    waterfalls: Mapping[str, Waterfall]
    """Arm -> what is lost to what, of pairs."""
    costs: pl.DataFrame
    """arm, games, usd_per_game, usd (null where a price is not known), calls_per_game, tokens_per_game."""


def explained(
    rows: pl.DataFrame, games: Mapping[str, Game], arms: Mapping[str, ArmFacts], *, baseline: str | None, n: int = 10_000
) -> GamesFound:
    """`rows`: `ledger.games.games_frame`; `games`: forecast_id -> what was played; `arms` by label.

    Raises AnalysisError where no game was played.
    """
    played = rows.filter(pl.col("forecast_id").is_in(list(games)))
    if played.is_empty():
        raise AnalysisError("no game of this study was played yet, so there is nothing to report on")
    frame = _frame(played, games)
    of = {arm: [games[i] for i in own["forecast_id"]] for (arm,), own in played.group_by("arm", maintain_order=True)}
    solo = [game for arm, own in of.items() if arms[arm].seat == "solo" for game in own]
    pairs = [arm for arm in arms if arm in of and arms[arm].seat == "pair"]
    base = baseline if baseline in pairs else (pairs[0] if pairs else None)
    return GamesFound(
        arms=arms,
        baseline=base,
        games=frame,
        compared=None if base is None else compared(frame, "efficiency", baseline=base, n=n),
        measures=_measures(frame),
        rounds=pl.DataFrame([row for arm in arms if arm in of for row in _rounds(arm, of[arm])], schema=_ROUNDS),
        modes={arm: counted(of[arm]) for arm in pairs},
        waterfalls={arm: waterfall(of[arm], solo) for arm in pairs},
        costs=_costs(rows),
    )


def facts_of(content: Mapping[str, Any]) -> dict[str, ArmFacts]:
    """The arms of a stored study by label, from its content."""
    found = {}
    for entry in content["configurations"]:
        given = {key: entry[key] for key in ("history", "talk", "disclosed", "structured", "repair") if key in entry}
        if isinstance(repair := given.get("repair"), Mapping):
            given["repair"] = str(repair.get("name"))
        label = entry.get("label") or entry["name"]
        found[label] = ArmFacts(label=label, seat=entry["name"], **given)
    return found


def _frame(played: pl.DataFrame, games: Mapping[str, Game]) -> pl.DataFrame:
    rows = []
    for row in played.iter_rows(named=True):
        own = measured(games[row["forecast_id"]])
        kept = {name: own[name] for name in MEASURES}
        named = {name: row[name] for name in ("arm", "instance_id", "replicate", "forecast_id", "tension", "cost_usd")}
        rows.append(named | kept | {"calls": row["model_calls"]})
    return pl.DataFrame(rows, schema=_GAMES)


def _measures(frame: pl.DataFrame) -> pl.DataFrame:
    each = frame.group_by("arm", "instance_id", maintain_order=True).agg(pl.col(*MEASURES).mean())
    return each.group_by("arm", maintain_order=True).agg(pl.col(*MEASURES).mean())


def _rounds(arm: str, games: Sequence[Game]) -> list[dict[str, Any]]:
    kept = ("round", "games", "efficiency", "overdraw_rate", "recovery")
    return [{"arm": arm, **{k: row[k] for k in kept}, "reason": row["recovery_reason"]} for row in by_round(games)]


def _costs(rows: pl.DataFrame) -> pl.DataFrame:
    made = rows.filter(pl.col("status") != "pending")
    known = pl.col("cost_usd").null_count() == 0
    return made.group_by("arm", maintain_order=True).agg(
        games=pl.len(),
        usd_per_game=pl.when(known).then(pl.col("cost_usd").cast(pl.Float64).mean()),
        usd=pl.when(known).then(pl.col("cost_usd").cast(pl.Float64).sum()),
        calls_per_game=pl.col("model_calls").mean(),
        tokens_per_game=(pl.col("input_tokens") + pl.col("output_tokens")).mean(),
    )


_GAMES: Final[dict[str, Any]] = {
    "arm": pl.String,
    "instance_id": pl.String,
    "replicate": pl.Int64,
    "forecast_id": pl.String,
    **dict.fromkeys(("tension", "cost_usd", *MEASURES), pl.Float64),
    "calls": pl.Int64,
}
_ROUNDS: Final[dict[str, Any]] = {
    "arm": pl.String,
    "round": pl.Int64,
    "games": pl.Int64,
    **dict.fromkeys(("efficiency", "overdraw_rate", "recovery"), pl.Float64),
    "reason": pl.String,
}
