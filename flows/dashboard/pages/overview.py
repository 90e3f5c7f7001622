"""The answer in ten seconds: a verdict per question, cost against quality, the leaderboard, the studies there are."""

from typing import Any

import polars as pl

from coordeval.analysis.base.frames import nothing_scored
from coordeval.analysis.figures.cost_plane import brier_draws, cost_plane
from coordeval.analysis.words.standing import ONE_LOOK
from coordeval.analysis.words.verdicts import Verdict
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.first_verdicts import first_verdicts
from coordeval.flows.dashboard.pages.page import Asked, Page
from coordeval.flows.dashboard.standing import Standing, leaderboard, standing
from coordeval.flows.dashboard.tags import Component, dcc, html
from coordeval.flows.dashboard.view import View

_TERMS = (
    ("Brier score", "the mean of (forecast − outcome)²: 0 is perfect, 0.25 is what always saying 0.5 earns; less is better"),
    (
        "interval",
        "95%: from a study like this one it holds the true value in 95 of 100 cases; markets of one event count as one",
    ),
    ("market price", "what the market itself said when the forecast was made: the forecaster to beat"),
    ("USD per market", "the full price of all that a forecast used, also where a reply was shared and paid once"),
)


def layout(asked: Asked) -> list[Component]:
    view, facts = asked.view, asked.facts
    study = facts.study(view.study)
    known = standing(facts, view)
    look = facts.look(study.study_id)
    links = {row["configuration"]: view.href("/markets", configuration=row["configuration"]) for row in known.rows}
    report = known.deeper.report
    pending = sum(row.get("pending", 0) for row in known.rows)
    picture = cost_plane(
        known.rows,
        look,
        simulated=study.simulated,
        against=known.against(),
        draws=None if report is None else brier_draws(report.findings),
        caption=f"{known.method}. A click on a configuration leads to its markets.",
        links=links,
    )
    numbers = pl.DataFrame([{k: v for k, v in row.items() if k != "reason"} for row in known.rows], infer_schema_length=None)
    found: list[Component] = [html.H1(study.name)]
    if not known.first.n_markets:
        found.append(parts.note(_nothing(known, view), kind="warning"))
    elif known.deeper.note:
        found.append(parts.note(f"{known.deeper.note[0].upper()}{known.deeper.note[1:]}."))
    if study.source == "open":
        found.append(parts.note(_ahead(known)))
    if report is not None and report.uncontrolled:
        found.append(parts.note(f"{report.uncontrolled}.", kind="banner"))
    answers = parts.section(
        "The answers", html.Div(_verdicts(known, pending, study.content.get("baseline")), className="verdicts")
    )
    plane = parts.figure(picture, dark=asked.dark, data=numbers, hover=known.hover(view)) if picture else None
    if plane is None:
        plane = parts.note("Cost against quality is not drawn: no configuration has both a score and a known price.")
    found.append(html.Div([answers, parts.section("Is it worth its cost?", plane)], className="first"))
    found.append(parts.section("Leaderboard", leaderboard(known, view, look, dark=asked.dark), parts.terms(_TERMS)))
    found.append(parts.section("Studies in this ledger", _studies(asked)))
    return found


def _ahead(known: Standing) -> str:
    """Of a prospective study: which intervals hold for who looks at it every day."""
    report = known.deeper.report
    marks = () if report is None else report.standing.marks
    whole = next((mark.sentence for mark in marks if mark.name == "prospective"), None)
    return whole or f"Forecast before the outcomes. {ONE_LOOK}"


def _nothing(known: Standing, view: View) -> str:
    if view.scope != View().scope:
        return "Nothing is scored under these filters: take one off."
    answered, failed = (sum(row.get(key) or 0 for row in known.first.rows) for key in ("answered", "failed"))
    if answered:
        return f"Nothing is scored yet: {nothing_scored(view.policy)}."
    if failed:
        return f"Nothing is scored: all {failed:,} forecasts that were made failed. The page Live says why."
    return "No forecast is stored yet. This page shows them as they come in."


def _verdicts(known: Standing, pending: int, baseline: str | None) -> list[Component]:
    report = known.deeper.report
    if report is not None:
        return [_card(said) for said in report.verdicts]
    told = first_verdicts(known.first, pending, known.deeper.why_no_interval, baseline=baseline)
    return [_card(said) for said in told]


def _card(said: Verdict) -> Component:
    return html.Article(
        [
            html.H3(said.question),
            html.P(said.answer, className=f"answer answer-{said.answer.split(' ', 1)[0]}"),
            html.P(said.sentence),
            html.P(f"It would take {said.needs}.") if said.needs else None,
            html.Details([html.Summary("rests on"), f"{said.rests_on}."], className="about") if said.rests_on else None,
        ]
    )


def _studies(asked: Asked) -> Component:
    rows = []
    here = asked.facts.study(asked.view.study).study_id
    for row in asked.facts.studies():
        links: list[Any] = (
            ["shown"]
            if row["study_id"] == here
            else [
                dcc.Link("open", href=View(study=row["study_id"]).href("/")),
                " · ",
                dcc.Link("set beside", href=asked.view.href("/compare", other=row["study_id"])),
            ]
        )
        kind = "simulated" if row["simulated"] else "imported" if row["source"] == "imported" else "real"
        used = row["used_at"] or row["created_at"]
        done = f"{row['answered']:,} answered, {row['failed']:,} failed of {row['cells']:,}"
        rows.append([row["name"], row["study_id"][:8], kind, row["model"], done, f"{used:%Y-%m-%d %H:%M}", html.Span(links)])
    columns = ("Study", "Id", "Kind", "Model", "Forecasts", "Last used (UTC)", "")
    return parts.table(parts.Table("studies", columns, rows))


PAGE = Page(path="/", title="Overview", layout=layout)
