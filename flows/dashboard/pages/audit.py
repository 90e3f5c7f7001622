"""What failed in silence: the findings of the audit, and the rows behind each."""

from typing import Any, Final

from coordeval.analysis.audit import Finding
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.pages.page import Asked, Page
from coordeval.flows.dashboard.tags import Component, dcc, html
from coordeval.flows.dashboard.view import View
from coordeval.flows.run.auditing import audit_kept
from coordeval.flows.study.stored import SHORT

_TERMS: Final = (
    ("error", "makes a comparison or a figure meaningless"),
    ("warning", "weakens it"),
    ("note", "is to be known"),
)


def layout(asked: Asked) -> list[Component]:
    study = asked.facts.study(asked.view.study)
    head: list[Component] = [html.H1("Audit")]
    found = asked.facts.per_state("audit", study.study_id, lambda: audit_kept(asked.facts.reader(), study.study_id, None))
    if found is None:
        how = f"With {asked.facts.cells(study.study_id).height:,} cells it takes long"
        return [*head, parts.note(f"{how}: `coordeval audit {study.study_id[:SHORT]}` does it.")]
    rows: list[list[Any]] = [
        [one.rule, one.severity, f"{one.count:,} of {one.of:,}", html.Span([one.says, _rows(one, asked.view)])]
        for one in found.findings
    ]
    blind = [[one.rule, one.looks_for, one.why] for one in found.looked if one.why is not None]
    silent = [[one.rule, one.looks_for] for one in found.looked if one.why is None and not one.findings]
    head.append(html.P(f"{found.says}."))
    if rows:
        made = parts.Table("audit", ("Rule", "Severity", "Count", "What was found"), rows, None, frozenset((2,)))
        head.append(parts.section("Findings", parts.table(made)))
    if blind:
        made = parts.Table("audit-blind", ("Rule", "Looks for", "Why it could not look"), blind)
        head.append(parts.section("Not looked at", parts.table(made)))
    if silent:
        made = parts.Table("audit-silent", ("Rule", "Looks for"), silent)
        head.append(parts.section("Looked at, and nothing found", parts.table(made)))
    head += [
        parts.note(f"Rule {name} could not be loaded: {why}", kind="warning") for name, why in found.quarantined.items()
    ]
    return [*head, parts.terms(_TERMS)]


def _rows(finding: Finding, view: View) -> Component:
    """The first rows, each a link to the forecast or the market that it is about."""
    items: list[Component] = []
    for row in finding.rows.iter_rows(named=True):
        words = " ".join(str(row[name]) for name in ("id", "says") if row[name])
        if row["forecast_id"]:
            link = dcc.Link(words, href=view.href("/forecast", forecast=row["forecast_id"]))
        elif row["market_id"]:
            link = dcc.Link(words, href=view.href("/market", market=row["market_id"]))
        else:
            link = words
        items.append(html.Li(link))
    if finding.left_out:
        items.append(html.Li(f"and {finding.left_out:,} more: coordeval audit --rows {finding.rule}"))
    return html.Details([html.Summary("rows"), html.Ul(items)]) if items else html.Span("")


PAGE = Page(path="/audit", title="Audit", layout=layout, filters=())
