"""How far the numbers can be trusted: what was held fixed, what could have leaked, what is missing, what they hang on."""

from typing import Any

import polars as pl

from coordeval.analysis.base.numerals import number
from coordeval.analysis.figures.components import forest
from coordeval.analysis.report.page import Report
from coordeval.flows.certificate.leaks import details, leaks
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.facts import MOST_CELLS, Facts
from coordeval.flows.dashboard.pages.page import Asked, Page
from coordeval.flows.dashboard.tags import Component, dcc, html
from coordeval.flows.dashboard.view import View
from coordeval.flows.run.control import control
from coordeval.market_data.errors import CoordevalError

_TERMS = (
    ("held", "every configuration was given the same model, settings, tools and facts: only the coordination differs"),
    ("probe", "a test of a side door by which the answer could have been seen"),
    ("bounds", "the lowest and highest score there could be, whatever the missing forecasts had been"),
    ("influence", "how much of a difference hangs on one single market"),
    ("links", "markets whose outcomes depend on each other, such as two dates of one ladder"),
)


def layout(asked: Asked) -> list[Component]:
    view, facts = asked.view, asked.facts
    study = facts.study(view.study)
    deeper = facts.deeper(view)
    found: list[Component] = [html.H1("Trust"), _control(facts, study.study_id), _leaks(facts, study.study_id)]
    found.append(_missing(facts, view))
    if deeper.report is None:
        found.append(parts.section("Influence, bins, links", parts.note(f"Not shown: {deeper.note}.")))
    else:
        if deeper.note:
            found.append(parts.note(f"{deeper.note[0].upper()}{deeper.note[1:]}."))
        found += _deeper(asked, deeper.report)
    found.append(parts.terms(_TERMS))
    return found


def _control(facts: Facts, study: str) -> Component:
    if (height := facts.cells(study).height) > MOST_CELLS:
        how = f"With {height:,} cells, reading all requests takes long: `coordeval control {study[:8]}` does it."
        return parts.section("Control", parts.note(how))
    found = facts.per_state("control", study, lambda: control(facts.reader(), study))
    verdict = {True: "held", False: "not held", None: "not fully recorded"}[found.held]
    rows = [[field.name, field.status, field.detail] for field in found.fields]
    differences = [
        html.Details(
            [
                html.Summary(f"{field.name}: what differs"),
                html.Ul(
                    [
                        html.Li([", ".join(f"{n} × {name}" for name, n in v.draws.items()), html.Pre(v.value)])
                        for v in field.values
                    ]
                ),
            ]
        )
        for field in found.differences
    ]
    asked = ", ".join(f"{name} ({n:,} requests)" for name, n in found.draws.items()) or "none"
    return parts.section(
        f"Control: {verdict}",
        html.P(f"From the stored bytes of {asked}."),
        parts.table(parts.Table("control", ("Field", "Result", "What is compared"), rows)),
        *differences,
    )


def _leaks(facts: Facts, study: str) -> Component:
    title = "Leak probes"
    height = facts.cells(study).height
    if height > MOST_CELLS:
        return parts.section(
            title, parts.note(f"With {height:,} cells they take long: `coordeval leaks {study[:8]}` runs them.")
        )
    try:
        found = facts.per_state("leaks", study, lambda: leaks(facts.reader(), study))
    except CoordevalError as error:
        return parts.section(title, parts.note(f"Not run: {error}", kind="warning"))
    rows: list[list[Any]] = []
    for name, probe in found:
        value = parts.interval(probe.value, probe.low, probe.high, digits=3, reason=probe.reason)
        more = details(probe)
        says = html.Span(
            [probe.says, html.Details([html.Summary("more"), html.Ul([html.Li(one) for one in more])]) if more else ""]
        )
        rows.append([name, value, f"{probe.n:,}", says])
    return parts.section(
        title, parts.table(parts.Table("leaks", ("Probe", "Number", "N", "What it says"), rows, None, frozenset((1, 2))))
    )


