"""ForecastBench: a forecast set of one model, with the round's question and resolution sets where they lie beside it.

github.com/forecastingresearch/forecastbench-datasets (CC BY-SA 4.0), and its wiki, "How to submit to ForecastBench". A
forecast of a market question has no resolution date; of a dataset question it has one for each, and each is a question here,
all of one event. Questions that combine two are passed over, as is a forecast without a number.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coordeval.market_data.errors import DataError
from coordeval.market_data.forecasts.base import FormError, Row, json_of, object_in, start
from coordeval.market_data.venues.forecastbench import MARKET_SOURCES, Round


class ForecastBench:
    name = "forecastbench"
    reads = "a forecast set (.json) of ForecastBench; outcomes from resolution_sets/ in a folder above it"
    checked_against = "question and resolution sets of two published rounds; of forecast sets documentation only"

    def knows(self, file: Path) -> bool:
        head = start(file)
        return head.lstrip()[:1] == "{" and '"forecasts"' in head and '"question_set"' in head

    def rows(self, file: Path, passed_over: Counter[str]) -> Iterator[Row]:
        content = object_in(json_of(file), str(file))
        forecasts, due = content.get("forecasts"), str(content.get("forecast_due_date") or "")[:10]
        if not isinstance(forecasts, list) or not due:
            raise FormError(f"{file}: a forecast set has `forecast_due_date` and a list `forecasts`, and this has not")
        forecaster = " ".join(str(content[key]) for key in ("organization", "model") if content.get(key))
        known = _known(file, due)
        for place, given in enumerate(forecasts, 1):
            row = object_in(given, f"{file}: forecast {place}")
            if isinstance(row.get("id"), list) or row.get("direction") not in (None, [], ""):
                passed_over["asks for two questions at once"] += 1
                continue
            if row.get("forecast") is None:
                passed_over["has no number"] += 1
                continue
            source, id_ = str(row.get("source")), str(row.get("id"))
            date = None if source in MARKET_SOURCES else str(row.get("resolution_date"))[:10]
            key = f"{source}:{id_}" + (f":{date}" if date else "")
            said: Row = {"question_id": key, "event": f"{source}:{id_}", "forecaster": forecaster or file.stem, "date": due}
            said |= {"probability": row["forecast"], "rationale": row.get("reasoning"), "category": source}
            yield {**said, **known.get(key, {})}


def _known(file: Path, due: str) -> dict[str, Row]:
    """Question -> what the round's own files say of it; nothing where they are not there."""
    folder = next((up for up in file.resolve().parents[:4] if (up / "resolution_sets").is_dir()), None)
    if folder is None or not (folder / "question_sets" / f"{due}-llm.json").is_file():
        return {}
    try:
        of_round = Round(folder, due)
    except DataError as error:
        raise FormError(f"{file}: the question and resolution sets in {folder} do not serve it: {error}") from error
    ends = {outcome.market_id: outcome for outcome in of_round.outcomes()}
    found: dict[str, Row] = {}
    for (source, id_), question in of_round.questions.items():
        market, outcome = question.market, ends[question.market.id]
        found[f"{source}:{id_}"] = {
            "event": market.event_id,
            "question": market.question,
            "url": market.url,
            "market_price": None if question.price is None else question.price.price,
            "outcome": {"resolved": outcome.value, "unresolved": None}.get(outcome.status, "annulled"),
            "resolved_at": None if outcome.resolved_at is None else outcome.resolved_at.isoformat(),
        }
    resolved = object_in(json_of(folder / "resolution_sets" / f"{due}_resolution_set.json"), "a resolution set")
    for row in resolved.get("resolutions", []):
        if isinstance(row, dict) and row.get("source") not in MARKET_SOURCES and isinstance(row.get("id"), str):
            date = str(row.get("resolution_date"))[:10]
            found[f"{row['source']}:{row['id']}:{date}"] = {"outcome": _ended(row), "resolved_at": date}
    return found


def _ended(row: dict[str, Any]) -> Any:
    return row.get("resolved_to") if row.get("resolved") is True else None
