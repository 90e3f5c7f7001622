"""The statements that are held against the stored bytes of one forecast, each made again from nothing but them."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from coordeval.agents.cell import Settings
from coordeval.agents.messages import content_hash
from coordeval.agents.scaffold import market_block, plain
from coordeval.agents.server_tools import SERVER_TOOLS
from coordeval.agents.toolbox import TOOLS, Toolbox, ToolResult, hidden
from coordeval.analysis.base.numerals import counted
from coordeval.flows.certificate import past_the_panel
from coordeval.flows.certificate.stored import Stored, document_of, object_of, place_of, result_of, time_of
from coordeval.flows.certificate.text import exchanges, flat, opening, parsed, request_of
from coordeval.flows.study.schemes import FORECAST
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.telling import later_dates, resolution_language
from coordeval.market_data.texts import TEXTS, without_additions

Status = Literal["passed", "failed", "not checkable", "not shown to be known at as-of"]


@dataclass(frozen=True, slots=True)
class Check:
    """One statement that was held against the stored bytes. Neither `not checkable` nor `not shown …` is a pass."""

    name: str
    status: Status
    detail: str


class _Failed(Exception):
    """What a check found; its text goes into the certificate."""


class _NotCheckable(Exception):
    """Why a check cannot be made."""


class _NotShown(Exception):
    """What was shown without being shown to have been known at as-of."""


def checks_of(stored: Stored) -> Iterator[Check]:
    """Every check, in order. One that builds on another which failed is not made, so that a cause is named once."""
    down: set[str] = set()
    for name, (check, needs) in _CHECKS.items():
        status: Status = "not checkable"
        try:
            if broken := [need for need in needs if need in down]:
                down.add(name)
                detail = f"not made: it builds on {', '.join(broken)}, which did not pass"
            else:
                status, detail = "passed", check(stored)
        except _NotCheckable as reason:
            status, detail = "not checkable", str(reason)
        except _NotShown as found:
            status, detail = "not shown to be known at as-of", str(found)
        except _Failed as found:
            status, detail = "failed", str(found)
        except (CoordevalError, KeyError, TypeError, ValueError, AttributeError) as error:
            status, detail = "failed", f"what is stored cannot be read: {type(error).__name__}: {error}"
        if status == "failed":
            down.add(name)
        yield Check(name, status, detail)


def _all_hold(problems: Iterable[str], otherwise: str) -> str:
    """`otherwise` where there is no problem; raises _Failed with the first three."""
    if found := list(dict.fromkeys(problems)):
        more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
        raise _Failed("; ".join(found[:3]) + more)
    return otherwise


def _identity(stored: Stored) -> str:
    scheme = "published-forecast/1" if stored.imported else FORECAST

    def problems() -> Iterator[str]:
        for cell in stored.cells:
            identity = parsed(cell["identity"])
            where = f"study {cell['study']}, configuration {cell['configuration']}"
            if content_hash(scheme, identity) != cell["forecast_id"] or not isinstance(identity, dict):
                yield f"{where}: the identity that is stored hashes to {content_hash(scheme, identity)[:12]}"
                continue
            market = identity["market"]
            said = {"id": market} if stored.imported else {**market, "replicate": identity["replicate"]}
            row = {"id": cell["market_id"], "as_of": cell["as_of"].astimezone(UTC).isoformat()}
            row["replicate"] = cell["replicate"]
            for name in ("id", "as_of", "replicate"):
                if name in said and said[name] != row[name]:
                    yield f"{where}: the identity says {name} {said[name]}, the cell {row[name]}"

    return _all_hold(problems(), f"sha256 of the identity ({scheme}) is {stored.cell['forecast_id'][:12]}")


def _needs_view(stored: Stored) -> None:
    if stored.imported:
        raise _NotCheckable("imported: a published forecast has no gated view")
    if stored.view_row is None:
        raise _NotCheckable("the view that the identity names is not stored")


def _documents(stored: Stored) -> str:
    _needs_view(stored)
    refused = [item for kind, item, _ in stored.refused if kind == "document"]
    wanted = [*stored.admitted_ids, *refused]

    def problems() -> Iterator[str]:
        for key in wanted:
            if key not in stored.documents:
                yield f"document {key[:12]} is not stored"
            elif (found := document_of(stored.documents[key]).id) != key:
                yield f"document {key[:12]} ({stored.documents[key]['title']!r}): its stored fields hash to {found[:12]}"

    return _all_hold(problems(), f"{len(stored.admitted_ids)} admitted and {len(refused)} refused documents")


def _point_in_time(stored: Stored) -> str:
    _needs_view(stored)
    rows = [(f"price {price:g}", at) for at, price, _ in stored.admitted_prices]
    documents = [stored.documents[key] for key in stored.admitted_ids if key in stored.documents]
    rows += [(f"document {row['document_id'][:12]}", row["knowable_at"]) for row in documents]
    late = (
        f"{item} is undated" if at is None else f"{item} was knowable at {plain(at)}, as-of is {plain(stored.as_of)}"
        for item, at in rows
        if at is None or at > stored.as_of
    )
    return _all_hold(late, f"{len(rows)} admitted items, none undated or later than {plain(stored.as_of)}")


def _texts(stored: Stored) -> str:
    """The market's own text: is it one that was seen by as-of?"""
    _needs_requests(stored)
    if not stored.calls:
        return "no model was asked"
    if not stored.market_row:
        raise _NotCheckable("the market is not stored")
    unknown, problems, later = list[str](), list[str](), list[str]()
    texts = {name: text for name in TEXTS if (text := stored.facts.get(name))}
    for name, text in texts.items():
        versions = stored.text_versions(name)
        in_time = [version for version, at in versions if at is not None and at <= stored.as_of]
        if text in in_time:
            continue
        alike = [at for version, at in versions if text in (version, without_additions(version, stored.as_of)[0])]
        if added := without_additions(text, stored.as_of)[1]:
            problems.append(f"{name} holds {added}")
        problems += [f"{name} says {said!r}" for said in resolution_language(text)]
        if in_time:
            problems.append(f"{name} is not the text that was known at as-of; it was edited since")
        elif not alike:
            problems.append(f"{name} is no text that is stored of this market")
        else:
            at = min((at for at in alike if at is not None), default=None)
            unknown.append(f"{name} (first seen {'at no recorded time' if at is None else plain(at)})")
            later += later_dates(text, stored.as_of)
    told = _all_hold(problems, f"{len(texts)} texts, each seen by {plain(stored.as_of)}")
    if unknown:
        dates = f"; dates after as-of that it names: {', '.join(dict.fromkeys(later))}" if later else ""
        raise _NotShown(f"shown as the study says, but not shown to be older than as-of: {', '.join(unknown)}{dates}")
    return told


