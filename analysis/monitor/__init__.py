"""Has coordination degraded in silence? Signals of many agents together beside those of one, against a baseline."""

from coordeval.analysis.monitor.evidence import Evidence, e_values, evidence, ranks
from coordeval.analysis.monitor.signals import BY_NAME, RECORD, SIGNALS, Signal, values
from coordeval.analysis.monitor.watching import Alarm, Monitored, label, monitor, says

__all__ = [
    "BY_NAME",
    "RECORD",
    "SIGNALS",
    "Alarm",
    "Evidence",
    "Monitored",
    "Signal",
    "e_values",
    "evidence",
    "label",
    "monitor",
    "ranks",
    "says",
    "values",
]
