"""Every arm beside the others: one small panel each, configurations in one order, and what is separable."""

from dataclasses import replace

import polars as pl

from coordeval.analysis.base.arms import varied
from coordeval.analysis.base.numerals import number
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.pages.page import Asked, Page
from coordeval.flows.dashboard.tags import Component, html


def layout(asked: Asked) -> list[Component]:
    heading = html.H1("Arms")
    if len(asked.facts.arms(asked.view)) < 2:
        return [
            heading,
            parts.note(
                "This study has one arm: one setting of model, tools, price and evidence. [[arms]] in its file adds others."
            ),
        ]
    deeper = asked.facts.deeper(replace(asked.view, category="", decile=None, replicate=None))  # all of it, as in the report
    if deeper.report is None or deeper.report.arms is None:
        return [heading, parts.note(deeper.note or "Nothing of it is scored yet.")]
    report, arms = deeper.report, deeper.report.arms
    found: list[Component] = [heading, html.Ul([html.Li(sentence) for sentence in arms.says])]
    panels = [parts.figure(picture, dark=asked.dark) for picture in report.arm_pictures if picture.name != "split"]
    found.append(html.Div(panels, className="panels"))
    found += [parts.figure(picture, dark=asked.dark) for picture in report.arm_pictures if picture.name == "split"]
    factors = list(varied(arms.table))
    scores = {(row["arm"], row["configuration"]): row["brier"] for row in arms.scores.to_dicts()}
    rows = [
        [
            row["arm"],
            *(str(row[factor]) for factor in factors),
            *(number(scores.get((row["arm"], name))) for name in arms.order),
        ]
        for row in arms.table.to_dicts()
    ]
    columns = ["arm", *(factor.replace("_", " ") for factor in factors), *arms.order]
    numeric = frozenset(range(1 + len(factors), len(columns)))
    table = parts.table(parts.Table("arms", columns, rows, pl.DataFrame(arms.scores), numeric))
    return [*found, parts.section("Brier score in every arm", table)]


PAGE = Page(path="/arms", title="Arms", layout=layout, filters=("policy",))
