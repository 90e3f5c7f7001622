"""The first two steps of a run: pull what is known about the markets, and plan the cells that are still to be made."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from agents.messages import content_hash
from flows.as_of import moment, plain
from flows.evaluation import Cell, Evaluation, Plan
from flows.study import PROBE, LoadedStudy
from flows.wiring import build_source
from ledger import Reader, row_of
from ledger.information import known_markets, resolution_times, stored_markets
from market_data.errors import DataError
from market_data.gate import MarketView
from market_data.types import Market

CHUNKS = 20
"""Most chunks in a run. Each is a Prefect task, which costs far more than a cell costs us."""

VERSION = "forecast/1"


def pull(evaluation: Evaluation) -> list[str]:
    """Bring the study's markets, prices, documents and outcomes into the ledger, all or nothing; returns the market ids.

    A sample's markets were pulled before: they only have to be there.
    """
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


def as_of_times(evaluation: Evaluation, market_ids: Sequence[str]) -> dict[str, datetime]:
    """The moment that each market's forecasts are made for, by the study's rule."""
    resolved = resolution_times(evaluation.reader, market_ids)
    markets = known_markets(evaluation.reader, market_ids)
    return {market.id: _as_of(evaluation.loaded, market, resolved.get(market.id)) for market in markets}


def plan(evaluation: Evaluation, market_ids: Sequence[str]) -> Plan:
    """Every cell of the study, and which of them have no final forecast yet. Stores the study, the run and the cells.

    Raises DataError for a market without an outcome or an as-of time that is not before resolution. It reads that there is
    an outcome and when, never which.
    """
    stored = stored_markets(evaluation.reader, market_ids)
    times = as_of_times(evaluation, market_ids)
    hours = evaluation.loaded.max_price_age_hours
    limit = None if hours is None else timedelta(hours=hours)
    foreign = _foreign_evidence(evaluation, times)
    views = []
    for s in stored:
        own = [document for document in s.documents if document.id not in foreign]
        views.append(MarketView(s.market, times[s.market.id], s.prices, own, max_price_age=limit))
    _check_resolutions(evaluation.reader, views)
    cells = _cells(evaluation, views)
    evaluation.ledger.write_all(
        {
            "studies": [_study_row(evaluation.loaded)],
            "runs": [evaluation.run_row("running")],
            "views": [view_row(view) for view in views],
            "cells": [_cell_row(evaluation.loaded.id, cell) for cell in cells],
        }
    )
    return Plan(cells, _chunks(evaluation, cells))


def _foreign_evidence(evaluation: Evaluation, times: Mapping[str, datetime]) -> set[str]:
    """Documents that only searches of other studies found: what a study shows is what its own file asks for."""
    section = evaluation.loaded.study.evidence
    own: set[str] = set()
    others: set[str] = set()
    searches = evaluation.reader.query(
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


def _cells(evaluation: Evaluation, views: Sequence[MarketView]) -> list[Cell]:
    loaded = evaluation.loaded
    model = {**evaluation.model.identity, "draws": "by_configuration" if loaded.recorded else "common"}
    arms = [(label, configuration, loaded.study.settings()) for label, configuration in loaded.configurations.items()]
    if loaded.study.agents.memorisation_probe:
        arms.append((PROBE, loaded.registry.create("single_agent", {}), loaded.study.probe_settings()))
    described = [(*arm, arm[1].roles(), dict(arm[1].identity()), arm[2].identity()) for arm in arms]
    cells = []
    for view in views:
        market: dict[str, Any] = {"id": view.market.id, "as_of": view.as_of.isoformat(), "view": view.fingerprint}
        if view.max_price_age is not None:  # a certificate makes the view again, and needs it for that
            market["max_price_age_seconds"] = view.max_price_age.total_seconds()
        for label, configuration, settings, roles, declared, fixed in described:
            for replicate in range(loaded.study.replicates):
                identity = {
                    "model": model,
                    "settings": fixed,
                    "market": market,
                    "configuration": declared,
                    "replicate": replicate,
                }
                if loaded.recorded:  # what was recorded for one label is not what was recorded for another
                    identity["label"] = label
                forecast_id = content_hash(VERSION, identity)
                cells.append(Cell(view, label, configuration, roles, settings, replicate, forecast_id, identity))
    return cells


def _chunks(evaluation: Evaluation, cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells without a forecast and those whose failure may pass, grouped by market."""
    known = evaluation.ledger.known_forecasts([cell.forecast_id for cell in cells])
    waiting: dict[str, list[Cell]] = {}
    for cell in cells:
        status, retryable = known.get(cell.forecast_id, ("failed", True))
        if status == "failed" and retryable:
            waiting.setdefault(cell.view.market.id, []).append(cell)
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


def _check_resolutions(reader: Reader, views: Sequence[MarketView]) -> None:
    resolved = resolution_times(reader, [view.market.id for view in views])
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


def _study_row(loaded: LoadedStudy) -> dict[str, Any]:
    elements = {label: c.elements.as_dict() for label, c in loaded.configurations.items()}
    return {
        "study_id": loaded.id,
        "name": loaded.study.name,
        "content": orjson.dumps(loaded.content, option=orjson.OPT_SORT_KEYS).decode(),
        "source": loaded.study.markets.source,
        "model": loaded.study.model_name,
        "simulated": loaded.study.simulated,
        "hindsight": loaded.hindsight,
        "elements": orjson.dumps(elements).decode(),
        "created_at": datetime.now(UTC),
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


def _cell_row(study_id: str, cell: Cell) -> dict[str, Any]:
    price = cell.view.price
    return {
        "study_id": study_id,
        "market_id": cell.view.market.id,
        "configuration": cell.label,
        "replicate": cell.replicate,
        "as_of": cell.view.as_of,
        "market_price": None if price is None else price.price,
        "price_kind": None if price is None else price.kind,
        "price_at": None if price is None else price.knowable_at,
        "forecast_id": cell.forecast_id,
        "identity": orjson.dumps(cell.identity, option=orjson.OPT_SORT_KEYS).decode(),
    }
