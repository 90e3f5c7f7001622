"""What became of the predictions that a study states, in sentences; and why a cell of their table is null."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from coordeval.analysis.base.numerals import number
from coordeval.analysis.differences.predictions import UNDECIDED
from coordeval.analysis.study.family import CORRECTED
from coordeval.analysis.study.findings import Findings
from coordeval.analysis.words.phrases import counted

_MOST: Final = 10  # predictions told in sentences; the table has them all
_NAMES: Final = {
    "brier": "Brier score",
    "alpha": "alpha",
    "skill_market": "skill vs market",
    "skill_base": "skill vs base rate",
}


def on_predictions(found: Findings) -> Iterator[str]:
    rows = found.predictions.table.to_dicts()
    if not rows:
        yield "No prediction was stated in the study file, so every finding here is exploratory."
        return
    yield _tally(rows)
    yield f"{found.stated.when}."
    for row in rows[:_MOST]:
        yield _told(row)
    if len(rows) > _MOST:
        yield f"The other {len(rows) - _MOST} are in the table of predictions and in results.json."
    for claim, reason in found.stated.unscored:
        yield f"Not scored: “{_plain(claim)}”, {reason}."


def measured(measure: str) -> str:
    """A measure as people write it: REL, and REL′ for the corrected one."""
    return _NAMES.get(measure) or measure.replace("_corrected", "′").upper()


def rule(row: Mapping[str, Any]) -> str:
    """What a prediction says in symbols, such as `REL of a < that of b`."""
    other = number(row["value"]) if row["than"] is None else f"that of {row['than']}"
    return f"{measured(row['measure'])} of {row['of']} {'<' if row['direction'] == 'lower' else '>'} {other}"


def row_nulls(row: Mapping[str, Any]) -> dict[str, str]:
    """Column -> why it is null."""
    own = {
        "than": "it is compared with a value",
        "value": "it is compared with another's",
        "source": "the study file states it as its own",
    }
    return {
        name: own.get(name) or row["reason"] or "not defined"
        for name, value in row.items()
        if value is None and name != "reason"
    }


def _tally(rows: list[dict[str, Any]]) -> str:
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in ("upheld", "not upheld", UNDECIDED)}
    said = ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
    tested = sum(row["p_whole"] is not None for row in rows)
    stands = sum(row["stands"] is True for row in rows)
    after = f"; {stands or 'none'} {'stand' if stands > 1 else 'stands'} {CORRECTED}" if tested else ""
    return f"{counted(len(rows), 'prediction')}: {said}{after}."


def _told(row: dict[str, Any]) -> str:
    head = f"“{_plain(row['claim'])}” ({rule(row)}): {row['verdict']}"
    if row["estimate"] is None:
        return f"{head}, because {row['reason']}."
    size = f"the difference is {number(row['estimate'])}"
    if row["low"] is None:
        return f"{head}, because {size} without an interval ({row['reason']})."
    after = ""
    if row["verdict"] == "upheld":
        after = ", and stands after correction" if row["stands"] else ", but does not stand after correction"
    return (
        f"{head}{after}; {size} [{number(row['low'])}, {number(row['high'])}], and {row['probability']:.0%} of "
        f"{row['resamples']:,} resamples go the way predicted."
    )


def _plain(claim: str) -> str:
    return claim.strip().rstrip(".")
