"""One row per configuration from whatever is known: the report where it is there, else the first answer."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from coordeval.analysis.base.numerals import usd, usd_places
from coordeval.analysis.study.leaderboard import REFERENCE
from coordeval.analysis.study.placed import placed
from coordeval.analysis.words.headline import POLICIES
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.facts import Deeper, Facts
from coordeval.flows.dashboard.first_answer import First
from coordeval.flows.dashboard.tags import Component
from coordeval.flows.dashboard.view import View


@dataclass(frozen=True, slots=True)
class Standing:
    """`rows`: see `first_answer.First`, with on_frontier and its probability where resampling told them."""

    rows: list[dict[str, Any]]
    first: First
    deeper: Deeper
    method: str

    def pairs(self) -> list[dict[str, Any]]:
        """Paired differences, those of the report where it is there."""
        report = self.deeper.report
        found = self.first.pairs
        if report is not None and report.findings.comparisons is not None:
            found = report.findings.comparisons.table.to_dicts()
        return found

    def against(self) -> dict[str, dict[str, Any]]:
        """Configuration -> its difference from the market price."""
        return {pair["first"]: pair for pair in self.pairs() if pair["second"] == REFERENCE}

    def hover(self, view: View) -> str:
        """N, policy and definition, for whoever points at a figure."""
        return (
            f"{self.first.n_markets:,} markets in {self.first.n_events:,} events; {POLICIES[view.policy]}; {self.method}. "
            "Brier score: mean of (forecast − outcome)², 0 is perfect, 0.25 is what a constant 0.5 earns."
        )


def standing(facts: Facts, view: View) -> Standing:
    first, deeper = facts.first(view), facts.deeper(view)
    rows = [dict(row) for row in first.rows]
    method = "95% intervals from sums over events (Student's t)"
    if deeper.report is not None and deeper.report.findings.measures is not None:
        method = f"95% intervals from {deeper.report.findings.measures.n:,} resamples of events"
        rows = _resampled(rows, deeper)
    return Standing(rows, first, deeper, method)


def _resampled(rows: list[dict[str, Any]], deeper: Deeper) -> list[dict[str, Any]]:
    report = deeper.report
    assert report is not None
    known = {row["configuration"]: row for row in placed(report.board, report.findings)}
    found = []
    for row in rows:
        own = known.get(row["configuration"], {})
        # what the first answer knows and the report does not stays
        found.append(
            row | {key: value for key, value in own.items() if value is not None or key in ("low", "high", "reason")}
        )
    return sorted(found, key=lambda row: (row.get("brier") is None, row.get("brier"), row["configuration"]))


def leaderboard(known: Standing, view: View, look: Any, *, dark: bool) -> Component:
    rows, plain = [], []
    against, places = known.against(), usd_places(row.get("cost") for row in known.rows)
    for row in known.rows:
        name, pair = row["configuration"], against.get(row["configuration"], {})
        href = None if name == REFERENCE else view.href("/markets", configuration=name)
        rows.append(
            [
                parts.named(name, look, href, dark=dark),
                parts.interval(row.get("brier"), row.get("low"), row.get("high"), reason=row.get("reason")),
                "the reference"
                if name == REFERENCE
                else parts.interval(pair.get("delta"), pair.get("low"), pair.get("high"), reason=pair.get("reason")),
                "not charged" if name == REFERENCE else usd(row.get("cost"), places),
                f"{row.get('n_markets', 0):,}",
                "–" if name == REFERENCE else f"{row.get('answered', 0):,}",
                "–" if name == REFERENCE else f"{row.get('failed', 0):,}",
            ]
        )
        keys = ("configuration", "brier", "low", "high", "cost", "cost_low", "cost_high", "n_markets", "answered", "failed")
        plain.append(
            {key: row.get(key) for key in keys} | {f"against_price_{k}": pair.get(k) for k in ("delta", "low", "high")}
        )
    columns = ("Configuration", "Brier score", "Against the market price", "USD per market", "Markets", "Answered", "Failed")
    return parts.table(
        parts.Table("leaderboard", columns, rows, pl.DataFrame(plain), frozenset(range(1, 7))),
        note=f"Best first. {known.method}. Negative against the price: better than it.",
    )
