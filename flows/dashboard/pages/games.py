"""The grounding game: what arms get of the optimum, what pairs lose to what, which repair helps; each game a link."""

from typing import Any

import polars as pl

from coordeval.analysis.report.games import GamesReport, mode_rows
from coordeval.analysis.words.games import described, repair_rows
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.pages.page import Asked, Page
from coordeval.flows.dashboard.tags import Component, html
from coordeval.flows.grounding.reporting import report_of
from coordeval.flows.study.stored import SHORT
from coordeval.grounding.waterfall import CAUSES

_WORST = 12
_RESAMPLES = 2_000
"""For a page that is to be there at once; the report takes more."""


def layout(asked: Asked) -> list[Component]:
    head: list[Component] = [html.H1("Games")]
    known = asked.facts.game_studies()
    if not known:
        note = "No study of games is stored; `coordeval grounding run studies/grounding.toml` plays one."
        return [*head, parts.note(note)]
    study_id = asked.facts.game_study(asked.view.study) or ""
    own = next(row for row in known if row["study_id"] == study_id)
    if not own["answered"]:
        return [*head, parts.note(f"No game of {own['name']} is played yet.")]
    report = asked.facts.per_state("games", study_id, lambda: report_of(asked.facts.reader(), study_id, n=_RESAMPLES))
    mark = [parts.note("SIMULATED: the players are simulated.", kind="banner")] if report.simulated else []
    return [
        *head,
        *mark,
        html.P(f"{own['name']}: {report.amount}"),
        *(parts.section(answer.question, html.Ul([html.Li(said) for said in answer.says])) for answer in report.answers),
        *(parts.figure(picture, dark=asked.dark) for picture in report.pictures),
        parts.section("Repairs", parts.table(_repairs(report))),
        parts.section("What pairs lose, by cause", parts.table(_losses(report)), about="In points of the optimum."),
        parts.section("Failure modes", parts.table(_modes(report)), about="Of the times each could show itself."),
        parts.section(
            "The games that got least",
            parts.table(_worst(report)),
            about="`coordeval grounding replay GAME` shows one round by round.",
        ),
    ]


def _repairs(report: GamesReport) -> parts.Table:
    columns = ("Arm", "Verdict", "Points", "95%", "Better with", "p corrected", "USD more a game")
    rows: list[list[Any]] = [
        [
            row["arm"],
            row["verdict"],
            _points(row["delta"]),
            None if row["low"] is None else f"{_points(row['low'])} to {_points(row['high'])}",
            None if row["probability"] is None else f"{row['probability']:.2f}",
            None if row["p_holm"] is None else f"{row['p_holm']:.4f}",
            None if row["usd_more"] is None else f"{row['usd_more']:.4f}",
        ]
        for row in repair_rows(report.found)
    ]
    return parts.Table("repairs", columns, rows, None, frozenset(range(2, 7)))


def _losses(report: GamesReport) -> parts.Table:
    rows: list[list[Any]] = []
    for arm, fall in report.found.waterfalls.items():
        losses = {step.cause: float(step.loss) for step in fall.steps}
        steps = [_points(-losses[cause]) for cause in CAUSES]
        rows.append([arm, described(report.found.arms[arm]), _points(float(fall.start)), *steps, _points(float(fall.end))])
    names = [cause.replace("_", " ").capitalize() for cause in CAUSES]
    return parts.Table("losses", ("Arm", "Who", "From", *names, "To"), rows, None, frozenset(range(2, len(names) + 4)))


def _modes(report: GamesReport) -> parts.Table:
    rows: list[list[Any]] = [
        [row["arm"], row["mode"].replace("_", " "), row["source"], row["found"], row["chances"], f"{row['rate']:.0%}"]
        for row in mode_rows(report.found)
        if row["chances"]
    ]
    shown = [[str(cell) if isinstance(cell, int) else cell for cell in row] for row in rows]
    return parts.Table("modes", ("Arm", "Mode", "Read by", "Found", "Of", "Rate"), shown, None, frozenset((3, 4, 5)))


def _worst(report: GamesReport) -> parts.Table:
    pairs = report.found.games.filter(pl.col("arm").is_in(list(report.found.waterfalls)))
    rows: list[list[Any]] = [
        [row["forecast_id"][:SHORT], row["arm"], row["instance_id"][:SHORT], f"{row['efficiency']:.0%}"]
        for row in pairs.sort("efficiency", "forecast_id").head(_WORST).iter_rows(named=True)
    ]
    return parts.Table("worst", ("Game", "Arm", "Instance", "Of the optimum"), rows, report.found.games, frozenset((3,)))


def _points(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.1f}"


PAGE = Page(path="/games", title="Games", layout=layout, filters=(), games=True)
