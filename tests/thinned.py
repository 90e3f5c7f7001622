"""Of many cases of one kind a few on every commit; all of them with `make proofs`."""

from collections.abc import Sequence
from typing import Any

import pytest


def first_of(cases: Sequence[Any], keep: int = 1, *, ids: Any = None) -> list[Any]:
    """The first `keep` always, the others among the proofs. A tuple is a case of several parameters.

    `ids`: a name for each, or a function of the case; if not given, pytest's own.
    """
    names = [ids(case) for case in cases] if callable(ids) else list(ids) if ids is not None else [None] * len(cases)
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), id=name, marks=() if i < keep else pytest.mark.proof)
        for i, (case, name) in enumerate(zip(cases, names, strict=True))
    ]


def diagonal(rows: Sequence[Any], columns: Sequence[Any], every: int = 4, *, ids: Any = str) -> list[Any]:
    """Of all pairs each `every`-th always, so that every row and every column is in some; the others among the proofs.

    A column may be a tuple of several parameters; `ids` names it.
    """
    return [
        pytest.param(
            row,
            *(column if isinstance(column, tuple) else (column,)),
            id=f"{row}-{ids(column)}",
            marks=() if (i + j) % every == 0 else pytest.mark.proof,
        )
        for i, row in enumerate(rows)
        for j, column in enumerate(columns)
    ]
