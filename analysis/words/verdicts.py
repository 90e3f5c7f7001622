"""The questions that a study is run for, each with one answer: yes, no, or not yet, with its number and what it would take.

The longer answers with their reasons are those of `words.answers`; what is told here never claims more than they do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.grid import PRICE
from coordeval.analysis.base.numerals import number
from coordeval.analysis.base.scipy_parts import special
from coordeval.analysis.cost.compute_matched import LONE
from coordeval.analysis.differences.comparisons import markets_needed
from coordeval.analysis.study.family import ALPHA
from coordeval.analysis.study.findings import Findings
from coordeval.analysis.study.stated import beyond_noise, is_shown, passes
from coordeval.analysis.words.phrases import against_baseline, called, counted, listed, no_baseline, pairs_of, turned

Answered = Literal["yes", "no", "cannot tell yet", "not asked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One question and its answer in one sentence. Terminal, page, results.json, summary and dashboard show these alike."""

    name: str
    """`market`, `baseline`, `sampling` or `apart`."""
    question: str
    answer: Answered
    """`yes` and `no` are both shown by a test: no means that whatever there is, is less than the margin that matters.

    `cannot tell yet`: the data are too few, not finished, or not comparable. `not asked`: the study lacks what it takes.
    """
    sentence: str
    estimate: float | None = None
    """Brier points by which the best is better (of `apart`: by which the two differ); None where nothing was measured."""
    low: float | None = None
    high: float | None = None
    needs: str | None = None
    """What it would take to tell, in words; None where it is told, or nobody knows."""
    markets_needed: int | None = None
    """The same as a number of markets: for 80% power after correction, if the truth is the estimate."""
    rests_on: str = ""
    """Which configurations, how many markets and events, which test."""

    @property
    def takes(self) -> str:
        """`needs` as a sentence, empty where there is nothing to say."""
        if self.needs is None:
            return ""
        return f"To {'ask' if self.answer == 'not asked' else 'tell'} this takes {self.needs}."


@asked
def judge(found: Findings, *, pending: int = 0) -> tuple[Verdict, ...]:
    """A verdict per question, always all four, in the order in which they are asked.

    With forecasts still `pending` nothing is told yet: who looks while data come in is fooled by chance too often.

    >>> from coordeval.analysis import example, find, judge, scored
    >>> told = judge(find(example(), scored(example()), n=200))
    >>> [verdict.name for verdict in told], {verdict.answer for verdict in told}
    (['market', 'baseline', 'sampling', 'apart'], {'cannot tell yet'})
    """
    told = (_market(found), _baseline(found), _sampling(found), _apart(found))
    return tuple(_so_far(verdict, pending) if pending else verdict for verdict in told)


def _market(found: Findings) -> Verdict:
    rows = [row for row in pairs_of(found, "market") if row["delta"] is not None]
    asked: dict[str, Any] = {"name": "market", "question": "Does any configuration beat the market price?"}
    if found.comparisons is None:
        return _nothing(asked, found.reasons["comparisons"])
    if not rows:
        return Verdict(**asked, answer="not asked", sentence="No market price is known for the markets that are scored.")
    return _against(asked, rows, f"the {PRICE}", found)


def _baseline(found: Findings) -> Verdict:
    asked: dict[str, Any] = {"name": "baseline", "question": f"Does any beat {called(found)}?"}
    if found.comparisons is None:
        return _nothing(asked, found.reasons["comparisons"])
    if "differences" in found.reasons:
        return _nothing(asked, found.reasons["differences"])
    rows = against_baseline(found)
    if not rows:
        alone = f"{found.baseline} was scored beside no other"
        return Verdict(
            **asked,
            answer="not asked",
            sentence=f"{no_baseline(found) if found.baseline is None else alone}.",
            needs="--baseline with one of the configurations, or baseline in the study" if found.baseline is None else None,
        )
    return _against(asked, rows, called(found), found)


def _against(asked: dict[str, Any], rows: Sequence[dict[str, Any]], other: str, found: Findings) -> Verdict:
    """`rows` have the other one second: a delta under 0 is better than it."""
    margin = found.comparisons.margin if found.comparisons else 0.0
    winners = [row for row in rows if passes(row) and row["delta"] < 0]
    clear = [row for row in winners if is_shown(row)]
    top = min(clear or winners or rows, key=lambda row: row["delta"])
    values = _values(top) | {"rests_on": _rests(top, found)}
    lead = f"{top['first']} is ahead of {other} by {_by(values)}"
    if clear:
        more = f", and so {'does' if len(clear) == 2 else 'do'} {len(clear) - 1} more" if len(clear) > 1 else ""
        return Verdict(**asked, answer="yes", sentence=f"{lead}{more}{_once(top)}.", **values)
    if winners:
        return Verdict(**asked, **_within_noise(top, lead), **values)
    if all(row["low"] is not None and row["low"] > -margin for row in rows):
        said = f"None is better than {other} by {margin:g} or more; the nearest, {top['first']}, is {_signed(values)}."
        return Verdict(**asked, answer="no", sentence=said, **values)
    seen = lead if top["delta"] < 0 else f"The best, {top['first']}, {_behind(values, other)}"
    takes = _takes(top["n_needed_clustered"] if top["delta"] < 0 else None, top["n_markets"])
    said = f"{seen}, {_chance(values, len(rows))}."
    return Verdict(**asked, answer="cannot tell yet", sentence=said, **values, **takes)


