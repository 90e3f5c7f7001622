"""inspect_ai: a log (.eval) of a task whose samples are yes-or-no questions.

A log says how well a model did, not what a probability is, so the probability is looked for where it can be nothing else: a
score's `answer` that is a number in [0, 1], or `probability` in a score's or the sample's metadata. A score's `value` is
never taken for one: it may be a Brier score. The sample's target is the outcome, its epoch the replicate.
"""

import json
import struct
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from coordeval.market_data.forecasts.base import FormError, Row, entry, object_in

_FACTS = ("event", "category", "market_price", "date", "resolved_at", "url")


class InspectLog:
    name = "inspect"
    reads = "an .eval log of inspect_ai"
    checked_against = "documentation only: the layout that inspect_ai describes"

    def knows(self, file: Path) -> bool:
        if not zipfile.is_zipfile(file):
            return False
        try:
            with zipfile.ZipFile(file) as archive:
                return any(name in archive.namelist() for name in ("header.json", "_journal/start.json"))
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error):  # its end alone is a ZIP's
            return False

    def rows(self, file: Path, passed_over: Counter[str]) -> Iterator[Row]:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            head = "header.json" if "header.json" in names else "_journal/start.json"
            about = object_in(_json(archive, head, file).get("eval"), f"{file}: `eval` in {head}")
            for name in sorted(name for name in names if name.startswith("samples/") and name.endswith(".json")):
                sample = _checked(_json(archive, name, file), f"{file}: {name}")
                probability = _probability(sample)
                if probability is None and not sample.get("error"):
                    passed_over["has no score whose answer is a number, and no `probability` in its metadata"] += 1
                    continue
                yield _said(sample, probability, about)


def _checked(sample: Row, where: str) -> Row:
    """The sample, whose parts are objects where something is read out of them. Raises FormError."""
    for name in ("metadata", "scores", "model_usage"):
        sample[name] = object_in(sample.get(name) or {}, f"{where}: `{name}`")
    for name, score in sample["scores"].items():
        if isinstance(score, dict):
            score["metadata"] = object_in(score.get("metadata") or {}, f"{where}: `metadata` of the score {name!r:.40}")
    for name, use in sample["model_usage"].items():
        object_in(use, f"{where}: `model_usage` of {name!r:.40}")
    return sample


def _tokens(used: Iterable[Row], name: str) -> int | None:
    """Their sum; None where one of them is no count."""
    counts = [0 if (said := use.get(name)) is None else _count(said) for use in used]
    return None if not counts or None in counts else sum(one or 0 for one in counts)


def _count(value: Any) -> int | None:
    """`value` where it is a count: a whole number, not below 0 and no truth value."""
    return value if type(value) is int and 0 <= value < 2**63 else None


def _said(sample: Row, probability: float | None, about: Row) -> Row:
    metadata = sample["metadata"]
    used = sample["model_usage"].values()
    asked = sample.get("input")
    error = sample.get("error")
    return {
        "question_id": sample.get("id"),
        "forecaster": f"{about.get('model')} {about.get('task')}".strip(),
        "replicate": sample.get("epoch"),
        "probability": probability,
        "outcome": _target(sample.get("target")),
        "question": asked if isinstance(asked, str) else None,
        "seconds": sample.get("total_time"),
        "input_tokens": _tokens(used, "input_tokens"),
        "output_tokens": _tokens(used, "output_tokens"),
        "date": about.get("created"),
        "reason": error.get("message") if isinstance(error, dict) else error,
        **{name: metadata[name] for name in _FACTS if name in metadata},
    }


def _probability(sample: Row) -> float | None:
    scores = [score for score in sample["scores"].values() if isinstance(score, dict)]
    held = [score["metadata"].get("probability") for score in scores]
    for said in (*held, sample["metadata"].get("probability"), *(score.get("answer") for score in scores)):
        try:
            value = float(str(said))
        except (TypeError, ValueError):
            continue
        if 0 <= value <= 1:
            return value
    return None


def _target(said: Any) -> Any:
    return said[0] if isinstance(said, list) and len(said) == 1 else said


def _json(archive: zipfile.ZipFile, name: str, file: Path) -> Row:
    try:
        return object_in(json.loads(entry(archive, name, file)), f"{file}: {name}")
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormError(f"{file}: its {name} is no JSON ({error}); write the log again") from error
