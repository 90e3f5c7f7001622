"""Prophet Arena: predictions of an event's markets by one predictor each, as JSON (a list, or one object a line).

Fields as github.com/listar2000/pm_ranking reads them: `predictor_name`, `event_ticker`, `submission_count`, `prediction`
with `probabilities` (market and probability), `market_outcome` (market to 0 or 1), `category`. Its markets are one event.
Later submissions are rows of the same forecaster and question: say which one counts with --duplicates.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coordeval.market_data.forecasts.base import FormError, Row, json_of, object_in, start


class ProphetArena:
    name = "prophet-arena"
    reads = "predictions of Prophet Arena as .json or .jsonl"
    checked_against = "documentation only: the fields that its own analysis package reads"

    def knows(self, file: Path) -> bool:
        head = start(file, 65536)
        return head.lstrip()[:1] in ("[", "{") and '"event_ticker"' in head and '"market_outcome"' in head

    def rows(self, file: Path, passed_over: Counter[str]) -> Iterator[Row]:
        for place, given in enumerate(_objects(file), 1):
            row = object_in(given, f"{file}: prediction {place}")
            outcomes = object_in(_parsed(row.get("market_outcome")), f"{file}: market_outcome of prediction {place}")
            said = object_in(_parsed(row.get("prediction")), f"{file}: prediction {place}").get("probabilities")
            if isinstance(said, list):
                rows = [object_in(one, f"{file}: prediction {place}") for one in said]
                said = {str(one.get("market")): one.get("probability") for one in rows}
            for market, probability in object_in(said, f"{file}: the probabilities of prediction {place}").items():
                if market not in outcomes:
                    passed_over["is of a market whose outcome is not there"] += 1
                yield {
                    "question_id": f"{row.get('event_ticker')}:{market}",
                    "event": row.get("event_ticker"),
                    "forecaster": row.get("predictor_name") or row.get("forecaster"),
                    "probability": probability,
                    "outcome": outcomes.get(market),
                    "question": f"{row.get('title') or row.get('event_ticker')}: {market}",
                    "category": row.get("category"),
                    "date": row.get("snapshot_time") or row.get("created_at"),
                    "rationale": row.get("rationale"),
                }


def _objects(file: Path) -> Iterator[Any]:
    if start(file).lstrip()[:1] == "[":
        yield from json_of(file)
        return
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield json.loads(line)
                except json.JSONDecodeError as error:
                    raise FormError(f"{file}: line {number} is no JSON ({error})") from error


def _parsed(value: Any) -> Any:
    """A CSV that became JSON keeps its JSON as text."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError:
        return value
