"""Do forecasts mean what they say? CORP reliability diagrams, side by side and large."""

from typing import Any

import polars as pl

from coordeval.analysis.base.numerals import number
from coordeval.analysis.figures.reliability import CAPTION, reliability
from coordeval.analysis.figures.style import Look, Picture
from coordeval.analysis.study.findings import draws_for
from coordeval.analysis.study.leaderboard import REFERENCE
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.pages.page import Asked, Page
from coordeval.flows.dashboard.standing import Standing, standing
from coordeval.flows.dashboard.tags import Component, dcc, html
from coordeval.flows.dashboard.view import View

_MOST_DISTINCT = 2000
_FIRST = 3
_TERMS = (
    (
        "reliability diagram",
        "forecasts across, the share of YES among like forecasts up; on the diagonal they mean what they say",
    ),
    ("CORP", "the line is the best nondecreasing fit (isotonic regression), so no bins have to be chosen"),
    ("consistency band", "where 90% of calibrated forecasters with these forecasts would lie: a line inside is no evidence"),
    ("MCB, DSC", "miscalibration (less is better) and discrimination (more is better), in Brier points"),
)


def layout(asked: Asked) -> list[Component]:
    view = asked.view
    known = standing(asked.facts, view)
    scored = [row for row in known.rows if row.get("brier") is not None and row.get("n_forecasts")]
    if not scored:
        return [html.H1("Calibration"), parts.note("Nothing is scored here yet.", kind="warning")]
    names = [row["configuration"] for row in scored]
    look = asked.facts.look(asked.facts.study(view.study).study_id)
    shown = [name for name in names if name in view.chosen] or _default(names)
    frames = {name: _forecasts(asked.facts.kept(view), name) for name in shown}
    cards = [
        parts.figure(
            _picture(asked, known, name, frame, look[name]), dark=asked.dark, data=_points(frame), hover=known.hover(view)
        )
        for name, frame in frames.items()
    ]
    rounded = any(frame["probability"].n_unique() > _MOST_DISTINCT for frame in frames.values())
    return [
        html.H1("Calibration"),
        html.P("Shown are the chosen ones; a click adds or takes away."),
        html.Ul([_toggle(view, name, shown, look) for name in names], className="pills"),
        html.Div(cards, className="panels large"),
        html.P(CAPTION, className="about"),
        parts.note(f"Of more than {_MOST_DISTINCT:,} distinct forecasts each is rounded to 0.001 for the drawing.")
        if rounded
        else None,
        parts.terms(_TERMS),
    ]


def _default(names: list[str]) -> list[str]:
    """The best ones and the price."""
    best = [name for name in names if name != REFERENCE][:_FIRST]
    return best + ([REFERENCE] if REFERENCE in names else [])


def _toggle(view: View, name: str, shown: list[str], look: Any) -> Component:
    on = name in shown
    after = [one for one in shown if one != name] if on else [*shown, name]
    href = view.href("/calibration", configuration=",".join(after))
    return html.Li(
        dcc.Link(
            [parts.named(name, look, dark=False), html.Span(" shown" if on else " not shown", className="hidden-text")],
            href=href,
        ),
        className="on" if on else "",
    )


def _forecasts(kept: pl.DataFrame, name: str) -> pl.DataFrame:
    if name == REFERENCE:
        part = kept.unique("m", maintain_order=True).filter(pl.col("price").is_not_null())
        return part.select(pl.lit(0).alias("replicate"), pl.col("price").alias("probability"), "outcome")
    return kept.filter(pl.col("configuration") == name).select("replicate", pl.col("p").alias("probability"), "outcome")


def _picture(asked: Asked, known: Standing, name: str, frame: pl.DataFrame, look: Look) -> Picture:
    facts, view = asked.facts, asked.view
    study = facts.study(view.study)
    board = (
        {} if known.deeper.report is None else {r["configuration"]: r for r in known.deeper.report.board.table.to_dicts()}
    )
    row = next(row for row in known.rows if row["configuration"] == name)
    p = board.get(name, {}).get("calibration_p")

    def make() -> Picture:
        drawn = frame
        if frame["probability"].n_unique() > _MOST_DISTINCT:
            drawn = frame.with_columns(pl.col("probability").round(3))
        facts_of = {"configuration": name, "mcb": row.get("mcb"), "dsc": row.get("dsc"), "calibration_p": p}
        # until the report is there no p-value is, and none is shown
        said = {} if p is not None else {"text": f"MCB {number(row.get('mcb'))}   DSC {number(row.get('dsc'))}"}
        draws = draws_for(known.first.n_markets)
        picture = reliability(drawn, facts_of, look, simulated=study.simulated, resamples=draws)
        picture.figure.update_layout(height=470, title={"font": {"size": 15}, "subtitle": {"font": {"size": 12}, **said}})
        picture.figure.update_annotations(font={"size": 12})
        return picture

    return facts.per_state("reliability", study.study_id, make, name, view.policy, view.scope, p)


def _points(frame: pl.DataFrame) -> pl.DataFrame:
    return (
        frame.group_by("replicate", pl.col("probability").round(3).alias("forecast"))
        .agg(forecasts=pl.len(), share_yes=pl.col("outcome").mean())
        .sort("replicate", "forecast")
    )


PAGE = Page(path="/calibration", title="Calibration", layout=layout)
