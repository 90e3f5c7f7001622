"""A deterministic simulated forecaster behind the model interface: the default model, and the test bench of every measure.

It reads what a real one would read, the request's text, and nothing else. With x a probability's logit, h = herding (+
conformity for an aligner), N a standard normal draw of the request's bytes, the replicate and k, and B one standard
normal draw of the question's text, which all agents share:

    first view    e = evidence_weight · mean(x of the documents' indices) + shared_bias · B + private_noise · N
    from reports  e = mean(x of the reports' readings) + revision_noise · N
    estimate      (1 − anchoring) · e + anchoring · (x of the price shown); e itself where none is shown
    revision      (1 − h) · own + h · mean(x of the peers) + revision_noise · N
    price_reader  (1 − anchoring) · own + anchoring · (x of the price) + revision_noise · N

A peer that is known by a number only (a statistic that the panel shows, of which the first decimal is read) pulls with
STANCE · h: of what a peer moves, that share is its stance, the rest its reasons. In a conversation that goes on the last
estimate is the agent's own, those before are its peers'.

Without evidence the first term is 0, even odds. A report carries e, not anchored.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from html import unescape
from math import isfinite
from statistics import NormalDist, fmean
from struct import unpack
from typing import Any, ClassVar, NamedTuple

from coordeval.agents import simulated_bargaining as bargaining
from coordeval.agents import simulated_diagnosing as diagnosing
from coordeval.agents.messages import Block, Reply, Request, Slot, Usage, canonical
from coordeval.agents.simulated_reading import Opening, Talk, read_request, text_of
from coordeval.agents.simulated_words import probability_of, reasons, review
from coordeval.market_data.errors import CoordevalError

STANCE = 0.5
"""How much a peer's number moves an agent, as a share of what number and reasons together do."""
_QUANTILE = NormalDist().inv_cdf
_ASPECTS = (
    "What do the dated documents say, and do they agree with each other?",
    "How have the latest documents changed the picture?",
    "How often do things of this kind happen in such a span of time?",
    "What does the history of the price suggest?",
    "What could still get in the way before the deadline?",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedParameters:
    """What makes one simulated forecaster differ from another. Noise and bias are standard deviations in logits, from 0.

    Weights and rates are in [0, 1]. A failure rate counts asks that reach an answering turn; a malformed answer is
    mended when asked for again.
    """

    seed: int = 1
    evidence_weight: float = 1.0
    private_noise: float = 0.5
    shared_bias: float = 0.3
    anchoring: float = 0.35
    herding: float = 0.4
    conformity: float = 0.3
    """Added to `herding` in the role "aligner"."""
    revision_noise: float = 0.1
    tool_rate: float = 0.95
    """Share of asks in which an agent that has not been told enough calls a tool before it answers."""
    malformed_rate: float = 0.02
    refusal_rate: float = 0.002
    truncation_rate: float = 0.002

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise CoordevalError(f"simulated model: seed is {self.seed!r}; it must be a whole number")
        for name in ("evidence_weight", "private_noise", "shared_bias", "revision_noise"):
            if not isfinite(value := getattr(self, name)) or value < 0:
                raise CoordevalError(f"simulated model: {name} is {value!r}; it must be a finite number from 0")
        rates = ("anchoring", "herding", "conformity", "tool_rate", "malformed_rate", "refusal_rate", "truncation_rate")
        for name in rates:
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise CoordevalError(f"simulated model: {name} is {value!r}; it must be a number from 0 to 1")
        if self.herding + self.conformity > 1:
            raise CoordevalError(
                f"simulated model: herding {self.herding!r} + conformity {self.conformity!r} is over 1; "
                "lower one, for an aligner's weights on itself and on its peers must add up to 1"
            )
        if (failing := self.malformed_rate + self.refusal_rate + self.truncation_rate) > 1:
            raise CoordevalError(f"simulated model: malformed, refusal and truncation rate add up to {failing}, over 1")


class SimulatedModel:
    """The forecaster of `SimulatedParameters`. The same request, replicate and k give the same reply on every machine."""

    name: ClassVar[str] = "simulated-forecaster-1"
    usd_per_million: ClassVar[tuple[float, float]] = (5.0, 25.0)
    """Simulated dollars per million tokens of input and of output. Nobody pays them; they make costs comparable."""
    characters_per_token: ClassVar[int] = 4

    def __init__(self, parameters: SimulatedParameters | None = None) -> None:
        self.parameters = parameters or SimulatedParameters()

    @property
    def identity(self) -> Mapping[str, Any]:
        numbers = {name: value if name == "seed" else float(value) for name, value in asdict(self.parameters).items()}
        return {"model": self.name, "simulated": True, "usd_per_million": list(self.usd_per_million), **numbers}

    async def complete(self, request: Request, slot: Slot) -> Reply:
        opening, talk = read_request(request.messages)
        luck = _luck(self.parameters.seed, request.key, slot.replicate, slot.k)
        if (told := diagnosing.answer(text_of(request.messages[0]["content"]), luck.use_id)) is not None:
            return self._reply(request, [_use(luck, 0, *told)], "tool_use")
        if tools := self._next_tools(opening, talk, request, luck):
            return self._reply(request, [_use(luck, i, *tool) for i, tool in enumerate(tools)], "tool_use")
        answer = self._answer(opening, talk, luck)
        content, stop_reason = [_use(luck, 0, f"submit_{opening.answer}", answer)], "tool_use"
        if not talk.corrected:
            content, stop_reason = self._failure(opening, answer, luck) or (content, stop_reason)
        return self._reply(request, content, stop_reason)

    def _next_tools(
        self, opening: "Opening", talk: "Talk", request: Request, luck: "_Luck"
    ) -> list[tuple[str, dict[str, Any]]]:
        """The tools to call now: first details and evidence, at once or one after the other; empty: it is time to answer.

        Who revises, who works from reports, the planner and the closer call none.
        """
        if talk.told_to_answer or opening.own is not None or opening.readings or opening.role in {"planner", "closer"}:
            return []
        offered = {tool["name"] for tool in request.tools}
        search = ("search_evidence", {"query": f"index YES {opening.question}"})
        wanted: list[tuple[str, dict[str, Any]]] = []
        if talk.called:
            wanted = [] if "search_evidence" in talk.called else [search]
        elif luck.tools < self.parameters.tool_rate:
            wanted.append(("market_details", {}))
            if luck.split < 0.7 or "market_details" not in offered:
                wanted.append(search)
            if luck.history < 0.3 and opening.price is not None:
                wanted.append(("price_history", {"points": 20}))
        return [tool for tool in wanted if tool[0] in offered]

    def _answer(self, opening: "Opening", talk: "Talk", luck: "_Luck") -> dict[str, Any]:
        """The input of the answer tool that the prompt asks for."""
        if opening.role in ("proposer", "party") and opening.answer == "report":
            return bargaining.commitment(opening, self.parameters.herding)
        if opening.role == "reflector":
            return review(luck.kind, luck.split, luck.history, solved=luck.wording < 0.1)
        if opening.parts:
            parts = [f"Part {i + 1}. {_ASPECTS[i % len(_ASPECTS)]}" for i in range(opening.parts)]
            return {
                "report": f"The question splits into {opening.parts} parts that can be looked into apart.",
                "parts": parts,
            }
        why = reasons(opening, talk)
        if opening.answer == "report":
            reading = probability_of(self._view(opening, talk, luck))
            return {"report": f"{why} Taken together, my reading for YES stands at {reading:.4f}.", "parts": []}
        question = unescape(opening.question)
        reading_text = (
            f"It resolves YES only if this happens within its deadline: {question}",
            f"What counts is the wording and an official record in time: {question}",
        )[luck.wording < 0.5]
        probability = round(probability_of(self._estimate(opening, talk, luck)), 4)
        return {"probability": probability, "rationale": why, "reading": reading_text}

    def _view(self, opening: "Opening", talk: "Talk", luck: "_Luck") -> float:
        """An agent's own view in logits, from reports if it was shown any, else from the evidence; not yet anchored."""
        p, z = self.parameters, _QUANTILE(luck.noise)
        if opening.readings:
            return fmean(opening.readings) + p.revision_noise * z
        evidence = fmean(x for _, x in talk.evidence) if talk.evidence else 0.0
        return p.evidence_weight * evidence + p.shared_bias * _bias(p.seed, opening.question) + p.private_noise * z

    def _estimate(self, opening: "Opening", talk: "Talk", luck: "_Luck") -> float:
        """The estimate in logits: see the formulas at the top of the module."""
        p = self.parameters
        if opening.own is not None:
            own, noise = opening.own, p.revision_noise * _QUANTILE(luck.noise)
        else:
            own, noise = self._view(opening, talk, luck), 0.0
        if opening.price is not None and (opening.own is None or opening.role == "price_reader"):
            own += p.anchoring * (opening.price - own)
        if opening.role == "committed" and opening.proposal is not None:
            return (opening.proposal[1] if bargaining.agrees(opening, p.herding) else own) + noise
        if others := (*opening.peers, *opening.stances):
            weight = p.herding + (p.conformity if opening.role == "aligner" else 0.0)
            if opening.stances:
                weight *= (len(opening.peers) + STANCE * len(opening.stances)) / len(others)
            own += weight * (fmean(others) - own)
        return own + noise

    def _failure(self, opening: "Opening", answer: dict[str, Any], luck: "_Luck") -> tuple[list[Block], str] | None:
        """The reply of an ask that goes wrong, or None: one uniform draw decides which of the three rates it falls under."""
        p, u = self.parameters, luck.failure
        prose = str(answer.get("rationale") or answer["report"])
        if u < p.refusal_rate:
            return [], "refusal"
        if u < p.refusal_rate + p.truncation_rate:
            return [{"type": "text", "text": prose[: len(prose) // 2]}], "max_tokens"
        if u < p.refusal_rate + p.truncation_rate + p.malformed_rate:
            if luck.kind < 1 / 3:
                return [{"type": "text", "text": f"{prose} That is my answer."}], "end_turn"
            if opening.answer == "estimate":
                wrong: dict[str, Any] = {"probability": "about 60%" if luck.kind < 2 / 3 else 1.7}
            else:
                wrong = {"report": ""} if luck.kind < 2 / 3 else {"parts": "first, second"}
            return [_use(luck, 0, f"submit_{opening.answer}", answer | wrong)], "tool_use"
        return None

    def _reply(self, request: Request, content: Sequence[Block], stop_reason: str) -> Reply:
        """With simulated usage, price and latency; an answer longer than the request's output cap is cut off."""
        written = len(request.encoded) // self.characters_per_token
        spoken = max(len(canonical(content)) // self.characters_per_token, 1)
        if spoken > request.max_tokens:
            said = canonical(content).decode()[: request.max_tokens * self.characters_per_token]
            content, stop_reason = [{"type": "text", "text": said}], "max_tokens"
        if stop_reason == "max_tokens":
            spoken = request.max_tokens
        per_input, per_output = self.usd_per_million
        return Reply(
            content=content,
            stop_reason=stop_reason,
            model=self.name,
            usage=Usage(input_tokens=written, output_tokens=spoken),
            micro_usd=round(written * per_input + spoken * per_output),
            seconds=0.5 + written / 10_000 + spoken / 60,
        )


class InstantModel:
    """Answers every ask at once with 0.5 or a one-line report, free: what time a run then takes is its machinery's."""

    name: ClassVar[str] = "instant-1"

    def __init__(self) -> None:
        estimate = {"probability": 0.5, "rationale": "A fixed answer.", "reading": "None."}
        self._replies = {
            "estimate": self._fixed("submit_estimate", estimate),
            "report": self._fixed("submit_report", {"report": "A fixed report.", "parts": []}),
        }

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"model": self.name, "simulated": True, "answer": 0.5}

    async def complete(self, request: Request, slot: Slot) -> Reply:
        asked = text_of(request.messages[0]["content"])
        return self._replies["report" if asked.endswith("`submit_report`.") else "estimate"]

    def _fixed(self, tool: str, answer: dict[str, Any]) -> Reply:
        return Reply(
            content=[{"type": "tool_use", "id": "toolu_instant", "name": tool, "input": answer}],
            stop_reason="tool_use",
            model=self.name,
            usage=Usage(input_tokens=0, output_tokens=0),
            micro_usd=0,
            seconds=0.0,
        )


class _Luck(NamedTuple):
    """An id for tool calls, and independent uniform draws in (0, 1), each for one purpose."""

    use_id: str
    noise: float
    failure: float
    kind: float
    tools: float
    split: float
    history: float
    wording: float


def _luck(seed: int, key: str, replicate: int, k: int) -> _Luck:
    digest = hashlib.blake2b(f"{seed}|{key}|{replicate}|{k}".encode(), digest_size=64).digest()
    return _Luck(digest[-8:].hex(), *map(_uniform, unpack("<7Q8x", digest)))


@lru_cache(maxsize=4096)
def _bias(seed: int, question: str) -> float:
    """One standard normal draw per seed and question."""
    digest = hashlib.blake2b(f"{seed}|bias|{question}".encode(), digest_size=8).digest()
    return _QUANTILE(_uniform(unpack("<Q", digest)[0]))


def _uniform(word: int) -> float:
    """A 64-bit word as one of 2⁵² midpoints in (0, 1), each exact in a float, so 0 and 1 never occur."""
    return ((word >> 12) + 0.5) / 2**52


def _use(luck: _Luck, position: int, name: str, arguments: dict[str, Any]) -> Block:
    return {"type": "tool_use", "id": f"toolu_sim_{luck.use_id}_{position}", "name": name, "input": arguments}
