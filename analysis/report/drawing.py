"""Which figures a report has, and what each is drawn from."""

from collections.abc import Mapping

import polars as pl

from coordeval.analysis.base.frames import Scored
from coordeval.analysis.differences.replicates import spread
from coordeval.analysis.figures.cost_plane import brier_draws, cost_plane
from coordeval.analysis.figures.matched import matched_curve
from coordeval.analysis.figures.plane import component_plane, resampled
from coordeval.analysis.figures.reliability import reliability
from coordeval.analysis.figures.replicates import replicates
from coordeval.analysis.figures.style import Look, Picture, failures
from coordeval.analysis.study.findings import Findings
from coordeval.analysis.study.leaderboard import REFERENCE, Leaderboard
from coordeval.analysis.study.placed import placed


def draw(
    frame: pl.DataFrame, board: Leaderboard, kept: Scored, found: Findings, look: Mapping[str, Look], simulated: bool
) -> tuple[tuple[Picture, ...], tuple[Picture, ...]]:
    """The figures of a study of which something is scored, and a reliability panel of each row of the leaderboard."""
    absent = failures(frame)
    scores = dict(spread(kept).table.select("configuration", "brier").iter_rows())
    price = board.table.filter(configuration=REFERENCE)["brier"].item()
    curve = matched_curve(found.matched, look, simulated=simulated, missing=absent, price=price) if found.matched else None
    rows, why = placed(board, found), found.reasons.get("measures", "nothing could be resampled")
    plane = component_plane(
        rows,
        look,
        kind="binned",
        draws=resampled(found, "binned"),
        simulated=simulated,
        missing=absent,
        why_no_draws=why,
    )
    against = found.comparisons.table.filter(family="market").to_dicts() if found.comparisons else []
    cost = cost_plane(
        rows,
        look,
        simulated=simulated,
        against={row["first"]: row for row in against},
        draws=brier_draws(found),
        caption=absent,
    )
    pictures = (plane, cost, curve, replicates(board.table, scores, look, simulated=simulated, missing=absent))
    prices = kept.frame.unique("market_id", maintain_order=True).filter(pl.col("market_price").is_not_null())
    prices = prices.with_columns(configuration=pl.lit(REFERENCE), probability="market_price", replicate=pl.lit(0, pl.Int64))
    parts = pl.concat([kept.frame, prices]).partition_by("configuration", as_dict=True)
    panels = tuple(
        reliability(
            parts[(row["configuration"],)],
            row,
            look[row["configuration"]],
            simulated=simulated,
            resamples=board.resamples,
            seed=board.seed,
        )
        for row in board.table.iter_rows(named=True)
        if (row["configuration"],) in parts
    )
    return tuple(picture for picture in pictures if picture is not None), panels
