"""Sums over resamples are the same to the last bit however many threads the linear algebra may use."""

import numpy as np
from threadpoolctl import threadpool_limits

from coordeval.analysis.base.resampling import Resamples, measured

COLUMNS = np.random.default_rng(1).random((3001, 45, 1))
RESAMPLES = Resamples(events=3001, n=200, seed=1)


def sums(threads: int) -> np.ndarray:
    with threadpool_limits(threads, user_api="blas"):
        return measured(COLUMNS, lambda sums: sums, RESAMPLES).resampled


def test_draws_are_the_same_with_one_thread_and_with_several():
    assert np.array_equal(sums(1), sums(2))
