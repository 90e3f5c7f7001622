"""Games as rows, and back: what was played, said, bound, submitted and broken, as it stands in the ledger."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from itertools import groupby
from typing import Any, Final

import orjson
import polars as pl
from pydantic import TypeAdapter

from coordeval.grounding.game import Conditions, Game, Instance, Message, Mishap, Round
from coordeval.ledger.reader import Reader
from coordeval.market_data.errors import CoordevalError

_GAMES: Final = """
    SELECT c.configuration AS arm, c.market_id AS instance_id, c.replicate, c.forecast_id, g.seat, g.repair, i.tension,
        i.rotating, coalesce(f.status, 'pending') AS status, f.reason, g.efficiency, g.asks,
        f.attributed_micro_usd / 1e6 AS cost_usd, f.paid_micro_usd / 1e6 AS paid_usd, f.model_calls,
        f.input_tokens + f.cache_read_tokens + f.cache_write_tokens AS input_tokens, f.output_tokens, f.seconds,
        coalesce(f.simulated, s.simulated) AS simulated
    FROM cells c JOIN studies s USING (study_id) LEFT JOIN instances i ON i.instance_id = c.market_id
        LEFT JOIN forecasts f ON f.forecast_id = c.forecast_id LEFT JOIN games g ON g.forecast_id = c.forecast_id
    WHERE c.study_id = ? ORDER BY c.configuration, c.market_id, c.replicate
"""
_OF: Final = "SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS forecast_id) USING (forecast_id)"


def game_rows(game: Game, label: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of a game by table, without forecast_id: that of its cell."""
    own = {
        "instance_id": game.instance.id,
        "label": label,
        "seat": game.seat,
        "repair": game.repair,
        "conditions": _json(asdict(game.conditions)),
        "efficiency": game.efficiency,
        "asks": game.asks,
        "extra": _json(dict(game.extra)),
    }
    rounds = [
        {
            "round": played.number,
            "submitted": _json(played.submitted),
            "bound": None if played.bound is None else _json(played.bound),
            "void": bool(played.over),
            "overdrawn": _json(played.over),
            "rewards": _json(played.rewards),
            "reward": sum(played.rewards),
            "optimum": played.optimum,
        }
        for played in game.rounds
    ]
    moves = [
        {
            "round": played.number,
            "position": position,
            "player": said.player,
            "step": said.step,
            "exchange": said.exchange,
            "text": said.text,
            "plan": None if said.plan is None else _json(said.plan),
            "acts": _json(said.acts),
            "ready": said.ready,
        }
        for played in game.rounds
        for position, said in enumerate(played.messages)
    ]
    mishaps = [
        {
            "round": one.round,
            "player": one.player,
            "ask": one.ask,
            "name": one.name,
            "what": one.what,
            "outcome": one.then,
        }
        for one in game.mishaps
    ]
    return {"games": [own], "game_rounds": rounds, "moves": moves, "mishaps": mishaps}


def games_frame(reader: Reader, study: str) -> pl.DataFrame:
    """A row for each cell of a study of games (name or id): arm, instance_id, replicate, forecast_id, seat, repair, tension,
    rotating, status (answered, failed, pending), reason, efficiency (null unless it was played), asks, cost_usd, paid_usd,
    model_calls, input_tokens, output_tokens, seconds, simulated."""
    with reader.moment() as held:
        return held.query(_GAMES, [held.study(study).study_id])


def games_of(reader: Reader, forecast_ids: Sequence[str]) -> dict[str, Game]:
    """The games of these cells, as they were played; those that were not are left out."""
    ids = [list(forecast_ids)]
    with reader.moment() as held:
        games = held.query(
            f"SELECT g.*, f.replicate FROM games g JOIN forecasts f USING (forecast_id) {_OF}", ids
        ).to_dicts()
        parts = {
            table: _by_game(held.query(f"FROM {table} {_OF} ORDER BY forecast_id, {order}", ids).iter_rows(named=True))
            for table, order in (("game_rounds", "round"), ("moves", "round, position"), ("mishaps", "rowid"))
        }
        known = instances_of(held, [row["instance_id"] for row in games])
    return {row["forecast_id"]: _game(row, known[row["instance_id"]], parts) for row in games}


def instances_of(reader: Reader, ids: Sequence[str]) -> dict[str, Instance]:
    """The instances with these ids; those that are not stored are left out."""
    semi = "SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS instance_id) USING (instance_id)"
    rows = reader.query(f"SELECT instance_id, content FROM instances {semi}", [list(ids)])
    return {key: _adapter(Instance).validate_json(content) for key, content in rows.iter_rows()}


def game_id(reader: Reader, start: str) -> str:
    """The whole id of the game whose id begins so (4 characters or more). Raises CoordevalError unless there is one."""
    if len(start) < 4:
        raise CoordevalError(f"game {start!r}: give 4 characters of its id or more; `coordeval grounding games` lists them")
    found = reader.query("SELECT forecast_id FROM games WHERE starts_with(forecast_id, ?) LIMIT 6", [start.lower()])
    ids = found["forecast_id"].to_list()
    if not ids:
        raise CoordevalError(
            f"there is no game whose id begins with {start!r} in {reader.path}; `coordeval grounding games` lists them"
        )
    if len(ids) > 1:
        shown = ", ".join(one[:12] for one in ids[:5])
        raise CoordevalError(f"several games have an id that begins with {start!r}: {shown}; write more of it")
    return str(ids[0])


def _game(row: Mapping[str, Any], instance: Instance, parts: Mapping[str, Mapping[str, list[dict[str, Any]]]]) -> Game:
    own = {table: rows.get(row["forecast_id"], []) for table, rows in parts.items()}
    said = {number: list(rows) for number, rows in groupby(own["moves"], key=lambda move: move["round"])}
    return Game(
        instance=instance,
        conditions=_adapter(Conditions).validate_json(row["conditions"]),
        repair=row["repair"],
        seat=row["seat"],
        replicate=row["replicate"],
        rounds=tuple(_round(played, said.get(played["round"], [])) for played in own["game_rounds"]),
        mishaps=tuple(_mishap(one) for one in own["mishaps"]),
        asks=row["asks"],
        extra=orjson.loads(row["extra"]),
    )


def _round(row: Mapping[str, Any], moves: list[dict[str, Any]]) -> Round:
    one, other = (None if units is None else tuple(units) for units in orjson.loads(row["submitted"]))
    first, second = orjson.loads(row["rewards"])
    return Round(
        number=row["round"],
        messages=tuple(_message(move) for move in moves),
        submitted=(one, other),
        bound=_plan(row["bound"]),
        over=tuple(orjson.loads(row["overdrawn"])),
        rewards=(first, second),
        optimum=row["optimum"],
    )


def _message(move: Mapping[str, Any]) -> Message:
    return Message(
        player=move["player"],
        step=move["step"],
        exchange=move["exchange"],
        text=move["text"],
        plan=_plan(move["plan"]),
        acts=tuple(orjson.loads(move["acts"])),
        ready=move["ready"],
    )


def _mishap(row: Mapping[str, Any]) -> Mishap:
    names = ("round", "player", "ask", "name", "what")
    return Mishap(**{name: row[name] for name in names}, then=row["outcome"])


def _plan(content: str | None) -> Any:
    if content is None:
        return None
    one, other = orjson.loads(content)
    return tuple(one), tuple(other)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _by_game(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {key: list(own) for key, own in groupby(rows, key=lambda row: row["forecast_id"])}


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
