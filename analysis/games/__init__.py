"""What arms of a study of games get of the optimum, and by how much two of them differ: instances are the unit."""

from coordeval.analysis.games.comparing import Compared, compared
from coordeval.analysis.games.explained import ArmFacts, GamesFound, explained, facts_of
from coordeval.analysis.games.planning import GamesPlan, plan
from coordeval.analysis.games.telemetry import telemetry

__all__ = ["ArmFacts", "Compared", "GamesFound", "GamesPlan", "compared", "explained", "facts_of", "plan", "telemetry"]
