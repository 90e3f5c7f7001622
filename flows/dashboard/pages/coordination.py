"""What talking did: estimates by round, movement, the gain beyond pooling, who moved whom, and who speaks to whom."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from coordeval.analysis.figures.style import Picture
from coordeval.analysis.figures.talk import by_round, dots
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.dashboard.first_answer import ratio_of_sums
from coordeval.flows.dashboard.grouped import groups_section
from coordeval.flows.dashboard.pages.page import Asked, Page
from coordeval.flows.dashboard.tags import Component, html
from coordeval.flows.dashboard.view import View
from coordeval.flows.study.study import PROBE
from coordeval.ledger.commitments import LATE

_ROUNDS: Final = f"""
    WITH said AS (
        SELECT hash(forecast_id) AS forecast, round, probability AS p FROM estimates WHERE kind = 'estimate'
    ), facts AS (
        SELECT hash(m.market_id) AS market, hash(m.event_id) AS event, m.category, o.value AS y
        FROM markets m JOIN current_outcomes o USING (market_id)
        WHERE o.value IS NOT NULL AND m.market_id NOT IN ({LATE})
    )
    SELECT c.configuration, s.round, f.event, sum((s.p - f.y) ** 2) AS sums, count(*) AS n
    FROM cells c JOIN facts f ON f.market = hash(c.market_id) JOIN said s ON s.forecast = hash(c.forecast_id)
    WHERE c.study_id = $study AND c.configuration <> $probe AND ($category = '' OR f.category = $category)
        AND ($replicate::INTEGER IS NULL OR c.replicate = $replicate)
        AND ($decile::INTEGER IS NULL
            OR least(9, CAST(floor(CAST(c.market_price AS DECIMAL(18, 12)) * 10) AS INTEGER)) = $decile)
    GROUP BY ALL
