"""A run in progress: how far it is, how fast, what failed and why, what it has cost; and the runs before it."""

from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from coordeval.analysis.base.numerals import usd
from coordeval.analysis.figures.amounts import over_time
from coordeval.analysis.words.money import Kind, money_kind
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.pages.costs import TIME
from coordeval.flows.dashboard.pages.page import Asked, Page
from coordeval.flows.dashboard.tags import Component, html
from coordeval.flows.run.history import runs as runs_of
from coordeval.flows.study.study import PROBE
from coordeval.ledger.books import Books

_FAILURES: Final = """
    SELECT f.configuration, f.reason, count(*) AS n, max(f.created_at) AS newest
    FROM forecasts f SEMI JOIN (SELECT hash(forecast_id) AS id FROM cells WHERE study_id = ?) c ON c.id = hash(f.forecast_id)
    WHERE f.status = 'failed' GROUP BY ALL ORDER BY n DESC, 1, 2 LIMIT 50
"""
_RATE: Final = """
    WITH mine AS (
        SELECT f.created_at FROM forecasts f
        SEMI JOIN (SELECT hash(forecast_id) AS id FROM cells WHERE study_id = ?) c ON c.id = hash(f.forecast_id)
    )
    SELECT count(*) AS n, min(created_at) AS first, max(created_at) AS last FROM mine
    WHERE created_at > (SELECT max(created_at) FROM mine) - INTERVAL 5 MINUTE
"""
_MOST: Final = 50
"""Runs in the table."""
_TERMS = (
    ("rate", "forecasts stored per minute over the last five minutes in which any were stored"),
    ("lost", "a run whose process is gone without having said how it ended: it was killed"),
)


def layout(asked: Asked) -> list[Component]:
    view, facts = asked.view, asked.facts
    study = facts.study(view.study)

    def load() -> tuple[list[dict[str, Any]], dict[str, Any], list[dict[str, Any]], Books]:
        bound = {"study": study.study_id, "probe": PROBE, "replicate": None}
        with facts.reader().moment() as reader:
            return (
                reader.query(_FAILURES, [study.study_id]).to_dicts(),
                reader.query(_RATE, [study.study_id]).to_dicts()[0],
                reader.query(TIME, bound).to_dicts(),
                reader.books(study.study_id),
            )

    failures, rate, time, books = facts.once(("live", study.study_id, facts.stamp()), load)
    runs = runs_of(facts.reader(), facts.ledger)  # not kept: a run that is killed leaves the file as it was
    cells = facts.cells(study.study_id)
    done = {status: int((cells["status"] == status).sum()) for status in ("answered", "failed", "pending")}
    made, total = done["answered"] + done["failed"], cells.height
    newest = next((run for run in runs if run["study_id"] == study.study_id), None)
    running = newest is not None and newest["status"] == "running"
    facts_of: list[tuple[str, Any]] = [
        ("state", _state(newest, rate)),
        ("made", f"{made:,} of {total:,} forecasts ({made / total:.0%})" if total else "nothing is planned yet"),
        ("failed", f"{done['failed']:,}"),
        ("rate", _rate(rate)),
        ("time left", _left(rate, done["pending"], running)),
        ("paid", _paid(cells, done["pending"], money_kind(study.content, simulated=study.simulated))),
        ("budget", _budget(newest, books)),
    ]
    found: list[Component] = [html.H1("Live")]
    if total:
        found.append(html.Progress(value=str(made), max=str(total), **{"aria-label": "forecasts made"}))
    found.append(parts.facts(facts_of))
    by = [
        [str(name), *(f"{int((part['status'] == s).sum()):,}" for s in ("answered", "failed", "pending"))]
        for (name,), part in sorted(cells.group_by("configuration"), key=lambda one: str(one[0][0]))
    ]
    found.append(
        parts.section(
            "By configuration",
            parts.table(
                parts.Table(
                    "progress", ("Configuration", "Answered", "Failed", "Not made yet"), by, None, frozenset((1, 2, 3))
                )
            ),
        )
    )
    picture = over_time(
        time, name="made-over-time", title="Forecasts stored", axis="forecasts", lines={"made": "forecasts"},
        simulated=study.simulated, caption="When each was stored; those of an earlier study that this one shares are in it.",
    )  # fmt: skip
    if picture is not None:
        found.append(parts.figure(picture, dark=asked.dark, data=pl.DataFrame(time), hover="Counts are exact; UTC"))
    reasons = [[r["configuration"], f"{r['n']:,}", r["reason"], _when(r["newest"])] for r in failures]
    content = (
        parts.table(
            parts.Table("failures", ("Configuration", "How many", "Reason", "Last (UTC)"), reasons, None, frozenset((1,)))
        )
        if reasons
        else parts.note("No forecast failed.")
    )
    found.append(parts.section("What failed, and why", content))
    past = [
        [
            *(r["study"], r["status"], _when(r["started_at"]), _when(r["ended_at"]), _count(r["made"]), _count(r["open"])),
            None if r["paid_usd"] is None else usd(r["paid_usd"]),
            None if r["budget_usd"] is None else usd(r["budget_usd"], 2),
            *(r["detail"] or None, r["version"]),
        ]
        for r in runs[:_MOST]
    ]
    columns = ("Study", "End", "Started (UTC)", "Ended (UTC)", "Made", "Open", "Paid", "Budget", "Detail", "Version")
    found.append(
        parts.section(
            "Runs",
            parts.table(parts.Table("runs", columns, past, None, frozenset((4, 5, 6, 7))))
            if past
            else parts.note("None yet."),
        )
    )
    found.append(parts.terms(_TERMS))
    return found