def _view(stored: Stored) -> str:
    if stored.imported:
        _needs_view(stored)
    named = str(stored.named.get("view"))
    if stored.view_row is None:
        raise _Failed(f"view {named[:12]} is not stored; `coordeval run` its study again, which stores it and asks nothing")
    view, cell = stored.view, stored.cell

    def problems() -> Iterator[str]:
        if view.fingerprint != named:
            yield f"stored facts, prices and documents make view {view.fingerprint[:12]}, the identity names {named[:12]}"
        price = (None, None) if view.price is None else (view.price.price, view.price.knowable_at)
        if price != (cell["market_price"], cell["price_at"]):
            yield f"the cell's market price is {cell['market_price']}, the view's last one {price[0]}"

    return _all_hold(problems(), f"facts, prices and documents, through the gate again, make view {named[:12]}")


def _requests(stored: Stored) -> str:
    _needs_requests(stored)

    def problems() -> Iterator[str]:
        for call in stored.calls:
            if call["request"] is None:
                yield f"{place_of(call)} is not stored"
            elif (found := _request_hash(call["request"], stored.imported)) != call["request_id"]:
                yield f"{place_of(call)}: its bytes hash to {found[:12]}, request_id is {call['request_id'][:12]}"

    return _all_hold(problems(), _requests_said(stored))


def _request_hash(stored: str, imported: bool) -> str:
    body = parsed(stored)
    if imported:
        return content_hash("published-request/1", body)
    try:
        request = request_of(body)
    except (KeyError, TypeError):
        return "no request"
    return request.key if request.encoded == stored.encode() else "other bytes"


def _needs_requests(stored: Stored) -> None:
    if not stored.calls and stored.cell["status"] == "failed":
        raise _NotCheckable("the forecast failed before a reply came, and a request without a reply is not stored")


def _requests_said(stored: Stored) -> str:
    return f"{len(stored.calls)} requests" if stored.calls else "no model was asked"


