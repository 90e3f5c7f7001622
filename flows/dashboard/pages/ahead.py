"""Forecasts made before the outcome: the days with their roots, what awaits its outcome, and what was odd."""

from datetime import datetime
from typing import Any, Final

from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.pages.page import Asked, Page
from coordeval.flows.dashboard.tags import Component, html
from coordeval.flows.prospective.forecasting import missed_days
from coordeval.ledger.commitments import day_roots, standing_of

_MOST: Final = 60
_PICKED: Final = """
    SELECT p.market_id, m.question, p.day, p.closes_at, coalesce(o.status, 'unresolved') AS status, d.committed_at,
        o.resolved_at, o.recorded_at
    FROM picks p JOIN markets m USING (market_id) LEFT JOIN current_outcomes o USING (market_id)
        LEFT JOIN forecast_days d USING (study_id, day)
    WHERE p.study_id = ? ORDER BY p.closes_at, p.market_id
"""
_FINDINGS: Final = (
    "SELECT created_at, kind, detail FROM findings WHERE study_id = ? ORDER BY created_at DESC, detail LIMIT 30"
)
_TERMS: Final = (
    ("root", "one hash that stands for every forecast of the day; published, it proves that they were there by then"),
    ("committed", "from then on no forecast of the day is changed; one counts only if that was before its outcome"),
    ("missed", "a day on which nothing was forecast; a day that is past is not forecast"),
)


def layout(asked: Asked) -> list[Component]:
    view, facts = asked.view, asked.facts
    study = facts.study(view.study)
    found: list[Component] = [html.H1("Before the outcome")]
    reader = facts.reader()
    standing = standing_of(reader, study.study_id)
    if standing is None:
        return [
            *found,
            parts.note(
                "These forecasts were made elsewhere, and nothing was committed to here. "
                if study.source == "imported"
                else "This study is a backtest: its markets had resolved before they were forecast. ",
                "A study with markets.source = 'open' is forecast ahead: ",
                html.Code("coordeval study new ahead.toml --open"),
            ),
        ]
    days = day_roots(reader, study.study_id)
    picked = facts.query(_PICKED, [study.study_id]).to_dicts()
    missed = missed_days([row["day"] for row in days], standing["last"])
    scored = [row for row in picked if row["status"] == "resolved" and _in_time(row)]
    found.append(
        parts.facts(
            [
                ("days", f"{standing['days']:,}, from {standing['first']} to {standing['last']}; {len(missed):,} missed"),
                (
                    "markets",
                    f"{standing['picked']:,} forecast, {len(scored):,} scored, {standing['awaiting']:,} await theirs",
                ),
                ("last root", html.Code(standing["root"] or "none yet", className="hash")),
                ("committed", _when(standing["committed_at"])),
            ]
        )
    )
    found.append(parts.section("Days", _days(days), about="Each root holds the one of the day before."))
    waiting = [row for row in picked if row["status"] in ("unresolved", "proposed", "disputed", "contradictory")]
    found.append(parts.section("Awaiting their outcome", _waiting(waiting, asked)))
    late = [row for row in picked if row["status"] == "resolved" and not _in_time(row)]
    if late:
        text = f"{len(late):,} markets resolved before their forecasts were committed to: they are kept, and not scored."
        found.append(parts.section("Not scored", parts.note(text, kind="warning")))
    odd = facts.query(_FINDINGS, [study.study_id]).to_dicts()
    table = parts.Table(
        "findings", ("When (UTC)", "Kind", "What"), [(_when(r["created_at"]), r["kind"], r["detail"]) for r in odd]
    )
    found.append(parts.section("Findings", parts.table(table) if odd else parts.note("Nothing odd was found.")))
    return [*found, parts.terms(_TERMS)]


def _days(days: list[dict[str, Any]]) -> Component:
    rows = [
        (
            row["day"],
            f"{row['listed']:,}",
            f"{row['picked']:,}",
            None if row["size"] is None else f"{row['size'] - 1:,}",
            "not yet" if row["committed_at"] is None else _when(row["committed_at"]),
            None if row["root"] is None else html.Code(row["root"][:16] + "…", title=row["root"]),
        )
        for row in reversed(days[-_MOST:])
    ]
    columns = ("Day", "Open markets", "Picked", "Forecasts", "Committed (UTC)", "Root")
    shown = f"the last {len(rows)} of {len(days):,} days; " if len(rows) < len(days) else ""
    note = f"{shown}coordeval commitment prints them whole"
    return parts.table(parts.Table("days", columns, rows, None, frozenset((1, 2, 3))), note=note)


def _waiting(rows: list[dict[str, Any]], asked: Asked) -> Component:
    if not rows:
        return parts.note("No market waits.")
    shown = [
        (
            html.A(row["question"], href=asked.view.href("/market", market=row["market_id"])),
            row["day"],
            _when(row["closes_at"]),
            row["status"].replace("_", " "),
        )
        for row in rows[:_MOST]
    ]
    note = f"the {len(shown)} that close first of {len(rows):,}" if len(shown) < len(rows) else ""
    return parts.table(parts.Table("awaiting", ("Market", "Forecast on", "Closes (UTC)", "Stands"), shown), note=note)


def _in_time(row: dict[str, Any]) -> bool:
    ends = [at for at in (row["resolved_at"], row["recorded_at"]) if at is not None]
    return row["committed_at"] is not None and row["committed_at"] < min(ends)


def _when(at: datetime | None) -> str:
    return "–" if at is None else f"{at:%Y-%m-%d %H:%M}"


PAGE: Final = Page(path="/ahead", title="Before the outcome", layout=layout, filters=())
