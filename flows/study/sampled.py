"""A sample of markets that a study file names: what `coordeval markets sample` wrote."""

import hashlib
from pathlib import Path
from typing import Any

import orjson

from coordeval.flows.study.reading import StudyError


def read_sample(path: Path) -> tuple[dict[str, Any], str]:
    """A sample file and its hash. Raises StudyError naming what is wrong with it."""
    try:
        content = path.read_bytes()
        sample = orjson.loads(content)
        if not isinstance(sample, dict) or not isinstance(ids := sample.get("market_ids"), list) or not ids:
            raise ValueError("it holds no market_ids")
        if bad := [market for market in ids if not isinstance(market, str) or not market]:
            raise ValueError(f"market_ids holds {bad[0]!r}, which is no market's id")
        if len(set(ids)) < len(ids):
            raise ValueError("market_ids names a market twice")
        if not isinstance(sample.setdefault("spec", {}), dict):
            raise ValueError("its spec is no object")
        age = sample["spec"].get("max_price_age_hours")
        if age is not None and (isinstance(age, bool) or not isinstance(age, (int, float)) or age < 0):
            raise ValueError(f"its max_price_age_hours = {age!r} is no number of hours")
    except (OSError, ValueError) as error:
        raise StudyError(
            f"markets.sample = {str(path)!r}: not a sample file ({error}); `coordeval markets sample` writes one"
        ) from error
    return sample, hashlib.sha256(content).hexdigest()
