"""Calls to judge by: what each configuration of a study asks for on some markets, one row per call.

From the ledger where the same model was asked by the same configurations before, else from the simulated forecaster, which
reads the study's own prompts. Whose calls they are is said with every number that rests on them.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson
import polars as pl

from coordeval.agents.providers.base import ModelSettings
from coordeval.agents.providers.simulated import SimulatedModelSection
from coordeval.agents.server_tools import SERVER_TOOLS
from coordeval.flows.costs.rehearsal import Rehearsed
from coordeval.flows.costs.searches import searches_of
from coordeval.flows.run.planning import Planned, cell_of, cell_row, planned, study_row, view_row
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import Evaluation
from coordeval.flows.study.sections import BudgetSection
from coordeval.flows.study.study import LoadedStudy
from coordeval.flows.study.wiring import build_model
from coordeval.ledger import Ledger, Reader, read

MARKETS: Final = 20
"""Markets that the simulator is asked about: more tell little, and a quote should take a second."""
ENOUGH: Final = 3
"""Stored markets from which on their calls are preferred to the simulator's."""
MOST: Final = 300
"""Stored markets of a study that are read."""

COUNTED: Final = 12
"""Requests that a server is asked to count the tokens of."""

Kind = Literal["stored", "simulated"]
_CALLS = """
    WITH picked AS (SELECT DISTINCT market_id FROM cells WHERE study_id = $study ORDER BY hash(market_id) LIMIT $most)
    SELECT c.market_id, c.replicate, c.arm, c.configuration, k.forecast_id, k.ask, k.turn, k.role, k.round, k.draw_id,
        k.input_tokens, k.output_tokens, k.cache_read_tokens, k.cache_write_tokens, k.seconds, k.attributed_micro_usd,
        {searches} AS searches
    FROM (FROM cells WHERE study_id = $study) c SEMI JOIN picked USING (market_id) JOIN calls k USING (forecast_id)
    ORDER BY ALL
"""
_REQUESTS = """
    SELECT d.request, any_value(k.input_tokens + k.cache_read_tokens + k.cache_write_tokens)
    FROM draws d JOIN calls k USING (draw_id) GROUP BY d.request ORDER BY hash(d.request) LIMIT ?
"""
_CELLS = """
    SELECT arm, configuration, any_value(identity) AS identity, count(DISTINCT market_id) AS markets
    FROM cells JOIN (SELECT forecast_id FROM forecasts WHERE model_calls > 0) USING (forecast_id)
    WHERE study_id = ? GROUP BY arm, configuration
"""
_STUDIES = """
    SELECT study_id, name FROM studies WHERE model = ? AND locked_at IS NOT NULL ORDER BY study_id = ? DESC, locked_at DESC
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Calls of every asking configuration on `markets` markets, with tokens, seconds and the draw of each."""

    calls: pl.DataFrame
    markets: int
    kind: Kind
    source: str
    """Whose they are, in words."""
    requests: tuple[tuple[str, int], ...] = ()
    """(a request as JSON, its tokens as they are counted in `calls`): some, to be counted by a server."""


def sample_of(rehearsal: Rehearsed) -> Sample:
    """Stored calls of this study or an earlier one, else the simulator's on the study's own markets."""
    stored = None if rehearsal.stored is None else _stored(rehearsal.stored, rehearsal.evaluation.loaded)
    return stored or asyncio.run(_simulated(rehearsal))


