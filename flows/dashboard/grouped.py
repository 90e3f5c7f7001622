"""Groups on the page Coordination: how exchanges end, how many agents several are worth, scaling, and why minds change."""

from typing import Any

import polars as pl

from coordeval.analysis.talk.groups import Groups
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.tags import Component, html

_TERMS = (
    (
        "agreement",
        "the last estimates are within 0.05; verdict: on one side of even odds; divided: neither; abort: no forecast",
    ),
    ("liveness", "the share of groups that end in agreement"),
    ("validity", "of agreements, the share whose forecast lies within what was held before anybody spoke"),
    ("effective agents", "so many agents with independent errors would average to the same error"),
    ("efficiency", "forecasts on the right side, divided by how many times as many model calls as the baseline makes"),
    ("redundancy", "how alike the last statements are, by their words: 1 is the same words"),
)
_ASKED = {
    "ends": "How exchanges end",
    "diversity": "How many agents several are worth",
    "scaling": "What several agents bring, and what they take",
    "flips": "Why minds change",
}


def groups_section(found: Groups) -> Component:
    """A closed table for each question: every row with its interval, or why there is none."""
    made: list[Component | None] = [_table("ends", found.ends), _table("diversity", found.diversity)]
    made += [_table(name, own) for name, own in (("scaling", found.scaling), ("flips", found.flips)) if own is not None]
    if found.withheld:
        made.append(parts.note(f"Configurations are not set against each other here: {found.withheld}."))
    return parts.section("Groups", *made, parts.terms(_TERMS), about="95% intervals from resamples of events.")


def _table(name: str, frame: pl.DataFrame) -> Component | None:
    known = frame.filter(pl.col("estimate").is_not_null())
    if known.is_empty():
        return None
    keys = [column for column in known.columns if column in ("configuration", "part", "round", "measure")]
    rows: list[list[Any]] = [
        [
            *(str(row[key]).replace("_", " ") if key in ("part", "measure") else str(row[key]) for key in keys),
            parts.interval(row["estimate"], row["low"], row["high"], digits=3, reason=row["reason"]),
            f"{row['n_markets']:,}",
        ]
        for row in known.iter_rows(named=True)
    ]
    columns = (*(key.capitalize() for key in keys), "Estimate", "Markets")
    numeric = frozenset({len(keys), len(keys) + 1})
    table = parts.table(parts.Table(name, columns, rows, frame, numeric))
    return html.Details([html.Summary(f"{_ASKED[name]} ({len(rows)} rows)"), table])