"""
_TERMS = (
    (
        "gain",
        "squared error of the pooled first estimates minus that of the forecast: above 0 talking helped beyond pooling",
    ),
    (
        "movement",
        "how far, in probability, an estimate came nearer to something from one round to the next; below 0: went away",
    ),
    ("peers", "the share of the way to the mean of its peers that an agent goes when it revises: 0 stays, 100% gives in"),
    ("weight", "how much the others' revisions follow one agent's last estimate"),
)
_GAIN: Final = {
    "name": "gain",
    "title": "Gain beyond pooling",
    "subtitle": "right of 0: talking helped",
    "axis": "Brier points",
    "caption": "Against the pool of the same agents' first estimates, combined the same way.",
}
_MOVEMENT: Final = {
    "name": "movement",
    "title": "Movement of estimates",
    "subtitle": "right of 0: came nearer",
    "axis": "probability",
    "caption": "Mean over agents and markets of each round after the first.",
}
_INFLUENCE: Final = {
    "name": "influence",
    "title": "Who moved whom",
    "subtitle": "shares of the way, in logits",
    "axis": "weight",
    "caption": "Peers: how far an agent goes to the mean of its peers. Agent: the weight that the others put on it. First "
    "mover: what the first to speak gains over an equal share.",
}
_TOWARD = {"toward_peers": "toward its peers", "toward_price": "toward the price", "toward_truth": "toward the truth"}


def layout(asked: Asked) -> list[Component]:
    view, facts = asked.view, asked.facts
    study = facts.study(view.study)
    deeper = facts.deeper(view)
    names = sorted({*study.elements, *map(str, facts.cells(study.study_id)["configuration"].unique().to_list())})
    look = facts.look(study.study_id)
    rounds = _rounds(facts, view)
    found: list[Component] = [html.H1("Coordination")]
    first = by_round(
        rounds,
        look,
        simulated=study.simulated,
        caption="Each estimate by itself, before any pooling; reports without a probability are not here. 95% intervals "
        "from sums over events. A line that falls: single agents get better from round to round.",
    )
    hover = f"{facts.first(view).n_markets:,} markets; squared error of an estimate: (estimate − outcome)²"
    if first is not None:
        card = parts.figure(first, dark=asked.dark, data=pl.DataFrame(rounds, infer_schema_length=None), hover=hover)
        found.append(parts.section("Estimates by round", card))
    else:
        found.append(parts.section("Estimates by round", parts.note("No estimate of a resolved market is stored.")))
    found += _measured(asked, look, deeper, hover)
    declared = [name for name in names if study.elements.get(name)]
    graphs = [parts.drawing(name, study.elements[name], dark=asked.dark) for name in declared]
    silent = ", ".join(name for name in names if name not in declared)
    found.append(
        parts.section(
            "Who speaks to whom",
            html.Div(graphs, className="panels"),
            parts.note(f"Nothing is declared of who speaks to whom in {silent}: imported, not run here.")
            if silent
            else None,
            about="As declared, and checked against what was shown. An arrow: the words of one role are shown to another.",
        )
    )
    return found


def _rounds(facts: Facts, view: View) -> list[dict[str, Any]]:
    study = facts.study(view.study).study_id
    category, decile, replicate = view.scope

    def make() -> list[dict[str, Any]]:
        bound = {"study": study, "probe": PROBE, "category": category, "decile": decile, "replicate": replicate}
        frame = facts.query(_ROUNDS, bound).sort("configuration", "round", "event")
        rows = []
        for (name, number), part in frame.group_by("configuration", "round", maintain_order=True):
            own = ratio_of_sums(part["sums"].to_numpy(), part["n"].to_numpy().astype(float))
            ends = {key: own.get(key) for key in ("low", "high", "reason")}
            rows.append(
                {"configuration": name, "round": number, "brier": own["estimate"], "n": int(part["n"].sum()), **ends}
            )
        return rows

    return facts.per_state("rounds", study, make, view.scope)


def _measured(asked: Asked, look: Any, deeper: Any, hover: str) -> list[Component]:
    report = deeper.report
    if report is None or report.diagnostics.coordination is None:
        why = deeper.note if report is None else report.diagnostics.reasons.get("coordination", "not known")
        return [parts.section("What talking did", parts.note(f"Not shown yet: {why}."))]
    simulated, found = report.simulated, report.diagnostics.coordination
    gain = [row | {"label": row["configuration"]} for row in found.gain.filter(measure="gain").to_dicts()]
    moves = [
        row | {"label": f"{row['configuration']}, round {row['round']}: {_TOWARD[row['measure']]}"}
        for row in found.rounds.to_dicts()
        if row["measure"] in _TOWARD
    ]
    who = [row | {"label": _who(row)} for row in found.influence.to_dicts()]
    made = []
    for title, rows, table, about in (
        ("The gain of coordination", gain, found.gain, _GAIN),
        ("Movement", moves, found.rounds, _MOVEMENT),
        ("Who moved whom", who, found.influence, _INFLUENCE),
    ):
        made.append((title, dots(rows, look, simulated=simulated, **about), table))
    cards: list[Component] = []
    note = f"{hover}. 95% intervals from {found.n:,} resamples of events"
    for title, picture, table in made:
        cards.append(_card(title, picture, table, dark=asked.dark, hover=note))
    silent = [f"{row['configuration']}: {row['reason']}" for row in gain if row["estimate"] is None and row["reason"]]
    if silent:
        cards.append(parts.note(f"Without a gain: {'; '.join(silent)}."))
    if report.diagnostics.groups is not None:
        cards.append(groups_section(report.diagnostics.groups))
    if deeper.note:
        cards.insert(0, parts.note(f"{deeper.note[0].upper()}{deeper.note[1:]}."))
    return [*cards, parts.terms(_TERMS)]


def _card(title: str, picture: Picture | None, table: pl.DataFrame, *, dark: bool, hover: str) -> Component:
    if picture is None:
        return parts.section(
            title, parts.note("Nothing to show: nobody spoke after the first estimates, or nothing is resolved.")
        )
    return parts.section(title, parts.figure(picture, dark=dark, data=table, hover=hover))


def _who(row: Mapping[str, Any]) -> str:
    what = {"peers": f"{row['role']}: toward its peers", "agent": f"weight of {row['role']} {row['agent']}"}
    return f"{row['configuration']}, {what.get(row['measure'], 'first mover')}"


PAGE = Page(path="/coordination", title="Coordination", layout=layout)
