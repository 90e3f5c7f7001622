"""What talking did: coordination gain, movement, influence, and other ways to pool."""

from coordeval.analysis.talk.coordination import AGGREGATIONS, Coordination, aggregations, anchoring, coordination
from coordeval.analysis.talk.pooling import Pooling, pooled, pooling

__all__ = [
    "AGGREGATIONS",
    "Coordination",
    "Pooling",
    "aggregations",
    "anchoring",
    "coordination",
    "pooled",
    "pooling",
]
