"""The last look, a replay: every forecast and game is made again from its stored replies, and must send the same bytes.

The configuration runs as it ran, on a view that is built again through the gate, with a model that hands out what is stored.
Nothing is asked of anybody and nothing is stored. What another version of the code made is not replayed; it is said why.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from coordeval.agents.cell import Settings
from coordeval.agents.messages import ModelError, Reply, Request, Slot, canonical, decode_reply
from coordeval.configurations import Configuration, Registry
from coordeval.flows.certificate.restored import documents_of, settings_from, view_of
from coordeval.flows.certificate.stored import object_of
from coordeval.flows.grounding.again import StoredGames, game_cell
from coordeval.flows.run.cell import run_cell
from coordeval.flows.study.evaluation import Cell
from coordeval.flows.verify.earlier import as_sent
from coordeval.flows.verify.found import Fault, Part
from coordeval.flows.verify.hashes import draw_ids
from coordeval.grounding.registry import Repairs
from coordeval.ledger import CellRows, Reader
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.gate import MarketView

_CELLS = """
    SELECT any_value(c) AS cell, f.* FROM forecasts f JOIN cells c ON c.forecast_id = f.forecast_id
    WHERE ($study IS NULL OR c.study_id = $study)
        AND ($among IS NULL OR f.forecast_id IN (SELECT unnest($among::VARCHAR[])))
    GROUP BY ALL ORDER BY f.market_id, f.created_at, f.forecast_id
"""
_OF_FORECASTS = "SELECT t.* FROM {table} t WHERE forecast_id IN (SELECT unnest($ids::VARCHAR[])) ORDER BY {order}"
_CALLS = """
    SELECT c.forecast_id, c.ask, c.turn, c.draw_id, d.request, d.reply, d.request_id, d.market_id, d.replicate, d.k,
        c.stop_reason
    FROM calls c LEFT JOIN draws d USING (draw_id) WHERE c.forecast_id IN (SELECT unnest($ids::VARCHAR[]))
    ORDER BY c.forecast_id, c.ask, c.turn, c.rowid
