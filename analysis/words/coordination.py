"""What coordination itself added or destroyed, and how forecasts stand to the market price, in sentences."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import polars as pl

from coordeval.analysis.base.numerals import SAME, number
from coordeval.analysis.quality.tracking import Tracking
from coordeval.analysis.study.diagnostics import Diagnostics
from coordeval.analysis.study.stated import blends, talked
from coordeval.analysis.talk.coordination import Coordination
from coordeval.analysis.words.phrases import ends, listed

_ODD: Final = {
    "blank": "were blank and sent back",
    "repeated": "said what another one said",
    "dropped": "were more than was asked for and went to nobody",
}


def on_coordination(deeper: Diagnostics) -> Iterator[str]:
    """Of Brier points that talking changed: a gain is measured against the configuration's own pool of round 0."""
    found = deeper.coordination
    if found is None:
        yield f"What coordination itself did is not known: {deeper.reasons['coordination']}."
        return
    gain = {(row["configuration"], row["measure"]): row for row in found.gain.to_dicts()}
    names = list(dict.fromkeys(name for name, _ in gain))
    talking = [name for name in names if _talks(found, name)]
    gained = [name for name in talking if gain[name, "gain"]["estimate"] is not None]
    yield from _pooling_alone(gain, names)
    clear = [row["configuration"] for row in talked(deeper)]
    for name in gained:
        row = gain[name, "gain"]
        value = number(abs(row["estimate"]))
        if row["low"] is None and abs(row["estimate"]) <= SAME:
            yield f"{name}: talking changed nothing: every forecast scores what its pooled first estimates do."
        elif row["low"] is None:
            yield f"{name}: whether talking helped is not known: gain {number(row['estimate'])}; {row['reason']}."
        elif name in clear and row["estimate"] > 0:
            yield f"{name}: talking made it better than its pooled first estimates, by {value} {ends(row)} in Brier score."
        elif name in clear:
            yield f"{name}: talking made it worse than its pooled first estimates, by {value} {_turned(row)} in Brier score."
        else:
            yield (
                f"{name}: talking is not shown to have helped or harmed: gain {number(row['estimate'])} {ends(row)} over "
                "its pooled first estimates."
            )
        if not _lonely(found, name):
            yield from _on_the_way(found, name, gain[name, "away"])
    if alone := [name for name in gained if _lonely(found, name)]:
        yield f"{listed(alone)} had rounds but no peers: an agent revised its own estimate, which is no coordination."
    if silent := [name for name in names if name not in talking and gain[name, "individual"]["estimate"] is not None]:
        yield f"{listed(silent)}: nobody spoke after the first estimates, so there is nothing that talking did."
    if late := [name for name in names if gain[name, "individual"]["estimate"] is None]:
        does = "does" if len(late) == 1 else "do"
        yield (
            f"{listed(late)} {does} not begin with independent estimates: what coordination is worth there shows only "
            "against plain sampling at the same cost."
        )
    yield from _on_parts(deeper.parts)


def _on_parts(parts: pl.DataFrame | None) -> Iterator[str]:
    """What agents were asked to hand in as a list, and did not hand in as such."""
    if parts is None:
        return
    for row in parts.to_dicts():
        odd = [f"{row[name]} {word}" for name, word in _ODD.items() if row[name]]
        if odd:
            yield (
                f"{row['configuration']}: of {row['given']} parts that were handed in where {row['asked']} were asked for, "
                f"{listed(odd)}."
            )


def on_market(deeper: Diagnostics) -> Iterator[str]:
    """Whether forecasts repeat the price, and whether they know anything beside it."""
    found = deeper.tracking
    if found is None:
        yield f"How forecasts stand to the market price is not known: {deeper.reasons['tracking']}."
        return
    near, weight, gain = (
        [row for row in found.table.filter(measure=measure).to_dicts() if row["estimate"] is not None]
        for measure in ("near", "blend_weight", "blend_gain")
    )
    if not near:
        yield "No market price is known for the scored markets."
        return
    copies = [row["configuration"] for row in near if row["estimate"] == 1]
    rest = [row for row in near if row["configuration"] not in copies]
    if copies:
        yield f"{listed(copies)}: every forecast lies within {found.within:g} of the price."
    if rest:
        yield f"Within {found.within:g} of the price that was shown: {_range(rest)} of the forecasts."
    yield from _beside(found, weight, gain, blends(deeper))


def _pooling_alone(gain: dict[tuple[str, str], dict[str, Any]], names: Sequence[str]) -> Iterator[str]:
    """b₀ − A₀ = s₀, once for all that share their first estimates."""
    alike: dict[tuple[float, float], list[str]] = {}
    for name in names:
        individual, ambiguity = gain[name, "individual"]["estimate"], gain[name, "ambiguity"]["estimate"]
        if individual is not None and ambiguity > SAME:
            alike.setdefault((round(individual, 9), round(ambiguity, 9)), []).append(name)
    for (individual, ambiguity), same in alike.items():
        yield (
            f"{listed(same)}: averaging the first estimates takes their ambiguity, {number(ambiguity)}, off the Brier score "
            f"of a single one, {number(individual)}: exactly, and before anybody talks."
        )


def _on_the_way(found: Coordination, name: str, away: dict[str, Any]) -> Iterator[str]:
    weights = found.influence.filter(configuration=name, measure="peers").drop_nulls("low").to_dicts()
    said = [
        f"as {row['role']} an agent moves {row['estimate']:.0%} [{row['low']:.0%}, {row['high']:.0%}] of the way to its "
        "peers' mean"
        for row in weights
    ]
    if away["estimate"] is not None and away["low"] is not None:
        said.append(f"in {away['estimate']:.0%} of the forecasts the group ended further from the truth than its first pool")
    if said:
        yield f"{name}: {', and '.join(said)}."


def _beside(
    found: Tracking,
    weight: Sequence[dict[str, Any]],
    gain: Sequence[dict[str, Any]],
    adding: Sequence[dict[str, Any]],
) -> Iterator[str]:
    if not gain:
        yield "Whether they add information to the price cannot be told from these forecasts."
        return
    of = {row["configuration"]: row for row in weight}
    for row in adding:
        name = row["configuration"]
        share = f", with a weight of {number(of[name]['estimate'], 2)}" if name in of else ""
        yield (
            f"{name} adds information to the price: a blend of the two{share} scores {number(row['estimate'])} {ends(row)} "
            "better than the price on markets that it was not fitted to."
        )
    if len(adding) < len(gain):
        whom = "No configuration" if not adding else "No other"
        yield (
            f"{whom} is shown to add information to the price: the gain of a blend, on markets that it was not fitted to "
            f"({found.folds} folds of events), is not told from 0 after correction."
        )


def _talks(found: Coordination, name: str) -> bool:
    return not found.rounds.filter((found.rounds["configuration"] == name) & (found.rounds["round"] > 0)).is_empty()


def _lonely(found: Coordination, name: str) -> bool:
    moved = found.rounds.filter(configuration=name, measure="toward_peers")
    return not moved.is_empty() and moved["estimate"].null_count() == moved.height


def _turned(row: dict[str, Any]) -> str:
    return f"[{number(-row['high'])}, {number(-row['low'])}]"


def _range(rows: Sequence[dict[str, Any]]) -> str:
    low, high = (f(rows, key=lambda row: row["estimate"]) for f in (min, max))
    if len(rows) == 1 or high["estimate"] - low["estimate"] < 0.005:
        return f"{high['estimate']:.0%}"
    return f"{low['estimate']:.0%} ({low['configuration']}) to {high['estimate']:.0%} ({high['configuration']})"
