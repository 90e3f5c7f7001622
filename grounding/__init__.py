"""The grounding game: two agents who could solve a task alone and have to solve it together (arXiv 2605.01750).

Its joint optimum is enumerated, so every lost point has a cause. No code of the paper was found: this is built from its
description, and docs/grounding.md says where it left a choice and what was chosen.
"""

from coordeval.grounding.game import (
    RULES,
    Conditions,
    Game,
    GameError,
    Instance,
    Message,
    Mishap,
    Project,
    Resource,
    Round,
    Rules,
)
from coordeval.grounding.instances import TENSIONS, instance, instances
from coordeval.grounding.optimum import Optimum, optimum
from coordeval.grounding.playing import play
from coordeval.grounding.repairs import Extra, Repair
from coordeval.grounding.table import Table

__all__ = [
    "RULES",
    "TENSIONS",
    "Conditions",
    "Extra",
    "Game",
    "GameError",
    "Instance",
    "Message",
    "Mishap",
    "Optimum",
    "Project",
    "Repair",
    "Resource",
    "Round",
    "Rules",
    "Table",
    "instance",
    "instances",
    "optimum",
    "play",
]

if __name__ == "grounding":  # from a checkout, by its folder's name: the same modules, not copies
    from coordeval.folders import same

    same(__name__)
