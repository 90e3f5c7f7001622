"""The third look: is what goes by a hash still what the hash was taken of?"""

from collections.abc import Iterator, Mapping
from typing import Any

from coordeval.agents.messages import content_hash
from coordeval.flows.certificate.restored import documents_of, view_of
from coordeval.flows.certificate.stored import document_of, object_of, time_of
from coordeval.flows.certificate.text import parsed, request_of
from coordeval.flows.study.schemes import FORECAST
from coordeval.flows.verify.found import Fault, Part
from coordeval.ledger import Reader
from coordeval.ledger.commitments import day_roots
from coordeval.ledger.merkle import root_of
from coordeval.market_data.errors import CoordevalError

MOST_WITH_A_FAULT = 20
"""Replies that cannot be used, to one request, that are looked for: a run buys two at most, a resumed one one more."""


def look(reader: Reader, study_id: str | None, batch: int = 2_000) -> Iterator[Part]:
    """Studies, identities, requests, draws, views, documents and committed days. Rows come `batch` at a time."""
    yield _studies(reader, study_id)
    yield _identities(reader, study_id, batch)
    yield from _draws(reader, study_id, batch)
    yield from _views(reader, study_id)
    yield _days(reader, study_id)


def _rows(reader: Reader, sql: str, study_id: str | None, batch: int) -> Iterator[dict[str, Any]]:
    """The rows of a SELECT with an ORDER BY, a batch at a time."""
    start = 0
    while (found := reader.query(f"{sql} LIMIT {batch} OFFSET {start}", {"study": study_id})).height:
        yield from found.iter_rows(named=True)
        start += batch


def _studies(reader: Reader, study_id: str | None) -> Part:
    part = Part(name="studies", rule="a study's id is the hash of its content")
    sql = "SELECT study_id, name, content, created_at FROM studies WHERE $study IS NULL OR study_id = $study ORDER BY 1"
    for row in _rows(reader, sql, study_id, 1_000):
        part.looked += 1
        found = content_hash("study/1", parsed(row["content"]))
        if found != row["study_id"]:
            says = f"its content hashes to {found[:12]}"
            part.add([Fault(where=f"study {row['name']} {row['study_id'][:12]}", says=says, at=row["created_at"])])
    return part.finished()


def _identities(reader: Reader, study_id: str | None, batch: int) -> Part:
    part = Part(name="identities", rule="a forecast's id is the hash of its identity, and its cell says the same")
    sql = """
        SELECT c.*, f.created_at FROM cells c LEFT JOIN forecasts f USING (forecast_id)
        WHERE $study IS NULL OR study_id = $study ORDER BY study_id, c.forecast_id
    """
    for row in _rows(reader, sql, study_id, batch):
        identity = object_of(row["identity"])
        if "imported" in identity:
            part.not_looked["imported forecasts, whose ids are those of their files"] += 1
            continue
        part.looked += 1
        if (wrong := _identity_fault(row, identity)) is not None:
            where = f"{row['configuration']}, market {row['market_id']}, replicate {row['replicate'] + 1}"
            part.add([Fault(where=f"forecast {row['forecast_id'][:12]} ({where})", says=wrong, at=row["created_at"])])
    return part.finished()


def _identity_fault(row: Mapping[str, Any], identity: Mapping[str, Any]) -> str | None:
    published = "published" in identity
    found = content_hash("published-forecast/1" if published else FORECAST, identity)
    if found != row["forecast_id"]:
        return f"its identity hashes to {found[:12]}"
    if published:
        return None if identity["market"] == row["market_id"] else f"its identity is of market {identity['market']}"
    said = {"market": identity["market"]["id"], "replicate": identity["replicate"]}
    if "game" not in identity:  # a game is of no moment
        said["as of"] = time_of(identity["market"]["as_of"])
    cell = {"market": row["market_id"], "as of": row["as_of"], "replicate": row["replicate"]}
    apart = [name for name in said if said[name] != cell[name]]
    return f"identity and cell differ in {', '.join(apart)}" if apart else None


_DRAWS = """
    SELECT d.*, c.identity, c.configuration, l.ask, l.turn
    FROM draws d
        LEFT JOIN (SELECT forecast_id, any_value(identity) AS identity, any_value(configuration) AS configuration
            FROM cells GROUP BY 1) c ON c.forecast_id = d.payer
        LEFT JOIN (SELECT forecast_id, draw_id, any_value(ask) AS ask, any_value(turn) AS turn FROM calls GROUP BY ALL) l
            ON l.draw_id = d.draw_id AND l.forecast_id = d.payer
    WHERE $study IS NULL OR d.payer IN (SELECT forecast_id FROM cells WHERE study_id = $study) OR d.draw_id IN (
        SELECT draw_id FROM calls SEMI JOIN (FROM cells WHERE study_id = $study) USING (forecast_id))
    ORDER BY d.draw_id
"""


