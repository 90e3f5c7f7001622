"""Plugins that one does not trust: each cell's coroutine runs in a process of its own, and only its words come out.

    outside  ──(start, kill)──>  nursery  ──(fork)──>  inside, one process for each cell
       └──────(the cell's own socket: panel verbs in, answers out)──────┘

`outside` is the configuration as the run sees it. `serving` carries out, on the real panel, the verbs that come over
the socket, with every check that the panel has. `nursery` is a small process without key, ledger or plugin, which forks
cells and ends them; `processes` speaks to it. `inside` loads the plugin in the fork, once `confine` has closed what the
system lets a process close for itself.
"""

from coordeval.configurations.isolation.outside import Isolated, isolated

__all__ = ["Isolated", "isolated"]
