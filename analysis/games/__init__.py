"""What arms of a study of games get of the optimum, and by how much two of them differ: instances are the unit."""

from coordeval.analysis.games.comparing import Compared, compared
from coordeval.analysis.games.explained import ArmFacts, GamesFound, explained, facts_of

__all__ = ["ArmFacts", "Compared", "GamesFound", "compared", "explained", "facts_of"]
