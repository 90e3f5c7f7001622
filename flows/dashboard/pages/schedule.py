"""The scheduled jobs of a ledger: which days are done, missed or failed, why, and when each wakes next."""

import os
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.pages.page import Asked, Page
from coordeval.flows.dashboard.tags import Component, html
from coordeval.flows.schedule.days import history
from coordeval.flows.study.stored import SHORT

SHOWN: Final = 60
"""Attempts in the list, and days in the row of marks."""
PREFECT: Final = "http://127.0.0.1:4200"
"""Where Prefect's UI is unless PREFECT_UI_URL or PREFECT_API_URL says otherwise."""
MARKS: Final = {"done": "■", "failed": "✕", "lost": "✕", "missed": "·", "started": "▸"}
_TERMS = (
    ("done", "each day (UTC) of a job is done once, whatever woke it and however often"),
    ("missed", "nothing woke the job on that day, and a later day covers it, or its time is over"),
    ("failed", "it is tried again at the next wake-up; the reason stands in the list"),
    ("lost", "the process was killed while it was at it; the next wake-up takes the day up"),
)


def layout(asked: Asked) -> list[Component]:
    rows = asked.facts.once(("schedule", asked.facts.stamp()), lambda: history(asked.facts.reader()))
    found: list[Component] = [html.H1("Schedule")]
    if not rows:
        found.append(
            parts.note(
                "No scheduled job has done a day on this ledger yet. ",
                html.Code("coordeval serve STUDY.toml"),
                " serves the jobs of a study; ",
                html.Code("coordeval wake JOB STUDY.toml"),
                " does the day of one by hand.",
            )
        )
        return found
    now = datetime.now(UTC)
    address = os.environ.get("PREFECT_UI_URL") or os.environ.get("PREFECT_API_URL", "").removesuffix("/api") or PREFECT
    about = "Prefect only wakes these jobs; which days are done stands in the ledger. "
    found.append(html.P([about, html.A("Prefect's UI", href=address)]))
    jobs = [_job(job, study, own, now) for (job, study), own in _by_job(rows).items()]
    columns = ("Job", "Of", "Last days, newest right", "Done", "Failed", "Missed", "Last done", "Wakes next (UTC)")
    found.append(
        parts.section(
            "Jobs",
            parts.table(parts.Table("jobs", columns, jobs, None, frozenset((3, 4, 5)))),
            about="■ done, · missed, ✕ failed, ▸ under way. A job wakes only where `coordeval serve` or a worker runs.",
        )
    )
    listed = [_attempt(row) for row in rows[:SHOWN]]
    columns = ("Day (UTC)", "Job", "Of", "End", "Try", "Began (UTC)", "Why, or what was done", "Woken by")
    more = f"the last {SHOWN} of {len(rows):,}; `coordeval runs --limit 0` has all" if len(rows) > SHOWN else ""
    found.append(
        parts.section("What was done", parts.table(parts.Table("days", columns, listed, None, frozenset((4,))), note=more))
    )
    found.append(parts.terms(_TERMS))
    return found


def _by_job(rows: list[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """(job, study) -> the last attempt at each day, by day."""
    last: dict[tuple[str, str], dict[date, dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: (row["day"], row["attempt"])):
        last.setdefault((row["job"], row["study"]), {})[row["day"]] = row
    return {key: list(days.values()) for key, days in sorted(last.items())}


def _job(job: str, study: str, days: list[dict[str, Any]], now: datetime) -> list[Any]:
    count = {status: sum(day["status"] == status for day in days) for status in MARKS}
    marks = "".join(MARKS[day["status"]] for day in days[-SHOWN:])
    said = ", ".join(f"{n} {status}" for status, n in count.items() if n)
    done = max((day["day"] for day in days if day["status"] == "done"), default=None)
    title = f"{days[0]['day']} to {days[-1]['day']}: {said}"
    strip = html.Span(marks, title=title, role="img", className="whole", **{"aria-label": title})
    counts = [count["done"], count["failed"] + count["lost"], count["missed"]]
    return [_whole(job), _study(days[-1]), strip, *counts, None if done is None else _whole(str(done)), _next(job, now)]


def _attempt(row: dict[str, Any]) -> list[Any]:
    began = _whole(f"{row['started_at']:%m-%d %H:%M}")
    head = [_whole(str(row["day"])), _whole(row["job"]), _study(row), row["status"], str(row["attempt"]), began]
    return [*head, row["reason"], row["woken_by"]]


def _whole(words: str) -> Component:
    """On one line, however narrow the window is."""
    return html.Span(words, className="whole")


def _next(job: str, now: datetime) -> str | None:
    """When it is due; None for a job that this version does not have."""
    from coordeval.flows.jobs.table import JOBS  # a page that is not asked for should not wait for what jobs import

    if job not in JOBS:
        return None
    minute, hour = JOBS[job].cron.split()[:2]
    at = datetime.combine(now.date(), time(int(hour), int(minute)), UTC)
    return f"{at if at > now else at + timedelta(days=1):%Y-%m-%d %H:%M}"


def _study(row: dict[str, Any]) -> str:
    study = str(row["name"] or row["study"])
    return study[:SHORT] if len(study) == 64 else study


PAGE = Page(path="/schedule", title="Schedule", layout=layout, filters=())
