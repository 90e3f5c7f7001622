"""Every stored prompt and tool result of a study, searched for words that tell an outcome, later dates and undated texts."""

from collections.abc import Iterator
from datetime import date, datetime

import polars as pl

from coordeval.analysis.leaks.told import LATER, RESOLUTION, ROWS, UNKNOWN
from coordeval.flows.certificate.stored import object_of, time_of
from coordeval.flows.certificate.text import flat, leaves, parsed, read_result, texts
from coordeval.ledger import Reader
from coordeval.market_data.telling import later_dates, resolution_language
from coordeval.market_data.texts import TEXTS

_ABOUT = 100
"""Characters of a text that are shown."""
_MARKETS = """
    SELECT DISTINCT m.market_id, m.event_id, m.scheduled_close, m.text_known_at, c.as_of,
        json_extract_string(c.identity, '$.market.view') AS view_id
    FROM cells c JOIN markets m USING (market_id) JOIN calls k ON k.forecast_id = c.forecast_id
    WHERE c.study_id = ? ORDER BY m.market_id
"""
_REQUESTS = """
    SELECT DISTINCT c.market_id, d.request FROM cells c JOIN calls k ON k.forecast_id = c.forecast_id
        JOIN draws d ON d.draw_id = k.draw_id
    WHERE c.study_id = ? ORDER BY ALL
"""
_RESULTS = """
    SELECT DISTINCT c.market_id, t.tool, t.result FROM cells c JOIN tool_calls t ON t.forecast_id = c.forecast_id
    WHERE c.study_id = ? ORDER BY ALL
"""


def found_in_prompts(reader: Reader, study_id: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(market_id and event_id of each market of which an agent was asked; a row for each thing found).

    What agents wrote themselves is left out. The deadline, the opening and as-of itself are dates that may stand there.
    """
    markets = reader.query(_MARKETS, [study_id]).to_dicts()
    about = {row["market_id"]: row for row in markets}
    rows = [row for market in markets for row in _undated(reader, market)]
    seen = set[tuple[str, str]]()
    for market_id, where, text in _pieces(reader, study_id):
        if market_id in about and (market_id, text) not in seen:
            seen.add((market_id, text))
            rows += [(market_id, kind, where, said) for kind, said in _tells(text, about[market_id])]
    found = pl.DataFrame(list(dict.fromkeys(rows)), schema=ROWS, orient="row")
    events = [(row["market_id"], row["event_id"]) for row in markets]
    return pl.DataFrame(events, schema={"market_id": pl.String, "event_id": pl.String}, orient="row").unique(), found


def _pieces(reader: Reader, study_id: str) -> Iterator[tuple[str, str, str]]:
    for market_id, request in reader.query(_REQUESTS, [study_id]).iter_rows():
        if isinstance(body := parsed(request), dict):
            yield from ((market_id, "prompt", text) for text, data in texts(body) if data)
    for market_id, tool, result in reader.query(_RESULTS, [study_id]).iter_rows():
        yield from ((market_id, f"result of {tool}", text) for text in leaves(read_result(result)))


def _tells(text: str, market: dict[str, object]) -> Iterator[tuple[str, str]]:
    as_of = market["as_of"]
    assert isinstance(as_of, datetime)
    for said in resolution_language(text):
        yield RESOLUTION, _around(text, said)
    for said in later_dates(text, as_of, _allowed(market)):
        yield LATER, _around(text, said)


def _allowed(market: dict[str, object]) -> set[date]:
    return {at.date() for name in ("scheduled_close", "as_of") if isinstance(at := market[name], datetime)}


def _undated(reader: Reader, market: dict[str, object]) -> Iterator[tuple[str, str, str, str]]:
    known, as_of = market["text_known_at"], market["as_of"]
    if isinstance(known, datetime) and isinstance(as_of, datetime) and known <= as_of:
        return
    view = reader.query("SELECT facts FROM views WHERE view_id = ?", [market["view_id"]])
    facts = object_of(view.item()) if view.height else {name: name for name in TEXTS[:1]}
    at = time_of(known)
    seen = "at no recorded time" if at is None else f"on {at:%Y-%m-%d}"
    shown = ", ".join(name for name in TEXTS if facts.get(name))
    yield str(market["market_id"]), UNKNOWN, "prompt", f"{shown}: first seen {seen}"


def _around(text: str, said: str) -> str:
    place = max(0, text.find(said) - _ABOUT // 2)
    return flat(text[place : place + len(said) + _ABOUT])
