"""The standard error of a mean over events, and its freedom: against matrices, and where events are of very unequal size."""

import numpy as np
import pytest
from scipy import stats

from coordeval.analysis.base.events import clustered_error

SIZES = {"equal": [3] * 8, "unequal": [1, 1, 2, 3, 5, 8, 13], "one holds a fifth": [20, *[1] * 80]}


@pytest.mark.parametrize("name", SIZES)
def test_error_and_freedom_are_those_of_the_matrices_of_the_papers(name: str):
    size = np.array(SIZES[name], dtype=float)
    event = np.repeat(np.arange(size.size), SIZES[name])
    rows = event.size
    d = np.random.default_rng(0).normal(size=rows)
    hat = np.full((rows, rows), 1 / rows)
    left = np.eye(rows) - hat
    adjusted = []
    for g in range(size.size):
        mine = event == g
        values, vectors = np.linalg.eigh(left[np.ix_(mine, mine)])
        root = vectors @ np.diag(1 / np.sqrt(values)) @ vectors.T  # (I − H_gg)^(−1/2)
        adjusted.append(np.ones(int(size[g])) @ root @ left[mine] / rows)
    contrast = np.array(adjusted)  # what each event adds to the variance, of independent errors of one size
    weight = np.linalg.eigvalsh(contrast @ contrast.T)
    error, freedom = clustered_error(d, event)
    assert error == pytest.approx(np.sqrt(np.sum((contrast @ d) ** 2)))
    assert freedom == pytest.approx(weight.sum() ** 2 / np.sum(weight**2))
    if name == "equal":
        assert freedom == pytest.approx(size.size - 1)


def test_a_true_null_is_rejected_as_often_as_said_where_sizes_are_heavy_tailed():
    """40 events, the largest of which often holds a third of all markets: with G − 1 degrees of freedom it is 12%."""
    rng, rejected, naive = np.random.default_rng(1), 0, 0
    for _ in range(2000):
        size = np.minimum(np.ceil(rng.pareto(1.1, 40) + 1e-9), 60).astype(int)
        event = np.repeat(np.arange(40), size)
        d = rng.standard_normal(40)[event] + rng.standard_normal(event.size)
        error, freedom = clustered_error(d, event)
        rejected += 2 * stats.t.sf(abs(d.mean()) / error, freedom) < 0.05
        sums = np.bincount(event, d - d.mean())
        plain = np.sqrt(40 / 39 * np.sum(sums**2)) / event.size
        naive += 2 * stats.t.sf(abs(d.mean()) / plain, 39) < 0.05
    assert rejected / 2000 < 0.072  # 6.5%, and Monte Carlo error
    assert naive / 2000 > 0.09


def test_one_event_has_no_error():
    assert clustered_error(np.array([0.1, 0.2]), np.zeros(2, int)) == (0.0, 0.0)
