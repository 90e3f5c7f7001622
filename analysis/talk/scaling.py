"""Five metrics of scaling agent systems against one agent alone, from stored rows.

Source: arXiv 2512.08296, with turns as model calls and success as the forecast on the side that came true; its own release
does not compute them. Redundancy there is similarity of embeddings; here it is that of word counts, which needs no model.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from math import sqrt
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats
from coordeval.analysis.base.estimates import numbered
from coordeval.analysis.base.numerals import SAME
from coordeval.analysis.base.resampling import AMOUNT, FREE, UNIT, Bounds, ratio
from coordeval.analysis.talk.telling import NUMBERS, Telling, table

TALKED: Final[dict[str, Any]] = {
    **dict.fromkeys(("configuration", "market_id", "event_id"), pl.String),
    **dict.fromkeys(("replicate", "outcome"), pl.Int64),
    "forecast": pl.Float64,
    **dict.fromkeys(("turns", "messages"), pl.Int64),
    "texts": pl.List(pl.String),
}
"""Column -> type: one row per forecast. turns: its model calls; messages: words of others that its agents were shown;
texts: what each agent of its last round wrote (null: not read). `ledger.talk.talked_frame` makes it."""
SCALING: Final = (
    "efficiency", "overhead", "error_amplification", "brier_amplification", "message_density", "redundancy",
)  # fmt: skip
_SCHEMA: Final[dict[str, Any]] = {"configuration": pl.String, "measure": pl.String, **NUMBERS}
_WORD: Final = re.compile(r"\w+")
_RATIOS: Final[dict[str, tuple[Callable[[Floats], Floats], Bounds]]] = {
    # columns: 1, success, turns, brier, then the same three of the baseline
    "efficiency": (lambda s: ratio(s[:, 1:2] * s[:, 5:6], s[:, 0:1] * s[:, 2:3]), AMOUNT),
    "overhead": (lambda s: ratio(s[:, 2:3] - s[:, 5:6], s[:, 5:6]), FREE),
    "error_amplification": (lambda s: ratio(s[:, 0:1] - s[:, 1:2], s[:, 0:1] - s[:, 4:5]), AMOUNT),
    "brier_amplification": (lambda s: ratio(s[:, 3:4], s[:, 6:7]), AMOUNT),
}


@asked
def scaling(
    frame: pl.DataFrame, *, baseline: str = "single_agent", n: int = 10_000, seed: int = 0, level: float = 0.95
) -> pl.DataFrame:
    """configuration, measure (SCALING), estimate, low, high, n_markets, reason, of a frame with the columns of TALKED.

    With success S the share of forecasts on the side that came true (0.5 counts half), turns T a forecast, Brier score B,
    and S₁, T₁, B₁ of the baseline on the same markets:

    - efficiency S / (T/T₁); overhead (T − T₁)/T₁; error_amplification (1 − S)/(1 − S₁); brier_amplification B/B₁
    - message_density: messages a turn; redundancy: mean cosine similarity of the texts of two agents of a last round

    Scored are resolved cells with a forecast; the replicates of a market share its weight of 1.

    Raises AnalysisError where a column is absent.

    >>> import polars as pl
    >>> from coordeval.analysis import scaling
    >>> from coordeval.analysis.talk.scaling import TALKED
    >>> rows = [(c, f"m{i}", f"e{i}", 0, i % 2, p, t, t // 3, None) for i in range(8) for c, p, t in (
    ...     ("single_agent", 0.6, 1), ("debate", 0.9 if i % 2 else 0.2, 6))]
    >>> found = scaling(pl.DataFrame(rows, schema=list(TALKED), orient="row"), n=100).filter(configuration="debate")
    >>> [(m, v) for m, v in found.select("measure", pl.col("estimate").round(2)).rows()][:3]
    [('efficiency', 0.17), ('overhead', 5.0), ('error_amplification', 0.0)]
    """
    if absent := [name for name in TALKED if name not in frame.columns]:
        raise AnalysisError(f"the frame lacks {', '.join(absent)}: it needs the columns {', '.join(TALKED)}")
    p, y = pl.col("forecast"), pl.col("outcome")
    right = pl.when((p - 0.5).abs() <= SAME).then(0.5).otherwise(((p > 0.5) == (y == 1)).cast(pl.Float64))
    cells = (
        frame.select(pl.col(name).cast(kind) for name, kind in TALKED.items())
        .filter(p.is_not_null(), y.is_not_null())
        .with_columns(success=right, brier=(p - y) ** 2)
        .sort("configuration", "market_id", "replicate")
        .pipe(numbered)
    )
    tell = Telling(n, seed, level)
    alone = _markets(cells.filter(configuration=baseline)).select("market_id", *(pl.col(c).alias(f"{c}_1") for c in _PAIRED))
    rows: list[dict[str, Any]] = []
    for name in frame["configuration"].unique().sort():
        mine = cells.filter(configuration=name)
        both = _markets(mine).join(alone, on="market_id", how="inner", maintain_order="left")
        columns = both.select(pl.lit(1.0), *_PAIRED, *(f"{c}_1" for c in _PAIRED)).to_numpy().astype(np.float64)
        for measure, (of, bounds) in _RATIOS.items():
            why = f"no market that {baseline} and it both answered" if both.is_empty() else "that of the baseline is 0"
            if name == baseline:
                why, both = "it is the baseline", both.clear()
            rows.append({"configuration": name, "measure": measure} | tell.row(both, columns, of, why=why, bounds=bounds))
        sent = mine.select(pl.col("turns", "messages").cast(pl.Float64)).to_numpy()
        why = "no cell is resolved and answered, or no model was called"
        rows.append({"configuration": name, "measure": "message_density"} | tell.row(mine, sent, why=why, bounds=AMOUNT))
        alike = mine.drop_nulls("texts")  # of a large study few were read
        likeness = [similarity(texts) for texts in alike["texts"].to_list()]
        alike = alike.with_columns(alike=pl.Series(likeness, dtype=pl.Float64)).drop_nulls("alike")
        told = tell.mean(alike, alike["alike"].to_numpy(), why="no two agents write in a last round", bounds=UNIT)
        rows.append({"configuration": name, "measure": "redundancy"} | told)
    return table(rows, _SCHEMA)


_PAIRED: Final = ("success", "turns", "brier")


def _markets(cells: pl.DataFrame) -> pl.DataFrame:
    """Means over the replicates of a market."""
    made = cells.group_by("market_id", maintain_order=True).agg(pl.col("event_id").first(), pl.col(_PAIRED).mean())
    return made.sort("market_id")


@asked
def similarity(texts: Sequence[str]) -> float | None:
    """Mean over pairs of texts of the cosine between their counts of words, in [0, 1]; None of fewer than two with a word.

    >>> from coordeval.analysis import similarity
    >>> round(similarity(["The poll is old", "the poll, is OLD!", "rain"]), 3)
    0.333
    """
    counts = [Counter(_WORD.findall(text.casefold())) for text in texts]
    sizes = [sqrt(sum(k * k for k in count.values())) for count in counts]
    known = [(count, size) for count, size in zip(counts, sizes, strict=True) if size]
    pairs = [sum(k * b[word] for word, k in a.items()) / (x * z) for (a, x), (b, z) in combinations(known, 2)]
    return sum(pairs) / len(pairs) if pairs else None
