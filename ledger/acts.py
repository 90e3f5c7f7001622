"""What agents of a study committed themselves to, and whether they kept to it."""

from itertools import groupby
from typing import Any

import polars as pl

from coordeval.configurations.acts import BINDING, Act, Acts
from coordeval.ledger.reader import Reader

_ACTS = """
    SELECT c.configuration, c.market_id, c.replicate, a.* FROM acts a
        SEMI JOIN forecasts USING (forecast_id) JOIN cells c USING (forecast_id)
    WHERE c.study_id = ? ORDER BY c.configuration, c.market_id, c.replicate, a.ask, a.position
"""
_ESTIMATES = """
    SELECT forecast_id, agent, ask, probability FROM estimates
    WHERE kind = 'estimate' AND forecast_id IN (SELECT forecast_id FROM acts) ORDER BY ask
"""
_SCHEMA = {
    "configuration": pl.String(),
    "market_id": pl.String(),
    "replicate": pl.Int64(),
    "forecast_id": pl.String(),
    "agent": pl.Int64(),
    "position": pl.String(),
    "proposal": pl.Int64(),
    "probability": pl.Float64(),
    "within": pl.Float64(),
    "estimate": pl.Float64(),
    "kept": pl.Boolean(),
}


def commitments_frame(reader: Reader, study: str) -> pl.DataFrame:
    """A row for each agent and proposal that it stands on in the end, of each forecast of a study (name or id).

    Columns: configuration, market_id, replicate, forecast_id, agent, position (agreed, acknowledged, rejected), proposal
    (its number), probability (of the proposal), within (how far a later estimate may lie from it), estimate (the agent's
    last one after its act; null where it gave none), kept (null unless it agreed and estimated again).
    """
    with reader.moment() as held:
        acts = held.query(_ACTS, [held.study(study).study_id]).to_dicts()
        estimates = held.query(_ESTIMATES).rows()
    later: dict[tuple[str, int], list[tuple[int, float]]] = {}
    for forecast_id, agent, ask, probability in estimates:
        later.setdefault((forecast_id, agent), []).append((ask, probability))
    rows: list[dict[str, Any]] = []
    for (configuration, market_id, replicate, forecast_id), own in groupby(
        acts, key=lambda row: (row["configuration"], row["market_id"], row["replicate"], row["forecast_id"])
    ):
        place = {"configuration": configuration, "market_id": market_id, "replicate": replicate, "forecast_id": forecast_id}
        for act, position in standing([_act(row) for row in own]):
            said = [p for ask, p in later.get((forecast_id, act.agent), []) if ask > act.ask]
            binds = position == "agreed" and said
            assert act.probability is not None
            rows.append(
                {
                    **place,
                    "agent": act.agent,
                    "position": position,
                    "proposal": act.proposal,
                    "probability": act.probability,
                    "within": act.within,
                    "estimate": said[-1] if said else None,
                    "kept": abs(said[-1] - act.probability) <= act.within + 1e-9 if binds else None,
                }
            )
    return pl.DataFrame(rows, schema=_SCHEMA)


def standing(acts: list[Act]) -> list[tuple[Act, str]]:
    """(the act by which an agent stands where it stands in the end, agreed, acknowledged or rejected), by agent."""
    done = Acts()
    done.add(acts)
    found = []
    for act in done.stands:
        on = done.on(act.proposal) if act.proposal is not None else None
        if on is not None and act.agent in (*on.agreed, *on.acknowledged, *on.rejected):
            found.append(
                (act, "agreed" if act.verb in BINDING else "acknowledged" if act.verb == "acknowledge" else "rejected")
            )
    return found


def _act(row: dict[str, Any]) -> Act:
    names = ("agent", "round", "ask", "position", "verb", "proposal", "probability", "within")
    return Act(**{name: row[name] for name in names}, text=row["said"])
