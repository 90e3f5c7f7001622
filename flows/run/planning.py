"""The first two steps of a run: pull what is known about the markets, and plan the cells that are still to be made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from coordeval.agents.cell import Settings
from coordeval.agents.messages import content_hash
from coordeval.configurations import Configuration
from coordeval.flows.study.arms import Arm
from coordeval.flows.study.as_of import moment, plain
from coordeval.flows.study.evaluation import Cell, Evaluation, Plan
from coordeval.flows.study.identity import asked_again
from coordeval.flows.study.reading import StudyError
from coordeval.flows.study.schemes import FORECAST
from coordeval.flows.study.sections import EvidenceSection
from coordeval.flows.study.study import LoadedStudy
from coordeval.flows.study.wiring import build_source
from coordeval.ledger import Reader, row_of
from coordeval.ledger.information import known_markets, picked_times, resolution_times, stored_markets
from coordeval.market_data.errors import DataError
from coordeval.market_data.gate import MarketView
from coordeval.market_data.types import Market

CHUNKS = 10
"""Most chunks in a run. Each is a Prefect task, which costs far more than a cell costs us."""


def pull(evaluation: Evaluation) -> list[str]:
    """Bring the study's markets, prices, documents and outcomes into the ledger, all or nothing; returns the market ids.

    A sample's markets were pulled before: they only have to be there. Raises StudyError for a prospective study.
    """
    evaluation.loaded.study.check_backtest()
    if evaluation.loaded.sample:
        return _sampled(evaluation)
    source = build_source(evaluation.loaded, evaluation.data)
    markets = source.markets()[: getattr(evaluation.loaded.study.markets, "limit", None)]
    ids = [market.id for market in markets]
    own = frozenset(ids)
    evaluation.ledger.write_all(
        {
            "markets": [row_of(market) for market in markets],
            "prices": [row_of(point) for point in source.prices() if point.market_id in own],
            "documents": [row_of(document) for document in source.documents() if document.market_id in own],
            "outcomes": [row_of(outcome) for outcome in source.outcomes() if outcome.market_id in own],
        }
    )
    return ids


def _sampled(evaluation: Evaluation) -> list[str]:
    ids = [str(market_id) for market_id in evaluation.loaded.sample["market_ids"]]
    there = {market.id for market in known_markets(evaluation.reader, ids)}
    if missing := [market_id for market_id in ids if market_id not in there]:
        raise DataError(
            f"the sample names {len(missing)} markets that {evaluation.path} does not hold, the first is {missing[0]}; "
            "pull them with `coordeval markets pull`, or draw a sample from this ledger"
        )
    return ids


def as_of_times(loaded: LoadedStudy, reader: Reader, market_ids: Sequence[str]) -> dict[str, datetime]:
    """The moment that each market's forecasts are made for: by the study's rule, or when it was picked while it was open."""
    if loaded.study.prospective:
        return picked_times(reader, loaded.id, market_ids)
    resolved = resolution_times(reader, market_ids)
    markets = known_markets(reader, market_ids)
    return {market.id: _as_of(loaded, market, resolved.get(market.id)) for market in markets}


def plan(evaluation: Evaluation, market_ids: Sequence[str]) -> Plan:
    """Every cell of the study, and which of them have no final forecast yet. Stores the study, the run and the cells.

    Raises DataError for a market without an outcome or an as-of time that is not before resolution; a prospective study has
    no outcomes yet. It reads that there is an outcome and when, never which.
    """
    for configuration in evaluation.loaded.configurations.values():
        if why := configuration.refuses(market_ids):
            raise StudyError(f"configuration {configuration.name}: {why}")
    _, cells = cells_of_study(evaluation, market_ids)
    chunks = chunked(evaluation, cells)
    note = asked_again(evaluation.reader, evaluation.loaded, [cell for chunk in chunks for cell in chunk])
    evaluation.ledger.write_all(
        {
            "studies": [study_row(evaluation)],
            "runs": [evaluation.run_row("running")],
            "views": [view_row(view) for view in {cell.view.fingerprint: cell.view for cell in cells}.values()],
            "cells": [cell_row(evaluation.loaded.id, cell) for cell in cells],
        }
    )
    return Plan(cells, chunks, () if note is None else (note,))


def cells_of_study(evaluation: Evaluation, market_ids: Sequence[str]) -> tuple[list[MarketView], list[Cell]]:
    """Every market as it can be seen in the first arm, and every cell of the study, with nothing stored.

    Raises as `plan` does.
    """
    sections = dict.fromkeys(arm.study.evidence for arm in evaluation.loaded.arms)
    with evaluation.reader.moment() as reader:  # one opening for all that is read, and all of it of one state
        stored = stored_markets(reader, market_ids)
        times = as_of_times(evaluation.loaded, reader, market_ids)
        foreign = {section: _foreign_evidence(section, reader, times) for section in sections}
        resolved = resolution_times(reader, market_ids)
    hours = evaluation.loaded.max_price_age_hours
    limit = None if hours is None else timedelta(hours=hours)
    undated = evaluation.loaded.undated_text
    views: dict[EvidenceSection, list[MarketView]] = {section: [] for section in sections}
    for s in stored:
        seen: dict[tuple[str, ...], MarketView] = {}  # arms that find the same documents have one view
        for section in sections:
            own = [document for document in s.documents if document.id not in foreign[section]]
            ids = tuple(document.id for document in own)
            if ids not in seen:
                at = times[s.market.id]
                seen[ids] = MarketView(s.market, at, s.prices, own, max_price_age=limit, undated_text=undated)
            views[section].append(seen[ids])
    first = views[evaluation.loaded.study.evidence]
    if not evaluation.loaded.study.prospective:
        _check_resolutions(resolved, first)
    evaluation.made_up = any(s.market.simulated for s in stored)
    return first, _cells(evaluation, views)


def _foreign_evidence(section: EvidenceSection, reader: Reader, times: Mapping[str, datetime]) -> set[str]:
    """Documents that only other searches found: what an arm of a study shows is what its own section asks for."""
    own: set[str] = set()
    others: set[str] = set()
    searches = reader.query(
        "SELECT market_id, as_of, provider, query, documents FROM evidence_searches "
        "SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS market_id) USING (market_id)",
        [list(times)],
    )
    for market_id, as_of, provider, query, documents in searches.iter_rows():
        asked = orjson.loads(query)
        same = (asked["limit"], asked["base_url"]) == (section.limit, section.base_url)
        mine = provider in section.providers and as_of == times[market_id] and same
        (own if mine else others).update(orjson.loads(documents))
    return others - own


@dataclass(frozen=True, slots=True)
class Planned:
    """A configuration in an arm of a study, with what its cells' identities hold of the two."""

    arm: Arm
    label: str
    configuration: Configuration
    settings: Settings
    roles: Mapping[str, str]
    declared: Mapping[str, Any]
    fixed: Mapping[str, Any]


