"""Reads a whole report, as people and as programs get it, and tells where it contradicts itself."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from coordeval.analysis.base.grid import PRICE

_TESTS: Final = (("mcb", "mcb"), ("rel", "rel"))
_LEVEL: Final = 0.05
_NOTHING: Final = 1e-12
_NOUNS: Final = (
    "agent|call|cell|configuration|contrast|day|difference|draw|event|forecast|interval|link|look|market|pair|part|pool|"
    "prediction|procedure|replicate|resample|test"
)
_ONE: Final = re.compile(rf"(?<![\d.,:–−-])\b1 (?:{_NOUNS})s\b")
_MANY: Final = re.compile(rf"(?<![\d.,])\b(?:[2-9]|[1-9][\d,]*\d) (?:{_NOUNS})\b(?! [a-z]+s\b)(?=[.,;)]| (?:is|are|of)\b)")
_VERBS: Final = re.compile(rf"(?<![\d.,])\b1 of \d[\d,]* (?:{_NOUNS})s? (?:are|differ|exceed|pass|score)\b")
_SPAN: Final = re.compile(r"(?:by|is|difference|difference is) (\d\.\d{4}) \[(−?\d\.\d{4}), (−?\d\.\d{4})\]")
_TAKES: Final = re.compile(r"To tell (\S+) from (?:the )?(market price|\S+), if they truly differ")
_SMALL: Final = re.compile(r"differ from the price's here:.*?(\d+) of (\d+) cells? (?:is|are) too small")


def contradictions(results: Mapping[str, Any], *texts: str) -> tuple[str, ...]:
    """What does not go together in a report: `results` as in results.json, `texts` as the terminal prints and the page has.

    One number with two intervals; a p-value and an interval of one component that disagree; what it would take to tell
    apart what is told apart; cells of which none says anything after some that do; an answer that is not what is stated;
    a text that lacks a verdict of the others; singular and plural.
    """
    sentences = [str(said) for said in results.get("headline", ())]
    told = [" ".join(text.split()) for text in texts]
    return tuple(
        dict.fromkeys(
            (
                *_intervals(results, sentences),
                *_twice(results),
                *_tests(results),
                *_takes(results, sentences),
                *_cells(sentences),
                *_answers(results, sentences),
                *_everywhere(results, told),
                *(said for text in (*sentences, *told) for said in _numbers(text)),
            )
        )
    )


def _intervals(results: Mapping[str, Any], sentences: Sequence[str]) -> Iterator[str]:
    own = {(row["first"], row["second"]): row for row in results.get("comparisons") or ()}
    others = [("influence", row) for row in _rows(results, "influence", "restated")]
    others += [
        ("structure", row) for row in (results.get("structure") or {}).get("table", ()) if row.get("delta") is not None
    ]
    for where, row in others:
        pair = own.get((row["first"], row["second"]))
        if pair is not None and any(_apart(pair[end], row[end]) for end in ("delta", "low", "high")):
            yield f"{row['first']} and {row['second']} have two intervals, one in comparisons and one in {where}"
    seen: dict[str, str] = {}
    for sentence in sentences:
        for size, low, high in _SPAN.findall(sentence):
            span = f"[{low}, {high}]"
            if seen.setdefault(size, span) != span and float(size):
                yield f"the difference {size} has the intervals {seen[size]} and {span}"


def _twice(results: Mapping[str, Any]) -> Iterator[str]:
    """One number of the same ones that stands in two parts, each with an interval of its own."""
    seen: list[tuple[str, set[str], float, tuple[float, float]]] = []
    for where, names, (value, low, high) in _measured(results):
        if value is None or low is None or high is None or abs(value) < _NOTHING:
            continue
        for there, others, other, ends in seen:
            sign = -1 if value * other < 0 else 1
            if there != where and names & others and abs(value - sign * other) < _NOTHING:
                mine = sorted((sign * low, sign * high))
                if any(_apart(a, b) for a, b in zip(mine, ends, strict=True)):
                    yield f"{value:.4f} of {' and '.join(sorted(names))} has two intervals, in {there} and in {where}"
        seen.append((where, names, value, (low, high)))


def _measured(results: Mapping[str, Any]) -> Iterator[tuple[str, set[str], tuple[float | None, ...]]]:
    """Part, who is measured, and (estimate, low, high), of Brier scores and of their differences."""
    for row in results.get("comparisons") or ():
        yield "comparisons", {row["first"], row["second"]}, _ends(row, "delta")
    for row in results.get("intervals") or ():
        if row["measure"] == "brier":
            yield "intervals", {row["configuration"]}, _ends(row, "estimate")
    for row in _rows(results, "compute_matched"):
        yield "compute_matched", {row["configuration"]}, _ends(row, "premium")
    for row in _rows(results, "compute_matched", "curve"):
        if row["k"] == 1 and results.get("baseline"):
            yield "the curve of plain sampling", {results["baseline"]}, _ends(row, "brier")
    for row in _rows(results, "pooling"):
        yield "pooling", {row["configuration"]}, _ends(row, "brier")
        yield "pooling", {row["configuration"]}, (row["delta"], row["delta_low"], row["delta_high"])
    for row in _rows(results, "coordination", "gain"):
        yield "coordination", {row["configuration"]}, _ends(row, "estimate")
    for row in _rows(results, "adjusted"):
        yield "adjusted", {row["configuration"]}, _ends(row, "estimate")


def _ends(row: Mapping[str, Any], estimate: str) -> tuple[float | None, ...]:
    return row[estimate], row["low"], row["high"]


def _apart(a: float | None, b: float | None) -> bool:
    return (a is None) != (b is None) or (a is not None and b is not None and abs(a - b) > 1e-9)


def _tests(results: Mapping[str, Any]) -> Iterator[str]:
    nulls = _rows(results, "component_nulls")
    p_of = {(row["configuration"], row["measure"]): row["p_value"] for row in nulls}
    for row in results.get("intervals") or ():
        for measure, component in _TESTS:
            p = p_of.get((row["configuration"], component))
            if row["measure"] == measure and p is not None and row["low"] is not None and (p < _LEVEL) != (row["low"] > 0):
                yield (
                    f"{measure.upper()} of {row['configuration']} has p {p:.3f} and an interval from {row['low']:.4f}: "
                    "one says that it is 0, the other that it is not"
                )


def _takes(results: Mapping[str, Any], sentences: Sequence[str]) -> Iterator[str]:
    apart = {frozenset((said["of"], said["than"])) for said in _stated(results, "pair", "market")}
    for sentence in sentences:
        for first, second in _TAKES.findall(sentence):
            if frozenset((first, second)) in apart:
                yield f"{first} and {second} are told apart, and it is said what that would take"


def _cells(sentences: Sequence[str]) -> Iterator[str]:
    for sentence in sentences:
        if (found := _SMALL.search(sentence)) and found[1] == found[2]:
            yield f"some cells differ, and {found[1]} of {found[2]} are too small to say anything"


def _answers(results: Mapping[str, Any], sentences: Sequence[str]) -> Iterator[str]:
    if results.get("pending"):
        return
    answers = {verdict["name"]: verdict["answer"] for verdict in results.get("verdicts", ())}
    base = results.get("baseline")
    pairs, priced = list(_stated(results, "pair")), list(_stated(results, "market"))
    better = [
        each for each in pairs if base in (each["of"], each["than"]) and (each["of"] == base) == (each["estimate"] > 0)
    ]
    one = {
        frozenset((row["first"], row["second"]))
        for row in (results.get("structure") or {}).get("table", ())
        if row["identical"]
    }
    stated = {
        "market": any(each["estimate"] < 0 for each in priced),
        "baseline": bool(better),
        "sampling": any(each["estimate"] > 0 for each in _stated(results, "sampling")),
        "apart": any(frozenset((each["of"], each["than"])) not in one for each in pairs),
    }
    for name, said in stated.items():
        if name in answers and (answers[name] == "yes") != said:
            yield f"the answer to {name} is {answers[name]!r}, and what is stated says {'yes' if said else 'not yes'}"
    text = " ".join(sentences)
    if pairs and ("tells no two apart" in text or "no two configurations differ" in text):
        yield "pairs are stated to differ, and it is said that no two do"
    if priced and f"No configuration is shown to differ from the {PRICE}" in text:
        yield f"a configuration is stated to differ from the {PRICE}, and it is said that none does"


def _everywhere(results: Mapping[str, Any], texts: Sequence[str]) -> Iterator[str]:
    for verdict in results.get("verdicts", ()):
        for k, text in enumerate(texts):
            if " ".join(verdict["sentence"].split()) not in text:
                yield f"text {k + 1} has no sentence of the verdict {verdict['name']}: {verdict['sentence']!r}"


def _numbers(text: str) -> Iterator[str]:
    for rule in (_ONE, _MANY, _VERBS):
        yield from (f"singular and plural: {found[0]!r}" for found in rule.finditer(text))


def _rows(results: Mapping[str, Any], part: str, table: str = "table") -> Sequence[Mapping[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = (results.get(part) or {}).get(table, ())
    return rows


def _stated(results: Mapping[str, Any], *kinds: str) -> Iterator[Mapping[str, Any]]:
    return (said for said in results.get("stated", ()) if said["kind"] in kinds)
