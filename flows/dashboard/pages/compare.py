"""Two configurations, of one study or of two, market by market: the difference, its interval, and where it comes from."""

from dataclasses import asdict
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.numerals import number
from coordeval.analysis.figures.pairs import MOST, grid, side_by_side
from coordeval.flows.compare.beside import Beside, beside, prospective
from coordeval.flows.compare.comparing import Compared
from coordeval.flows.compare.comparing import compare as compare_studies
from coordeval.flows.compare.terminal import said_of_arms
from coordeval.flows.dashboard import cells, parts
from coordeval.flows.dashboard.facts import MOST_CELLS, Facts
from coordeval.flows.dashboard.first_answer import clustered_mean
from coordeval.flows.dashboard.pages.page import Asked, Page
from coordeval.flows.dashboard.tags import Component, dcc, html
from coordeval.flows.dashboard.view import View
from coordeval.ledger.commitments import LATE
from coordeval.market_data.errors import CoordevalError

_SIDE: Final = f"""
    SELECT c.market_id, c.as_of, m.question, coalesce(m.event_id, c.market_id) AS event,
        coalesce(m.category, '') AS category,
        c.market_price AS price, CAST(o.value AS TINYINT) AS outcome, f.probability AS p, c.replicate, f.forecast_id
    FROM (FROM cells WHERE study_id = $study AND configuration = $configuration
            AND ($replicate::INTEGER IS NULL OR replicate = $replicate)) c
        JOIN forecasts f ON hash(f.forecast_id) = hash(c.forecast_id) LEFT JOIN markets m ON m.market_id = c.market_id
        LEFT JOIN (FROM current_outcomes WHERE market_id NOT IN ({LATE})) o ON o.market_id = c.market_id
    WHERE f.status = 'answered'
"""
_SHOWN: Final = 12
_TERMS = (
    ("difference", "squared error of the first minus that of the second, on the same market: below 0 the first was nearer"),
    ("different sides", "one said more than 0.5 and the other less: here they would have told you different things"),
    ("interval", "95%, from sums over events: markets of one event count as one"),
)


def layout(asked: Asked) -> list[Component]:
    view, facts = asked.view, asked.facts
    study = facts.study(view.study)
    other = facts.study(view.other) if view.other else study
    theirs = facts if other is study else facts.of(other.study_id)
    names = [cells.names(of.cells(one.study_id)) for of, one in ((facts, study), (theirs, other))]
    first, second = _chosen(view, names, same=study.study_id == other.study_id)
    studies = [
        (("" if s["study_id"] == study.study_id else s["study_id"]), f"{s['name']} ({s['study_id'][:8]})")
        for s in facts.studies()
    ]
    studies.sort(key=lambda one: one[0] != "")
    picks = [
        parts.choice("First", "first", [(n, n) for n in names[0]], first),
        parts.choice("Second, of study", "other", studies, "" if other is study else other.study_id),
        parts.choice("Second", "second", [(n, n) for n in names[1]], second),
    ]
    if prospective(study) != prospective(other):  # they share no market, so no pair of theirs can be picked
        return [
            html.H1("Compare"),
            html.Div(picks[1:2], className="picks"),
            *_beside(facts, study.study_id, other.study_id),
        ]
    found: list[Component] = [html.H1("Compare"), html.Div(picks, className="picks")]
    if study.study_id != other.study_id:
        found += _studies(facts, view, study.study_id, other.study_id)
    labels = tuple(
        name if study.study_id == other.study_id else f"{one.name}: {name}"
        for one, name in ((study, first), (other, second))
    )
    key = (first, second, other.study_id, view.scope)
    rows = facts.per_state(
        "pairs", study.study_id, lambda: _joined(facts, view, study.study_id, first, other.study_id, second), *key
    )
    if rows.is_empty():
        return [*found, parts.note(f"{labels[0]} and {labels[1]} share no market that both answered.", kind="warning")]
    return [
        *found,
        *_pair(asked, rows, (labels[0], labels[1]), simulated=study.simulated or other.simulated),
        parts.terms(_TERMS),
    ]


def _chosen(view: View, names: list[list[str]], *, same: bool) -> tuple[str, str]:
    if not names[0] or not names[1]:
        raise CoordevalError("one of the studies has no configuration yet")
    first = view.first if view.first in names[0] else names[0][0]
    rest = [name for name in names[1] if name != first] if same else sorted(names[1], key=lambda name: name != first)
    return first, view.second if view.second in names[1] else (rest or names[1])[0]


