"""How a Polymarket market ended: YES or NO only where everything that was said agrees; everything else by its name.

Gamma alone decides first (`gamma_outcome`): resolved needs `closed`, `umaResolutionStatus == "resolved"` and outcome
prices of exactly 1 and 0. `confirmed` then holds it against the CLOB's winner and the Data API's payouts, where those
were asked for. Nothing is rounded, and `umaResolutionStatuses` (a history: ["proposed", "proposed"] on resolved
markets) is not looked at. A 50-50 is how this venue voids a market; it has no other status for that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from coordeval.market_data.errors import DataError
from coordeval.market_data.polymarket.fields import Row, SchemaChange, instant, name_of, unfit
from coordeval.market_data.types import Outcome, OutcomeStatus

STATUS_KEPT_SINCE = datetime(2022, 12, 1, tzinfo=UTC)
"""Before the order book (AMM era) a closed market has no umaResolutionStatus, and prices such as 0/0 or .584/.416."""
_MICRO = 1_000_000
_UMA = {Decimal(10) ** 18: (_MICRO, 0), Decimal(0): (0, _MICRO), Decimal(5) * 10**17: (_MICRO // 2, _MICRO // 2)}
"""UMA's price of the first outcome -> payouts in millionths. 69 is its sentinel for "unset"."""
_PENDING: dict[str, OutcomeStatus] = {"proposed": "proposed", "disputed": "disputed"}

Verdict = tuple[OutcomeStatus, Literal[0, 1] | None, str]


def gamma_outcome(
    *,
    labels: tuple[str, ...],
    prices: tuple[str, ...] | None,
    closed: bool,
    status: str,
    created_at: datetime | None,
) -> Verdict:
    """(status, value, reason) by Gamma's own fields. `labels` and `prices` are aligned; prices must be decimals."""
    if len(labels) != 2 or set(labels) != {"Yes", "No"}:
        return "not_yes_no", None, f"outcomes are {' / '.join(labels)}; only a Yes/No question has a truth to score"
    if status in _PENDING:
        return _PENDING[status], None, f"a resolution is {status}, so it may still change"
    if not closed and status:
        return "contradictory", None, f"open, but umaResolutionStatus is {status!r}"
    if not closed:
        return "unresolved", None, "the market is open"
    values = None if prices is None else tuple(Decimal(price) for price in prices)
    if status == "resolved":
        return _settled(values, labels.index("Yes"))
    return _not_settled(values, status, created_at)


def _settled(values: tuple[Decimal, ...] | None, yes: int) -> Verdict:
    if values is None:
        return "contradictory", None, "resolved, but without outcomePrices"
    if sorted(values) == [0, 1]:
        return "resolved", (1 if values[yes] == 1 else 0), ""
    if set(values) == {Decimal("0.5")}:
        return "fifty_fifty", None, "resolved 50-50: a tie, a cancellation or a refund"
    return "contradictory", None, f"resolved, but the prices are {' and '.join(map(str, values))}, not 1 and 0"


