"""Answers that go wrong, by name: each befalls a stated share of the answers, the same ones for one seed and order."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import orjson

from coordeval.agents.standin.answers import Answer, Json, error
from coordeval.market_data.errors import CoordevalError, choose

LONG = 10_000_000
"""Characters of an over-long rationale."""


def _content(**changes: Any) -> Callable[[Json, Answer], Answer]:
    return lambda body, answer: replace(answer, body={**_body(answer), **changes})


def _body(answer: Answer) -> Json:
    assert isinstance(answer.body, dict)
    return answer.body


def _submitted(**changes: Any) -> Callable[[Json, Answer], Answer]:
    """The answer with these values in what it submits."""

    def spoilt(body: Json, answer: Answer) -> Answer:
        content = [
            {**block, "input": {**block["input"], **changes}} if block["type"] == "tool_use" else block
            for block in _body(answer)["content"]
        ]
        return replace(answer, body={**_body(answer), "content": content})

    return spoilt


def _twice(body: Json, answer: Answer) -> Answer:
    content = _body(answer)["content"]
    again = [{**block, "id": block["id"] + "b", "input": {**block["input"], "probability": 0.9}} for block in content
             if block["type"] == "tool_use"]  # fmt: skip
    return replace(answer, body={**_body(answer), "content": [*content, *again]})


def _malformed(body: Json, answer: Answer) -> Answer:
    """A probability in words; of an answer without one, nothing where there should be something."""
    inputs = [block["input"] for block in _body(answer)["content"] if block["type"] == "tool_use"]
    keys = {key for given in inputs for key in given}
    return _submitted(**{"probability": "70%"} if "probability" in keys else dict.fromkeys(keys))(body, answer)


def _bought(**changes: Any) -> Callable[[Json, Answer], Answer]:
    """A game's submission with these values in each of its rows; every other answer as it is."""

    def spoilt(body: Json, answer: Answer) -> Answer:
        for block in _body(answer)["content"]:
            if block["type"] == "tool_use" and (rows := block["input"].get("purchases")):
                return _submitted(purchases=[{**row, **changes} for row in rows])(body, answer)
        return answer

    return spoilt


def _said(**changes: Any) -> Callable[[Json, Answer], Answer]:
    """A game's message with these values; every other answer as it is."""

    def spoilt(body: Json, answer: Answer) -> Answer:
        talks = any("done" in block.get("input", {}) for block in _body(answer)["content"])
        return _submitted(**changes)(body, answer) if talks else answer

    return spoilt


def _bytes(old: bytes, new: bytes) -> Callable[[Json, Answer], Answer]:
    """The answer's JSON with a value that no encoder of ours would write."""

    def spoilt(body: Json, answer: Answer) -> Answer:
        marked = _submitted(probability=0.123456789, rationale="@@")(body, answer)
        return replace(marked, body=orjson.dumps(marked.body).replace(old, new))

    return spoilt


_CREDIT = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."

FAULTS: Mapping[str, Callable[[Json, Answer], Answer]] = {
    "429": lambda body, answer: error(429, "rate_limit_error", "Number of requests has exceeded your rate limit"),
    "429 with retry-after": lambda body, answer: error(429, "rate_limit_error", "slow down", retry_after="1"),
    "529": lambda body, answer: error(529, "overloaded_error", "Overloaded"),
    "500": lambda body, answer: error(500, "api_error", "Internal server error"),
    "400": lambda body, answer: error(400, "invalid_request_error", "messages: at least one message is required"),
    "401": lambda body, answer: error(401, "authentication_error", "invalid bearer token"),
    "404": lambda body, answer: error(404, "not_found_error", f"model: {body.get('model')}"),
    "no credit": lambda body, answer: error(400, "invalid_request_error", _CREDIT),
    "no tools": lambda body, answer: error(400, "invalid_request_error", "this model does not support tool use"),
    "page": lambda body, answer: Answer(body=b"<html><title>Maintenance</title></html>", kind="text/html"),
    "error with 200": lambda body, answer: replace(error(529, "overloaded_error", "Overloaded"), status=200),
    "reset": lambda body, answer: replace(answer, reset=True),
    "cut": lambda body, answer: replace(answer, cut=True),
    "refusal": _content(content=[], stop_reason="refusal"),
    "truncated": _content(content=[{"type": "text", "text": "I think that"}], stop_reason="max_tokens"),
    "prose": _content(content=[{"type": "text", "text": "About 70%, I would say."}], stop_reason="end_turn"),
    "malformed": _malformed,
    "two estimates": _twice,
    "zero": _submitted(probability=0),
    "one": _submitted(probability=1),
    "nan": _bytes(b"0.123456789", b"NaN"),
    "lone surrogate": _bytes(b"@@", b"\\ud800"),
    "over-long": _submitted(rationale="because " * (LONG // 8)),
    "over budget": _bought(units=99),
    "unknown resource": _bought(resource="gold"),
    "negative units": _bought(units=-1),
    "fractional units": _bought(units=0.5),
    "never done": _said(done=False),
}
"""Name -> (request's body, the answer it would have had) -> what is sent."""

ITEM_FAULTS = ("expired", "errored", "canceled")
"""What can befall an item of a batch, beside every fault that changes a message."""


@dataclass(slots=True)
class Faults:
    """`rates`: fault -> share of the answers, in [0, 1], never two at once. Answers wait `seconds`, up to `spread` more.

    After `credit` messages the account is empty (None: never). Raises CoordevalError for an unknown fault or rate.
    """

    rates: Mapping[str, float] = field(default_factory=dict)
    seed: int = 1
    seconds: float = 0.0
    spread: float = 0.0
    credit: int | None = None
    batch_seconds: float = 0.0
    """How long a batch takes."""
    injected: Counter[str] = field(default_factory=Counter)
    _random: Random = field(init=False)

    def __post_init__(self) -> None:
        for name, rate in self.rates.items():
            if name not in FAULTS and name not in ITEM_FAULTS:
                raise CoordevalError(choose("fault", name, [*FAULTS, *ITEM_FAULTS]))
            if not 0 <= rate <= 1:
                raise CoordevalError(f"fault {name!r} = {rate}: a share of the answers is a number from 0 to 1")
        if (total := sum(self.rates.values())) > 1 + 1e-9:
            raise CoordevalError(f"faults: their shares add up to {total:g}; together they must not exceed 1")
        self._random = Random(self.seed)

    def draw(self, *, item: bool = False) -> str:
        """What befalls the next answer, or the next `item` of a batch: "" for most."""
        if not item and self.credit is not None:
            self.credit -= 1
            if self.credit < 0:
                return "no credit"
        position = self._random.random()
        for name, rate in self.rates.items():
            position -= rate
            if position < 0:
                if name in ITEM_FAULTS and not item:
                    return ""
                self.injected[name] += 1
                return name
        return ""

    def spoilt(self, name: str, body: Json, answer: Answer) -> Answer:
        return FAULTS[name](body, answer) if name in FAULTS else answer

    def delay(self) -> float:
        """Seconds until the next answer: with a `spread`, answers come out of order."""
        return self.seconds + self.spread * self._random.random()

    def shuffled(self, items: list[Any]) -> list[Any]:
        return self._random.sample(items, len(items))
