"""What arms of a study of games get of the optimum, and by how much two of them differ: instances are the unit."""

from coordeval.analysis.games.comparing import Compared, compared

__all__ = ["Compared", "compared"]
