"""What talking did: coordination gain, movement, influence, and other ways to pool."""

from coordeval.analysis.talk.coordination import AGGREGATIONS, Coordination, aggregations, anchoring, coordination
from coordeval.analysis.talk.credit import Credit, agreement_said, credit
from coordeval.analysis.talk.pooling import Pooling, pooled, pooling
from coordeval.analysis.talk.telemetry import telemetry

__all__ = [
    "AGGREGATIONS",
    "Coordination",
    "Credit",
    "Pooling",
    "aggregations",
    "agreement_said",
    "anchoring",
    "coordination",
    "credit",
    "pooled",
    "pooling",
    "telemetry",
]