def _draws(reader: Reader, study_id: str | None, batch: int) -> Iterator[Part]:
    requests = Part(name="requests", rule="a request's id is the hash of its bytes, and these are canonical JSON")
    draws = Part(name="draws", rule="a draw's id is the hash of model, request, replicate and number")
    for row in _rows(reader, _DRAWS, study_id, batch):
        requests.looked += 1
        where = f"draw {row['draw_id'][:12]} of forecast {row['payer'][:12]}"
        identity = object_of(row["identity"])
        if (wrong := _request_fault(row, published="published" in identity)) is not None:
            requests.add([Fault(where=where, says=wrong, at=row["created_at"])])
        if not isinstance(identity.get("model"), dict):
            draws.not_looked["draws of forecasts that were published or are not stored"] += 1
            continue
        if identity["model"].get("draws") == "by_configuration" and row["ask"] is None:
            draws.not_looked["draws of a recording that no stored call used"] += 1
            continue
        draws.looked += 1
        if row["draw_id"] not in draw_ids(row, identity):
            says = "model, request, replicate and number have another hash"
            draws.add([Fault(where=where, says=says, at=row["created_at"])])
    yield requests.finished()
    yield draws.finished()


def _request_fault(row: Mapping[str, Any], *, published: bool) -> str | None:
    body = parsed(row["request"])
    if published:
        found = content_hash("published-request/1", body)
    else:
        try:
            request = request_of(body)
            found = request.key
            if request.encoded != row["request"].encode():
                return "its bytes are no canonical JSON"
        except (KeyError, TypeError):
            return "its bytes are no request"
    return None if found == row["request_id"] else f"its bytes hash to {found[:12]}, its id is {row['request_id'][:12]}"


def draw_ids(row: Mapping[str, Any], identity: Mapping[str, Any]) -> Iterator[str]:
    """The ids that this draw may have: its own, then those of replies that could not be used."""
    model = {name: value for name, value in identity["model"].items() if name != "draws"}
    which = [content_hash("model/1", model), row["request_id"], row["replicate"], row["k"]]
    if identity["model"].get("draws") == "by_configuration":
        which += [row["market_id"], row["configuration"], row["ask"], row["turn"]]
    usable = content_hash("draw/1", which)
    yield usable
    for number in range(MOST_WITH_A_FAULT):
        yield content_hash("draw/1 with a fault", [usable, number])


_NAMED = """
    WITH named AS (
        SELECT TRY_CAST(identity AS JSON)->'$.market' AS market, created_at
        FROM cells LEFT JOIN forecasts USING (forecast_id)
        WHERE ($study IS NULL OR study_id = $study) AND contains(identity, '"view"')
    ), wanted AS (
        SELECT market->>'$.view' AS view_id, max(TRY_CAST(market->>'$.max_price_age_seconds' AS DOUBLE)) AS age,
            min(created_at) AS created_at
        FROM named GROUP BY 1
    )
"""
_VIEWS = f"{_NAMED} SELECT views.*, age, created_at FROM views JOIN wanted USING (view_id) ORDER BY view_id"
_NO_VIEW = f"{_NAMED} SELECT view_id FROM wanted ANTI JOIN views USING (view_id) WHERE view_id IS NOT NULL ORDER BY 1"


def _views(reader: Reader, study_id: str | None) -> Iterator[Part]:
    views = Part(name="views", rule="what agents could see, through the gate again, has the hash that forecasts name")
    documents = Part(name="documents", rule="a document's id is the hash of its text, title, source and time")
    missing = reader.query(_NO_VIEW, {"study": study_id})["view_id"].to_list()
    views.add(Fault(where=f"view {view_id[:12]}", says="forecasts name it, and it is not stored") for view_id in missing)
    looked: set[str] = set()
    for row in _rows(reader, _VIEWS, study_id, 200):
        views.looked += 1
        where = f"view {row['view_id'][:12]} of market {row['market_id']}"
        wanted = parsed(row["documents"]) or []
        there = documents_of(reader, row["market_id"])
        for key in wanted:
            if key in looked:
                continue
            looked.add(key)
            documents.looked += 1
            found = document_of(there[key]).id if key in there else "nothing: it is not stored"
            if found != key:
                fault = Fault(where=f"document {key[:12]}", says=f"its fields hash to {found[:30]}", at=row["created_at"])
                documents.add([fault])
        try:
            found = view_of(row, there, row["age"]).fingerprint
            says = None if found == row["view_id"] else f"its facts, prices and documents make {found[:12]}"
        except (CoordevalError, KeyError, TypeError, ValueError) as error:
            says = f"what is stored of it cannot be read: {error}"
        if says is not None:
            views.add([Fault(where=where, says=says, at=row["created_at"])])
    yield documents.finished()
    yield views.finished()


def _days(reader: Reader, study_id: str | None) -> Part:
    part = Part(name="commitments", rule="the leaves of a committed day have its root")
    known = reader.query("SELECT DISTINCT study_id FROM forecast_days ORDER BY 1")["study_id"].to_list()
    for one in known if study_id is None else [study_id]:
        for day in day_roots(reader, one):
            if day["root"] is None:
                continue
            part.looked += 1
            sql = "SELECT leaf FROM commitment_leaves WHERE study_id = ? AND day = ? ORDER BY position"
            leaves = [leaf.encode() for leaf in reader.query(sql, [one, day["day"]])["leaf"]]
            if root_of(leaves).hex() != day["root"]:
                says = f"its {len(leaves)} leaves do not have the root {day['root'][:12]} that was committed to"
                part.add([Fault(where=f"day {day['day']} of study {one[:12]}", says=says, at=day["committed_at"])])
    return part.finished()
