"""How a call that brought no answer ends: one table, read from the top, the first row that fits decides.

Only what a reply says is final. What speaks of the account, the network, the endpoint or the budget is asked again, left
open for the next run, or stops this one.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from coordeval.agents.messages import ModelError
from coordeval.market_data.errors import CoordevalError


class End(StrEnum):
    """What becomes of a call."""

    AGAIN = "asked again now"
    OPEN = "left open for the next run"
    STOP = "stops the run, which leaves its cells open"
    FINAL = "final"


Sign = Literal[
    "answer", "page", "unreachable", "lost", "timeout", "oversized", "form", "item", "budget", "breaker", "patience", "reply"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row. It fits where the sign is its own, status or type is listed (none listed: any), and the text matches."""

    sign: Sign
    seen: str
    """What is seen, in the words of docs/failures.md."""
    end: End
    then: str
    """What happens next, or what the user can do."""
    statuses: Collection[int] = ()
    types: Collection[str] = ()
    says: re.Pattern[str] | None = None
    overloaded: bool = False
    """The server can take nobody now, so all calls wait, and come back one by one."""

    def fits(self, sign: str, status: int, kind: str, text: str) -> bool:
        listed = status in self.statuses or kind in self.types or not (self.statuses or self.types)
        return sign == self.sign and listed and (self.says is None or self.says.search(text) is not None)


_ACCOUNT = re.compile(
    r"credit balance|insufficient (credit|balance|fund|quota)|insufficient_quota|billing|payment required|past due"
    r"|spend(ing)?[ _]limit|usage limits?\b|budget (has been |was )?exceeded|exceeded (your |the )?(current )?(budget|quota)"
    r"|(organi[sz]ation|account|workspace) (has been |is |was )?(disabled|suspended|deactivated|archived)|api[ _-]key",
    re.IGNORECASE,
)
_CERTIFICATE = re.compile(r"certificate|unsupported protocol|protocol 'https?://'|illegal header|invalid url", re.IGNORECASE)
_CHECK = "check the key, its credit and rights, the model id and base_url, then run the same command again"

