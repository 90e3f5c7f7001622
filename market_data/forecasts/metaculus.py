"""Metaculus: the data download of a question, project or tournament, such as one of bots.

A ZIP with `forecast_data.csv` and `question_data.csv`, or the first of them with the second beside it. Yes-or-no questions
only; Metaculus's own aggregates, which have no forecaster's id, are passed over. A forecaster's changes of mind are rows of
their own: say which one counts with --duplicates.
"""

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from coordeval.market_data.forecasts.base import FormError, Row, entry, start

_FORECASTS, _QUESTIONS = "forecast_data.csv", "question_data.csv"
_OUTCOMES = {"yes": 1, "no": 0, "": None, "annulled": "annulled", "ambiguous": "ambiguous"}


class Metaculus:
    name = "metaculus"
    reads = f"the data download of Metaculus: its .zip, or {_FORECASTS} with {_QUESTIONS} beside it"
    checked_against = "documentation only: the header that Metaculus's server writes"

    def knows(self, file: Path) -> bool:
        if file.suffix == ".zip" and zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                return {_FORECASTS, _QUESTIONS} <= {Path(name).name for name in archive.namelist()}
        header = start(file).split("\n")[0]
        return "Probability Yes" in header and "Question ID" in header and "Start Time" in header

    def rows(self, file: Path, passed_over: Counter[str]) -> Iterator[Row]:
        if file.suffix == ".zip":
            with zipfile.ZipFile(file) as archive:
                inside = {Path(name).name: name for name in archive.namelist()}
                asked, said = (
                    io.StringIO(_text(entry(archive, inside[name], file), file)) for name in (_QUESTIONS, _FORECASTS)
                )
                yield from _rows(file, asked, said, passed_over)
            return
        beside = file.with_name(_QUESTIONS)
        if not beside.is_file():
            raise FormError(
                f"{file}: {_QUESTIONS} of the same download is not beside it, and it has the outcomes; put it there"
            )
        with (
            beside.open(encoding="utf-8-sig", newline="") as questions,
            file.open(encoding="utf-8-sig", newline="") as forecasts,
        ):
            yield from _rows(file, questions, forecasts, passed_over)


def _text(content: bytes, file: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormError(f"{file} is not UTF-8 ({error}); download it again") from error


def _rows(file: Path, questions: TextIO, forecasts: TextIO, passed_over: Counter[str]) -> Iterator[Row]:
    asked = {row["Question ID"]: row for row in csv.DictReader(questions)}
    for row in csv.DictReader(forecasts):
        question = asked.get(row["Question ID"])
        forecaster = row.get("Forecaster Username") or row.get("Forecaster (Anonymized)")
        if question is None:
            raise FormError(f"{file}: {_QUESTIONS} has no question {row['Question ID']!r}; the two are not of one download")
        if (kind := question.get("Question Type", "")) != "binary":
            passed_over[f"is of a question of type {kind}"] += 1
        elif row.get("Forecaster ID") == "":
            passed_over["is an aggregate of Metaculus"] += 1
        elif not row.get("Probability Yes"):
            passed_over["has no number: the forecaster withdrew"] += 1
        else:
            yield _said(row, question, forecaster)


def _said(row: Row, question: Row, forecaster: str | None) -> Row:
    resolution = str(question.get("Resolution") or "").strip().lower()
    return {
        "question_id": row["Question ID"],
        "forecaster": forecaster,
        "probability": row["Probability Yes"],
        "date": row["Start Time"],
        "outcome": _OUTCOMES.get(resolution, resolution),
        "event": question.get("Post ID") or None,
        "question": question.get("Question Title"),
        "url": question.get("Question URL"),
        "opened_at": question.get("Open Time"),
        "closes_at": question.get("Scheduled Close Time"),
        "resolved_at": question.get("Resolution Known Time") or None,
    }
