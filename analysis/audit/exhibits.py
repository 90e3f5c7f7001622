"""One forecast as numbered rows in words: what a reader, a model among them, looks through for a cause.

Each row has a title, which says what it is, and its words, which say what is recorded of it. Rows of telemetry stand among
them: what a round came to, and who was shown what in it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from types import MappingProxyType
from typing import Any, Final

import polars as pl

from coordeval.analysis.audit.evidence import Evidence
from coordeval.analysis.base.checks import AnalysisError

LONGEST: Final = 2_000
"""Characters of a stored text that a row holds."""
Texts = Mapping[tuple[int, int, int], str]
"""(ask, turn, position) of a tool call -> its arguments and its result, as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """One row: `table` and `id` say where it is stored; `ask` is null where it belongs to the whole forecast."""

    number: int
    table: str
    id: str
    ask: int | None
    title: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibits:
    """What is recorded of one forecast."""

    head: str
    """What it was about and what came of it, in a few lines."""
    rows: Sequence[Exhibit]
    first: Sequence[int]
    """Numbers of the rows that anybody reads first: what the forecast came to."""

    def row(self, number: int) -> Exhibit:
        return self.rows[number - 1]


def exhibits(evidence: Evidence, forecast_id: str, texts: Texts = MappingProxyType({})) -> Exhibits:
    """The rows of one forecast, in the order in which they came about. Raises AnalysisError where there is none.

    >>> from coordeval.analysis.audit import evidence
    >>> from coordeval.analysis.audit.exhibits import exhibits
    >>> from coordeval.analysis.selftest.audit_world import world
    >>> found = exhibits(evidence(world(3)), "independent_ensemble-0001")
    >>> found.rows[1].title
    'ask 0: agent 1, forecaster, round 0'
    """
    known = evidence.forecasts.filter(pl.col("forecast_id") == forecast_id)
    if known.is_empty():
        raise AnalysisError(f"forecast {forecast_id!r} is not among the {evidence.forecasts.height:,} of this study")
    one, facts = evidence.one(forecast_id), known.row(0, named=True)
    elements = evidence.elements.get(facts["configuration"]) or {}
    asks = one.said.to_dicts()
    made = [*_prompts(one), *_asks(one, asks, texts), *_rounds(one, asks, facts), *_standing(one)]
    last = _came_to(asks, facts, elements)
    rows = [Exhibit(number=n, **row) for n, row in enumerate([*made, last], start=1)]
    first = [row.number for row in rows if row.table in ("telemetry", "forecasts")]
    return Exhibits(head=_head(facts, one, elements), rows=rows, first=first)


def _head(facts: Mapping[str, Any], one: Evidence, elements: Mapping[str, Any]) -> str:
    market = next(one.markets.iter_rows(named=True), {"question": None, "scheduled_close": None})
    close = market["scheduled_close"]
    roles = ", ".join(str(end.get("role")) for end in elements.get("endpoints") or () if isinstance(end, dict))
    lines = {
        "Question": market["question"],
        "Scheduled close": None if close is None else f"{close:%Y-%m-%d}",
        "As of": None if facts["as_of"] is None else f"{facts['as_of']:%Y-%m-%d}",
        "Price of YES that was shown": facts["market_price"],
        "It ended": {None: "not yet", 0: "NO", 1: "YES"}[facts["outcome"]],
        "Configuration": f"{facts['configuration']}{roles and f' (roles: {roles})'}",
        "Aggregation as declared": elements.get("aggregation"),
        "Termination as declared": elements.get("termination"),
        "Forecast": "none" if facts["probability"] is None else f"{facts['probability']:.4f}",
    }
    return "\n".join(f"{name}: {' '.join(str(value).split())}" for name, value in lines.items() if value is not None)


def _prompts(one: Evidence) -> Iterator[dict[str, Any]]:
    for row in one.prompts.iter_rows(named=True):
        words = "\n".join(line for line in _short(row["block"]).splitlines() if not line.startswith(("Question:", "<")))
        yield {"table": "draws", "id": row["draw_id"], "ask": None, "title": "the market as prompts show it", "words": words}


