"""Exact tests for the rules that are about chance, with one vote per event where markets of an event go together."""

from typing import Final

import numpy as np
import polars as pl

from coordeval.analysis.base.scipy_parts import special

LEVEL: Final = 0.01
"""Of one rule on one study, shared among its configurations: false alarms stay below 2% also for two families of tests."""


def more_often(successes: int, trials: int, chance: float) -> float:
    """p-value of the exact one-sided binomial test; 1 where nothing was tried.

    >>> from coordeval.analysis.audit.chance import more_often
    >>> round(more_often(9, 10, 0.5), 4)
    0.0107
    """
    if not trials or not successes:
        return 1.0
    return float(special.bdtrc(successes - 1, trials, chance))  # as scipy.stats.binomtest, which takes a second to import


def event_shares(frame: pl.DataFrame, hit: str) -> tuple[int, int]:
    """(the events' shares of hits, added up and rounded down; events): what is tested where cells of an event go together.

    Shares in [0, 1] that are independent with mean at most c add up to less extreme sums than as many coin tosses with that
    chance (Hoeffding 1963), so the binomial test of the two numbers is on the safe side.
    `frame`: event_id, and `hit`, true or false, one row per cell.

    >>> import polars as pl
    >>> from coordeval.analysis.audit.chance import event_shares
    >>> event_shares(pl.DataFrame({"event_id": ["a", "a", "b"], "hit": [True, False, True]}), "hit")
    (1, 2)
    """
    shares = frame.group_by("event_id").agg(share=pl.col(hit).cast(pl.Float64).mean())["share"]
    return int(np.floor(shares.to_numpy().sum() + 1e-9)), shares.len()


def by_place(counts: np.ndarray) -> float:
    """p-value that place 0 comes out as often as it does, where the places of each event are as good as one another.

    `counts`, (events, places), how often each place came out in an event. Under the null the place that is called 0 is drawn
    for each event alike; the distribution of the sum is exact, by convolution.

    >>> import numpy as np
    >>> from coordeval.analysis.audit.chance import by_place
    >>> round(by_place(np.array([[1, 0, 0]] * 5)), 4), by_place(np.array([[1, 1, 1]] * 5))
    (0.0041, 1.0)
    """
    if not counts.size:
        return 1.0
    total = np.ones(1)
    for row in counts.astype(np.int64):
        one = np.bincount(row, minlength=int(row.max()) + 1) / row.size
        total = np.convolve(total, one)
    return float(min(1.0, total[int(counts[:, 0].sum()) :].sum()))