def _paid(cells: pl.DataFrame, pending: int, kind: Kind) -> str:
    if kind == "replayed":
        return "nothing: recorded replies are replayed"
    if cells["paid"].null_count() != pending:
        return "not known: a price is missing"
    return f"{usd(float(cells['paid'].sum()))}{' (simulated)' if kind == 'simulated' else ''}"


def _budget(run: dict[str, Any] | None, books: Books) -> str:
    """What counts against the budget of the newest run: all that the study has cost, its earlier runs too."""
    if run is None or run["budget_usd"] is None:
        return "none is kept: the study file gives no budget_usd, or the run was made by an earlier version"
    spent = (books.paid_micro_usd + books.uncertain_micro_usd) / 1e6
    budget = run["budget_usd"]
    words = [f"{usd(spent)} of {usd(budget, 2)} ({spent / budget:.0%}), all runs of the study together"]
    if books.uncertain:
        lost = f"{usd(books.uncertain_micro_usd / 1e6)} of it is the worst case of {books.uncertain:,} calls"
        words.append(f"{lost} of which no reply is stored")
    if books.unpriced:
        words.append(
            f"not in it: {len(books.unpriced):,} replies of unknown price, which count as their worst case in a run"
        )
    return "; ".join(words)


def _count(n: int | None) -> str | None:
    return None if n is None else f"{n:,}"


def _state(run: dict[str, Any] | None, rate: dict[str, Any]) -> str:
    if run is None:
        return "no run is stored: imported, or not started"
    if run["status"] != "running":
        return f"{run['status']}{': ' + run['detail'] if run['detail'] else ''}"
    last = rate["last"]
    return "running" if last is None else f"running; the last forecast was stored {_ago(last)} ago"


def _ago(at: datetime) -> str:
    seconds = max(0, int((datetime.now(UTC) - at).total_seconds()))
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"


def _per_minute(rate: dict[str, Any]) -> float | None:
    if not rate["n"] or rate["last"] == rate["first"]:
        return None
    return float(rate["n"] / (rate["last"] - rate["first"]).total_seconds() * 60)


def _rate(rate: dict[str, Any]) -> str:
    per = _per_minute(rate)
    return "not known yet" if per is None else f"{per:,.0f} forecasts a minute"


def _left(rate: dict[str, Any], pending: int, running: bool) -> str:
    per = _per_minute(rate)
    if not pending:
        return "nothing is left to make"
    if not running or per is None:
        return "not known: nothing runs" if not running else "not known yet"
    return f"about {max(1, round(pending / per)):,} min at this rate"


def _when(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


PAGE = Page(path="/live", title="Live", layout=layout, filters=())