def _asks(one: Evidence, asks: Sequence[Mapping[str, Any]], texts: Texts) -> Iterator[dict[str, Any]]:
    shown: dict[int, list[int]] = defaultdict(list)
    for source, ask in one.messages.select("from_ask", "to_ask").unique().sort("to_ask", "from_ask").iter_rows():
        shown[ask].append(source)
    said = {row["ask"]: row for row in asks}
    seen = {row["ask"]: row["seen"] for row in one.reports.iter_rows(named=True)}
    told = {row["ask"]: row["text"] for row in one.reports.iter_rows(named=True)}
    used, ends = one.used.partition_by("ask", as_dict=True), one.calls.partition_by("ask", as_dict=True)
    for number in [*said, *sorted(set(shown) - set(said), key=str)]:
        row = said.get(number)
        where = f"ask {number}"
        heard = ", ".join(_source(source, said, row) for source in shown[number]) or "nothing that others said"
        if row is None:
            words = f"Nothing is recorded of it but that it was shown {heard}."
            yield {"table": "messages", "id": where, "ask": number, "title": f"{where}: not recorded", "words": words}
            continue
        title = f"{where}: agent {(row['agent'] or 0) + 1}, {row['role']}, round {row['round']}"
        yield {"table": "estimates", "id": where, "ask": number, "title": title, "words": _said(row, heard, told, seen)}
        for tool in _rows(used, number):
            place = (number, tool["turn"], tool["position"])
            title = f"{where}: it calls {tool['tool']}"
            where_it_is = f"{where} turn {tool['turn']} position {tool['position']}"
            words = _tool(tool, texts.get(place, ""))
            yield {"table": "tool_calls", "id": where_it_is, "ask": number, "title": title, "words": words}
        for call in _rows(ends, number):
            title, words = f"{where}: how reply {call['turn']} ended", f"The reply ended by {call['stop_reason']}."
            yield {"table": "calls", "id": f"{where} turn {call['turn']}", "ask": number, "title": title, "words": words}


def _rows(parts: Mapping[Any, pl.DataFrame], ask: int) -> list[dict[str, Any]]:
    return parts[(ask,)].to_dicts() if (ask,) in parts else []


def _source(source: int, said: Mapping[int, Mapping[str, Any]], row: Mapping[str, Any] | None) -> str:
    earlier = said.get(source)
    if earlier is None:
        return f"ask {source} (of which nothing is recorded)"
    own = row is not None and earlier["agent"] == row["agent"] and "report" not in (earlier["kind"], row["kind"])
    who = "its own" if own else f"agent {(earlier['agent'] or 0) + 1}"
    p = "a report" if earlier["probability"] is None else f"{earlier['probability']:.4f}"
    return f"ask {source} ({who}, {p})"


def _said(row: Mapping[str, Any], heard: str, told: Mapping[int, str], seen: Mapping[int, str]) -> str:
    number = row["ask"]
    lines = [f"It was shown {heard}."]
    if number in told:
        lines += [f"It reports: {_short(told[number])}", f"All that it saw: {_short(seen[number])}"]
    else:
        p = row["probability"]
        lines.append("It gave no answer." if p is None else f"It estimates {p:.4f}.")
        lines.append(f"Its reading of the question: {_short(row['reading'])}")
        lines.append(f"Its reasons: {_short(row['rationale'])}")
    return "\n".join(lines)


def _tool(row: Mapping[str, Any], text: str) -> str:
    if row["error"]:
        ended = "It ended in an error."
    elif row["empty"]:
        ended = "It gave 0 results."
    else:
        ended = "It gave a result." if row["items"] is None else f"It gave {row['items']} results."
    latest = f" The latest day in it: {row['last_date']}." if row["last_date"] else ""
    about = f' It is about the question "{row["question"]}".' if row["question"] else ""
    again = " The same ask had been given this very result before." if row["repeated"] else ""
    return f"{ended}{latest}{about}{again}{text and chr(10)}{_short(text)}"


