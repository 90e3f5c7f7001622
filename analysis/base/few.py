"""Whether so few outcomes tell, that what has not happened yet belongs into an interval: one rule for all of them."""

from typing import Final

import numpy as np

from coordeval.analysis.base.checks import Floats, Ints
from coordeval.analysis.base.numerals import counted

FEW: Final = 15
"""Events with a YES, with a NO, and with an outcome against the forecast, under which a study is thin."""
EVEN: Final = 20
"""Events of one size that weigh as much as those of the study, under which it is thin."""


def thin(y: Floats, event: Ints, p: Floats | None = None) -> str | None:
    """Why a study is thin, None where it is not. `y`, `event`, the forecasts `p`: (markets,); `event` are numbers from 0.

    With few events of a kind the resamples of those that were seen know too little of those that could have been: in
    simulated worlds where 4% resolve YES, or where forecasts are near 0 and 1, plain 95% intervals of one
    configuration's score held the truth in 70 to 90%. Few large events that carry most markets do the same; N²/Σn_g² of
    events with n_g of the N markets is what they weigh (Kish 1965).

    >>> import numpy as np
    >>> from coordeval.analysis.base.few import thin
    >>> y = np.array([1.0] * 20 + [0.0] * 30)
    >>> thin(y, np.arange(50)), thin(y[12:], np.arange(38))
    (None, '8 events resolved YES')
    """
    for said, mine in (("resolved YES", y == 1), ("resolved NO", y == 0)):
        if (n := int(np.count_nonzero(np.bincount(event[mine])))) < FEW:
            return f"{counted(n, 'event')} {said}"
    size = np.bincount(event).astype(np.float64)
    size = size[size > 0]
    if (weight := size.sum() ** 2 / (size @ size)) < EVEN:
        return f"the events weigh as much as {weight:.0f} of one size"
    if p is not None and (n := int(np.count_nonzero(np.bincount(event[np.abs(p - y) > 0.5])))) < FEW:
        return f"{counted(n, 'event')} resolved against the forecast"
    return None