def _stored(reader: Reader, loaded: LoadedStudy) -> Sample | None:
    wanted = {(one.arm.name, one.label): one for one in planned(loaded) if one.configuration.elements.endpoints}
    for study_id, name in reader.query(_STUDIES, [loaded.model_names, loaded.id]).iter_rows():
        rows = {(row["arm"], row["configuration"]): row for row in reader.query(_CELLS, [study_id]).to_dicts()}
        alike = {which: row["markets"] for which, row in rows.items() if _alike(wanted.get(which), row)}
        if alike.keys() >= wanted.keys() and min(alike.values(), default=0) >= ENOUGH:
            query = _CALLS.format(searches=searches_of(loaded.study.agents.tools))
            own = pl.DataFrame(list(wanted), schema=["arm", "configuration"], orient="row")
            calls = reader.query(query, {"study": study_id, "most": MOST})
            calls = calls.join(own, on=["arm", "configuration"], how="semi", maintain_order="left")
            markets = calls["market_id"].n_unique()
            which = "this study" if study_id == loaded.id else f"the study {name} ({study_id[:8]})"
            return Sample(calls=calls, markets=markets, kind="stored", source=f"calls of {which} on {markets} markets")
    return None


def _alike(one: Planned | None, row: Mapping[str, Any]) -> bool:
    """Whether a stored cell was asked as this one would be: the same configuration, tools, turns and caps."""
    if one is None:
        return False
    identity = orjson.loads(row["identity"])
    now = orjson.loads(orjson.dumps([dict(one.declared), dict(one.fixed)]))
    return bool([identity["configuration"], identity["settings"]] == now)


async def _simulated(rehearsal: Rehearsed) -> Sample:
    loaded, own = rehearsal.evaluation.loaded, rehearsal.evaluation
    tools = _without_server(loaded.study.agents.tools)
    study = loaded.study.model_copy(
        update={
            "model": _simulated_like(loaded.study.model),
            "models": {name: _simulated_like(section) for name, section in loaded.study.models.items()},
            "arms": tuple(
                arm.model_copy(update={"sampling": None, "tools": None if arm.tools is None else _without_server(arm.tools)})
                for arm in loaded.study.arms
            ),
            "agents": loaded.study.agents.model_copy(update={"tools": tools}),
            "budget_usd": None,
            "budget": BudgetSection(),
            "replicates": min(2, loaded.study.replicates),
            "predictions": (),
        }
    )
    views = _spread(rehearsal.views)
    simulated = LoadedStudy(study, loaded.directory)
    path = own.path.with_name("simulated.duckdb")
    with Ledger.open(path, purpose="a rehearsal") as ledger:
        evaluation = Evaluation.start(simulated, path, ledger, build_model(simulated, own.data, ledger, own.flight))
        asking = [one for one in planned(simulated) if one.configuration.elements.endpoints]
        cells = [
            cell_of(evaluation, one, view, replicate)
            for view in views
            for one in asking
            for replicate in range(study.replicates)
        ]
        ledger.write_all(
            {
                "studies": [study_row(evaluation)],
                "views": [view_row(view) for view in views],
                "cells": [cell_row(simulated.id, cell) for cell in cells],
            }
        )
        if cells:
            await run_chunks(evaluation, [cells])
    calls, requests = calls_of(read(path), simulated.id, tools)
    what = f"the embedded simulator on {len(views)} of the study's markets"
    return Sample(calls=calls, markets=len(views), kind="simulated", source=what, requests=requests)


def calls_of(reader: Reader, study_id: str, tools: Sequence[str] = ()) -> tuple[pl.DataFrame, tuple[tuple[str, int], ...]]:
    """(the calls of a simulated study, some of its requests with their tokens)."""
    calls = reader.query(_CALLS.format(searches=searches_of(tools)), {"study": study_id, "most": MOST})
    return calls, tuple(reader.query(_REQUESTS, [COUNTED]).rows())


def _without_server(tools: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(tool for tool in tools if tool not in SERVER_TOOLS)


def _simulated_like(section: ModelSettings) -> SimulatedModelSection:
    """The simulator in the place of a model, with its output cap."""
    if isinstance(section, SimulatedModelSection):
        return section
    return SimulatedModelSection(provider="simulated", max_tokens=section.max_tokens)


def _spread(views: Sequence[Any]) -> list[Any]:
    """At most MARKETS of them, evenly over the whole list."""
    if len(views) <= MARKETS:
        return list(views)
    return [views[i * len(views) // MARKETS] for i in range(MARKETS)]
