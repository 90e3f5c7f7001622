"""What talking did: coordination gain, movement, influence, and other ways to pool."""

from coordeval.analysis.talk.coordination import AGGREGATIONS, Coordination, aggregations, anchoring, coordination
from coordeval.analysis.talk.credit import Credit, agreement_said, credit
from coordeval.analysis.talk.diversity import diversity
from coordeval.analysis.talk.drift import drift
from coordeval.analysis.talk.ends import ends, ends_of
from coordeval.analysis.talk.flips import ARMS, Flips, flips
from coordeval.analysis.talk.pooling import Pooling, pooled, pooling
from coordeval.analysis.talk.scaling import scaling, similarity
from coordeval.analysis.talk.telemetry import telemetry

__all__ = [
    "AGGREGATIONS",
    "ARMS",
    "Coordination",
    "Credit",
    "Flips",
    "Pooling",
    "aggregations",
    "agreement_said",
    "anchoring",
    "coordination",
    "credit",
    "diversity",
    "drift",
    "ends",
    "ends_of",
    "flips",
    "pooled",
    "pooling",
    "scaling",
    "similarity",
    "telemetry",
]
