"""What coordination did on the way to one forecast: who saw what, who moved whom, where agreement was said and was kept."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

import orjson

from coordeval.analysis.talk.credit import TOLERANCE, agreement_said, credit
from coordeval.analysis.talk.drift import Drift, drift
from coordeval.configurations.record import shared_record
from coordeval.flows.certificate.acted import Committed, committed
from coordeval.flows.certificate.certificate import forecast_id_of
from coordeval.flows.certificate.conversation import Ask, Conversation, conversation
from coordeval.ledger import Reader

_ELEMENTS: Final = """
    SELECT s.elements FROM cells c JOIN studies s USING (study_id) WHERE c.forecast_id = ?
    ORDER BY c.study_id = ? DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One ask: who spoke, what it had been shown, and what that did to its estimate."""

    ask: int
    agent: int
    round: int
    role: str
    kind: str
    """estimate, report, failed, or unknown where no answer is stored."""
    own: tuple[int, ...]
    """Its own earlier asks among what it was shown."""
    others: tuple[int, ...]
    """The asks of others that it was shown, in their words or in a statistic."""
    statistics: tuple[str, ...]
    before: float | None
    """Its own last estimate; None: it had none."""
    probability: float | None
    moved: float | None
    """In logits, see `analysis.talk.credit`; None where there is no estimate before."""
    moved_by: dict[int, float]
    """Ask of another -> its part of `moved`."""
    alone: float | None
    """The part of `moved` that stands for nobody it was shown."""
    says: str | None
    """The words by which it says that it agrees."""
    kept: bool | None
    """Whether it then stands within the tolerance of the median of what it was shown; None: it says no agreement, or was
    shown no estimate of others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Where the group stood after a round, by the last estimate of each agent that has one."""

    round: int
    estimates: int
    lowest: float | None
    highest: float | None
    agreed: bool | None
    """Whether these are within the tolerance; None: fewer than two agents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Words of one role shown to another: as declared, as recorded, or both."""

    speaker: str
    hearer: str
    declared: bool | None
    """None: the configuration declares no topology."""
    shown: int
    """How often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One forecast. `asks` are numbers from 0 in the order of asking; agents are numbered from 0 too."""

    forecast_id: str
    configuration: str
    replicate: int
    market_id: str
    question: str | None
    status: str
    probability: float | None
    reason: str | None
    outcome: int | None
    market_price: float | None
    simulated: bool
    tolerance: float
    steps: tuple[Step, ...]
    rounds: tuple[Round, ...]
    flows: tuple[Flow, ...]
    record: str | None
    """Head of the shared record (`configurations.record`); None: nobody was asked."""
    views: dict[int, str]
    """Ask -> digest of what it was shown."""
    drift: tuple[Drift, ...]
    """See `analysis.talk.drift`."""
    commitments: Committed
    """What agents committed themselves to."""

    @property
    def undeclared(self) -> list[Flow]:
        """What was shown against the declared topology."""
        return [flow for flow in self.flows if flow.declared is False]

    @property
    def unused(self) -> list[Flow]:
        """Declared, and nothing was shown along it here."""
        return [flow for flow in self.flows if flow.declared and not flow.shown]

    def pulls(self) -> dict[tuple[int, int], float]:
        """(agent that was heard, agent that moved) -> |logits| that the movement is credited with, over all rounds."""
        agent = {step.ask: step.agent for step in self.steps}
        found: Counter[tuple[int, int]] = Counter()
        for step in self.steps:
            for source, part in step.moved_by.items():
                found[agent[source], step.agent] += abs(part)  # type: ignore[assignment]
        return {pair: float(size) for pair, size in sorted(found.items())}

    def as_json(self) -> dict[str, Any]:
        pulls = [{"heard": a, "moved": b, "logits": size} for (a, b), size in self.pulls().items()]
        return {**asdict(self), "pulls": pulls}


def trace(reader: Reader, forecast: str, study_id: str = "", *, tolerance: float = TOLERANCE) -> Trace:
    """The trace of the forecast whose id begins with `forecast` (at least 4 hex digits).

    `study_id` says whose elements it is held against where studies share it. Raises CertificateError where there is not
    exactly one such forecast.
    """
    with reader.moment() as held:
        forecast_id = forecast_id_of(held, forecast)
        found = conversation(held, forecast_id, study_id)
        elements = held.query(_ELEMENTS, [forecast_id, study_id]).to_dicts()
    declared = (orjson.loads(elements[0]["elements"]) if elements else {}).get(found.forecast["configuration"])
    return traced(found, declared, tolerance=tolerance)


def traced(found: Conversation, elements: Mapping[str, Any] | None, *, tolerance: float = TOLERANCE) -> Trace:
    """The trace of a conversation, held against the declared `elements` of its configuration."""
    own = found.forecast
    names = ("forecast_id", "configuration", "replicate", "market_id", "question", "status", "probability", "reason")
    steps: list[Step] = []
    said = {ask.ask: ask for ask in found.asks}
    last: dict[int, float] = {}
    for ask in found.asks:
        step = _step(ask, said, last, tolerance)
        steps.append(step)
        if step.probability is not None:
            last[step.agent] = step.probability
    rows = [_row(ask) for ask in found.asks if ask.answer is not None]
    chain = shared_record(rows)
    return Trace(
        record=chain[-1].digest if chain else None,
        views={entry.ask: entry.view for entry in chain},
        drift=tuple(drift(rows)),
        commitments=committed(found.acts, found.asks),
        **{name: own[name] for name in (*names, "outcome", "market_price", "simulated")},
        tolerance=tolerance,
        steps=tuple(steps),
        rounds=tuple(_rounds(steps, tolerance)),
        flows=tuple(_flows(found, said, elements)),
    )


def _row(ask: Ask) -> dict[str, Any]:
    """A stored answer as `configurations.record.shared_record` takes it."""
    assert ask.answer is not None
    said = {name: ask.answer[name] for name in ("kind", "probability", "rationale", "reading")}
    own = {"ask": ask.ask, "agent": ask.agent, "round": ask.round, "role": ask.role}
    return own | said | {"shown": ask.shown, "statistics": list(ask.statistics)}


def _step(ask: Ask, said: Mapping[int, Ask], last: Mapping[int, float], tolerance: float) -> Step:
    answer = ask.answer or {"kind": "unknown", "probability": None, "rationale": ""}
    known = [source for source in ask.shown if source in said]
    mine = tuple(source for source in known if _same(said[source], ask))
    others = tuple(source for source in known if source not in mine)
    heard = {source: p for source in others if (p := _probability(said[source])) is not None}
    p, before = _probability(ask), last.get(ask.agent) if ask.shown else None
    moved = credit(before, p, heard) if before is not None and p is not None else None
    says = agreement_said(answer["rationale"]) if answer["kind"] == "estimate" and others else None
    kept = None
    if says is not None and heard and p is not None:
        kept = abs(p - median(heard.values())) <= tolerance + 1e-9
    return Step(
        ask=ask.ask,
        agent=ask.agent,
        round=ask.round,
        role=ask.role,
        kind=answer["kind"],
        own=mine,
        others=others,
        statistics=ask.statistics,
        before=before,
        probability=p,
        moved=None if moved is None else moved.moved,
        moved_by={} if moved is None else dict(moved.of),
        alone=None if moved is None else moved.own,
        says=says,
        kept=kept,
    )


def _same(earlier: Ask, ask: Ask) -> bool:
    """Whether `ask` revises `earlier`: roles count anew, so only an estimate goes on from an estimate."""
    return earlier.agent == ask.agent and _probability(earlier) is not None and _probability(ask) is not None


def _probability(ask: Ask) -> float | None:
    return None if ask.answer is None else ask.answer["probability"]


def _rounds(steps: list[Step], tolerance: float) -> list[Round]:
    last: dict[int, float] = {}
    found = []
    for number in sorted({step.round for step in steps}):
        now = [step for step in steps if step.round == number and step.probability is not None]
        last |= {step.agent: step.probability for step in now if step.probability is not None}
        low, high = (min(last.values()), max(last.values())) if last else (None, None)
        agreed = None if low is None or high is None or len(last) < 2 else high - low <= tolerance + 1e-9
        found.append(Round(round=number, estimates=len(now), lowest=low, highest=high, agreed=agreed))
    return found


def _flows(found: Conversation, said: Mapping[int, Ask], elements: Mapping[str, Any] | None) -> list[Flow]:
    declared: set[tuple[str, str]] | None = None
    if elements and isinstance(elements.get("topology"), list):
        declared = {(str(edge[0]), str(edge[1])) for edge in elements["topology"] if len(edge) == 2}
    shown = Counter((said[source].role, ask.role) for ask in found.asks for source in ask.shown if source in said)
    return [
        Flow(speaker=a, hearer=b, declared=None if declared is None else (a, b) in declared, shown=shown[a, b])
        for a, b in sorted({*shown, *(declared or ())})
    ]
