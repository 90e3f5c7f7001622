"""Which markets hang together: siblings, links, coherence."""

from coordeval.analysis.linked.coherence import Coherence, coherence, project_exclusive, project_ladder
from coordeval.analysis.linked.links import Links, propose_links

__all__ = [
    "Coherence",
    "Links",
    "coherence",
    "project_exclusive",
    "project_ladder",
    "propose_links",
]
