"""The trace of a forecast on its page: the conversation as a table, who moved whom, agreement, and the two topologies."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from coordeval.analysis.base.numerals import number
from coordeval.flows.certificate.acted import commitment_lines, does
from coordeval.flows.certificate.conversation import Conversation
from coordeval.flows.certificate.trace import Trace, traced
from coordeval.flows.certificate.trace_terminal import agreement, agreement_lines, moved_by, record_lines, topology_lines
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.tags import Component, html

_ABOUT = (
    "Moved: logits from an agent's own estimate before. It is shared among those it was shown who stand on the side "
    "to which it went, in proportion to how far they stand; it says whose word the movement agrees with, not what caused it."
)


def trace_section(found: Conversation, elements: Mapping[str, Any] | None, *, dark: bool) -> list[Component]:
    """Nothing where nobody was asked."""
    made = traced(found, elements)
    if not made.steps:
        return []
    parts_ = [parts.table(_steps(made))]
    parts_ += [_pulls(made)] if made.pulls() else []
    parts_.append(html.Ul([html.Li(line) for line in agreement_lines(made)]))
    parts_ += _commitments(made)
    parts_ += [parts.note(line, kind="warning" if line.startswith("DRIFT") else "note") for line in record_lines(made)]
    against = [parts.note(line, kind="warning" if made.undeclared else "note") for line in topology_lines(made)]
    drawn = [parts.drawing(made.configuration, elements, dark=dark)] if elements else []
    return [
        parts.section("Who saw what, and who moved whom", *parts_, about=_ABOUT),
        parts.section(
            "Declared and recorded topology",
            *drawn,
            *against,
            about="Drawn as declared; the lines below say what was recorded.",
        ),
    ]


def _steps(made: Trace) -> parts.Table:
    rows = [
        [
            html.A(str(step.ask), href=f"#ask-{step.ask}"),
            str(step.round),
            f"{step.role} {step.agent + 1}",
            step.kind if step.probability is None else number(step.probability, 3),
            ", ".join(map(str, step.others)) or None,
            None if step.before is None else number(step.before, 3),
            None if step.moved is None else f"{step.moved:+.2f}",
            moved_by(step) or None,
            agreement(step) or None,
        ]
        for step in made.steps
    ]
    columns = ("Ask", "Round", "Who", "Says", "Was shown asks", "Before", "Moved", "Moved by ask", "Agreement")
    return parts.Table("trace", columns, rows, numeric=frozenset({0, 1, 3, 5, 6}))


def _commitments(made: Trace) -> list[Component]:
    """Who proposed, acknowledged, agreed, rejected and withdrew, and what bound; nothing where nobody did."""
    found = made.commitments
    if not found.acts:
        return []
    rows = [
        [html.A(str(act.ask), href=f"#ask-{act.ask}"), str(act.round), f"agent {act.agent + 1}", does(act)]
        for act in found.acts
    ]
    return [
        html.H3("Commitments"),
        html.P("To acknowledge a proposal is not to agree to it, and binds nobody.", className="about"),
        html.Ul([html.Li(line) for line in commitment_lines(found)]),
        parts.table(parts.Table("acts", ("Ask", "Round", "Who", "Does"), rows, None, frozenset({0, 1}))),
    ]


def _pulls(made: Trace) -> Component:
    pulls = made.pulls()
    movers = sorted({b for _, b in pulls})
    rows = [
        [f"agent {a + 1}", *(number(pulls[a, b], 2) if (a, b) in pulls else None for b in movers)]
        for a in sorted({a for a, _ in pulls})
    ]
    columns = ("Heard", *(f"moves agent {b + 1}" for b in movers))
    data = pl.DataFrame([{"heard": a, "moved": b, "logits": size} for (a, b), size in pulls.items()])
    return parts.table(parts.Table("pulls", columns, rows, data, frozenset(range(1, len(columns)))), note="in logits")
