"""A Messages API of this machine: it costs nothing, needs no key of anybody's, and goes wrong as it is told to.

`python -m coordeval.agents.standin` serves it; tests and benchmarks run it in a thread (`Running`). It refuses what the
SDK's own types refuse, and answers under the name of the model that was asked: as the simulated forecaster does, and in a
game as simulated players do.
"""

from coordeval.agents.standin.answers import Answer, error, message
from coordeval.agents.standin.app import StandIn
from coordeval.agents.standin.faults import FAULTS, Faults
from coordeval.agents.standin.running import Running

__all__ = ["FAULTS", "Answer", "Faults", "Running", "StandIn", "error", "message"]
