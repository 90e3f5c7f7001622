"""What the simulated forecaster gives as its reasons: a few sentences on the numbers that moved it."""

from math import exp
from statistics import fmean
from typing import Any

from coordeval.agents.simulated_reading import Opening, Talk


def reasons(opening: Opening, talk: Talk) -> str:
    """A few sentences on what moved the agent."""
    if opening.own is not None:
        return _second_thoughts(opening, opening.own)
    if opening.readings:
        stated = ", ".join(f"{probability_of(x):.3f}" for x in opening.readings)
        return f"What was reported to me puts YES at {stated}; I weigh these equally."
    if not talk.evidence:
        return "I have no dated evidence, so I start from even odds."
    ranked = sorted(talk.evidence, key=lambda item: item[1])
    listed = "; ".join(f"'{title}' puts it at {probability_of(x):.2f}" for title, x in ranked)
    strongest = f"The strongest case for YES is in '{ranked[-1][0]}', the strongest against it in '{ranked[0][0]}'."
    if opening.answer == "report":
        return f"Signals found: {listed}. {strongest}"
    price = "" if opening.price is None else f" The market's {probability_of(opening.price):.3f} counts as well."
    return f"{len(ranked)} dated documents bear on this. {strongest}{price}"


def _second_thoughts(opening: Opening, stood: float) -> str:
    own = f"I stood at {probability_of(stood):.3f}."
    if opening.peers:
        peers = f"{probability_of(fmean(opening.peers)):.3f}"
        return f"{own} My peers stand at {peers} taken together, which moves me part of the way."
    if opening.stances:
        told = f"{probability_of(fmean(opening.stances)):.3f}"
        return f"{own} I am told {told} of the others and not why, which moves me a little."
    if opening.role == "price_reader" and opening.price is not None:
        return (
            f"{own} The market's {probability_of(opening.price):.3f}, which I did not know then, moves me part of the way."
        )
    return f"{own} Nobody else's view is before me; on second thought I keep close to it."


def probability_of(x: float) -> float:
    """The inverse of `logit`, kept in [0.001, 0.999]."""
    return min(max(1 / (1 + exp(-min(max(x, -7.0), 7.0))), 0.001), 0.999)


def review(*draws: float, solved: bool) -> dict[str, Any]:
    """A reflector's report. Its scores are chance: this reviewer cannot tell good work from bad."""
    names = ("evidence", "completeness", "consistency")
    parts = [f"{name} {int(11 * u)}" for name, u in zip(names, draws, strict=True)]
    return {"report": "One more source would help.", "parts": [*parts, f"solved {'yes' if solved else 'no'}"]}
