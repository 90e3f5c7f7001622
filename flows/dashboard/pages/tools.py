"""Were tools needed, useful and used; Brier score against calls; what single results were worth."""

from typing import Any, Final

from coordeval.analysis.base.numerals import counted, number, usd
from coordeval.analysis.figures.tool_calls import brier_against_calls, calls_as_rows
from coordeval.analysis.tools.ablation import EVERY
from coordeval.analysis.tools.need import GOOD
from coordeval.flows.ablation.asking import kept
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.facts import MOST_CELLS, SMALL
from coordeval.flows.dashboard.pages.page import Asked, Page
from coordeval.flows.dashboard.tags import Component, html
from coordeval.flows.tools.looking import Looked, looked
from coordeval.flows.tools.terminal import words
from coordeval.ledger import read
from coordeval.market_data.errors import CoordevalError

_RESAMPLES: Final = 500
"""For a page that is to be there at once; `coordeval tools` takes more."""
_MEASURES: Final = ("needed", "useful", "harmful", "used", "calls", "utility")
_ABOUT: Final = (
    f"Needed: the squared error without tools is expected over {GOOD:g}. Useful, harmful: better, worse with a call. Used: "
    "the agent called when it could choose. Utility: Brier points that a call gains."
)


def layout(asked: Asked) -> list[Component]:
    heading = html.H1("Tools")
    stored = asked.facts.study(asked.view.study)
    if (height := asked.facts.cells(stored.study_id).height) > MOST_CELLS:
        return [heading, parts.note(f"Of {height:,} forecasts this takes minutes: `coordeval tools {stored.name}` does it.")]

    every = read(asked.facts.ledger, settings=SMALL)  # arms are set against each other, whichever is chosen above

    def make() -> Looked | str:
        try:
            return looked(every, stored.study_id, good=GOOD, n=_RESAMPLES, seed=0)
        except CoordevalError as error:
            return str(error)

    found = asked.facts.per_state("tools", stored.study_id, make)
    single = _single(kept(every, stored.study_id), stored.name)
    if isinstance(found, str):
        return [heading, parts.note(f"{found[:1].upper()}{found[1:]}."), single]
    return [
        heading,
        html.Ul([html.Li(sentence) for sentence in words(found)]),
        parts.section("Needed, useful, used", parts.table(_totals(found)), about=_ABOUT),
        parts.section("Perceived against true", parts.table(_perceived(found))),
        _rules(found, dark=asked.dark),
        parts.section("Calls that brought nothing", parts.table(_wasted(found))),
        single,
    ]


def _totals(found: Looked) -> parts.Table:
    rows = {row["measure"]: row for row in found.need.totals.to_dicts()}
    shown = [[name, *_estimate(rows[name], share=name in _MEASURES[:4])] for name in _MEASURES]
    return parts.Table("tools needed", ("measure", "estimate", "95%"), shown, found.need.totals, frozenset({1, 2}))


def _perceived(found: Looked) -> parts.Table:
    rows = [
        [row["perceived"], row["true"], f"{row['draws']:,}", *_estimate({**row, "estimate": row["share"]}, share=True)]
        for row in found.need.perceived.to_dicts()
    ]
    columns = ("the agent", "truly", "draws", "share", "95%")
    return parts.Table("tools perceived", columns, rows, found.need.perceived, frozenset({2, 3, 4}))


def _rules(found: Looked, *, dark: bool) -> Component:
    title = "Brier score against calls"
    if found.policies is None:
        return parts.section(title, parts.note(f"No rule of calling is judged: {found.why_no_policies}."))
    rows = [
        [
            row["policy"],
            f"{row['share']:.0%}",
            f"{row['calls']:.2f}",
            number(row["brier"]),
            None if row["gain_low"] is None else number(row["gain"]),
            _ends(row["gain_low"], row["gain_high"], share=False),
            usd(row["cost_usd"]),
        ]
        for row in found.policies.points.to_dicts()
    ]
    columns = ("rule", "given tools", "calls", "Brier", "gain over never", "95%", "USD per forecast")
    table = parts.Table("tool rules", columns, rows, found.policies.points, frozenset(range(1, 7)))
    picture = brier_against_calls(found.policies, simulated=found.simulated)
    return parts.section(title, parts.figure(picture, dark=dark, data=calls_as_rows(found.policies)), parts.table(table))


def _wasted(found: Looked) -> parts.Table:
    columns = ("configuration", "tool", "calls", "redundant", "empty", "failed")
    rows = [[f"{row[k]:,}" if isinstance(row[k], int) else row[k] for k in columns] for row in found.wasted.to_dicts()]
    return parts.Table("tool calls", columns, rows, None, frozenset(range(2, 6)))


def _single(ablated: list[dict[str, Any]], study: str) -> Component:
    title = "What single results were worth"
    if not ablated:
        return parts.section(title, parts.note(f"Not asked yet: `coordeval tools ablate {study} --calls 200` does it."))
    last = ablated[0]
    rows = [
        [row["tool"], f"{row['calls']:,}", *_estimate(row, share=False)]
        for row in last["totals"]
        if row["measure"] == "utility" and (row["calls"] or row["tool"] == EVERY)
    ]
    mark = "SIMULATED: " if last["simulated"] else ""
    about = (
        f"{mark}{counted(last['n_calls'], 'conversation')} of {last['eligible_calls']:,} went on with one result withheld, "
        f"on {last['at'][:10]}, by {last['model']}. Utility: Brier points that the result gained."
    )
    table = parts.Table("single results", ("tool", "calls", "utility", "95%"), rows, None, frozenset({1, 2, 3}))
    return parts.section(title, parts.table(table), about=about)


def _estimate(row: dict[str, Any], *, share: bool) -> list[str | None]:
    if row["estimate"] is None:
        return [row["reason"], None]
    return [f"{row['estimate']:.0%}" if share else number(row["estimate"]), _ends(row["low"], row["high"], share=share)]


def _ends(low: float | None, high: float | None, *, share: bool) -> str | None:
    if low is None or high is None:
        return None
    return f"{low:.0%} to {high:.0%}" if share else f"{number(low)} to {number(high)}"


PAGE = Page(path="/tools", title="Tools", layout=layout, filters=())