def _not_settled(values: tuple[Decimal, ...] | None, status: str, created_at: datetime | None) -> Verdict:
    """Closed, and the status is not `resolved`."""
    if status:
        return "unresolved", None, f"umaResolutionStatus is {status!r}, which is none of proposed, disputed, resolved"
    if created_at is not None and created_at < STATUS_KEPT_SINCE:
        return "legacy", None, "closed without umaResolutionStatus, from before the venue kept one: prices decide nothing"
    if values is not None and sorted(values) == [0, 1]:
        return "contradictory", None, "closed at prices 1 and 0, but without umaResolutionStatus"
    return "unresolved", None, "closed without umaResolutionStatus"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClobResolution:
    """What CLOB `/markets/{conditionId}` says: token id -> flagged as winner, and -> final price."""

    condition_id: str
    closed: bool
    fifty_fifty: bool
    winner: dict[str, bool]
    price: dict[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Payouts:
    """What Data API `/v2/resolutions` says: payouts in millionths, by outcome; None where there are none."""

    condition_id: str
    status: str
    payouts: tuple[int, ...] | None
    resolved_at: datetime | None


def parse_clob_market(row: Row) -> ClobResolution:
    """Raises SchemaChange."""
    item = f"CLOB market {name_of(row, 'condition_id')}"
    tokens = row.get("tokens")
    if not isinstance(tokens, list) or not all(isinstance(token, dict) for token in tokens):
        raise SchemaChange(item, "tokens", "a list of tokens", tokens)
    for field, kind in (("condition_id", str), ("closed", bool), ("is_50_50_outcome", bool)):
        if not isinstance(row.get(field), kind):
            raise SchemaChange(item, field, kind.__name__, row.get(field))
    for token in tokens:
        for field, kinds in (("token_id", (str,)), ("winner", (bool,)), ("price", (int, float))):
            if type(token.get(field)) not in kinds:
                raise SchemaChange(item, f"tokens[].{field}", " or ".join(k.__name__ for k in kinds), token.get(field))
    return ClobResolution(
        condition_id=row["condition_id"],
        closed=row["closed"],
        fifty_fifty=row["is_50_50_outcome"],
        winner={token["token_id"]: token["winner"] for token in tokens},
        price={token["token_id"]: Decimal(repr(token["price"])) for token in tokens},
    )


def parse_payouts(row: Row) -> Payouts:
    """Older rows have no `payouts` but UMA's `price` of the first outcome. Raises SchemaChange."""
    if not isinstance(row, Mapping):
        raise SchemaChange("a resolution of the Data API", "(itself)", "an object", row)
    item = f"resolution of {name_of(row, 'condition_id')}"
    for field in ("condition_id", "status"):
        if not isinstance(row.get(field), str) or unfit(row[field]):
            raise SchemaChange(item, field, "text", row.get(field))
    given: Any = row.get("payouts")
    if given is not None and not (isinstance(given, list) and all(type(value) is int for value in given)):
        raise SchemaChange(item, "payouts", "a list of whole numbers", given)
    if given is None and (price := row.get("price")) is not None:
        try:
            given = _UMA.get(Decimal(price))
        except (InvalidOperation, TypeError, ValueError, OverflowError) as error:
            raise SchemaChange(item, "price", "a whole number as text", price) from error
    return Payouts(
        condition_id=row["condition_id"],
        status=row["status"],
        payouts=None if given is None else tuple(given),
        resolved_at=instant(row.get("resolved_at") or row.get("last_update_timestamp")),
    )


def confirmed(
    outcome: Outcome,
    tokens: tuple[str, ...],
    yes_index: int | None,
    *,
    clob: ClobResolution | None = None,
    payouts: Payouts | None = None,
) -> Outcome:
    """`outcome`, or a contradictory one where another source disagrees. Raises DataError for another market's answer.

    A source that says nothing changes nothing: in a recorded page of 98 closed CLOB markets 74 flag no winner at all.
    """
    for answer in (clob, payouts):
        if answer is not None and answer.condition_id != outcome.market_id:
            raise DataError(
                f"market {outcome.market_id}: asked for its resolution, got that of {answer.condition_id}; "
                "the venue ignores a parameter that it does not know, so check the name of the id parameter"
            )
    if outcome.status not in ("resolved", "fifty_fifty") or yes_index is None:
        return outcome
    share = Decimal(outcome.value) if outcome.value is not None else Decimal("0.5")
    expected = tuple(share if index == yes_index else 1 - share for index in range(len(tokens)))
    problem = (clob and _clob_problem(clob, tokens, expected)) or (payouts and _payout_problem(payouts, expected))
    return replace(outcome, status="contradictory", value=None, reason=problem) if problem else outcome


def _clob_problem(clob: ClobResolution, tokens: tuple[str, ...], expected: tuple[Decimal, ...]) -> str:
    if set(clob.winner) != set(tokens):
        return "Gamma and the CLOB name different tokens"
    if not clob.closed:
        return "resolved on Gamma, open on the CLOB"
    if clob.fifty_fifty != (Decimal("0.5") in expected):
        return f"the CLOB says is_50_50_outcome {str(clob.fifty_fifty).lower()}, Gamma's prices say otherwise"
    shares = dict(zip(tokens, expected, strict=True))
    if any(won and shares[token] != 1 for token, won in clob.winner.items()):
        return "the CLOB flags another winner than Gamma's prices"
    if any(price in (0, 1) and price != shares[token] for token, price in clob.price.items()):
        return "the CLOB's final prices disagree with Gamma's"
    return ""


def _payout_problem(payouts: Payouts, expected: tuple[Decimal, ...]) -> str:
    if payouts.status != "resolved":
        return f"resolved on Gamma, {payouts.status!r} on the Data API"
    if payouts.payouts is not None and payouts.payouts != tuple(int(share * _MICRO) for share in expected):
        return f"the Data API pays {list(payouts.payouts)} millionths, Gamma's prices say {[float(s) for s in expected]}"
    return ""
