"""Which markets are tied by logic, and by which rule: legs that exclude each other, and ladders of deadlines or thresholds.

A link is data: a few rows of a frame that a user can read, cut and write. The rules here only propose; what each of them
linked, and what it looked at and did not link, stands in the result.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import polars as pl

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.linked.siblings import Question

SCHEMA: Final[dict[str, Any]] = {
    **dict.fromkeys(("link_id", "event_id", "kind", "market_id"), pl.String),
    **{"order": pl.Int64, "exhaustive": pl.Boolean, "rule": pl.String},
}
"""One row per market of a link. `kind` is `exclusive` (at most one YES; exactly one if `exhaustive`) or `ladder`.

In a ladder a market with a higher `order` is YES whenever one with a lower is; `order` is null in an exclusive link.
"""
_LEFT_OUT: Final = {"rule": pl.String, "event_id": pl.String, "market_id": pl.String, "reason": pl.String}

EXCLUSIVE: Final = "the venue's neg-risk group"
DEADLINE: Final = "one event, the same words but for a deadline"
THRESHOLD: Final = "one event, the same words but for a number to be passed"

_UNITS: Final = {"%": 0, "k": 3, "thousand": 3, "m": 6, "million": 6, "b": 9, "bn": 9, "billion": 9, "t": 12, "trillion": 12}
"""Power of ten that a number is multiplied by."""
_UP: Final = ("above", "over", "exceed", "more than", "at least", "reach", "hit", ">", "≥")
_DOWN: Final = ("below", "under", "less than", "at most", "<", "≤")
_NUMBER: Final = re.compile(
    rf"(?<![\w>])(?P<word>{'|'.join((*_UP, *_DOWN))})\s*(?P<side>\((?:high|low)\))?\s*[$€£]?"
    rf"(?P<number>\d[\d,]*(?:\.\d+)?)\s?(?P<unit>{'|'.join(sorted(_UNITS, key=len, reverse=True))})?"
    r"(?![\w.,]*\d)(?!\w)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """What the rules proposed, and what they looked at in vain."""

    table: pl.DataFrame
    """The columns of SCHEMA, by link and order."""
    left_out: pl.DataFrame
    """rule, event_id, market_id, reason: markets that look as if they belonged to a link, and are in none of that rule."""


@asked
def propose_links(markets: pl.DataFrame) -> Links:
    """Links between markets by three rules; a market may stand in several links.

    `markets`: market_id, event_id, question, as_of, and if known scheduled_close and neg_risk_id, as
    `ledger.questions.questions_frame` gives them.

    - EXCLUSIVE: the same neg_risk_id, which is the venue's word that at most one of them ends YES. That the legs of a study
      are all there are, so that one of them must, the venue does not say: set `exhaustive` where you know.
    - DEADLINE: one event, and the same words but for a deadline ("by March 31", "before July 2026"; how it is read:
      `analysis.linked.siblings`). A later deadline is at least as likely. Not where scheduled_close says the reverse.
    - THRESHOLD: one event, and the same words but for a number after "above", "over", ">", "at least", "more than",
      "exceed", "reach" or "hit": a higher one is at most as likely; after "below", "under", "<", "less than", "at most", or
      where "(LOW)" stands before it, at least as likely. Units (k, million, bn, ...) are multiplied out.

    Two markets with the same deadline or number are in no ladder of that event, nor are markets that exclude each other.

    Raises:
        AnalysisError: a column is absent, or a market is there twice.

    >>> import polars as pl
    >>> from coordeval.analysis import propose_links
    >>> asked = ["Token above $1B by May 1?", "Token above $4B by May 1?", "Launch by May 1?", "Launch by June 30?"]
    >>> markets = pl.DataFrame({"market_id": list("wxyz"), "event_id": ["1", "1", "2", "2"], "question": asked})
    >>> markets = markets.with_columns(as_of=pl.datetime(2026, 4, 1, time_zone="UTC"))
    >>> propose_links(markets).table.select("link_id", "market_id", "order").rows()
    [('ladder 1.1', 'x', 0), ('ladder 1.1', 'w', 1), ('ladder 2.1', 'y', 0), ('ladder 2.1', 'z', 1)]
    """
    needed = ("market_id", "event_id", "question", "as_of")
    if absent := [name for name in needed if name not in markets.columns]:
        raise AnalysisError(f"the frame of markets lacks {', '.join(absent)}: take it from ledger.questions.questions_frame")
    if (twice := markets.filter(markets["market_id"].is_duplicated())).height:
        raise AnalysisError(f"market {twice['market_id'][0]} is there more than once: give one row per market")
    rows = markets.sort("event_id", "market_id").to_dicts()
    table: list[dict[str, Any]] = []
    left: list[dict[str, Any]] = []
    for place in (_exclusive, _deadlines, _thresholds):
        made, refused = place(rows)
        table += made
        left += refused
    return Links(table=_numbered(table), left_out=pl.DataFrame(left, schema=_LEFT_OUT))


def checked(links: pl.DataFrame) -> pl.DataFrame:
    """The links with the columns and types of SCHEMA, by link and order.

    Raises:
        AnalysisError: a column is absent or null; a kind does not exist; a link has one market, a market twice, two kinds or
            two events; the order of a ladder is null or says the same of two markets.
    """
    if absent := [name for name in SCHEMA if name not in links.columns]:
        raise AnalysisError(f"the frame of links lacks {', '.join(absent)}: see analysis.links.SCHEMA")
    try:
        rows = links.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items()).sort("link_id", "order", "market_id")
    except pl.exceptions.PolarsError as error:
        raise AnalysisError(f"the frame of links does not hold the types of analysis.links.SCHEMA: {error}") from error
    ladder = pl.col("kind") == "ladder"
    rules: tuple[tuple[pl.Expr, str], ...] = (
        (pl.any_horizontal(pl.exclude("order", "rule").is_null()), "only order and rule may be null"),
        (~pl.col("kind").is_in(["exclusive", "ladder"]), "kind must be 'exclusive' or 'ladder'"),
        (pl.len().over("link_id") < 2, "a link needs two markets"),
        (pl.len().over("link_id", "market_id") > 1, "a market stands in a link once"),
        (pl.struct("kind", "event_id", "exhaustive").n_unique().over("link_id") > 1, "a link has one kind and one event"),
        (ladder & pl.col("order").is_null(), "each market of a ladder has an order"),
        (ladder & (pl.len().over("link_id", "order") > 1), "two markets of a ladder may not have the same order"),
        (ladder & pl.col("exhaustive"), "a ladder is not exhaustive: several of its markets may end YES"),
    )
    for broken, rule in rules:
        if (wrong := rows.filter(broken)).height:
            raise AnalysisError(f"link {wrong['link_id'][0]}, market {wrong['market_id'][0]}: {rule}; mend or drop the link")
    return rows


_Rows = Iterable[dict[str, Any]]
_Made = tuple[list[dict[str, Any]], list[dict[str, Any]]]


def _exclusive(markets: _Rows) -> _Made:
    groups: dict[str, list[dict[str, Any]]] = {}
    for market in markets:
        if market.get("neg_risk_id"):
            groups.setdefault(market["neg_risk_id"], []).append(market)
    made = [
        _row("exclusive", EXCLUSIVE, legs[0]["event_id"], (key,), leg, None)
        for key, legs in groups.items()
        if len(legs) > 1
        for leg in legs
    ]
    return made, []


def _deadlines(markets: _Rows) -> _Made:
    def read(market: dict[str, Any]) -> tuple[Any, Any] | None:
        question = Question.read(market | {"outcome": None, "resolved_at": None})
        return None if question.template is None else (question.template, question.deadline)

    def contradicted(rungs: list[dict[str, Any]]) -> str | None:
        closes = [rung["scheduled_close"] for rung in rungs if rung.get("scheduled_close")]
        return None if closes == sorted(closes) else "its scheduled closes are in another order than its deadlines"

    return _ladders(markets, DEADLINE, read, contradicted)


def _thresholds(markets: _Rows) -> _Made:
    def read(market: dict[str, Any]) -> tuple[Any, Any] | None:
        text = " ".join(market["question"].lower().split())
        found = _NUMBER.search(text)
        if found is None:
            return None
        number = Decimal(found["number"].replace(",", "")).scaleb(_UNITS.get(found["unit"], 0))
        falling = found["side"] == "(low)" or (found["word"] in _DOWN and found["side"] is None)
        rest = text[: found.start()] + found["word"] + (found["side"] or "") + "#" + text[found.end() :]
        return rest, number if falling else -number

    return _ladders(markets, THRESHOLD, read, lambda rungs: None)


def _ladders(
    markets: _Rows,
    rule: str,
    read: Callable[[dict[str, Any]], tuple[Any, Any] | None],
    contradicted: Callable[[list[dict[str, Any]]], str | None],
) -> _Made:
    """Markets of one event with one template, by rung; `read` gives (template, rung), None where there is no template."""
    groups: dict[Any, list[tuple[Any, dict[str, Any]]]] = {}
    for market in markets:
        if (found := read(market)) is not None:
            template, rung = found
            groups.setdefault((market["event_id"], template), []).append((rung, market))
    made: list[dict[str, Any]] = []
    left: list[dict[str, Any]] = []
    for key, rungs in groups.items():
        if len(rungs) < 2:
            continue
        values = [rung for rung, _ in rungs]
        reasons = [
            "its deadline cannot be told"
            if rung is None
            else "another market has the same"
            if values.count(rung) > 1
            else None
            for rung in values
        ]
        kept = sorted(
            ((rung, m) for (rung, m), reason in zip(rungs, reasons, strict=True) if not reason), key=lambda x: x[0]
        )
        if len(kept) < 2:
            reasons = [reason or "no other market of its ladder is left" for reason in reasons]
        elif why := _excluded(kept) or contradicted([market for _, market in kept]):
            reasons = [reason or why for reason in reasons]
        left += [
            {"rule": rule, "event_id": market["event_id"], "market_id": market["market_id"], "reason": reason}
            for (_, market), reason in zip(rungs, reasons, strict=True)
            if reason
        ]
        if not all(reasons):
            made += [_row("ladder", rule, key[0], key, market, order) for order, (_, market) in enumerate(kept)]
    return made, left


def _excluded(rungs: list[tuple[Any, dict[str, Any]]]) -> str | None:
    groups = [market["neg_risk_id"] for _, market in rungs if market.get("neg_risk_id")]
    return "the venue says that they exclude each other" if len(set(groups)) < len(groups) else None


def _row(kind: str, rule: str, event: str, key: Any, market: dict[str, Any], order: int | None) -> dict[str, Any]:
    head = {"kind": kind, "rule": rule, "event_id": event, "key": (kind, rule, key)}
    return head | {"market_id": market["market_id"], "order": order, "exhaustive": False}


def _numbered(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Names the links: kind, event, and their number within both."""
    names: dict[Any, str] = {}
    taken: dict[tuple[str, str], int] = {}
    for row in rows:
        if row["key"] not in names:
            where = (row["kind"], row["event_id"])
            taken[where] = taken.get(where, 0) + 1
            names[row["key"]] = f"{row['kind']} {row['event_id']}.{taken[where]}"
    table = [{name: names[row["key"]] if name == "link_id" else row[name] for name in SCHEMA} for row in rows]
    return pl.DataFrame(table, schema=SCHEMA).sort("link_id", "order", "market_id")
