"""How the simulated forecaster bargains: it proposes between its own view and its peers', and answers by how far off one is.

With d the distance of a proposal from its own estimate, in probability, and h = herding: it agrees where d ≤ h/4, it only
acknowledges where d ≤ 1/4, and rejects beyond. Once committed it stands by the proposal where it agreed, with its noise.
"""

from statistics import fmean
from typing import Any

from coordeval.agents.simulated_reading import Opening
from coordeval.agents.simulated_words import probability_of

ACKNOWLEDGES = 0.25
"""A proposal further away is rejected."""


def agrees(opening: Opening, herding: float) -> bool:
    """Whether it would bind itself to the proposal that its role names."""
    return opening.own is not None and opening.proposal is not None and _distance(opening) <= herding / 4


def commitment(opening: Opening, herding: float) -> dict[str, Any]:
    """The report of a proposer or of a party."""
    own = opening.own if opening.own is not None else 0.0
    if opening.role == "proposer":
        offer = probability_of(own + herding * (fmean(opening.peers) - own) if opening.peers else own)
        words = f"I stood at {probability_of(own):.3f} and go part of the way to the others."
        return {"report": words, "parts": [f"propose {offer:.3f}"]}
    if opening.proposal is None:
        return {"report": "I am told of no proposal.", "parts": []}
    number, _ = opening.proposal
    distance = _distance(opening)
    verb = "agree" if agrees(opening, herding) else "acknowledge" if distance <= ACKNOWLEDGES else "reject"
    words = f"I stood at {probability_of(own):.3f}, which is {distance:.3f} from proposal {number}."
    return {"report": words, "parts": [f"{verb} {number}"]}


def _distance(opening: Opening) -> float:
    assert opening.proposal is not None
    return abs(probability_of(opening.own or 0.0) - probability_of(opening.proposal[1]))