def _sampling(found: Findings) -> Verdict:
    asked: dict[str, Any] = {"name": "sampling", "question": "Does any beat the same money spent on plain sampling?"}
    matched = found.matched
    if matched is None:
        return _nothing(asked, found.reasons["matched"])
    if matched.reason:
        return Verdict(**asked, answer="not asked", sentence=f"No plain sampling to compare with: {matched.reason}.")
    rows = [row for row in matched.table.iter_rows(named=True) if row["premium"] is not None]
    if not rows:
        why = matched.table["reason"].drop_nulls().to_list()
        said = f"There is nothing to compare with plain sampling: {why[0] if why else 'nothing else was run'}."
        return Verdict(**asked, answer="not asked", sentence=said)
    clear = [row for row in rows if row["apart"] and row["premium"] > 0]
    top = max(clear or rows, key=lambda row: row["premium"])
    values: dict[str, Any] = {"estimate": top["premium"], "low": top["low"], "high": top["high"]}
    one = called(found) if found.baseline not in (None, LONE) else "one agent"
    values["rests_on"] = (
        f"{top['configuration']} against the mean of as many forecasts by {one} as its money buys, on "
        f"{counted(top['n_markets'], 'market')}: 95% interval, and {matched.alpha:.2%} is the level of one of "
        f"{counted(found.tests, 'test')}"
    )
    lead = f"{top['configuration']} is ahead of plain sampling by {_by(values)}"
    if clear:
        more = f", and so {'does' if len(clear) == 2 else 'do'} {len(clear) - 1} more" if len(clear) > 1 else ""
        return Verdict(**asked, answer="yes", sentence=f"{lead}{more}.", **values)
    margin = found.comparisons.margin if found.comparisons else 0.0
    if all(row["high"] is not None and row["high"] < margin for row in rows):
        nearest = f"the nearest, {top['configuration']}, is {_signed(values)}"
        said = f"None is better than plain sampling by {margin:g} or more; {nearest}."
        return Verdict(**asked, answer="no", sentence=said, **values)
    ahead = top["premium"] > 0
    needed = None
    if ahead and top["low"] is not None:
        tail = (1 - matched.level) / 2
        sd = (top["high"] - top["low"]) / (2 * -float(special.ndtri(tail))) * top["n_markets"] ** 0.5
        needed = markets_needed(top["premium"], sd, alpha=matched.alpha) if sd > 0 else None
    takes = _takes(needed, top["n_markets"])
    seen = lead if ahead else f"The best, {top['configuration']}, {_behind(values, 'plain sampling')}"
    said = f"{seen}, {_chance(values, found.tests)}."
    return Verdict(**asked, answer="cannot tell yet", sentence=said, **values, **takes)


def _apart(found: Findings) -> Verdict:
    asked: dict[str, Any] = {"name": "apart", "question": "Are any two configurations told apart?"}
    if found.comparisons is None:
        return _nothing(asked, found.reasons["comparisons"])
    if "differences" in found.reasons:
        return _nothing(asked, found.reasons["differences"])
    rows = [row for row in pairs_of(found) if row["delta"] is not None]
    if not rows:
        said = "There is no pair of configurations that were scored on the same markets."
        return Verdict(**asked, answer="not asked", sentence=said, needs="two configurations")
    alike = found.structure.table.filter("identical").select("first", "second").rows() if found.structure else []
    real = [row for row in rows if (row["first"], row["second"]) not in alike]
    if not real:
        names = listed(sorted({name for pair in alike for name in pair}))
        said = f"{names} are one procedure under several names, so any difference between them is noise."
        return Verdict(**asked, answer="no", sentence=said)
    return _told_apart(asked, rows, real, found, margin=found.comparisons.margin)