"""


class NotAgain(Exception):
    """Why a forecast cannot be made again here; no fault of the ledger."""


@dataclass(slots=True)
class _Stored:
    """A model that answers with what is stored, call for call, and notes where it is asked something else."""

    identity: Mapping[str, Any]
    calls: Mapping[tuple[int, int], Sequence[Mapping[str, Any]]]
    """(ask, turn) -> its stored replies; all but the last one could not be used."""
    failures: Mapping[int, str]
    """Ask -> why it had no answer."""
    retryable: bool
    label: str
    asked: set[tuple[int, int]] = field(default_factory=set)
    apart: list[str] = field(default_factory=list)

    async def complete(self, request: Request, slot: Slot) -> Reply:
        place = slot.ask, slot.turn
        where = f"ask {slot.ask}, turn {slot.turn}"
        self.asked.add(place)
        stored = self.calls.get(place)
        if stored is None:
            raise ModelError(self.failures.get(slot.ask, "no reply is stored"), retryable=self.retryable)
        for row in stored:
            if row["request"] is None:
                self.apart.append(f"{where}: its draw {row['draw_id'][:12]} is not stored")
                raise ModelError("no reply is stored", retryable=False)
            if row["request"].encode() not in as_sent(request):
                self.apart.append(f"{where}: {difference(row['request'], request.encoded)}")
                break
        replies = [decode_reply(row["reply"]).drawn(row["draw_id"], paid=False) for row in stored]
        usable = next(
            draw_ids(
                {**stored[-1], "configuration": self.label, "ask": slot.ask, "turn": slot.turn}, {"model": self.identity}
            )
        )
        if stored[-1]["draw_id"] != usable and len(stored) > 1:
            raise ModelError(self.failures.get(slot.ask, ""), retryable=self.retryable, discarded=tuple(replies))
        *discarded, reply = replies
        return Reply(**{**{name: getattr(reply, name) for name in Reply.__slots__}, "discarded": tuple(discarded)})


@dataclass(frozen=True, slots=True)
class _Nobody:
    """What a cell asks of its run, where there is none."""

    run_id: str
    simulated: bool
    created_at: datetime
    batch: bool = False

    def clock(self) -> datetime:
        return self.created_at


class Replay:
    """Makes stored forecasts again. `registry`: the configurations that there are here, a study's own plugins among them."""

    def __init__(self, reader: Reader, registry: Registry, repairs: Repairs) -> None:
        self._reader, self._registry = reader, registry
        self._games = StoredGames(reader, repairs)
        self._made: dict[bytes, Configuration | str] = {}
        self._settings: dict[bytes, Settings | str] = {}

    async def look(self, study_id: str | None, batch: int = 200, among: Sequence[str] | None = None) -> Part:
        """Every forecast of a study, or of the ledger, `batch` at a time; of those `among` them if given."""
        part = Part(
            name="replay", rule="made again from its stored replies, a forecast or game sends the same bytes and is the same"
        )
        start = 0
        given = {"study": study_id, "among": None if among is None else list(among)}
        while (found := self._reader.query(f"{_CELLS} LIMIT {batch} OFFSET {start}", given)).height:
            rows = found.to_dicts()
            start += batch
            stored = _Rows(self._reader, [row["forecast_id"] for row in rows])
            views: dict[str, MarketView] = {}
            for row in rows:
                try:
                    wrong = await self._again(row, stored, views)
                except NotAgain as reason:
                    part.not_looked[str(reason)] += 1
                    continue
                part.looked += 1
                if wrong:
                    cell = row["cell"]
                    kind, of = ("game", "instance") if stored.is_game(row["forecast_id"]) else ("forecast", "market")
                    where = f"{cell['configuration']}, {of} {row['market_id']}, replicate {row['replicate'] + 1}"
                    more = f"; and {len(wrong) - 1} more" if len(wrong) > 1 else ""
                    named = f"{kind} {row['forecast_id'][:12]} ({where})"
                    part.add([Fault(where=named, says=f"{wrong[0]}{more}", at=row["created_at"])])
        return part.finished()

    async def _again(self, row: Mapping[str, Any], stored: "_Rows", views: dict[str, MarketView]) -> list[str]:
        """In what the forecast is another one this time, in the order in which it shows. Raises NotAgain."""
        identity = object_of(row["cell"]["identity"])
        if "settings" not in identity:
            raise NotAgain("published or imported: this project made no request for it")
        forecast_id, label = row["forecast_id"], row["cell"]["configuration"]
        model = _Stored(identity["model"], stored.calls(forecast_id), stored.failures(forecast_id), row["retryable"], label)
        if "game" in identity:
            made_of = self._games.made_of(identity)
            if isinstance(made_of, str):
                raise NotAgain(made_of)
            cell = game_cell(made_of, label, row["replicate"], forecast_id, identity)
        else:
            configuration, settings = self._configuration(identity), self._settings_of(identity)
            view, roles = self._view(identity, views), configuration.roles()
            cell = Cell(view, label, configuration, roles, settings, row["replicate"], forecast_id, identity)
        try:
            made = await run_cell(_Nobody(row["run_id"], row["simulated"], row["created_at"]), cell, model)
        except CoordevalError as error:
            return [*model.apart, f"it cannot be made: {error}"]
        if model.apart:
            return model.apart
        if row["status"] == "failed" and row["retryable"]:  # it ended where something from outside ended it
            return []
        never = sorted(stored.calls(forecast_id).keys() - model.asked)
        return [
            *(f"ask {ask}, turn {turn}: is stored, and was not asked again" for ask, turn in never),
            *stored.apart(row, made),
        ]

    def _view(self, identity: Mapping[str, Any], views: dict[str, MarketView]) -> MarketView:
        name = identity["market"]["view"]
        if name not in views:
            rows = self._reader.query("SELECT * FROM views WHERE view_id = ?", [name]).to_dicts()
            if not rows:
                raise NotAgain("the view is not stored")
            try:
                age = identity["market"].get("max_price_age_seconds")
                views[name] = view_of(rows[0], documents_of(self._reader, rows[0]["market_id"]), age)
            except (CoordevalError, KeyError, TypeError, ValueError) as error:
                raise NotAgain("the view cannot be built again (see views)") from error
        return views[name]

    def _configuration(self, identity: Mapping[str, Any]) -> Configuration:
        told = identity["configuration"]
        key = canonical(told)
        if key not in self._made:
            self._made[key] = self._configuration_of(told)
        if isinstance(made := self._made[key], str):
            raise NotAgain(made)
        return made

    def _configuration_of(self, told: Mapping[str, Any]) -> Configuration | str:
        name = str(told["name"])
        try:
            made = self._registry.create(name, told["parameters"])
        except CoordevalError:
            return f"configuration {name} is not here: give the study file, whose plugins are then loaded"
        own = orjson.loads(canonical(dict(made.identity())))
        if apart := [part for part in own if own[part] != told.get(part)]:
            return f"configuration {name} has changed since ({', '.join(apart)}): verify it with the version that made it"
        return made

    def _settings_of(self, identity: Mapping[str, Any]) -> Settings:
        key = canonical(identity["settings"])
        if key not in self._settings:
            self._settings[key] = settings_from(identity["settings"])
        if isinstance(made := self._settings[key], str):
            raise NotAgain(made)
        return made


