"""Matrix products on one thread: those of resamples are long and thin, so threads wait longer than they compute.

With two threads a product of 16 × 50,000 and 50,000 × 2 numbers took 8 times the CPU time on two cores that others use too,
and its last bits depended on how many cores there are.
"""

from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[Any]:
    """Within, the linear algebra below NumPy uses one thread; afterwards as many as before.

    >>> import numpy as np
    >>> from coordeval.analysis.base.one_thread import one_thread
    >>> with one_thread():
    ...     found = np.ones((2, 3)) @ np.ones((3, 1))
    >>> found.tolist()
    [[3.0], [3.0]]
    """
    limited: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limited


@cache
def _controller() -> "ThreadpoolController":
    """What it finds of the libraries that are loaded, looked for once: NumPy's own is."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
