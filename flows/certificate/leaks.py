"""The leak probes of a study, from the ledger: what the data themselves could have told about the answer."""

from dataclasses import dataclass, replace

import polars as pl

from coordeval.analysis import (
    Probe,
    SiblingReveals,
    Told,
    TrainingCutoff,
    cutoff_of,
    early_closing,
    memorisation,
    price_copying,
    sibling_reveals,
    told,
    training_cutoff,
)
from coordeval.analysis.base.arms import content_in
from coordeval.flows.certificate.prompts import found_in_prompts
from coordeval.flows.study.in_arms import arms_of, in_arm, one_of
from coordeval.flows.study.names import PROBE
from coordeval.ledger import Reader

_PAIRS = 20
_TOLD = ("Resolutions in prompts", "Later dates in prompts", "Texts of unknown age")
_ANSWERS = ("NO", "YES")
_EXCLUSIVE = "coalesce(json_extract_string(v.facts, '$.neg_risk_id'), '') <> '' AS exclusive"
"""Of a negative-risk group one market ends YES at most."""
_MARKETS = f"""
    SELECT DISTINCT m.market_id, m.event_id, m.question, m.scheduled_close, v.closed_at, o.resolved_at, c.as_of,
        CAST(o.value AS TINYINT) AS outcome, {_EXCLUSIVE}
    FROM cells c JOIN markets m USING (market_id) JOIN current_outcomes o USING (market_id)
        LEFT JOIN venue_facts v USING (market_id)
    WHERE c.study_id = ? AND o.status = 'resolved' ORDER BY m.market_id
"""
_SIBLINGS = f"""
    SELECT m.market_id, m.event_id, m.question, o.resolved_at, CAST(o.value AS TINYINT) AS outcome, {_EXCLUSIVE}
    FROM markets m JOIN current_outcomes o USING (market_id) LEFT JOIN venue_facts v USING (market_id)
    WHERE o.status = 'resolved' AND m.event_id IN (
        SELECT event_id FROM markets JOIN cells USING (market_id) WHERE study_id = ?) ORDER BY m.market_id
"""
"""A sample takes one market of an event; the others of the ledger may have told how it would end."""


@dataclass(frozen=True, slots=True)
class Leak:
    """What a probe says, and the arms of which it says so."""

    title: str
    probe: Probe
    arms: tuple[str, ...]


def leaks_by_arm(reader: Reader, study: str, arm: str | None = None, *, resamples: int = 2000) -> list[Leak]:
    """The probes of every arm, or of one; what several arms say alike stands once."""
    names = arms_of(reader, study, arm)
    rows: list[Leak] = []
    for name in names:
        for title, probe in leaks(reader, study, arm=name, resamples=resamples):
            says = (title, probe.says, details(probe))
            place = next((i for i, row in enumerate(rows) if (row.title, row.probe.says, details(row.probe)) == says), None)
            if place is None:
                rows.append(Leak(title, probe, (name,)))
            else:
                rows[place] = replace(rows[place], arms=(*rows[place].arms, name))
    order = list(dict.fromkeys(row.title for row in rows))
    rows.sort(key=lambda row: order.index(row.title))
    return rows


def leaks(reader: Reader, study: str, *, arm: str | None = None, resamples: int = 2000) -> list[tuple[str, Probe]]:
    """(title, probe) for each: early closing, sibling questions, copies of the price, training cutoff, memorisation.

    Of one arm: the one that is named or `reader` is of, else the first.
    """
    arm = one_of(reader, study, arm).arm
    with in_arm(reader, study, arm) as held:
        stored = held.study(study)
        markets = held.query(_MARKETS, [stored.study_id])
        siblings = held.query(_SIBLINGS, [stored.study_id])
        forecasts = held.forecast_frame(stored.study_id)
        prompts = found_in_prompts(held, stored.study_id)
    times = markets.select("market_id", "resolved_at")
    dated = forecasts.join(times, on="market_id")
    probe = dated.filter(pl.col("configuration") == PROBE)
    real = dated.filter(
        (pl.col("configuration") != PROBE) & (pl.col("model_calls").fill_null(1) > 0)
    )  # the price is no copy of itself
    own = content_in(stored.content, arm).get("model") or {}
    cutoff = cutoff_of(str(own.get("id") or stored.model)).cutoff  # another model's arm has a cutoff of its own
    found: list[tuple[str, Probe]] = [
        ("Early closing", early_closing(markets, resamples=resamples)),
        ("Sibling questions", sibling_reveals(markets, siblings, resamples=resamples)),
        ("Copies of the price", price_copying(real, resamples=resamples)),
        ("Training cutoff", training_cutoff(real, cutoff, resamples=resamples)),
    ]
    found += zip(_TOLD, told(*prompts, resamples=resamples), strict=True)
    if not probe.is_empty():
        found.append(("Memorisation", memorisation(probe, markets, cutoff=cutoff, resamples=resamples)))
    return found


def details(probe: Probe) -> list[str]:
    """What stands below a probe's finding: its other splits, the pairs of siblings, and what it does not cover."""
    lines = []
    if isinstance(probe, TrainingCutoff) and probe.cutoff is not None:
        lines += [probe.by_as_of.says, probe.against_price.says]
    if isinstance(probe, SiblingReveals):
        shown = probe.pairs.head(_PAIRS)
        lines += [
            f"{market}, by {sibling}: {why}{'' if implies is None else f', so the answer is {_ANSWERS[implies]}'}"
            for market, sibling, why, implies in shown.select("market_id", "sibling_id", "why", "implies").iter_rows()
        ]
        if probe.pairs.height > _PAIRS:
            lines.append(f"and {probe.pairs.height - _PAIRS} more such pairs")
    if isinstance(probe, Told):
        rows = probe.rows.head(_PAIRS).select("market_id", "where", "text").iter_rows()
        lines += [f"{market}, {where}: {text}" for market, where, text in rows]
        if probe.rows.height > _PAIRS:
            lines.append(f"and {probe.rows.height - _PAIRS} more")
    return lines + [f"not covered, {reason}: {count}" for reason, count in probe.left_out.items()]
