"""Telemetry of games: one row per game and round, from what was said and handed in, apart from what players say of it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError
from coordeval.grounding.agreements import kept, named, understood
from coordeval.grounding.game import PLAYERS, Game, Round
from coordeval.grounding.saying import NOTHING, agrees

CALLS: Final[Mapping[str, Any]] = {
    "forecast_id": pl.String,
    **dict.fromkeys(("round", "calls", "input_tokens", "output_tokens"), pl.Int64),
    "seconds": pl.Float64,
    "micro_usd": pl.Int64,
}
"""What a frame of calls has, a row for each game and round (from 0)."""
TELEMETRY: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("forecast_id", "arm", "instance_id"), pl.String),
    "tension": pl.Float64,
    **dict.fromkeys(("replicate", "round", "exchanges", "messages", "plans", "words_of_agreement"), pl.Int64),
    **dict.fromkeys(("proposals", "acknowledgements", "agreements", "rejections", "withdrawals"), pl.Int64),
    "agreed": pl.Boolean,
    "agreed_by": pl.String,
    "bound": pl.Boolean,
    "kept": pl.Float64,
    "void": pl.Boolean,
    "recovered": pl.Boolean,
    "repeated": pl.Boolean,
    **dict.fromkeys(("forfeited", "mishaps", "reward", "optimum"), pl.Int64),
    "efficiency": pl.Float64,
    **{name: kind for name, kind in CALLS.items() if name not in ("forecast_id", "round")},
    "reason": pl.String,
}
"""Column -> type. Of one game and round (from 1):

- exchanges, messages, plans: how often both could speak, what was said, and in how many messages amounts were named
- words_of_agreement: messages that say they agree; proposals to withdrawals: acts, null where messages cannot commit
- agreed: a plan for somebody stood at the end of the talk; agreed_by: how it was read; bound: it binds
- kept: share of the agreed parts that were submitted as agreed, or as a mediator then advised
- void: overdrawn; recovered: carried out, right after a void round; repeated: both bought what they had bought before
- forfeited: players without a valid submission; mishaps: rules that were broken, an overdraw not counted
- calls, tokens (cached ones included), seconds, micro_usd: of the round's calls; null: none, or a price is not known
- reason: of every null
"""
_ACTS: Final = {
    "proposals": "propose",
    "acknowledgements": "acknowledge",
    "agreements": "agree",
    "rejections": "reject",
    "withdrawals": "withdraw",
}


@asked
def telemetry(calls: pl.DataFrame, games: Mapping[str, tuple[str, Game]]) -> pl.DataFrame:
    """`TELEMETRY` of games: forecast_id -> (arm, game). `calls` has `CALLS`.

    Raises AnalysisError where a column is missing.
    """
    if absent := [name for name in CALLS if name not in calls.columns]:
        raise AnalysisError(f"calls has no column {', '.join(absent)}: it needs {', '.join(CALLS)}")
    made = {(row["forecast_id"], row["round"]): row for row in calls.iter_rows(named=True)}
    rows = [
        {"forecast_id": key, "arm": arm, **row, **_paid(made.get((key, row["round"] - 1)))}
        for key, (arm, game) in games.items()
        for row in _rounds(game)
    ]
    return pl.DataFrame([row | {"reason": _why(row)} for row in rows], schema=dict(TELEMETRY))


def _rounds(game: Game) -> Iterable[dict[str, Any]]:
    before: Round | None = None
    broken = Counter(one.round for one in game.mishaps if one.name != "overdrawn")
    commits = any(said.acts for played in game.rounds for said in played.messages) or any(
        played.bound is not None for played in game.rounds
    )
    for played in game.rounds:
        parts, source = understood(played, game.instance.rules)
        said = [message for message in played.messages if message.step == "talk"]
        acts = Counter(act.split()[0] for message in said for act in message.acts)
        stood = [player for player in PLAYERS if parts[player] is not None]
        as_agreed = [kept(played, game.instance.rules, player, parts[player] or ()) for player in stood]
        spoken = [m for m in said if m.plan is not None or named(m, game.instance.rules, "text") != NOTHING]
        yield {
            "instance_id": game.instance.id,
            "tension": game.instance.tension,
            "replicate": game.replicate,
            "round": played.number + 1,
            "exchanges": max((message.exchange + 1 for message in said), default=0),
            "messages": len(said),
            "plans": len(spoken),
            "words_of_agreement": sum(agrees(message.text) for message in said),
            **{name: acts[verb] if commits else None for name, verb in _ACTS.items()},
            "agreed": bool(stood),
            "agreed_by": source,
            "bound": played.bound is not None,
            "kept": sum(as_agreed) / len(as_agreed) if as_agreed else None,
            "void": bool(played.over),
            "recovered": None if before is None or not before.over else not played.over,
            "repeated": None if before is None else played.plan == before.plan,
            "forfeited": sum(units is None for units in played.submitted),
            "mishaps": broken[played.number],
            "reward": sum(played.rewards),
            "optimum": played.optimum,
            "efficiency": played.efficiency,
        }
        before = played


def _paid(row: Mapping[str, Any] | None) -> dict[str, Any]:
    names = [name for name in CALLS if name not in ("forecast_id", "round")]
    return dict.fromkeys(names) if row is None else {name: row[name] for name in names}


_WHY: Final = {
    "proposals": "acts: messages cannot commit, or none did in this game",
    "agreed_by": "agreed_by, kept: nothing was agreed that could be read",
    "recovered": "recovered: the round before was not void",
    "repeated": "repeated: the first round",
    "calls": "calls to micro_usd: no model was asked",
    "micro_usd": "micro_usd: a price is not known",
}


def _why(row: Mapping[str, Any]) -> str | None:
    absent = [words for name, words in _WHY.items() if row[name] is None]
    if row["calls"] is None:
        absent.remove(_WHY["micro_usd"])
    return "; ".join(absent) or None