def planned(loaded: LoadedStudy) -> list[Planned]:
    """The configurations of each arm in the study's order, the probe last."""
    found, described = [], dict[int, tuple[Mapping[str, str], Mapping[str, Any]]]()
    for arm in loaded.arms:
        settings = arm.study.settings()
        fixed = settings.identity()
        for label, one in arm.configurations.items():
            if id(one) not in described:
                described[id(one)] = one.roles(), dict(one.identity())
            found.append(Planned(arm, label, one, settings, *described[id(one)], fixed))
    return found


def cell_of(evaluation: Evaluation, one: Planned, view: MarketView, replicate: int) -> Cell:
    """The cell with its identity: the hash of all that could change its forecast."""
    loaded = evaluation.loaded
    market: dict[str, Any] = {"id": view.market.id, "as_of": view.as_of.isoformat(), "view": view.fingerprint}
    if view.max_price_age is not None:  # a certificate makes the view again, and needs it for that
        market["max_price_age_seconds"] = view.max_price_age.total_seconds()
    identity = {
        "model": {
            **evaluation.model_of(one.arm.model).identity,
            "draws": "by_configuration" if loaded.recorded else "common",
        },
        "settings": one.fixed,
        "market": market,
        "configuration": one.declared,
        "replicate": replicate,
    }
    if loaded.recorded:  # what was recorded for one label is not what was recorded for another
        identity["label"] = one.label
    forecast_id = content_hash(FORECAST, identity)
    own = (view, one.label, one.configuration, one.roles, one.settings, replicate, forecast_id, identity)
    return Cell(*own, arm=one.arm.name, model=one.arm.model)


def _cells(evaluation: Evaluation, views: Mapping[EvidenceSection, Sequence[MarketView]]) -> list[Cell]:
    """All cells, those of a market together."""
    replicates = range(evaluation.loaded.study.replicates)
    every = planned(evaluation.loaded)
    cells = [
        cell_of(evaluation, one, views[one.arm.study.evidence][number], replicate)
        for number in range(len(views[evaluation.loaded.study.evidence]))
        for one in every
        for replicate in replicates
    ]
    return _as_stored(evaluation, cells)