def _market_block(stored: Stored) -> str:
    _needs_requests(stored)
    settings = _settings(stored, "scaffold")
    shows = settings["show_price"]
    blocks = {sees: market_block(stored.view, show_price=shows and sees) + "\n" for sees in (True, False)}
    blind = stored.blind_places
    wrong = (
        f"{where} begins otherwise"
        for where, body in stored.bodies
        if not opening(body).startswith(blocks[where not in blind])
    )
    hidden = f"; {len(blind)} of them without the price, as their roles declare" if blind and shows else ""
    return _all_hold(wrong, f"{_requests_said(stored)}; each begins with what the scaffold makes of the view{hidden}")


def _tool_results(stored: Stored) -> str:
    settings = _settings(stored, "tool_specs")
    shows, tools = settings["show_price"], tuple(settings["tools"])
    toolboxes = {
        (sees, without): Toolbox(stored.view, () if without else tools, hidden=hidden(shows=shows, sees=sees))
        for sees in (True, False)
        for without in (True, False)
    }

    def problems() -> Iterator[str]:
        for row in stored.tool_calls:
            if row["tool"] in SERVER_TOOLS:
                continue
            kept = ToolResult(row["result"], row["items"], row["error"])
            toolbox = toolboxes[row["ask"] not in stored.blind, row["ask"] in stored.without_tools]
            if toolbox.run(row["tool"], orjson.loads(row["arguments"])) != kept:
                yield f"{result_of(row)} is not what the tool answers"
        for where, body in stored.bodies:
            toolbox = toolboxes[where not in stored.blind_places, where in stored.places_without_tools]
            for use, content in exchanges(body):
                if not use or toolbox.run(use["name"], use["input"]).content != content:
                    yield f"{where} holds a result of {use.get('name', 'no tool call')} that is not what the tool answers"

    searched = sum(row["tool"] in SERVER_TOOLS for row in stored.tool_calls)
    note = f"; {counted(searched, 'search')} on the model provider's servers passed no gate: what came is stored" * bool(
        searched
    )
    return _all_hold(
        problems(), f"{len(stored.tool_calls) - searched} results, each what the tool answers on the view{note}"
    )


def _settings(stored: Stored, part: str) -> Mapping[str, Any]:
    """The settings in the forecast's own identity, where this version's `part` of them is the one it was made with.

    Not the study's: a probe's forecast has others.
    """
    _needs_view(stored)
    settings: Mapping[str, Any] = stored.identity["settings"]
    tools = tuple(name for name in settings["tools"] if name in (*TOOLS, *SERVER_TOOLS))
    if Settings(model=settings["model"], max_tokens=1, tools=tools).identity()[part] != settings[part]:
        raise _NotCheckable(f"made with another version of {part}; check it with the coordeval that made it")
    return settings


_SHORT = 20
"""Shorter texts stand in other texts by chance, so they are not searched for."""


def _refused_text(stored: Stored) -> str:
    _needs_view(stored)
    _needs_requests(stored)
    keys = [item for kind, item, _ in stored.refused if kind == "document" and item in stored.documents]
    texts = {key: flat(stored.documents[key]["text"]) for key in keys}
    searched = {k: text for k, text in texts.items() if len(text) >= _SHORT and text not in stored.admitted_text}
    held = (f"{s.where} holds document {k[:12]}" for s in stored.said for k, text in searched.items() if text in s.flat)
    note = "" if len(searched) == len(keys) else "; the others are short or also admitted"
    return _all_hold(held, f"{len(searched)} of {len(keys)} refused documents searched for{note}")


def _later_prices(stored: Stored) -> str:
    _needs_requests(stored)
    later: dict[str, set[str]] = {}
    for row in stored.prices:
        if row["knowable_at"] is not None and row["knowable_at"] > stored.as_of:
            for form in _forms(row["knowable_at"]):
                later.setdefault(form, set()).update({f"{row['price']:.3f}", repr(row["price"])})
    if stored.imported and not later:
        raise _NotCheckable("imported: no price later than as-of is stored that could be searched for")

    def problems() -> Iterator[str]:
        for where, date, price in stored.points:
            at = time_of(date)
            if at is None or at > stored.as_of:
                yield f"{where} holds the price {price} of {date}"
        for piece in stored.said:
            for line in piece.text.splitlines():
                numbers = set(re.findall(r"\d\.\d+", line))
                if any(numbers & later[form] for form in _moments(line) & later.keys()):
                    yield f"{piece.where} holds a later price: {line.strip()[:100]!r}"

    later_ones = f"{len(later) // len(_FORMS)} moments of later prices searched for"
    return _all_hold(problems(), f"{len(stored.points)} prices in tool results are in time; {later_ones}")


