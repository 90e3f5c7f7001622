"""Planted drift: debates in the simulated agents' own words, some with one thing wrong, and what is found of it.

Clean debates hold what must not alarm: two wordings of one reading, dates written in two ways, and quotes of peers
rounded to whole percent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import numpy as np

from coordeval.analysis.talk.drift import drift

AGENTS: Final = 3
ROUNDS: Final = 3
_SUBJECTS: Final = (
    "the central bank of Quorerdoria start a bond programme", "the chip maker Draulburg settle its patent case",
    "the grid operator of Tirethal approve the wind tender", "the parliament of Eskulthal pass the fishing treaty",
)  # fmt: skip
_OTHER: Final = "Rainfall around lake Umbra exceeds every earlier autumn, as hydrologists measure it near Veldt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Of one kind of drift: debates that had it planted, those in which it was found at the right ask, and the share."""

    planted: str
    kind: str
    conversations: int
    found: int

    @property
    def share(self) -> float:
        return self.found / self.conversations


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What was found of what was planted, and in clean debates what was not there."""

    planted: tuple[Rate, ...]
    clean: int
    false_alarms: int
    """Clean debates with a finding of any kind."""
    seed: int


def debate(rng: np.random.Generator) -> list[dict[str, Any]]:
    """One clean debate as rows of a shared record."""
    deadline = date(2026, 1, 1) + timedelta(days=int(rng.integers(0, 700)))
    subject = _SUBJECTS[rng.integers(len(_SUBJECTS))]
    latent = rng.normal(0, 1.2)
    rows: list[dict[str, Any]] = []
    for k in range(ROUNDS):
        for agent in range(AGENTS):
            shown = [] if k == 0 else [(k - 1) * AGENTS + j for j in range(AGENTS)]
            p = round(float(np.clip(1 / (1 + np.exp(-latent - rng.normal(0, 0.5))), 0.001, 0.999)), 4)
            rows.append(
                {"ask": k * AGENTS + agent, "agent": agent, "round": k, "role": "critic" if k else "forecaster"}
                | {"kind": "estimate", "probability": p, "shown": shown, "statistics": []}
                | {"rationale": _reasons(rows, shown, agent, rng), "reading": _reading(subject, deadline, rng)}
            )
    return rows


def _reading(subject: str, deadline: date, rng: np.random.Generator) -> str:
    written = deadline.isoformat() if rng.random() < 0.7 else f"{deadline:%B} {deadline.day}, {deadline.year}"
    question = f"Will {subject} by {written}?"
    forms = (
        f"It resolves YES only if this happens within its deadline: {question}",
        f"What counts is the wording and an official record in time: {question}",
    )
    return forms[int(rng.random() < 0.5)]


def _reasons(rows: list[dict[str, Any]], shown: list[int], agent: int, rng: np.random.Generator) -> str:
    others = [rows[ask] for ask in shown if rows[ask]["agent"] != agent]
    if not others:
        return (
            "4 dated documents bear on this. The strongest case for YES is in 'Filing', the strongest against it in 'Poll'."
        )
    said = others[rng.integers(len(others))]
    form = f"{said['probability']:.0%}" if rng.random() < 0.5 else f"{said['probability']:.2f}"
    return f"I weigh what I was shown. Agent {said['agent'] + 1} says {form}, which moves me part of the way."


def _late(rows: list[dict[str, Any]], rng: np.random.Generator) -> dict[str, Any]:
    return rows[int(rng.integers(AGENTS, len(rows)))]


def _deadline(rows: list[dict[str, Any]], rng: np.random.Generator) -> tuple[int, str]:
    row = _late(rows, rng)
    row["reading"] = f"It resolves YES only if this happens by 2031-0{rng.integers(1, 10)}-15."
    return row["ask"], "reading"


def _event(rows: list[dict[str, Any]], rng: np.random.Generator) -> tuple[int, str]:
    row = _late(rows, rng)
    row["reading"] = _OTHER
    return row["ask"], "reading"


def _denial(rows: list[dict[str, Any]], rng: np.random.Generator) -> tuple[int, str]:
    row = _late(rows, rng)
    row["reading"] = row["reading"].replace("only if this happens", "if this does not happen").replace(
        "What counts is", "What counts is that it does not happen, by"
    )  # fmt: skip
    return row["ask"], "reading"


def _nobody(rows: list[dict[str, Any]], rng: np.random.Generator) -> tuple[int, str]:
    row = _late(rows, rng)
    row["rationale"] += f" Agent {rng.integers(AGENTS + 1, 12)} has a point as well."
    return row["ask"], "reference"


def _misquote(rows: list[dict[str, Any]], rng: np.random.Generator) -> tuple[int, str]:
    row = _late(rows, rng)
    other = next(one for one in rows if one["ask"] in row["shown"] and one["agent"] != row["agent"])
    wrong = (other["probability"] + rng.uniform(0.05, 0.5)) % 1
    row["rationale"] = f"Agent {other['agent'] + 1} says {wrong:.2f}, which moves me."
    return row["ask"], "reference"


def _blind(rows: list[dict[str, Any]], rng: np.random.Generator) -> tuple[int, str]:
    row = _late(rows, rng)
    row["shown"] = [ask for ask in row["shown"] if rows[ask]["agent"] == row["agent"] or rng.random() < 0.5][:2]
    return row["ask"], "view"


Plant = Callable[[list[dict[str, Any]], np.random.Generator], tuple[int, str]]
PLANTS: Final[Mapping[str, Plant]] = {
    "another deadline": _deadline,
    "another event": _event,
    "the opposite": _denial,
    "an agent that never spoke": _nobody,
    "a number that was not said": _misquote,
    "a view that lacks a peer": _blind,
}


def rates(conversations: int = 500, *, seed: int = 0) -> Rates:
    """So many debates of each kind of drift and without any; the same seed gives the same counts."""
    found = []
    for place, (planted, plant) in enumerate(PLANTS.items()):
        rng, hits, kind = np.random.default_rng([seed, place]), 0, ""
        for _ in range(conversations):
            rows = debate(rng)
            ask, kind = plant(rows, rng)
            hits += any((one.ask, one.kind) == (ask, kind) for one in drift(rows))
        found.append(Rate(planted=planted, kind=kind, conversations=conversations, found=hits))
    rng = np.random.default_rng([seed, len(PLANTS)])
    alarms = sum(bool(drift(debate(rng))) for _ in range(conversations))
    return Rates(planted=tuple(found), clean=conversations, false_alarms=alarms, seed=seed)
