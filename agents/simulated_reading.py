"""What the simulated forecaster takes from a request: the same text that a real model would read, and nothing else."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import log
from typing import Any

import orjson

from coordeval.agents.messages import Block
from coordeval.market_data.simulated import SIGNAL

_READING = re.compile(r"my reading for YES stands at ([01]\.\d+)")
_QUESTION = re.compile(r"^Question: (.*)$", re.MULTILINE)
_PRICE = re.compile(r"^Market price of YES: ([01]\.\d+) \(", re.MULTILINE)
_ROLE = re.compile(r'^<role name="(.*)">$', re.MULTILINE)
_COUNT = re.compile(r"\bexactly (\d+)\b")
_STATEMENT = re.compile(
    r'^<statement from="([^"]*)" role="[^"]*" round="\d+">\n(.*?)\n</statement>$', re.MULTILINE | re.DOTALL
)
_PROBABILITY = re.compile(r"Probability: ([01]\.\d+)")
_NUMBER = re.compile(r"\b([01]\.\d+)\b")
_PROPOSAL = re.compile(r"\bproposal (\d+)")


@dataclass(frozen=True, slots=True)
class Opening:
    """What the first message says. Prices, estimates and readings are in logits."""

    question: str
    price: float | None
    role: str
    answer: str
    parts: int
    """How many items the role asks for; 0: it asks for none."""
    own: float | None
    peers: tuple[float, ...]
    stances: tuple[float, ...]
    """The first decimal number of each statistic: where somebody stands, without a reason."""
    readings: tuple[float, ...]
    proposal: tuple[int, float] | None
    """The number of the proposal that the role names, and what it says."""


@lru_cache(maxsize=4096)
def read_opening(text: str) -> Opening:
    market, _, rest = text.partition("</market>")
    role_block, _, shown = rest.partition("</role>")
    question, role, count = _QUESTION.search(market), _ROLE.search(role_block), _COUNT.search(role_block)
    prices = _PRICE.findall(market)
    answer = "report" if text.endswith("`submit_report`.") else "estimate"
    own: float | None = None
    peers: dict[str, float] = {}
    stances: list[float] = []
    readings: list[float] = []
    for author, said in _STATEMENT.findall(shown):
        if author == "the panel":
            if stated := _NUMBER.search(said):
                stances.append(logit(stated[1]))
        elif stated := _PROBABILITY.match(said):
            if author == "you":
                own = logit(stated[1])
            else:
                peers[author] = logit(stated[1])
        elif stated := _READING.search(said):
            readings.append(logit(stated[1]))
    return Opening(
        question=question[1] if question else market,
        price=logit(prices[-1]) if prices else None,
        role=role[1] if role else "",
        answer=answer,
        parts=int(count[1]) if count and answer == "report" else 0,
        own=own,
        peers=tuple(peers.values()),
        stances=tuple(stances),
        readings=tuple(readings),
        proposal=_proposal(role_block, shown),
    )


def _proposal(role: str, shown: str) -> tuple[int, float] | None:
    if (named := _PROPOSAL.search(role)) is None:
        return None
    stated = re.search(rf"^Proposal {named[1]} \(agent \d+\): ([01]\.\d+)\.", shown, re.MULTILINE)
    return None if stated is None else (int(named[1]), logit(stated[1]))


def read_request(messages: Sequence[Mapping[str, Any]]) -> tuple[Opening, "Talk"]:
    """What the ask says that a request belongs to, and what has happened since.

    Where it goes on with a conversation, the last estimate in it is the agent's own, and those before are as its peers'.
    """
    first = text_of(messages[0]["content"])
    at = max((i for i, message in enumerate(messages) if i and _goes_on(message)), default=0)
    if not at:
        return read_opening(first), read_talk(messages)
    market = first.partition("</market>")[0]
    opening = read_opening(f"{market}</market>\n\n{_goes_on(messages[at])}")
    given = [
        logit(str(block["input"]["probability"]))
        for message in messages[1:at]
        if message["role"] == "assistant"
        for block in message["content"]
        if block["type"] == "tool_use" and block["name"] == "submit_estimate" and _is_number(block["input"])
    ]
    before, since = read_talk(messages[: at + 1]), read_talk(messages[at:])
    talk = replace(
        since, called=before.called | since.called, evidence=tuple(dict.fromkeys(before.evidence + since.evidence))
    )
    if not given:
        return opening, talk
    return replace(opening, own=given[-1], peers=(*given[:-1], *opening.peers)), talk


def _goes_on(message: Mapping[str, Any]) -> str:
    """The text in a user's message by which a conversation goes on with another ask; empty where there is none."""
    if message["role"] != "user" or isinstance(message["content"], str):
        return ""
    said = [block["text"] for block in message["content"] if block["type"] == "text"]
    return next((text for text in said if text.startswith('<role name="')), "")


def _is_number(given: Any) -> bool:
    value = given.get("probability") if isinstance(given, Mapping) else None
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


@dataclass(frozen=True, slots=True)
class Talk:
    """What has happened since the first message."""

    called: frozenset[str]
    evidence: tuple[tuple[str, float], ...]
    """(title, stated index in logits), each document once."""
    corrected: bool
    """An earlier answer was sent back."""
    told_to_answer: bool


def read_talk(messages: Sequence[Mapping[str, Any]]) -> Talk:
    called: set[str] = set()
    evidence: dict[tuple[str, float], None] = {}
    corrected = told = False
    for message in messages[1:]:
        blocks: Sequence[Block] = message["content"]
        if isinstance(blocks, str):
            blocks = [{"type": "text", "text": blocks}]
        if message["role"] == "assistant":
            names = {block["name"] for block in blocks if block["type"] == "tool_use"}
            called |= names
            corrected |= not names or any(name.startswith("submit_") for name in names)
            continue
        for block in blocks:
            told |= block["type"] == "text"
            if block["type"] == "tool_result" and not block.get("is_error"):
                evidence |= _read_documents(text_of(block["content"]))
    return Talk(frozenset(called), tuple(evidence), corrected, corrected or told)


@lru_cache(maxsize=4096)
def _read_documents(content: str) -> dict[tuple[str, float], None]:
    """The documents of a search result that state an index; any other tool result holds none."""
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    documents = found.get("documents", []) if isinstance(found, dict) else []
    return {(d["title"], logit(stated[1])): None for d in documents if (stated := SIGNAL.search(d["text"]))}


def text_of(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(block["text"] for block in content if block["type"] == "text")


def logit(probability: str) -> float:
    p = min(max(float(probability), 0.001), 0.999)
    return log(p / (1 - p))
