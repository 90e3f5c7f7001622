"""The modes in which several agents fail together, as MAST names them (Cemri et al. 2025, arXiv 2503.13657)."""

from typing import Final

MAST: Final = {
    "1.1": "disobeys the task",
    "1.2": "disobeys its role",
    "1.3": "repeats a step",
    "1.4": "loses the conversation's history",
    "1.5": "does not know when to end",
    "2.1": "starts the conversation anew",
    "2.2": "does not ask for what is unclear",
    "2.3": "leaves the task",
    "2.4": "withholds information",
    "2.5": "ignores what another agent said",
    "2.6": "acts otherwise than it reasons",
    "3.1": "ends too early",
    "3.2": "does not check, or not all",
    "3.3": "checks wrongly",
}
"""Mode -> what the agents do. 1: how the system is designed; 2: between agents; 3: verification and end."""