def _rounds(one: Evidence, asks: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Telemetry: where the estimates of each round stood, and who was shown what."""
    shown: dict[int, set[int]] = defaultdict(set)
    for source, ask in one.messages.select("from_ask", "to_ask").iter_rows():
        shown[ask].add(source)
    before: list[float] = []
    begun: list[tuple[int, float]] = []
    for number in sorted({row["round"] for row in asks if row["round"] is not None}):
        mine = [row for row in asks if row["round"] == number]
        said = [(row["agent"] or 0, row["probability"]) for row in mine if row["probability"] is not None]
        p = [value for _, value in said]
        lines = [f"{len(p)} estimates: {', '.join(f'agent {agent + 1} {value:.4f}' for agent, value in said) or 'none'}."]
        if len(p) > 1 and before:
            lines.append(
                f"Their mean went from {fmean(before):.4f} to {fmean(p):.4f}, their spread from "
                f"{max(before) - min(before):.4f} to {max(p) - min(p):.4f}."
            )
            if facts["probability"] is not None and len(begun) > 1:
                [(agent, start), *_] = sorted(begun, key=lambda pair: abs(pair[1] - facts["probability"]))
                lines.append(
                    f"Nearest to the forecast {facts['probability']:.4f} began agent {agent + 1}, at {start:.4f}; "
                    f"the first estimates were {max(v for _, v in begun) - min(v for _, v in begun):.4f} apart."
                )
        views = Counter(tuple(sorted(shown[row["ask"]])) for row in mine)
        if len(mine) > 2 and len(mine) > max(views.values()) > len(mine) / 2:
            each = "; ".join(f"agent {(row['agent'] or 0) + 1} asks {sorted(shown[row['ask']])}" for row in mine)
            lines.append(f"Not all were shown the same: {each}.")
        row = {"table": "telemetry", "id": f"round {number}", "ask": None}
        yield row | {"title": f"what round {number} came to", "words": "\n".join(lines)}
        if p:
            before, begun = p, begun or said


def _standing(one: Evidence) -> Iterator[dict[str, Any]]:
    for row in one.commitments.iter_rows(named=True):
        later = "it gave no estimate after that" if row["estimate"] is None else f"then it estimated {row['estimate']:.4f}"
        offer = "a number that is not recorded" if row["probability"] is None else f"{row['probability']:.4f}"
        near = "" if row["within"] is None else f" within {row['within']:g}"
        words = f"It {row['position'] or 'stands'} proposal {row['proposal']}, {offer}{near}; {later}."
        title = f"where agent {(row['agent'] or 0) + 1} stands on proposal {row['proposal']}"
        yield {"table": "acts", "id": title, "ask": None, "title": title, "words": words}


def _came_to(asks: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], elements: Mapping[str, Any]) -> dict[str, Any]:
    said = [row for row in asks if row["probability"] is not None]
    row = {"table": "forecasts", "id": facts["forecast_id"], "ask": None, "title": "how the forecast was made of it"}
    answer = "none" if facts["probability"] is None else f"{facts['probability']:.4f}"
    why = f": {facts['reason']}" if facts["reason"] else ""
    lines = [f"The forecast is {answer}; its status is {facts['status']}{why}."]
    if not asks:
        lines.append("Nobody was asked, or nothing of it is recorded.")
    if said:
        ends = max((r["round"] for r in said if r["round"] is not None), default=None)
        last = [r["probability"] for r in said if r["round"] == ends]
        lines.append(f"The last round's estimates have the median {median(last):.4f} and the mean {fmean(last):.4f}.")
    declared = elements.get("aggregation")
    if declared:
        lines.append(f"Declared is: {declared}.")
    if facts["market_price"] is not None:
        lines.append(f"The price of YES that was shown is {facts['market_price']:.4f}.")
    return row | {"words": "\n".join(lines)}


def _short(text: str | None) -> str:
    whole = text or ""
    return whole if len(whole) <= LONGEST else f"{whole[:LONGEST]} … ({len(whole):,} characters)"
