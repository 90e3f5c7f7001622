"""forecasting-tools: a list of reports as its bots save them. A report names no bot, so the file does: one file per bot.

github.com/Metaculus/forecasting-tools, `ForecastReport` and `BinaryReport`. Reports on questions that are not yes-or-no are
passed over.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coordeval.market_data.forecasts.base import FormError, Row, json_of, object_in, start


class ForecastingTools:
    name = "forecasting-tools"
    reads = "a .json list of reports of forecasting-tools; the forecaster is the file's name"
    checked_against = "documentation only: the classes of the package"

    def knows(self, file: Path) -> bool:
        head = start(file, 65536)
        return head.lstrip()[:1] == "[" and '"question_text"' in head

    def rows(self, file: Path, passed_over: Counter[str]) -> Iterator[Row]:
        reports = json_of(file)
        if not isinstance(reports, list):
            raise FormError(f"{file}: reports are a list, and this is a {type(reports).__name__}")
        for place, given in enumerate(reports, 1):
            report = object_in(given, f"{file}: report {place}")
            question = object_in(report.get("question"), f"{file}: the question of report {place}")
            probability = report.get("prediction", report.get("prediction_in_decimal"))
            if question.get("question_type", "binary") != "binary" or isinstance(probability, (dict, list, str)):
                passed_over["is of a question that is not yes-or-no"] += 1
                continue
            minutes = report.get("minutes_taken")
            yield {
                "question_id": question.get("id_of_question") or question.get("id_of_post"),
                "event": question.get("id_of_post"),
                "forecaster": file.stem,
                "probability": probability,
                "outcome": _outcome(question.get("resolution_string")),
                "date": question.get("date_accessed"),
                "market_price": question.get("community_prediction_at_access_time"),
                "question": question.get("question_text"),
                "url": question.get("page_url"),
                "opened_at": question.get("open_time"),
                "closes_at": question.get("close_time"),
                "resolved_at": question.get("actual_resolution_time"),
                "cost_usd": report.get("price_estimate"),
                "seconds": 60 * minutes if isinstance(minutes, int | float) and minutes is not True else None,
                "rationale": report.get("explanation"),
            }


def _outcome(said: Any) -> Any:
    return None if said is None else str(said).lower()
