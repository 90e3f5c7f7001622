"""Frames to test with: a small made-up one, and the 500 recorded forecasts that the reference figures were computed from."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from coordeval.analysis import SCHEMA

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "coordination-traces-100"
recorded = pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded study is not at {DATA}")

CONFIGURATIONS = (
    "independent_ensemble",
    "peer_critique_debate",
    "orchestrator_specialist",
    "sequential_pipeline",
    "consensus_alignment",
)


def cell(**changed: Any) -> dict[str, Any]:
    """One answered, resolved, priced cell, but for what is changed; the event follows the market."""
    row = {
        "configuration": "a",
        "market_id": "m0",
        "category": "sport",
        "replicate": 0,
        "status": "answered",
        "probability": 0.3,
        "reason": None,
        "outcome": 1,
        "market_price": 0.4,
        "cost_usd": 0.02,
        "paid_usd": 0.01,
        "input_tokens": 100,
        "output_tokens": 10,
        "model_calls": 1,
        "tool_calls": 0,
        "seconds": 1.5,
        "simulated": True,
    } | changed
    return {"event_id": f"event of {row['market_id']}"} | row


def failed(**changed: Any) -> dict[str, Any]:
    return cell(status="failed", probability=None, reason="refused", **changed)


def table(*cells: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(cells), schema=SCHEMA)


def made_up(*, markets: int = 40, configurations: int = 3, replicates: int = 2, seed: int = 0) -> pl.DataFrame:
    """A complete study: two markets per event, forecasts in hundredths."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(size=markets)
    outcome = rng.random(markets) < truth
    price = np.clip(truth + rng.normal(0, 0.1, markets), 0, 1)
    return table(
        *(
            cell(
                configuration=f"c{c}",
                market_id=f"m{i:03}",
                event_id=f"e{i // 2}",
                replicate=r,
                probability=float(np.round(np.clip(truth[i] + rng.normal(0, 0.05 + 0.05 * c), 0, 1), 2)),
                outcome=int(outcome[i]),
                market_price=float(price[i]),
                cost_usd=0.01 * (c + 1),
            )
            for c in range(configurations)
            for i in range(markets)
            for r in range(replicates)
        )
    )


def _lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text().splitlines()]


@cache
def recorded_frame() -> pl.DataFrame:
    """The recorded forecasts; the six that stand at 0.5 because they failed are failed here."""
    markets = {market["marketIndex"]: market for market in _lines("markets.jsonl")}
    return table(
        *(
            cell(
                configuration=row["configName"],
                market_id=markets[row["marketIndex"]]["marketId"],
                event_id=markets[row["marketIndex"]]["eventGroupId"],
                category=markets[row["marketIndex"]]["category"],
                status="failed" if (failure := row.get("_failure")) else "answered",
                probability=None if failure else row["probability"],
                reason=failure,
                outcome=row["outcome"],
                market_price=row["baseline"],
                cost_usd=row["trace"]["totalCostUsd"],
                paid_usd=row["trace"]["totalCostUsd"],
                input_tokens=row["trace"]["totalTokens"],
                output_tokens=0,
                model_calls=len(row["trace"]["calls"]),
                seconds=row["trace"]["totalDurationMs"] / 1000,
                simulated=False,
            )
            for name in CONFIGURATIONS
            for row in _lines(f"traces/{name}.jsonl")
        )
    )
