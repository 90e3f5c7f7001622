"""Which configurations begin with the same requests, and what that alone does to a score, in sentences."""

from collections.abc import Iterator
from typing import Any

from coordeval.analysis.base.numerals import number
from coordeval.analysis.study.diagnostics import Diagnostics
from coordeval.analysis.words.phrases import counted, listed


def on_openings(deeper: Diagnostics) -> Iterator[str]:
    """An A/A test of first estimates: nothing was shared yet, so nothing but sampling can differ."""
    found = deeper.openings
    if found is None:
        yield f"Whether configurations begin alike is not known: {deeper.reasons['openings']}."
        return
    groups = found.groups.to_dicts()
    if not groups:
        yield "No two configurations begin with the same requests on every market that they share."
        return
    for group in groups:
        names = group["configurations"]
        inside = [row for row in found.pairs.to_dicts() if row["same"] and {row["first"], row["second"]} <= set(names)]
        yield (
            f"{listed(names)} begin with the same requests, byte for byte, on all markets that they share "
            f"({min(row['n_shared'] for row in inside)} or more): until somebody is shown what another said they are one "
            "procedure."
        )
        yield from _told(group, inside)
    if found.largest is not None and found.exceeds:
        yield (
            f"The largest difference between first answers to one and the same request, {number(found.largest)} in Brier "
            f"score, exceeds {found.exceeds} of {counted(found.compared, 'difference')} between final forecasts."
        )


def _told(group: dict[str, Any], inside: list[dict[str, Any]]) -> Iterator[str]:
    if group["range"] is not None:
        scores = listed([number(score) for score in group["brier"]])
        p = "" if group["p_value"] is None else f"; p {group['p_value']:.2f} by exchanging names within events"
        yield (
            f"Even so their first estimates score {scores} on {counted(group['n_markets'], 'market')}, a range of "
            f"{number(group['range'])}{p}: an A/A test, so this is what sampling does."
        )
    elif all(row["n_shared_draws"] == row["n_same"] for row in inside):
        yield "They share the replies to these requests too (common draws), so they differ only in what came after."