def _missing(facts: Facts, view: View) -> Component:
    cells = facts.within(view)
    rows = []
    for (name,), part in sorted(cells.group_by("configuration"), key=lambda one: str(one[0][0])):
        counts = {status: int((part["status"] == status).sum()) for status in ("answered", "failed", "pending")}
        rows.append([str(name), *(f"{n:,}" for n in counts.values()), f"{part['outcome'].null_count():,}"])
    columns = ("Configuration", "Answered", "Failed", "Not made yet", "Without an outcome")
    return parts.section(
        "What is missing", parts.table(parts.Table("missing", columns, rows, None, frozenset((1, 2, 3, 4))))
    )


def _deeper(asked: Asked, report: Report) -> list[Component]:
    found: list[Component] = []
    deep = report.diagnostics
    if deep.bounds is not None:
        rows = [
            [
                row["configuration"],
                str(row["missing"]),
                parts.interval(row["estimate"], row["low"], row["high"], reason=row["reason"]),
            ]
            for row in deep.bounds.filter(pl.col("than").is_null()).to_dicts()
        ]
        table = parts.Table(
            "bounds", ("Configuration", "Missing", "Brier score and its bounds"), rows, deep.bounds, frozenset((1, 2))
        )
        found.append(parts.section("Bounds: whatever the missing ones had been", parts.table(table)))
    else:
        found.append(parts.section("Bounds", parts.note(f"Not shown: {deep.reasons.get('bounds', 'not known')}.")))
    if deep.influence is not None:
        found.append(_influence(asked, report))
    if deep.binning is not None:
        found.append(_binning(report))
    found.append(_links(report))
    return found


def _influence(asked: Asked, report: Report) -> Component:
    influence = report.diagnostics.influence
    assert influence is not None
    rows: list[list[Any]] = []
    for row in influence.restated.to_dicts():
        market = row["market_id"]
        link = (
            dcc.Link(report.questions.get(market, market), href=asked.view.href("/market", market=market))
            if market
            else None
        )
        rows.append([f"{row['first']} − {row['second']}", number(row["delta"]), number(row.get("delta_without")), link])
    columns = ("Pair", "Difference", "Without that market", "The market that carries most of it")
    picture = forest(
        influence.restated.to_dicts()[:24],
        noise_floor=None,
        simulated=report.simulated,
        title="With all markets",
        caption="Differences with all markets; the table says what is left without the market that carries most.",
        name="influence-forest",
    )
    table = parts.table(parts.Table("influence", columns, rows, influence.restated, frozenset((1, 2))))
    hover = f"95% intervals from {influence.n:,} resamples of events"
    card = parts.figure(picture, dark=asked.dark, data=influence.restated, hover=hover) if picture else None
    return parts.section("Influence of single markets", html.P(influence.headline), table, card)


def _binning(report: Report) -> Component:
    binning = report.diagnostics.binning
    assert binning is not None
    rows = [
        [
            row["measure"].upper().replace("_CORRECTED", ", corrected"),
            " < ".join(row["usual"] or []) or None,
            f"{row['changed']} of {row['choices']}",
            ", ".join(row["best"] or []),
        ]
        for row in binning.rankings.to_dicts()
    ]
    columns = ("Measure", f"Order under {binning.usual}", "Other choices that change it", "Leads under some choice")
    content = (
        parts.table(parts.Table("binning", columns, rows, binning.ranges))
        if rows
        else parts.note("Configurations are not ranked here: they were not given the same.")
    )
    return parts.section("Does the choice of bins matter?", content, about="CORP's MCB and DSC need no bins.")


def _links(report: Report) -> Component:
    coherence = report.diagnostics.coherence
    if coherence is None:
        return parts.section(
            "Links", parts.note(f"Not measured: {report.diagnostics.reasons.get('coherence', 'not known')}.")
        )
    rows = [
        [row["configuration"], row["kind"], row["measure"],
         parts.interval(row["estimate"], row["low"], row["high"], reason=row["reason"]), f"{row['n_links']:,}"]
        for row in coherence.table.to_dicts()
    ]  # fmt: skip
    columns = ("Configuration", "Kind of link", "Measure", "Value", "Links")
    return parts.section(
        "Links: do forecasts of linked markets fit together?",
        parts.table(parts.Table("links", columns, rows, coherence.table, frozenset((3, 4)))),
        about="violated: share of links whose forecasts contradict each other. excess: by how much. gain: what repairing "
        "them would have gained, in Brier points.",
    )


PAGE = Page(path="/trust", title="Trust", layout=layout)
