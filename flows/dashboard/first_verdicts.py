"""The verdicts of the first answer, in the words of `analysis.words.verdicts`, where no resampled ones are there (yet)."""

from collections.abc import Sequence
from typing import Any, Final

from coordeval.analysis.base.numerals import number
from coordeval.analysis.cost.compute_matched import LONE
from coordeval.analysis.study.family import family_size, level
from coordeval.analysis.study.leaderboard import REFERENCE
from coordeval.analysis.words.verdicts import Verdict
from coordeval.flows.dashboard.first_answer import First

MARGIN: Final = 0.005
"""Brier points that matter: what is shown to be less is a no."""
_MARKET: Final = "Does any configuration beat the market price?"
_LONE: Final = "Does any beat one agent alone?"
_SAMPLING: Final = "Does any beat the same money spent on plain sampling?"
_APART: Final = "Are any two configurations told apart?"
_CALLS_NO_MODEL: Final = "market_price"


def first_verdicts(first: First, pending: int, why: str = "", *, baseline: str | None = None) -> tuple[Verdict, ...]:
    """One per question, in the order of `judge`. With forecasts still pending nothing is told."""
    base = baseline or LONE
    beat = _LONE if base == LONE else f"Does any beat {base}?"
    real = [p for p in first.pairs if p.get("delta") is not None and _CALLS_NO_MODEL not in (p["first"], p["second"])]
    against = [p for p in real if p["second"] == REFERENCE]
    between = [p for p in real if p["second"] != REFERENCE]
    lone = [_turned(p, base) for p in between if base in (p["first"], p["second"])]
    tests = family_size(len({p["first"] for p in real} | {p["second"] for p in between}), priced=bool(against))
    size = f"{first.n_markets:,} markets in {first.n_events:,} events"
    rests = f"{size}; sums over events, Student's t, corrected for all that a report asks"
    if not first.n_markets:
        questions = (*(("market", _MARKET), ("baseline", beat)), *(("sampling", _SAMPLING), ("apart", _APART)))
        nothing: dict[str, Any] = {"answer": "cannot tell yet", "sentence": "Nothing is scored here."}
        return tuple(Verdict(name=name, question=question, **nothing) for name, question in questions)
    asked = (
        ("market", _MARKET, against, "No market price is known for what is scored."),
        ("baseline", beat, lone, f"{base} is not among the configurations."),
    )
    told = [_better(name, question, pairs, nothing, rests, pending, tests) for name, question, pairs, nothing in asked]
    sampling = Verdict(
        name="sampling",
        question=_SAMPLING,
        answer="cannot tell yet",
        sentence=f"This takes resampling: {why or '`coordeval report` has it'}.",
        rests_on=rests,
    )
    return (*told, sampling, _apart(between, rests, pending, tests))


def _better(
    name: str, question: str, pairs: Sequence[dict[str, Any]], nothing: str, rests: str, pending: int, tests: int
) -> Verdict:
    if not pairs:
        return Verdict(name=name, question=question, answer="not asked", sentence=nothing)
    best = min(pairs, key=lambda p: p["delta"])
    clear = [p for p in pairs if p["delta"] < 0 and _passes(p, tests)]
    best = min(clear or [best], key=lambda p: p["delta"])
    small = all(p.get("low") is not None and p["low"] > -MARGIN for p in pairs)
    answer = "cannot tell yet" if pending else "yes" if clear else "no" if small else "cannot tell yet"
    word = "better" if best["delta"] < 0 else "worse"
    against = f"the {REFERENCE}" if best["second"] == REFERENCE else best["second"]
    sentence = (
        f"{best['first']} is {number(abs(best['delta']))} Brier points {word} than {against}, difference {_ends(best)}"
    )
    return Verdict(
        name=name,
        question=question,
        answer=answer,  # type: ignore[arg-type]
        sentence=f"{sentence}{_why(answer, pending, small)}",
        estimate=-best["delta"],
        rests_on=rests,
    )


def _apart(pairs: Sequence[dict[str, Any]], rests: str, pending: int, tests: int) -> Verdict:
    asked: dict[str, Any] = {"name": "apart", "question": _APART}
    if not pairs:
        return Verdict(**asked, answer="not asked", sentence="There are not two configurations to compare.")
    clear = [p for p in pairs if _passes(p, tests)]
    most = max(clear or pairs, key=lambda p: abs(p["delta"]))
    small = all(p.get("low") is not None and p["low"] > -MARGIN and p["high"] < MARGIN for p in pairs)
    answer = "cannot tell yet" if pending else "yes" if clear else "no" if small else "cannot tell yet"
    ahead, behind = (most["first"], most["second"]) if most["delta"] < 0 else (most["second"], most["first"])
    sentence = f"{ahead} is {number(abs(most['delta']))} Brier points ahead of {behind}, difference {_ends(most)}"
    return Verdict(
        **asked,
        answer=answer,  # type: ignore[arg-type]
        sentence=f"{sentence}{_why(answer, pending, small)}",
        estimate=abs(most["delta"]),
        rests_on=rests,
    )


def _why(answer: str, pending: int, small: bool) -> str:
    if pending:
        return (
            f", so far; {pending:,} forecasts are still to be made, and who judges while data come in is fooled too often."
        )
    if answer == "yes":
        return "."
    if small:
        return f": whatever there is, is less than {MARGIN:g}."
    return ": no difference passes the test."


def _passes(pair: dict[str, Any], tests: int) -> bool:
    return pair.get("p") is not None and pair["p"] < level(tests)


def _turned(pair: dict[str, Any], second: str) -> dict[str, Any]:
    if pair["second"] == second:
        return pair
    ends = {"low": pair["high"], "high": pair["low"]}
    turned = {k: None if v is None else -v for k, v in (ends | {"delta": pair["delta"]}).items()}
    return pair | {"first": pair["second"], "second": pair["first"]} | turned


def _ends(pair: dict[str, Any]) -> str:
    if pair.get("low") is None:
        return f"(no interval: {pair.get('reason') or 'not known'})"
    return f"[{number(pair['low'])}, {number(pair['high'])}]"