RULES: tuple[Rule, ...] = (
    Rule(
        sign="answer",
        seen="a redirect (3xx)",
        statuses=range(300, 400),
        end=End.STOP,
        then="a key is not sent on to another address: set base_url to the one that it names",
    ),
    Rule(
        sign="answer",
        seen="401, 402, 403, 404, 405, 407, 410, 421, 426, 451, or an authentication, billing, permission, not found error",
        statuses=(401, 402, 403, 404, 405, 407, 410, 421, 426, 451),
        types=("authentication_error", "billing_error", "permission_error", "not_found_error"),
        end=End.STOP,
        then=_CHECK,
    ),
    Rule(
        sign="answer",
        seen="any other error that speaks of credit, billing, spend or usage limits, quota, the organisation or the key",
        says=_ACCOUNT,
        end=End.STOP,
        then=_CHECK,
    ),
    Rule(
        sign="answer",
        seen="429, 503, 529, or an error type of rate limit or overload",
        statuses=(429, 503, 529),
        types=("rate_limit_error", "overloaded_error"),
        end=End.AGAIN,
        then="all calls wait, as long as retry-after says, and come back one by one",
        overloaded=True,
    ),
    Rule(
        sign="answer",
        seen="408, 409, 425, any other 5xx, or an error type of the server's own failure",
        statuses=(408, 409, 425, *range(500, 600)),
        types=("api_error", "timeout_error"),
        end=End.AGAIN,
        then="all calls wait a moment; where others are answered meanwhile, after `tries` the call is left open",
    ),
    Rule(
        sign="answer",
        seen="any other 4xx (400, 413, 422 ...): the request was refused",
        end=End.OPEN,
        then="the forecast fails with what the server said, and the next run asks again",
    ),
    Rule(
        sign="page",
        seen="a success that is no message: a web page, an empty body, other JSON",
        end=End.AGAIN,
        then="as with 5xx; but where nothing was answered yet, the third stops the run: base_url is not of a Messages API",
    ),
    Rule(
        sign="unreachable",
        seen="an address that cannot be used: its certificate, its protocol, a header that cannot be sent",
        says=_CERTIFICATE,
        end=End.STOP,
        then="mend base_url, the key or the certificate, then run the same command again",
    ),
    Rule(
        sign="unreachable",
        seen="no connection: refused, no such host, no route, no answer to the connect",
        end=End.AGAIN,
        then="as with 429: all calls wait and come back one by one; but where nobody answered yet, for a minute at most",
        overloaded=True,
    ),
    Rule(
        sign="lost",
        seen="a connection that broke before the whole reply was here",
        end=End.AGAIN,
        then="as with 5xx; it may have been charged, so its worst case counts against the budget",
    ),
    Rule(
        sign="timeout",
        seen="no whole reply within `call_seconds`",
        end=End.AGAIN,
        then="at most `tries` times, then left open; each may have been charged and counts as its worst case",
    ),
    Rule(
        sign="oversized",
        seen="a body larger than any reply can be",
        end=End.OPEN,
        then="reading it is given up; it may have been charged and counts as its worst case",
    ),
    Rule(
        sign="form",
        seen="a message that was served and cannot be used: no stop_reason, broken text, broken content",
        end=End.AGAIN,
        then="stored and charged, asked once more, then left open; the next run tries once",
    ),
    Rule(
        sign="item",
        seen="a call of a batch that expired, was cancelled or has no result (one that errored: by the rows above)",
        end=End.AGAIN,
        then="charged nothing; it goes into the next wave, at most `tries` times, then left open",
    ),
    Rule(
        sign="budget",
        seen="a call whose worst case no longer fits `budget_usd`, or a limit of `[budget]`",
        end=End.OPEN,
        then="nothing is sent; raise it and run the same command again",
    ),
    Rule(
        sign="breaker",
        seen="50 calls in a row that failed, and none answered between them",
        end=End.STOP,
        then="the last reason is told: mend that, or wait, and run the same command again",
    ),
    Rule(
        sign="patience",
        seen="no success for `patience_minutes` of waiting, or a retry-after beyond that",
        end=End.STOP,
        then="run the same command again when the server is back",
    ),
    Rule(
        sign="reply",
        seen="a reply that says so: a refusal, cut off at max_tokens, a full context window, malformed also after a re-ask",
        end=End.FINAL,
        then="the forecast is a failed row with that reason; no run asks again",
    ),
)


_STATUS_OF_TYPE = {"invalid_request_error": 400, "request_too_large": 413}


def ending(sign: Sign, *, status: int = 0, kind: str = "", text: str = "") -> Rule:
    """The row for what was seen. `kind`: the error's type; `text`: what it says, its code included."""
    if 200 <= status < 300:  # an error body under a success: its type decides, and an unknown one is the server's failure
        status = _STATUS_OF_TYPE.get(kind, 500)
    return next(rule for rule in RULES if rule.fits(sign, status, kind, text))


class ModelAccessError(CoordevalError):
    """The endpoint refuses the user, not the forecast: a key, a credit, a right or a name is wrong. The run stops."""


class PatienceExhausted(ModelAccessError):
    """The server took no call for longer than the study waits. The run stops; its cells stay open."""


class Unavailable(ModelError):
    """No reply this time, and asking again may bring one: Paced waits and asks again.

    `wait` is the server's own word, in seconds. `own`: the try counts against this call even where the server takes nobody.
    `charged`: it may have been, although no reply arrived. `page`: what answered may not be a Messages API at all.
    `unreachable`: nobody was there to answer.
    """

    def __init__(
        self,
        reason: str,
        *,
        wait: float | None = None,
        overloaded: bool = False,
        own: bool = False,
        charged: bool = False,
        page: bool = False,
        unreachable: bool = False,
    ) -> None:
        super().__init__(reason, retryable=True)
        self.wait, self.overloaded, self.own, self.charged, self.page = wait, overloaded, own, charged, page
        self.unreachable = unreachable


class RequestRefused(ModelError):
    """The server answered, and refused this request. Left open: only a reply can say something final."""

    def __init__(self, reason: str, *, charged: bool = False) -> None:
        super().__init__(reason, retryable=True)
        self.charged = charged
