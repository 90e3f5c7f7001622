"""The diagnosis of one forecast of a ledger, and how it is shown."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console

from coordeval.analysis.audit import MAST, Cause, Diagnosis, Evidence, diagnose
from coordeval.analysis.audit.registry import load
from coordeval.analysis.base.numerals import counted, number
from coordeval.flows.run.evidence import study_evidence
from coordeval.flows.study.names import GAMES
from coordeval.ledger import Reader
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.text import one_line, shown

_CELLS = """
    SELECT DISTINCT c.forecast_id, c.study_id, c.arm, c.configuration, c.market_id, c.replicate
    FROM cells c JOIN forecasts f USING (forecast_id) WHERE starts_with(c.forecast_id, ?) ORDER BY ALL LIMIT 11
"""


def evidence_of(reader: Reader, forecast: str) -> tuple[Evidence, str]:
    """(the evidence of its study's arm, the id) of the forecast whose id begins with `forecast` (at least 4 hex digits).

    Of a forecast that several studies share it is the first of them. Raises CoordevalError where there is not one.
    """
    with reader.moment() as held:
        rows = held.query(_CELLS, [forecast]).to_dicts() if len(forecast) >= 4 else []
        ids = {row["forecast_id"] for row in rows}
        if len(ids) != 1:
            named = ", ".join(f"{r['forecast_id'][:12]} ({r['configuration']}, {r['market_id']})" for r in rows[:10])
            problem = f"forecast id {forecast!r} is ambiguous: {named}" if ids else f"there is no forecast {forecast!r}"
            raise CoordevalError(f"{problem}; `coordeval forecasts STUDY` lists them, write at least 4 hex digits")
        if held.study(rows[0]["study_id"]).source == GAMES:
            short = rows[0]["forecast_id"][:12]
            raise CoordevalError(f"{short} is a game: `coordeval grounding replay {short}` says what it lost, and to what")
        return study_evidence(held, str(rows[0]["study_id"]), arm=rows[0]["arm"]), next(iter(ids))


def diagnosed(reader: Reader, forecast: str) -> Diagnosis:
    """What the rules have about this forecast, among all of its study; as `evidence_of` finds it."""
    return diagnose(*evidence_of(reader, forecast), load().made())


def print_asked(asked: Mapping[str, Any], console: Console, by_rules: str | None) -> None:
    """What a model found, as `asking.Asked.as_json`, beside the rules' first cause: its own, its rows, and what it took."""
    mark = "SIMULATED, " if asked["simulated"] else ""
    head = f"{asked['way']} by {asked['model']} ({mark}{asked['tokens']:,} of {asked['budget']:,} tokens, {_took(asked)})"
    for line, style in ((head, "dim"), *in_words(asked, by_rules)):
        console.print(line, style=style, soft_wrap=True, markup=False)


def in_words(asked: Mapping[str, Any], by_rules: str | None) -> Iterator[tuple[str, str]]:
    """(line, style): the cause, whether the rules say the same, the rows it rests on, and why the search ended."""
    if asked["cause"] is None:
        yield "it names no cause", ""
    else:
        beside = ", as the rules do" if asked["cause"] == by_rules else f"; the rules say {by_rules or 'nothing'}"
        holds = "" if asked["held"] or asked["way"] == "one pass" else "; its rows were not held to show it"
        yield f"it names: {asked['cause']}{beside}{holds}: {shown(asked['why'])}", "bold"
    for row in asked["rows"]:
        yield f"    [{row['number']}] {shown(row['title'])}: {one_line(row['words'])[:300]}", "dim"
    yield f"it ended because {shown(asked['ended'])}", "dim"


def _took(asked: Mapping[str, Any]) -> str:
    paid = "" if asked["simulated"] or asked["paid_usd"] is None else f", ${asked['paid_usd']:.4f} paid"
    return f"{counted(asked['asks'], 'ask')}{paid}"


def print_diagnosis(found: Diagnosis, console: Console) -> None:
    """The forecast, the most probable first cause, the others by rank, and what is to be known besides."""
    facts = found.forecast
    said = "no forecast" if facts["probability"] is None else number(facts["probability"])
    where = f"{facts['configuration']}, {facts['market_id']}, replicate {facts['replicate']}"
    console.print(
        f"forecast {facts['forecast_id'][:12]}: {where}: {said}{_beside(facts)}",
        soft_wrap=True, markup=False,
    )  # fmt: skip
    if found.first is None:
        console.print(
            "no rule has anything about it: what is recorded does not say why it stands where it does", soft_wrap=True
        )
    for rank, cause in enumerate(found.causes, start=1):
        lead = "most probable first cause" if rank == 1 else f"{rank}."
        console.print(f"{lead}: {_words(cause)}", style="bold" if rank == 1 else "", soft_wrap=True, markup=False)
        console.print(
            f"    {shown(cause.says)} ({counted(cause.rows.height, 'row')})", style="dim", soft_wrap=True, markup=False
        )
    for cause in found.circumstances:
        console.print(f"to be known: {_words(cause)}: {shown(cause.says)}", style="dim", soft_wrap=True, markup=False)
    command = f"coordeval certificate {facts['forecast_id'][:12]}"
    console.print(
        f"a ranking of what is recorded, not a proof of cause; the rows: --json, {command}", style="dim", markup=False
    )


def _words(cause: Cause) -> str:
    modes = ", ".join(f"MAST {mode} {MAST[mode]}" for mode in cause.modes)
    chance = f"; {cause.chance:.0%} of sound forecasts show it too" if cause.chance else ""
    return f"{cause.rule} ({cause.stage}{'; ' + modes if modes else ''}{chance}): {cause.looks_for}"


def _beside(facts: Any) -> str:
    price = "" if facts["market_price"] is None else f", the price was {number(facts['market_price'])}"
    ended = "" if facts["outcome"] is None else f", it ended {('NO', 'YES')[facts['outcome']]}"
    return price + ended
