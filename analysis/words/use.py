"""What a configuration is worth its cost, which are one procedure, and what it would take to know more, in sentences."""

from collections.abc import Iterator, Sequence
from itertools import takewhile
from math import ceil
from typing import Any

from coordeval.analysis.base.grid import PRICE
from coordeval.analysis.base.numerals import SAME, number, usd
from coordeval.analysis.study.findings import Findings
from coordeval.analysis.study.stated import passes
from coordeval.analysis.words.phrases import ahead, counted, listed, nothing, pairs_of, size


def on_frontier(found: Findings) -> Iterator[str]:
    front = found.frontier
    if front is None:
        yield nothing(found, "frontier")
        return
    rows = front.table.to_dicts()
    unknown = [row["configuration"] for row in rows if row["cost"] is None]
    placed = [row for row in rows if row["cost"] is not None]
    members = [row for row in placed if row["on_frontier"]]
    if members:
        each = ", ".join(f"{row['configuration']} ({usd(row['cost'])} per market{_chance(row)})" for row in members)
        yield f"On the frontier of cost and Brier score: {each}. The share is of resamples in which it is on it."
    close = [
        f"{row['configuration']} ({usd(row['cost'])}, {row['probability']:.0%})"
        for row in placed
        if not row["on_frontier"] and (row["probability"] or 0) > 0.1
    ]
    if close:
        yield f"Not on it here, but in more than a tenth of the resamples: {', '.join(close)}."
    if front.epsilon_brier is None or front.epsilon_cost is None:
        if members:
            yield f"Which places are only ties is not known: {'; '.join(sorted(set(front.reasons.values())))}."
    elif members:
        ties = [said for row in members if (said := _tie(row, placed, front.epsilon_brier, front.epsilon_cost))]
        noise = f"the noise floor ({number(front.epsilon_brier)} in Brier score, {usd(front.epsilon_cost)} in cost)"
        yield (
            f"Under {noise} these places are ties: {'; '.join(ties)}." if ties else f"No place on it is a tie under {noise}."
        )
    if unknown:
        yield f"Their cost is not known, so nothing is said about value for money: {', '.join(unknown)}."


def _tie(row: dict[str, Any], placed: Sequence[dict[str, Any]], brier: float, cost: float) -> str | None:
    """Who takes the place where differences up to the noise floor are none."""
    others = [
        other
        for other in placed
        if other is not row and other["brier"] <= row["brier"] + brier + SAME and other["cost"] <= row["cost"] + cost + SAME
    ]
    if not others:
        return None
    cheapest = " (the cheapest)" if row is placed[0] and len(placed) > 1 else ""
    names = listed([other["configuration"] for other in others])
    return f"{row['configuration']}{cheapest}, with {names} no worse and no dearer beyond noise"


def on_structure(found: Findings) -> Iterator[str]:
    alike = found.structure
    if alike is None:
        yield f"Which configurations are one procedure is not known: {found.reasons['structure']}."
        return
    pairs = alike.table.to_dicts()
    if not alike.groups:
        partly = sorted((row for row in pairs if row["n_same"]), key=lambda row: -row["n_same"] / row["n_shared"])
        yield "No two configurations ran as the same procedure on every market, so there is no A/A control among them."
        for row in partly[:3]:
            yield (
                f"{row['first']} and {row['second']} did the same on {row['n_same']} of "
                f"{counted(row['n_shared'], 'market')}: there nothing but sampling differs."
            )
        return
    for group in alike.groups:
        inside = [row for row in pairs if {row["first"], row["second"]} <= set(group)]
        yield (
            f"{listed(group)} are one and the same procedure by their recorded calls, on all "
            f"{counted(min(row['n_shared'] for row in inside), 'market')}: replicates of each other, an A/A control."
        )
        for row in inside[:3]:
            if row["delta"] is not None:
                p = "" if row["p_value"] is None else f"; p {row['p_value']:.2f}"
                yield f"Even so {row['first']} and {row['second']} differ by {size(row)}{p}: noise, whatever its size."
    yield from _involved(found, {name for group in alike.groups for name in group}, pairs)


def _involved(found: Findings, members: set[str], pairs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Whether the largest differences are between, or with, configurations that are one procedure."""
    ranked = sorted((r for r in pairs_of(found) if r["delta"] is not None), key=lambda row: -abs(row["delta"]))
    if not ranked:
        return
    identical = {frozenset((row["first"], row["second"])) for row in pairs if row["identical"]}
    top = ranked[0]
    largest = number(abs(top["delta"]))
    if frozenset((top["first"], top["second"])) in identical:
        yield (
            f"The largest difference of the study, {largest} between {top['first']} and {top['second']}, is between two "
            "that are the same procedure: noise alone made it."
        )
        return
    leading = len(list(takewhile(lambda row: members & {row["first"], row["second"]}, ranked)))
    if leading:
        which = "The largest difference involves" if leading == 1 else f"The {leading} largest differences all involve"
        floor = found.structure.noise_floor if found.structure else None
        times = (
            f": {abs(top['delta']) / floor:.1f} times what one procedure differs from itself by"
            if floor
            else ", where one procedure never differs from itself"
            if floor == 0
            else ""
        )
        yield f"{which} one of them; the largest is {largest}, {ahead(top)}{times}."


def on_more(found: Findings) -> Iterator[str]:
    if found.comparisons is None:
        yield nothing(found, "comparisons")
        return
    rows = [row for row in pairs_of(found) if row["delta"]]
    corrected = f", corrected for {counted(found.tests, 'test')}" if found.tests > 1 else ""
    power = f"{found.comparisons.wanted_power:.0%} power at the 5% level{corrected}"
    if found.detectable.is_empty() or found.detectable["delta"][0] is None:
        why = found.reasons.get("detectable") or found.detectable["reason"][0]
        yield f"The smallest difference that this study could see is not known: {why}."
    else:
        seen = found.detectable.row(0, named=True)
        margin = found.comparisons.margin
        needed = ceil(seen["markets"] * (seen["delta"] / margin) ** 2)
        yield (
            f"With {counted(seen['markets'], 'market')} and {counted(seen['replicates'], 'replicate')} this study sees true "
            f"differences of {number(seen['delta'])} and more ({power}); for {margin:g} it would take about "
            f"{needed:,} markets with as many replicates."
        )
    if wanted := [row for row in rows if row["n_needed_clustered"] and not passes(row)]:
        top = max(wanted, key=lambda row: abs(row["delta"]))
        yield _takes(top)
    against = [row for row in pairs_of(found, "market") if row["delta"] and row["n_needed_clustered"] and not passes(row)]
    if against:
        yield _takes(min(against, key=lambda row: row["n_needed_clustered"]))


def _takes(row: dict[str, Any]) -> str:
    have, needed = row["n_markets"], row["n_needed_clustered"]
    so_many = f"it takes about {needed:,} markets" if needed > have else f"{needed:,} of the {have:,} markets would do"
    second = f"the {PRICE}" if row["second"] == PRICE else row["second"]
    return f"To tell {row['first']} from {second}, if they truly differ by the {number(abs(row['delta']))} seen, {so_many}."


def _chance(row: dict[str, Any]) -> str:
    return "" if row["probability"] is None else f", {row['probability']:.0%}"