def _joined(facts: Facts, view: View, study: str, first: str, other: str, second: str) -> pl.DataFrame:
    """market_id, question, event, price, outcome, first, second, first_id, second_id; both answered, as of one moment."""
    sides = []
    for which, (one, name) in enumerate(((study, first), (other, second))):
        frame = (facts.of(other) if which and other != study else facts).query(
            _SIDE, {"study": one, "configuration": name, "replicate": view.replicate}
        )
        label = ("first", "second")[which]
        facts_of = [pl.col(c).first() for c in ("question", "event", "category", "price", "outcome")] if not which else []
        sides.append(
            frame.sort("replicate")
            .group_by("market_id", "as_of", maintain_order=True)
            .agg(*facts_of, pl.col("p").mean().alias(label), pl.col("forecast_id").first().alias(f"{label}_id"))
        )
    both = sides[0].join(sides[1], on=["market_id", "as_of"])
    kept = cells.deciles(both)
    return cells.within(kept, (view.category, view.decile, None)).sort("market_id")


def _pair(asked: Asked, rows: pl.DataFrame, labels: tuple[str, str], *, simulated: bool) -> list[Component]:
    error = [(pl.col(c) - pl.col("outcome")) ** 2 for c in ("first", "second")]
    rows = rows.with_columns(difference=error[0] - error[1])
    scored = rows.drop_nulls("difference")
    said = "No market that both answered is resolved, so nothing is said about who was nearer."
    if scored.height:
        event = np.unique(scored["event"].to_numpy(), return_inverse=True)[1].astype(np.int64)
        mean = clustered_mean(scored["difference"].to_numpy(), event)
        ends = (
            f"[{number(mean['low'])}, {number(mean['high'])}]"
            if mean.get("low") is not None
            else f"(no interval: {mean['reason']})"
        )
        clear = mean.get("low") is not None and (mean["low"] > 0 or mean["high"] < 0)
        verdict = "The interval excludes 0." if clear else "The interval holds 0: the two are not told apart here."
        nearer = int((scored["difference"] < 0).sum())
        said = (
            f"{labels[0]} minus {labels[1]}: {number(mean['estimate'])} {ends} Brier points on {scored.height:,} markets in "
            f"{int(event.max()) + 1:,} events. {verdict} The first was nearer to the truth on {nearer:,} of them. One pair, "
            "chosen by hand: not corrected for the others that could have been looked at."
        )
    crossed = rows.filter((pl.col("first") - 0.5) * (pl.col("second") - 0.5) < 0)
    view = asked.view
    picture = side_by_side(
        rows,
        labels,
        simulated=simulated,
        caption="Means over replicates. A click on a mark leads to its market."
        if scored.height <= MOST
        else "Means over replicates. Each mark is a cell of a 40 by 40 grid, the larger the more markets it holds.",
        link=lambda market: view.href("/market", market=market),
    )
    each = rows.select("market_id", "question", "event", "price", "outcome", "first", "second", "difference")
    data = each if scored.height <= MOST else grid(rows)  # what is drawn; 100,000 markets would be 20 MB in the page
    hover = f"{rows.height:,} markets that both answered as of the same moment; forecasts are means over replicates"
    worst = scored.sort("difference", "market_id", descending=[True, False]).head(_SHOWN)
    best = scored.sort("difference", "market_id").head(_SHOWN)
    sides = crossed.sort((pl.col("first") - pl.col("second")).abs(), descending=True)
    return [
        parts.section("The difference", html.P(said, className="lead")),
        parts.figure(picture, dark=asked.dark, data=data, hover=hover) if picture else None,
        parts.section(
            f"What changed sides: {crossed.height:,} of {rows.height:,} markets",
            _table(asked, sides.head(3 * _SHOWN), "sides"),
        ),
        parts.section(
            f"Where {labels[0]} was nearer to the truth, by most",
            _table(asked, best.filter(pl.col("difference") < 0), "best"),
        ),
        parts.section(
            f"Where {labels[1]} was nearer to the truth, by most",
            _table(asked, worst.filter(pl.col("difference") > 0), "worst"),
        ),
    ]


