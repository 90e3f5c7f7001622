"""A model that replays recorded replies: what a published run's model said, asked for by this project's own tool loop.

The published replies end in a text trailer (`FINAL_PROBABILITY: 0.42`) or in none (reports). Translating them into the
answer tools is done here and nowhere else. A recording holds one entry per ask: its tool calls, its text and its usage;
so it comes back as one reply, which calls the tools and hands in the answer. The tools then run as in any run, but the
recorded text was written by a model that saw the recording's own tool results, not these.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordeval.agents.messages import Block, ModelError, Reply, Request, Slot, Usage, content_hash
from coordeval.market_data.errors import CoordevalError, choose
from coordeval.market_data.traces100 import NAME, published_cells

TRAILER = re.compile(r"FINAL_PROBABILITY:\s*(\d+(?:\.\d+)?)")
_ITEM = re.compile(r"^\s*\d+[.)]\s+(.+)$", re.MULTILINE)
_TOOL_NAMES = {"getMarketDetails": "market_details", "getPriceHistory": "price_history", "searchWeb": "search_evidence"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """One recorded ask. `usage` and `micro_usd` cover all of its turns together."""

    text: str
    tool_calls: Sequence[tuple[str, Mapping[str, Any]]]
    usage: Usage
    micro_usd: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCell:
    """The recorded asks of one (configuration, market), or the recorded reason why there are none."""

    calls: Sequence[RecordedCall]
    failure: str | None


Recording = Mapping[tuple[str, str], RecordedCell]
"""(configuration, market id) -> what was recorded."""


class RecordedModel:
    """Replays a recording by configuration, market and ordinal of the ask. Draws must be keyed by configuration."""

    def __init__(self, name: str, recording: Recording, *, model: str) -> None:
        self.name, self.model = name, model
        self._recording = recording
        self.configurations = sorted({configuration for configuration, _ in recording})

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"provider": "recorded", "recording": self.name, "model": self.model}

    def require(self, configurations: Sequence[str]) -> None:
        """Raises CoordevalError for a configuration that was not recorded, before anything runs."""
        for configuration in configurations:
            if configuration not in self.configurations:
                raise CoordevalError(
                    f"recording {self.name}: " + choose("configuration", configuration, self.configurations)
                )

    async def complete(self, request: Request, slot: Slot) -> Reply:
        cell = self._recording.get((slot.configuration, slot.market_id))
        where = f"recording {self.name}, {slot.configuration}, market {slot.market_id}"
        if cell is None:
            raise ModelError(f"{where}: nothing was recorded", retryable=False)
        if cell.failure is not None:
            raise ModelError(cell.failure, retryable=False)
        if slot.ask >= len(cell.calls) or slot.turn > 0:
            raise ModelError(
                f"{where}: ask {slot.ask + 1}, turn {slot.turn + 1} was asked, {len(cell.calls)} asks of one turn were "
                "recorded; agents, rounds and roles must be those of the recording",
                retryable=False,
            )
        call = cell.calls[slot.ask]
        # the id says which call of the recording this is: it is translated once and stays the same on every replay
        stem = content_hash("recorded/1", [self.name, slot.configuration, slot.market_id, slot.ask])[:16]
        blocks: list[Block] = [
            {"type": "tool_use", "id": f"toolu_{stem}_{i}", "name": name, "input": dict(arguments)}
            for i, (name, arguments) in enumerate(call.tool_calls)
        ]
        return Reply(
            content=[*blocks, _submission(call.text, f"toolu_{stem}_answer")],
            stop_reason="tool_use",
            model=self.model,
            usage=call.usage,
            micro_usd=call.micro_usd,
            seconds=call.seconds,
        )


def _submission(text: str, use_id: str) -> Block:
    """The recorded text as a call of an answer tool; the last trailer counts, as in the publication."""
    trailers = TRAILER.findall(text)
    if trailers:
        answer = {
            "probability": float(trailers[-1]),
            "rationale": TRAILER.sub("", text).strip(),
            "reading": "(not asked for in the recorded run)",
        }
        return {"type": "tool_use", "id": use_id, "name": "submit_estimate", "input": answer}
    parts = [item.strip() for item in _ITEM.findall(text)]
    return {"type": "tool_use", "id": use_id, "name": "submit_report", "input": {"report": text, "parts": parts}}


def published_recording(directory: Path) -> RecordedModel:
    """The published claude-opus-4-6 replies of `coordination-traces-100`."""
    recording: dict[tuple[str, str], RecordedCell] = {}
    for configuration, market_id, row in published_cells(directory):
        calls = [_call(raw) for raw in row["trace"]["calls"]]
        failure = row.get("_failure") if not calls else None
        recording[configuration, market_id] = RecordedCell(calls=calls, failure=failure)
    return RecordedModel(NAME, recording, model="claude-opus-4-6")


def _call(raw: Mapping[str, Any]) -> RecordedCall:
    tools = []
    for tool_call in raw["response"]["toolCalls"]:
        name = _TOOL_NAMES[tool_call["toolName"]]
        # the published tools took a position in a list of markets; ours are bound to the market and take no such thing
        tools.append((name, {k: v for k, v in tool_call["arguments"].items() if k != "index"}))
    return RecordedCall(
        text=raw["response"]["text"],
        tool_calls=tools,
        usage=Usage(input_tokens=raw["usage"]["promptTokens"], output_tokens=raw["usage"]["completionTokens"]),
        micro_usd=round(raw["costUsd"] * 1_000_000),
        seconds=raw["durationMs"] / 1000,
    )
