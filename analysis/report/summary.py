"""A summary of a study to paste: into a pull request, a message, a note. Markdown, with nothing of data read as markup."""

import re
from typing import Any

from coordeval.analysis.base.numerals import number, usd
from coordeval.analysis.report.page import Report
from coordeval.analysis.study.leaderboard import REFERENCE


def summary(report: Report) -> str:
    """How much is there, the verdicts, the leaderboard, and where it comes from."""
    results = report.results()
    lines = [f"## {literal(report.study['name'])}", "", f"**{literal(report.standing.amount)}**"]
    lines += [f"- **{literal(mark.label)}**: {literal(mark.sentence)}" for mark in report.standing.marks]
    lines += ["", literal(report.money), ""]
    lines += ["| question | answer | |", "|---|---|---|"]
    for verdict in report.verdicts:
        lines.append(
            f"| {literal(verdict.question)} | **{verdict.answer}** | {literal(f'{verdict.sentence} {verdict.takes}')} |"
        )
    lines += ["", "| configuration | Brier | 95% interval | better than the price by | USD per market | failed |"]
    lines.append("|---|--:|--:|--:|--:|--:|")
    spans = {row["configuration"]: row for row in results["intervals"] if row["measure"] == "brier"}
    lines += [_row(row, spans.get(row["configuration"])) for row in report.board.table.to_dicts()]
    name, study = literal(report.study["name"]), report.study["study_id"][:12]
    lines += [
        "",
        f"coordeval {results['version']}, study {name} ({study}), policy {report.board.policy}: `{results['command']}`",
    ]
    return "\n".join(lines) + "\n"


def literal(text: object) -> str:
    """Text from data as Markdown that shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", " ".join(str(text).split()))


def _row(row: dict[str, Any], span: dict[str, Any] | None) -> str:
    market = row["configuration"] == REFERENCE
    ends = "n/a" if span is None or span["low"] is None else f"{number(span['low'])} to {number(span['high'])}"
    alpha, sem = row["alpha"], row["alpha_sem_clustered"]
    better = "–" if market else "n/a" if alpha is None else number(alpha) + (f" ± {number(sem)}" if sem is not None else "")
    cost = "–" if market else usd(row["cost_usd_per_market"])
    failed = "–" if market else f"{row['failed']} of {row['answered'] + row['failed']}"
    brier = "n/a" if row["brier"] is None else number(row["brier"])
    return f"| {literal(row['configuration'])} | {brier} | {ends} | {better} | {cost} | {failed} |"
