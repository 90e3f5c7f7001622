"""What the published study predicted of its five structures, as far as numeric rules can be made of its words.

Source: arXiv 2605.03310. It ranks REL and RES in words ("very low", "low", "moderate", "high"), so what can be held against
numbers is the order of two structures that it puts into different classes. Its debate is predicted against its own first
round; with the one agent that ran, that round is the ensemble's single call.
"""

from typing import Any, Final

SOURCE: Final = "the publication, arXiv 2605.03310"


def _order(claim: str, measure: str, of: str, direction: str, than: str) -> dict[str, Any]:
    rule = {"measure": measure, "of": of, "than": than, "direction": direction}
    return {"claim": claim, **rule, "source": SOURCE}


PREDICTIONS: Final = (
    _order("Debate improves reliability over its rounds", "rel", "peer_critique_debate", "lower", "independent_ensemble"),
    _order("Debate loses resolution over its rounds", "res", "peer_critique_debate", "lower", "independent_ensemble"),
    _order(
        "REL is low for the orchestrator, moderate for the ensemble",
        "rel",
        "orchestrator_specialist",
        "lower",
        "independent_ensemble",
    ),
    _order(
        "RES is high for the ensemble, moderate for the orchestrator",
        "res",
        "independent_ensemble",
        "higher",
        "orchestrator_specialist",
    ),
    _order(
        "REL is very low for consensus, low for the orchestrator",
        "rel",
        "consensus_alignment",
        "lower",
        "orchestrator_specialist",
    ),
    _order(
        "RES is very low for consensus, moderate for the orchestrator",
        "res",
        "consensus_alignment",
        "lower",
        "orchestrator_specialist",
    ),
)
UNSCORED: Final = (
    {
        "claim": "Moderate REL for the ensemble, moderate RES for the orchestrator",
        "reason": "the publication gives no number for moderate, so only its order against low and high is scored",
    },
    {
        "claim": "The pipeline hangs on its first stage and is at best a strong single agent",
        "reason": "no single agent ran beside it, and to be no better is not a direction",
    },
    {
        "claim": "Consensus collapses onto the market price",
        "reason": "how near a forecast is to the price is no measure that predictions can name",
    },
)
