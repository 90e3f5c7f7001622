"""What a published dataset says beside the rows of its import: its forecasts as published, failed ones too, and its scores.

The import stores a failed forecast as failed; the number that was published in its place is only here.
"""

import csv
from pathlib import Path

import polars as pl

from coordeval.flows.study.evaluation import data_directory
from coordeval.market_data.traces100 import NAME, published_cells, read_checked


def published_frames(ledger: Path, dataset: str) -> dict[str, pl.DataFrame]:
    """`published` and `scores` as `analysis.audit.FRAMES` has them; none where the dataset's files are not at hand."""
    folder = data_directory(ledger) / dataset
    if dataset != NAME or not folder.is_dir():
        return {}
    rows = [
        {
            "configuration": configuration,
            "market_id": market_id,
            "probability": row["probability"],
            "failure": row.get("_failure"),
            "outcome": row["outcome"],
        }
        for configuration, market_id, row in published_cells(folder)
    ]
    board = csv.DictReader(read_checked(folder, "leaderboard.csv").decode().splitlines())
    scores = [{"configuration": line["config"], "measure": "brier", "value": float(line["brier"])} for line in board]
    return {"published": pl.DataFrame(rows, infer_schema_length=None), "scores": pl.DataFrame(scores)}