class _Rows:
    """What is stored of some forecasts, to be held against what is made."""

    def __init__(self, reader: Reader, ids: Sequence[str]) -> None:
        given = {"ids": list(ids)}
        self._calls: dict[str, dict[tuple[int, int], list[dict[str, Any]]]] = {}
        for row in reader.query(_CALLS, given).iter_rows(named=True):
            own = self._calls.setdefault(row["forecast_id"], {})
            own.setdefault((row["ask"], row["turn"]), []).append(row)
        self._estimates = _grouped(reader, "estimates", "forecast_id, ask", given)
        self._tools = _grouped(reader, "tool_calls", "forecast_id, ask, turn, position", given)
        self._messages = _grouped(reader, "messages", "ALL", given)
        self._games = {table: _grouped(reader, table, "ALL", given) for table in _OF_GAMES}

    def calls(self, forecast_id: str) -> Mapping[tuple[int, int], Sequence[Mapping[str, Any]]]:
        return self._calls.get(forecast_id, {})

    def is_game(self, forecast_id: str) -> bool:
        return forecast_id in self._games["games"]

    def failures(self, forecast_id: str) -> dict[int, str]:
        rows = self._estimates.get(forecast_id, [])
        return {row["ask"]: row["rationale"] for row in rows if row["kind"] == "failed"}

    def apart(self, row: Mapping[str, Any], made: CellRows) -> Iterator[str]:
        """In what the rows that were made differ from those that are stored."""
        names = ("status", "probability", "call_graph", "input_tokens", "output_tokens", "model_calls", "tool_calls")
        for name in names:
            if row[name] != made.forecast[name]:
                yield f"{name} is {made.forecast[name]!r} this time, and {row[name]!r} is stored"
        pairs = (("estimates", self._estimates, made.estimates), ("tool_calls", self._tools, made.tool_calls))
        of_games = ((table, self._games[table], getattr(made, table)) for table in _OF_GAMES)
        for name, mine, theirs in (*pairs, ("messages", self._messages, made.messages), *of_games):
            own, new = mine.get(row["forecast_id"], []), [dict(one) for one in theirs]
            order = sorted(new, key=lambda one: [str(one.get(key)) for key in ("forecast_id", *_ORDER)])
            held = sorted(own, key=lambda one: [str(one.get(key)) for key in ("forecast_id", *_ORDER)])
            if len(order) != len(held):
                yield f"{len(order)} {name} this time, and {len(held)} are stored"
                continue
            for new_one, old in zip(order, held, strict=True):
                if parts := [key for key in new_one if new_one[key] != old[key]]:
                    if name in _OF_GAMES:
                        which = f" of round {old['round'] + 1}" if "round" in old else ""
                        yield f"{name}{which}: {', '.join(parts)} differ"
                        break
                    yield f"{name} of ask {old.get('ask', old.get('to_ask'))}: {', '.join(parts)} differ"
                    break


_OF_GAMES = ("games", "game_rounds", "moves", "mishaps")
_ORDER = ("ask", "from_ask", "to_ask", "turn", "position", "statistic", "round", "player", "name")


def _grouped(reader: Reader, table: str, order: str, given: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in reader.query(_OF_FORECASTS.format(table=table, order=order), given).iter_rows(named=True):
        rows.setdefault(row["forecast_id"], []).append(row)
    return rows


def difference(stored: str, sent: bytes) -> str:
    """The first place at which two requests differ, by its path in the JSON, with both values cut short."""
    try:
        was, now = orjson.loads(stored), orjson.loads(sent)
    except orjson.JSONDecodeError:
        return "what is stored is no JSON"
    path = ""
    while type(was) is type(now):
        if isinstance(was, dict):
            key = next((key for key in sorted(was.keys() | now.keys()) if was.get(key) != now.get(key)), None)
            if key is None:
                return "the same JSON in other bytes"
            path, was, now = f"{path}.{key}", was.get(key), now.get(key)
        elif isinstance(was, list) and len(was) == len(now):
            place = next((i for i, (a, b) in enumerate(zip(was, now, strict=True)) if a != b), None)
            if place is None:
                return "the same JSON in other bytes"
            path, was, now = f"{path}.{place}", was[place], now[place]
        else:
            break
    if isinstance(was, str) and isinstance(now, str):
        at = next((i for i, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), min(len(was), len(now)))
        was, now = f"…{was[max(at - 15, 0) : at + 25]}…", f"…{now[max(at - 15, 0) : at + 25]}…"
    return f"the request differs in {path[1:] or 'all of it'}: {was!r:.80} is stored, {now!r:.80} is sent"