def _table(asked: Asked, rows: pl.DataFrame, name: str) -> Component:
    if rows.is_empty():
        return parts.note("None.")
    view = asked.view
    made: list[list[Any]] = []
    for row in rows.to_dicts():
        links = [
            dcc.Link("first", href=view.href("/forecast", forecast=row["first_id"])),
            " · ",
            dcc.Link("second", href=view.href("/forecast", forecast=row["second_id"], study=view.other or view.study)),
        ]
        outcome = {None: "open", 1: "YES", 0: "NO"}[row["outcome"]]
        numbers = [None if row[c] is None else number(row[c], 3) for c in ("price", "first", "second", "difference")]
        made.append(
            [
                dcc.Link(row["question"] or row["market_id"], href=view.href("/market", market=row["market_id"])),
                outcome,
                *numbers,
                html.Span(links),
            ]
        )
    columns = ("Market", "Outcome", "Price", "First", "Second", "Difference", "Conversations")
    return parts.table(parts.Table(name, columns, made, None, frozenset((2, 3, 4, 5))))


def _studies(facts: Facts, view: View, first: str, second: str) -> list[Component]:
    """All configurations of both, on what both forecast."""
    if facts.cells(first).height + facts.of(second).cells(second).height > MOST_CELLS:
        return [parts.note("The studies are too large to compare as a whole here: `coordeval compare` does it.")]
    try:
        found: Compared = facts.per_state(
            "compare",
            first,
            lambda: compare_studies(
                facts.whole.reader(), first, second, arms=_arms(facts, second), policy=view.policy, resamples=2000
            ),
            second,
            view.policy,
        )
    except CoordevalError as error:
        return [parts.note(f"As a whole they cannot be compared: {error}", kind="warning")]
    rows: list[list[Any]] = [
        [
            f"{row['first']} − {row['second']}",
            parts.interval(row["delta"], row["low"], row["high"], reason=row["reason"]),
            row["verdict"],
        ]
        for row in found.table.to_dicts()
    ]
    table = parts.Table(
        "studies-compared", ("Pair", "Difference in Brier score", "Verdict"), rows, found.table, frozenset((1,))
    )
    lines = [html.Li(line) for line in (*found.differs, *found.notes)]
    return [
        parts.section(
            f"{found.names[0]} beside {found.names[1]}",
            *(parts.note(line) for line in said_of_arms(found)),
            *(parts.note(label, kind="banner") for label in found.labels),
            html.P(found.overlap),
            html.Details([html.Summary(f"What else differs ({len(lines)})"), html.Ul(lines)]) if lines else None,
            html.Details([html.Summary(f"All {len(rows)} pairs"), parts.table(table)]),
        )
    ]


def _arms(facts: Facts, second: str) -> tuple[str | None, str | None]:
    """The arm of each; None: a study has one."""
    return facts.arm or None, facts.of(second).arm or None


def _beside(facts: Facts, first: str, second: str) -> list[Component]:
    """A backtest and forecasts made ahead share no market: each is held against its own market price."""
    try:
        found: Beside = facts.per_state(
            "beside", first, lambda: beside(facts.whole.reader(), first, second, arms=_arms(facts, second)), second
        )
    except CoordevalError as error:
        return [parts.note(f"They cannot be set beside each other: {error}", kind="warning")]
    rows: list[list[Any]] = [
        [
            row.configuration,
            parts.interval(row.backtest, row.backtest_low, row.backtest_high, reason=row.reason),
            row.backtest_events,
            parts.interval(row.ahead, row.ahead_low, row.ahead_high, reason=row.reason),
            row.ahead_events,
            parts.interval(row.gap, row.gap_low, row.gap_high, reason=row.reason),
        ]
        for row in found.rows
    ]
    columns = ("Configuration", "Backtest − its price", "Events", "Ahead − its price", "Events there", "Gap")
    note = (
        "Brier scores minus that of the market price: below 0 is better than it. The intervals hold however often one looks."
    )
    table = parts.Table("beside", columns, rows, pl.DataFrame([asdict(row) for row in found.rows]), frozenset(range(1, 6)))
    return [
        parts.section(
            f"{found.backtest} (backtest) beside {found.ahead} (before the outcomes)",
            *(parts.note(label, kind="banner") for label in found.labels),
            html.P(found.answer, className="lead"),
            parts.table(table),
            parts.note(f"{note} A gap above 0: the backtest flattered it."),
            html.H3("What differs between them"),
            html.Ul([html.Li(line) for line in found.differs]),
        )
    ]


PAGE = Page(path="/compare", title="Compare", layout=layout, filters=("category", "decile", "replicate"))