def _told_apart(
    asked: dict[str, Any], rows: Sequence[dict[str, Any]], real: Sequence[dict[str, Any]], found: Findings, *, margin: float
) -> Verdict:
    """`real`: those of the `rows` whose two are not one procedure."""
    passing = [row for row in real if passes(row)]
    clear = [row for row in passing if is_shown(row)]
    top = max(clear or passing or real, key=lambda row: abs(row["delta"]))
    better, worse = (top["first"], top["second"]) if top["delta"] < 0 else (top["second"], top["first"])
    values = _values(turned(top, worse)) | {"rests_on": _rests(top, found)}
    if clear:
        sentence = (
            f"{len(clear)} of {counted(len(rows), 'pair')} {'is' if len(clear) == 1 else 'are'}; the furthest apart: "
            f"{better} is ahead of {worse} by {_by(values)}{_once(top)}."
        )
        return Verdict(**asked, answer="yes", sentence=sentence, **values)
    lead = f"{better} is ahead of {worse} by {_by(values)}"
    if passing:
        return Verdict(**asked, **_within_noise(top, lead), **values)
    if all(row["p_tost"] is not None and row["p_tost"] < ALPHA for row in real):
        whole = "The two" if len(real) == 1 else f"All {len(real)} pairs"
        said = f"{whole} are shown to be within {margin:g} of each other; at the most, {lead}."
        return Verdict(**asked, answer="no", sentence=said, **values)
    if top["delta"] == 0:
        said = "No two configurations differ in Brier score at all."
        return Verdict(**asked, answer="cannot tell yet", sentence=said, **values)
    takes = _takes(top["n_needed_clustered"], top["n_markets"])
    said = f"The most: {lead}, {_chance(values, len(rows))}."
    return Verdict(**asked, answer="cannot tell yet", sentence=said, **values, **takes)


def _once(row: dict[str, Any]) -> str:
    """What one replicate leaves open of a difference that events show."""
    return "" if beyond_noise(row) is not None else "; with one replicate nobody knows what sampling again would change"


def _within_noise(row: dict[str, Any], lead: str) -> dict[str, Any]:
    """A difference that passes its test, and yet is no more than what sampling again changes."""
    said = f"{lead}, but sampling the same configuration again changes as much ({number(row['noise_floor'])})."
    return {"answer": "cannot tell yet", "sentence": said, "needs": "more replicates"}


def _nothing(asked: dict[str, Any], reason: str) -> Verdict:
    return Verdict(**asked, answer="cannot tell yet", sentence=f"Nothing is known of it: {reason}.")


def _so_far(verdict: Verdict, pending: int) -> Verdict:
    if verdict.answer == "not asked":
        return verdict
    waiting = f"the {counted(pending, 'forecast')} still to be made"
    return replace(
        verdict,
        answer="cannot tell yet",
        sentence=f"So far: {verdict.sentence}",
        needs="; then ".join(filter(None, (waiting, verdict.needs))),
    )


def _values(row: dict[str, Any]) -> dict[str, Any]:
    """Estimate and interval as Brier points by which the first is better."""
    turned_round = (("estimate", row["delta"]), ("low", row["high"]), ("high", row["low"]))
    return {name: None if value is None else 0.0 - value for name, value in turned_round}


def _rests(row: dict[str, Any], found: Findings) -> str:
    second = f"the {PRICE}" if row["second"] == PRICE else row["second"]
    level = f"{found.comparisons.level:.0%} interval" if found.comparisons else "interval"
    p = ""
    if row["p_whole"] is not None:
        p = f"; p {row['p_whole']:.3f} by sign flips of events, corrected for {counted(found.tests, 'test')}"
    return (
        f"{row['first']} against {second} on {counted(row['n_markets'], 'market')} of {counted(row['n_events'], 'event')}: "
        f"{level}{p}"
    )


def _takes(needed: int | None, have: int) -> dict[str, Any]:
    if needed is None:
        return {}
    if needed <= have:
        return {"needs": f"more than the {counted(have, 'market')} scored here", "markets_needed": needed}
    return {"needs": f"about {counted(needed, 'market')}", "markets_needed": needed}


def _chance(values: dict[str, Any], tests: int) -> str:
    """An interval of one comparison may leave 0 out where, of so many, chance alone puts one there."""
    alone = values["low"] is None or values["low"] <= 0 or tests == 1
    return "which chance alone could do" if alone else f"which chance alone could do in one of {tests} comparisons"


def _interval(values: dict[str, Any], sign: int = 1) -> str:
    if values["low"] is None or values["high"] is None:
        return " (no interval)"
    ends = sorted((sign * values["low"], sign * values["high"]))
    return f" [{number(ends[0])}, {number(ends[1])}]"


def _by(values: dict[str, Any]) -> str:
    return f"{number(values['estimate'])}{_interval(values)}"


def _behind(values: dict[str, Any], other: str) -> str:
    if not values["estimate"]:
        return f"scores the same as {other}{_interval(values)}"
    return f"is behind {other} by {number(-values['estimate'])}{_interval(values, -1)}"


def _signed(values: dict[str, Any]) -> str:
    word = "better" if values["estimate"] > 0 else "worse" if values["estimate"] < 0 else "apart"
    sign = 1 if values["estimate"] >= 0 else -1
    return f"{number(abs(values['estimate']))}{_interval(values, sign)} {word}"
