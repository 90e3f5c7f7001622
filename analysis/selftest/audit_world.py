"""A simulated study as the frames that an audit reads: nothing in it is wrong but what `audit_plants` puts there.

Agents see documents, estimate with noise of their own, and in the debate move part of the way to their peers, as
`agents.simulated` has it; the rows are made at once instead of by a run, so that a world takes milliseconds.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl
from scipy.special import expit

from coordeval.analysis.base.checks import Floats

AGENTS: Final = 3
HEARD: Final = 0.4
"""Weight that an agent of the debate gives to its peers, in logits."""
ENSEMBLE, DEBATE, REPORTS = "independent_ensemble", "peer_critique_debate", "orchestrator_specialist"
_START: Final = datetime(2026, 3, 1, tzinfo=UTC)
_ESTIMATES = "estimate"


def _end(role: str, answers: str) -> dict[str, str]:
    return {"role": role, "answers": answers}


ELEMENTS: Final[dict[str, Any]] = {
    ENSEMBLE: {"endpoints": [_end("forecaster", _ESTIMATES)], "aggregation": "median", "termination": "after one round"},
    DEBATE: {
        "endpoints": [_end("forecaster", _ESTIMATES), _end("critic", _ESTIMATES)],
        "aggregation": "median of the last round",
        "termination": "after a fixed number of rounds",
    },
    REPORTS: {
        "endpoints": [_end("planner", "report"), _end("specialist", "report"), _end("integrator", _ESTIMATES)],
        "aggregation": "the integrator's estimate",
        "termination": "after the integrator's answer",
    },
}
"""What the configurations of the world declare, as a study stores it."""

Frames = dict[str, pl.DataFrame]


def world(markets: int = 60, *, seed: int = 0, per_event: int = 1) -> Frames:
    """Frames by name, as `analysis.audit.evidence` takes them; `per_event` markets share an event and its news."""
    rng = np.random.default_rng(seed)
    events = -(-markets // per_event)
    place = np.arange(markets) // per_event
    latent = rng.normal(0, 1, events)[place] + rng.normal(0, 0.5, markets)
    y = (rng.random(markets) < expit(latent)).astype(int)
    price = _said(latent + rng.normal(0, 0.5, markets), 3)
    bias = rng.normal(0, 0.3, markets)
    first = latent[:, None] + bias[:, None] + rng.normal(0, 0.5, (markets, AGENTS))
    peers = (first.sum(axis=1, keepdims=True) - first) / (AGENTS - 1)
    second = first + HEARD * (peers - first) + rng.normal(0, 0.1, first.shape)
    integrated = latent + bias + rng.normal(0, 0.3, markets)
    facts = [_facts(m, int(place[m])) for m in range(markets)]
    made = _Rows(facts, y, price)
    for m in range(markets):
        p, q = _said(first[m], 4), _said(second[m], 4)
        made.ensemble(m, p)
        made.debate(m, p, q)
        made.reports(m, float(_said(integrated[m : m + 1], 4)[0]))
    return made.frames()


def _said(logits: Floats, digits: int) -> Floats:
    return np.asarray(np.clip(expit(logits), 0.01, 0.99).round(digits), np.float64)


def _facts(m: int, event: int) -> dict[str, Any]:
    as_of = _START + timedelta(days=m % 200)
    close = as_of + timedelta(days=30)
    question = f"Will the made-up harbour of place {m} open by {close:%Y-%m-%d}?"
    about = {"market_id": f"m{m:04}", "event_id": f"e{event:04}", "question": question, "as_of": as_of}
    return about | {"scheduled_close": close, "resolved_at": close - timedelta(days=m % 9, hours=5)}


class _Rows:
    """Collects the rows of every frame."""

    def __init__(self, facts: list[dict[str, Any]], y: Any, price: Floats) -> None:
        self.facts, self.y, self.price = facts, y, price
        self.rows: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("forecasts", "asks", "calls", "tool_calls", "messages", "reports")
        }

    def ensemble(self, m: int, p: Floats) -> None:
        where = self._forecast(ENSEMBLE, m, float(np.median(p)), AGENTS)
        for j in range(AGENTS):
            self._ask(where, m, j, j, 0, "forecaster", p[j], request=f"{m}", draw=f"open-{m}-{j}")

    def debate(self, m: int, p: Floats, q: Floats) -> None:
        where = self._forecast(DEBATE, m, float(np.median(q)), 2 * AGENTS)
        for j in range(AGENTS):
            self._ask(where, m, j, j, 0, "forecaster", p[j], request=f"{m}", draw=f"open-{m}-{j}")
        for j in range(AGENTS):
            ask = AGENTS + j
            self._ask(where, m, ask, j, 1, "critic", q[j], request=f"{where}-{ask}", draw=f"{where}-{ask}", tools=False)
            self.rows["asks"][-1]["rationale"] = _quoting((j + 1) % AGENTS, p, m)
            self.rows["messages"] += [_shown(where, i, ask) for i in range(AGENTS)]

    def reports(self, m: int, p: float) -> None:
        where, last = self._forecast(REPORTS, m, p, AGENTS + 2), AGENTS + 1
        for ask in range(last + 1):
            role = "planner" if ask == 0 else "integrator" if ask == last else "specialist"
            agent, level = (ask - 1, 1) if role == "specialist" else (0, 0 if ask == 0 else 2)
            estimate, tools = (p if ask == last else None), role == "specialist"
            self._ask(
                where, m, ask, agent, level, role, estimate, request=f"{where}-{ask}", draw=f"{where}-{ask}", tools=tools
            )
            seen = [] if ask == 0 else [0] if ask < last else list(range(1, last))
            self.rows["messages"] += [_shown(where, i, ask) for i in seen]
            if role == "specialist":
                fact = f"The port's budget is ${m + 3}.25 million, by its own filing."
                about = {"forecast_id": where, "ask": ask, "text": fact}
                self.rows["reports"].append(about | {"seen": f"a filing names a budget of {m + 3}.25 million"})

    def frames(self) -> Frames:
        prompts = [
            {"market_id": f["market_id"], "draw_id": f"open-{m}-0", "block": _block(f, float(self.price[m]))}
            for m, f in enumerate(self.facts)
        ]
        parts = {**self.rows, "markets": self.facts, "prompts": prompts}
        return {name: pl.DataFrame(rows, infer_schema_length=None) for name, rows in parts.items()}

    def _forecast(self, configuration: str, m: int, p: float, calls: int) -> str:
        facts = {name: self.facts[m][name] for name in ("market_id", "event_id", "as_of")}
        where = f"{configuration}-{m:04}"
        row = {"forecast_id": where, "configuration": configuration, **facts, "replicate": 0, "status": "answered"}
        row |= {"probability": p, "reason": None, "outcome": int(self.y[m]), "market_price": float(self.price[m])}
        self.rows["forecasts"].append(row | {"model_calls": calls})
        return where

    def _ask(
        self, where: str, m: int, ask: int, agent: int, level: int, role: str, p: float | None,
        *, request: str, draw: str, tools: bool = True,
    ) -> None:  # fmt: skip
        place = {"forecast_id": where, "ask": ask}
        said = {"agent": agent, "round": level, "role": role, "kind": "report" if p is None else "estimate"}
        reading = "" if p is None else f"It counts if this happens in time: {self.facts[m]['question']}"
        told = {"probability": None if p is None else float(p), "reading": reading, "rationale": "The documents bear on it."}
        self.rows["asks"].append({**place, **said, **told})
        call = {"turn": 0, "draw_id": draw, "request_id": request, "stop_reason": "tool_use"}
        self.rows["calls"].append(place | call)
        day = f"{self.facts[m]['as_of'] - timedelta(days=2):%Y-%m-%d}"
        for position, tool in enumerate(("market_details", "search_evidence") if tools else ()):
            question = self.facts[m]["question"] if tool == "market_details" else None
            used = {"turn": 0, "position": position, "tool": tool, "result_key": f"{tool}-{m}", "question": question}
            self.rows["tool_calls"].append(place | used | {"last_date": day, "items": 3, "error": False})


def _shown(where: str, source: int, ask: int) -> dict[str, Any]:
    return {"forecast_id": where, "from_ask": source, "to_ask": ask, "statistic": None}


def _quoting(other: int, p: Floats, m: int) -> str:
    """Reasons that quote a peer as people and models do, in whole percent or two digits."""
    return f"Agent {other + 1} says {p[other]:.0%}, which moves me." if m % 2 else f"Agent {other + 1} is at {p[other]:.2f}."


def _block(facts: dict[str, Any], price: float) -> str:
    lines = [f"Question: {facts['question']}", "Description: It resolves YES if the record shows it."]
    lines += [
        f"Scheduled close: {facts['scheduled_close']:%Y-%m-%dT%H:%M:%SZ}",
        f"As of: {facts['as_of']:%Y-%m-%dT%H:%M:%SZ}",
    ]
    return "\n".join(["<market>", *lines, f"Market price of YES: {price:.3f}", "</market>"])
