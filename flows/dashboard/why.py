"""Why a forecast was bad, on its page: what the audit's rules have about it, and what a model found that was asked."""

from typing import Any, Final

from coordeval.analysis.audit import MAST, Diagnosis, diagnose, suspects
from coordeval.analysis.audit.registry import load
from coordeval.flows.audit.asking import kept
from coordeval.flows.audit.diagnosis import in_words
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.pages.page import Asked
from coordeval.flows.dashboard.tags import Component, html
from coordeval.flows.run.evidence import study_evidence

MOST: Final = 2_000
"""Forecasts of a study up to which its evidence is read for a page."""
_ABOUT: Final = (
    "What begins earlier in the making of a forecast comes first, and proof before what chance leaves in sound ones too. "
    "A ranking of what is recorded, not a proof of cause."
)


def why_section(asked: Asked, forecast_id: str) -> Component:
    facts, study = asked.facts, asked.facts.study(asked.view.study)
    command = html.Code(f"coordeval diagnose {forecast_id[:12]} --search")
    made: list[Component] = []
    first: str | None = None
    if facts.cells(study.study_id).height > MOST:
        made.append(parts.note("The study is too large for its rules to be held against it on a page: ", command, "."))
    else:
        ranked = facts.per_state("why", study.study_id, lambda: _by_rules(asked, study.study_id, forecast_id), forecast_id)
        first = ranked.first.rule if ranked is not None and ranked.first is not None else None
        made += _ranked(ranked)
    found = kept(facts.reader(), forecast_id)
    made += [part for one in found for part in _found(one, first)]
    if not found:
        made.append(html.P(["No model was asked. ", command, " has one look through the trace."], className="about"))
    return parts.section("Why it stands where it does", *made, about=_ABOUT)


def _by_rules(asked: Asked, study_id: str, forecast_id: str) -> Diagnosis | None:
    """None: the forecast is another study's."""

    def looked() -> Any:
        known = study_evidence(asked.facts.reader(), study_id)
        rules = load().made()
        return known, rules, suspects(known, rules)

    known, rules, rows = asked.facts.per_state("suspects", study_id, looked)
    return diagnose(known, forecast_id, rules, rows) if forecast_id in known.forecasts["forecast_id"] else None


def _ranked(found: Diagnosis | None) -> list[Component]:
    if found is None:
        return [html.P("It is no forecast of this study, among whose others it would be held against the rules.")]
    if not found.causes:
        return [html.P("No rule has anything about it.")]
    rows = [
        [
            str(rank),
            html.Span([html.Code(cause.rule), f": {cause.looks_for}"]),
            cause.stage,
            ", ".join(f"{mode} {MAST[mode]}" for mode in cause.modes) or None,
            f"{cause.chance:.0%}" if cause.chance else "proof",
            cause.says,
        ]
        for rank, cause in enumerate(found.causes, start=1)
    ]
    columns = ("Rank", "Rule", "Begins in", "MAST", "Sound forecasts with it", "What shows it")
    return [parts.table(parts.Table("causes", columns, rows, None, frozenset((0, 4))))]


def _found(one: dict[str, Any], by_rules: str | None) -> list[Component]:
    """What a model found: its words, and every suspicion on the way, folded."""
    mark = "SIMULATED: " if one["simulated"] else ""
    took = f"{one['asks']} asks, {one['tokens']:,} of {one['budget']:,} tokens"
    lines = [html.Li(line) for line, _ in in_words(one, by_rules)]
    rows = [
        [
            str(node["number"]),
            None if node["parent"] is None else str(node["parent"]),
            node["cause"],
            ", ".join(map(str, node["rows"])) or None,
            str(node["opened"]),
            None if node["evidence"] is None else str(node["evidence"]),
            f"{node['value']:.2f}",
        ]
        for node in one["nodes"]
    ]
    columns = ("Node", "Below", "Cause", "Rests on rows", "Rows opened", "Evidence, of 10", "Value")
    name = f"nodes-{one['way'].replace(' ', '-')}-{one['budget']}"
    table = parts.table(parts.Table(name, columns, rows, None, frozenset((0, 1, 4, 5, 6))))
    folded = html.Details([html.Summary(f"{len(rows)} suspicions on the way"), table])
    return [html.H3(f"{mark}{one['way']} by {one['model']} ({took})"), html.Ul(lines), *([folded] if rows else [])]
