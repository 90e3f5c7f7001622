"""The published leaderboard with the publication's own bin edges, and the table with exact ones, to six digits."""

import tempfile
from pathlib import Path

import polars as pl

from coordeval.analysis import leaderboard
from coordeval.flows.markets.importing import import_dataset
from coordeval.ledger import read
from coordeval.market_data.traces100 import NAME

DATA = Path(__file__).parents[2] / "shared" / "data" / NAME


def main() -> None:
    if not DATA.is_dir():
        print(f"not measured: the recorded data are not at {DATA.relative_to(DATA.parents[2])} beside the project")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "published.duckdb"
        import_dataset(NAME, DATA, path)
        frame = read(path).forecast_frame(NAME)
    published = pl.read_csv(DATA / "leaderboard.csv")
    floats = leaderboard(frame, policy="fallback_half", edges="float").table
    print("largest difference to the published leaderboard.csv (its float edges, its 0.5 fallbacks):")
    joined = published.join(floats, left_on="config", right_on="configuration")
    pairs = {"brier": "brier_right", "alpha": "alpha_right", "UNC": "unc", "REL": "rel", "RES": "res"}
    for theirs, ours in pairs.items():
        print(f"  {theirs:<6}{(joined[theirs] - joined[ours]).abs().max():.1e}")
    exact = leaderboard(frame, policy="fallback_half").table
    columns = ["brier", "rel", "res", "wbv", "wbc", "rel_corrected", "res_corrected", "mcb", "dsc", "unc", "unc_corrected"]
    print("\nwith exact edges:")
    print(f"{'':<26}" + "".join(f"{name:>15}" for name in columns))
    for row in exact.iter_rows(named=True):
        print(f"{row['configuration']:<26}" + "".join(f"{row[name]:>15.6f}" for name in columns))