def _resolution_time(stored: Stored) -> str:
    _needs_requests(stored)
    times = {row["resolved_at"] for row in stored.outcomes if row["resolved_at"]} | set(stored.closed)
    if not times:
        raise _NotCheckable("no resolution time of this market is stored")
    searched = {form: at for at in times for form in _forms(at)}
    stated = searched.keys() & _moments(stored.admitted_text)

    def problems() -> Iterator[str]:
        for piece in stored.said:
            for form in sorted((_moments(piece.text) & searched.keys()) - stated):
                yield f"{piece.where} holds the resolution time {plain(searched[form])}: {_around(piece.flat, form)!r}"

    note = "; it is also a time that was rightly shown, such as the deadline" if stated else ""
    said = ", ".join(sorted(plain(at) for at in times))
    return _all_hold(problems(), f"searched for {said}, to the minute{note}")


def _outcome_text(stored: Stored) -> str:
    _needs_requests(stored)
    if not stored.outcomes:
        raise _NotCheckable("no outcome of this market is stored")
    records = [object_of(row["evidence"]) for row in stored.outcomes]
    needles = {row["reason"] for row in stored.outcomes if len(row["reason"]) >= _SHORT}
    for name, value in ((n, v) for record in records for n, v in record.items() if v not in (None, "", [])):
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        needles |= {f"{name}: {text}", f"{name}={text}", f'"{name}":{orjson.dumps(value).decode()}'}
    admitted = stored.admitted_text.lower()
    wanted = re.compile("|".join([_RESOLVED, *(re.escape(n.lower()) for n in sorted(needles))]))

    def problems() -> Iterator[str]:
        for piece in stored.said:
            if piece.data:
                found = {match.group() for match in wanted.finditer(piece.flat.lower())}
                yield from (f"{piece.where} says {text!r}" for text in sorted(found) if text not in admitted)

    return _all_hold(problems(), "no words of the outcome's record in what is not an agent's own text")


_RESOLVED = (
    r"\b(?:outcome|resolution|resolved|resolution ?status|winner|settled)\b[\"']?\s*(?:[:=]|to\b|as\b)\s*[\"']?"
    r"(?:yes|no|resolved|true|[01])\b"
)
"""How an outcome is stated: `Outcome: YES`, `"resolution": 1`, `resolved to NO`."""

_FORMS: tuple[Callable[[datetime], str], ...] = (
    lambda at: at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M"),
    lambda at: str(int(at.timestamp())),
    lambda at: str(int(at.timestamp() * 1000)),
)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\b\d{10}(?:\d{3})?\b")


def _forms(at: datetime) -> list[str]:
    """How a time is searched for: ISO in UTC to the minute, epoch seconds, epoch milliseconds."""
    return [form(at) for form in _FORMS]


def _moments(text: str) -> set[str]:
    return {found.replace(" ", "T") for found in _MOMENT.findall(text)}


def _around(text: str, form: str) -> str:
    place = text.replace(" ", "T").find(form)
    return text[max(0, place - 40) : place + 30]


def _conversation(stored: Stored) -> str:
    if stored.imported:
        raise _NotCheckable("imported: what its agents were shown stands in the published prompts only")
    _needs_requests(stored)
    shown = len(stored.conversation.messages)
    asks = len(stored.conversation.estimates)
    return _all_hold(past_the_panel.problems(stored), f"{asks} asks, {shown} times something was shown: each was said")


_CHECKS: Mapping[str, tuple[Callable[[Stored], str], Sequence[str]]] = {
    "identity": (_identity, ()),
    "documents": (_documents, ()),
    "point in time": (_point_in_time, ()),
    "texts": (_texts, ()),
    "view": (_view, ("identity", "documents", "point in time")),
    "request bytes": (_requests, ()),
    "market block": (_market_block, ("view",)),
    "tool results": (_tool_results, ("view",)),
    "no refused text": (_refused_text, ("documents",)),
    "no later price": (_later_prices, ()),
    "no resolution time": (_resolution_time, ()),
    "no outcome text": (_outcome_text, ()),
    "conversation": (_conversation, ("request bytes",)),
}
"""Check -> how it is made, and the checks it builds on."""