def _as_stored(evaluation: Evaluation, cells: list[Cell]) -> list[Cell]:
    """Cells whose forecast is stored under another name of the same model (its address, say) go on under that identity."""
    names = {arm.model for arm in evaluation.loaded.arms}
    former = {name: getattr(evaluation.model_of(name), "former_identities", ()) for name in names}
    if not any(former.values()):
        return cells
    known = evaluation.ledger.known_forecasts([cell.forecast_id for cell in cells])
    others: dict[str, tuple[int, dict[str, Any]]] = {}
    for number, cell in enumerate(cells):
        if cell.forecast_id in known:
            continue
        for model in former[cell.model]:
            identity = {**cell.identity, "model": {**model, "draws": cell.identity["model"]["draws"]}}
            others[content_hash(FORECAST, identity)] = (number, identity)
    for forecast_id in evaluation.ledger.known_forecasts(list(others)):
        number, identity = others[forecast_id]
        cells[number] = replace(cells[number], forecast_id=forecast_id, identity=identity)
    return cells


def chunked(evaluation: Evaluation, cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells without a forecast and those whose failure may pass, grouped by what their agents are shown first: markets with
    the same facts share draws, so they are one group."""
    known = evaluation.ledger.known_forecasts([cell.forecast_id for cell in cells])
    waiting: dict[str, list[Cell]] = {}
    for cell in cells:
        status, retryable = known.get(cell.forecast_id, ("failed", True))
        if status == "failed" and retryable:
            waiting.setdefault(cell.view.opening, []).append(cell)
    groups = list(waiting.values())
    size = max(1, -(-len(groups) // CHUNKS))
    return [[cell for group in groups[i : i + size] for cell in group] for i in range(0, len(groups), size)]


def _as_of(loaded: LoadedStudy, market: Market, resolved_at: datetime | None) -> datetime:
    rule = loaded.as_of
    at, lacking = moment(
        rule,
        opened_at=market.opened_at,
        scheduled_close=market.scheduled_close,
        resolved_at=resolved_at,
        reference_time=market.reference_time,
    )
    if at is None:
        raise DataError(
            f"market {market.id}: as_of = {plain(rule)!r} needs its {lacking}, which {market.source!r} does not give: "
            "leave the market out, or use another rule for as_of, such as a date or hours_before_close"
        )
    return at


def _check_resolutions(resolved: Mapping[str, datetime | None], views: Sequence[MarketView]) -> None:
    for view in views:
        if view.market.id not in resolved:
            raise DataError(
                f"market {view.market.id} ({view.market.question!r}) has no outcome, so its forecasts could not be scored; "
                "leave it out of the study, or pull it again once it is resolved"
            )
        resolved_at = resolved[view.market.id]
        if resolved_at is not None and view.as_of >= resolved_at:
            raise DataError(
                f"market {view.market.id} ({view.market.question!r}): the as-of time {view.as_of.isoformat()} is not before "
                f"its resolution ({resolved_at.isoformat()}), so the answer could be looked up; choose an earlier as_of"
            )


def study_row(evaluation: Evaluation) -> dict[str, Any]:
    """The row of `studies`."""
    loaded = evaluation.loaded
    elements = {label: c.elements.as_dict() for label, c in loaded.configurations.items()}
    return {
        "study_id": loaded.id,
        "name": loaded.study.name,
        "content": orjson.dumps(loaded.content, option=orjson.OPT_SORT_KEYS).decode(),
        "source": loaded.study.markets.source,
        "model": loaded.model_names,
        "simulated": evaluation.simulated,
        "hindsight": loaded.hindsight,
        "elements": orjson.dumps(elements).decode(),
        "created_at": evaluation.clock(),
        "locked_at": None,
    }


def view_row(view: MarketView) -> dict[str, Any]:
    """Everything that could be seen, and what the gate held back, under the hash that forecasts name."""
    prices = [[point.knowable_at, point.price, point.kind] for point in view.prices]
    return {
        "view_id": view.fingerprint,
        "market_id": view.market.id,
        "as_of": view.as_of,
        "facts": orjson.dumps(view.market.known_at_opening()).decode(),
        "prices": orjson.dumps(prices).decode(),
        "documents": orjson.dumps([document.id for document in view.documents]).decode(),
        "refusals": orjson.dumps([[r.kind, r.item, r.reason] for r in view.refusals]).decode(),
    }


def cell_row(study_id: str, cell: Cell) -> dict[str, Any]:
    price = cell.view.price
    return {
        "study_id": study_id,
        "market_id": cell.view.market.id,
        "arm": cell.arm,
        "configuration": cell.label,
        "replicate": cell.replicate,
        "as_of": cell.view.as_of,
        "market_price": None if price is None else price.price,
        "price_kind": None if price is None else price.kind,
        "price_at": None if price is None else price.knowable_at,
        "forecast_id": cell.forecast_id,
        "identity": orjson.dumps(cell.identity, option=orjson.OPT_SORT_KEYS).decode(),
    }
