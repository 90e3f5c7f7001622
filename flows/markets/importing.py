"""Published runs as studies of their own: `coordeval import` makes them rows like those of any run.

What the publication recorded is kept as it stands: its prompts and replies, its broken tools' results, its costs. Its
failed cells are failed rows with the recorded reason; the 0.5 that the publication scores for them is a policy of the
report (`fallback_half`), not a forecast. What it predicted is part of the study, marked as not pre-specified.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from coordeval.agents.messages import canonical, content_hash
from coordeval.agents.recorded import TRAILER
from coordeval.configurations.panel import call_graph
from coordeval.flows.markets.published_predictions import PREDICTIONS, UNSCORED
from coordeval.flows.run.telemetry import told
from coordeval.flows.study.evaluation import data_directory, version
from coordeval.ledger import CellRows, Ledger, row_of
from coordeval.market_data.errors import CoordevalError, choose
from coordeval.market_data.traces100 import CHECKSUMS, NAME, CoordinationTraces, install, published_cells

MODEL = "claude-opus-4-6"


def import_dataset(dataset: str, origin: Path | None, ledger_path: Path) -> str:
    """Load a published dataset into the ledger, from a folder or its public repository; returns the study's name."""
    if dataset != NAME:
        raise CoordevalError(choose("dataset", dataset, [NAME]))
    if origin is not None and not origin.is_dir():
        raise CoordevalError(f"{origin} is not a folder; give the one that holds {NAME}'s markets.jsonl and traces/")
    directory = install(data_directory(ledger_path), origin)
    content = {
        "published": NAME,
        "files": dict(CHECKSUMS),
        "predictions": list(PREDICTIONS),
        "predictions_unscored": list(UNSCORED),
    }
    study_id = content_hash("study/1", content)
    with Ledger.open(ledger_path, purpose=f"coordeval import {NAME}") as ledger:
        asyncio.run(_store(ledger, directory, study_id, content))
    return NAME


async def _store(ledger: Ledger, directory: Path, study_id: str, content: dict[str, Any]) -> None:
    source = CoordinationTraces(directory)
    markets = {market.id: market for market in source.markets()}
    prices = {point.market_id: point for point in source.prices()}
    now = datetime.now(UTC)
    run_id = uuid4().hex
    run = {"run_id": run_id, "study_id": study_id, "started_at": now, "detail": "imported", "version": version()}
    cells = list(published_cells(directory))
    ledger.write_all(
        {
            "markets": [row_of(market) for market in markets.values()],
            "prices": [row_of(point) for point in prices.values()],
            "outcomes": [row_of(outcome) for outcome in source.outcomes()],
            "studies": [
                {
                    "study_id": study_id,
                    "name": NAME,
                    "content": canonical(content).decode(),
                    "source": NAME,
                    "model": MODEL,
                    "simulated": False,
                    "hindsight": True,
                    "elements": "{}",
                    "created_at": now,
                    "locked_at": None,
                }
            ],
            "runs": [{**run, "ended_at": None, "status": "running"}],
            "cells": [
                {
                    "study_id": study_id,
                    "market_id": market_id,
                    "configuration": configuration,
                    "replicate": 0,
                    "as_of": markets[market_id].reference_time,
                    "market_price": prices[market_id].price,
                    "price_kind": prices[market_id].kind,
                    "price_at": prices[market_id].knowable_at,
                    "forecast_id": _forecast_id(configuration, market_id),
                    "identity": canonical(_identity(configuration, market_id)).decode(),
                }
                for configuration, market_id, _ in cells
            ],
        }
    )
    for configuration, market_id, row in cells:
        draws, cell = published_rows(configuration, market_id, row, run_id=run_id, at=now)
        await asyncio.gather(*(ledger.put("draws", draw) for draw in draws))
        await ledger.put_cell(told(cell))
    ledger.flush()
    ledger.write("runs", [{**run, "ended_at": datetime.now(UTC), "status": "completed"}])


def _identity(configuration: str, market_id: str) -> dict[str, Any]:
    return {"published": NAME, "file": CHECKSUMS[f"traces/{configuration}.jsonl"], "market": market_id}


def _forecast_id(configuration: str, market_id: str) -> str:
    return content_hash("published-forecast/1", _identity(configuration, market_id))


def published_rows(
    configuration: str, market_id: str, row: Mapping[str, Any], *, run_id: str, at: datetime
) -> tuple[list[dict[str, Any]], CellRows]:
    """One published cell as ledger rows: its draws, and everything else."""
    forecast_id = _forecast_id(configuration, market_id)
    calls: Sequence[Mapping[str, Any]] = row["trace"]["calls"]
    failure = row.get("_failure")
    roles = [_role(call) for call in calls]
    shown = [_shown(calls, i) for i in range(len(calls))]
    rounds: list[int] = []
    for sources in shown:
        rounds.append(1 + max((rounds[j] for j in sources), default=-1))
    kinds = ["estimate" if TRAILER.search(call["response"]["text"]) else "report" for call in calls]
    draws, call_rows, tool_rows, estimates = [], [], [], []
    for i, call in enumerate(calls):
        micro_usd = round(call["costUsd"] * 1_000_000)
        draw_id = content_hash("published-draw/1", [forecast_id, i])
        usage = {
            "input_tokens": call["usage"]["promptTokens"],
            "output_tokens": call["usage"]["completionTokens"],
            "cache_read_tokens": 0,
            "cache_write_tokens": 0,
        }
        place = {"ask": i, "agent": 0, "round": rounds[i], "role": roles[i]}
        draws.append(
            {
                "draw_id": draw_id,
                "request_id": content_hash("published-request/1", call["request"]),
                "market_id": market_id,
                "replicate": 0,
                "k": 0,
                "model": MODEL,
                "served_model": MODEL,
                "request": canonical(call["request"]).decode(),
                "reply": canonical(call["response"]).decode(),
                "micro_usd": micro_usd,
                "payer": forecast_id,
                "created_at": at,
            }
        )
        call_rows.append(
            {
                **place,
                **usage,
                "turn": 0,
                "draw_id": draw_id,
                "stop_reason": "(not recorded)",
                "attributed_micro_usd": micro_usd,
                "paid_micro_usd": micro_usd,
                "seconds": call["durationMs"] / 1000,
            }
        )
        tool_rows += [_tool_row(i, position, tool) for position, tool in enumerate(call["response"]["toolCalls"])]
        trailers = TRAILER.findall(call["response"]["text"])
        estimates.append(
            {
                **place,
                "kind": kinds[i],
                "probability": float(trailers[-1]) if trailers else None,
                "rationale": call["response"]["text"],
                "reading": "",
            }
        )
    total = {name: sum(c[name] for c in call_rows) for name in ("input_tokens", "output_tokens", "seconds")}
    spent = sum(draw["micro_usd"] for draw in draws)
    forecast = {
        **total,
        "forecast_id": forecast_id,
        "run_id": run_id,
        "market_id": market_id,
        "configuration": configuration,
        "replicate": 0,
        "status": "failed" if failure else "answered",
        "probability": None if failure else row["probability"],
        "reason": failure,
        "retryable": False,
        "attributed_micro_usd": spent,
        "paid_micro_usd": spent,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "model_calls": len(calls),
        "tool_calls": len(tool_rows),
        "seconds": float(total["seconds"]),
        "call_graph": call_graph(list(zip(roles, rounds, kinds, shown, strict=True))),
        "simulated": False,
        "created_at": at,
    }
    messages = [{"from_ask": source, "to_ask": i} for i, sources in enumerate(shown) for source in sources]
    return draws, CellRows(forecast=forecast, calls=call_rows, tool_calls=tool_rows, estimates=estimates, messages=messages)


def _role(call: Mapping[str, Any]) -> str:
    """The role by what the prompt says, not by the label: two labels with one prompt are one role."""
    found = re.search(r"^Role: ([^.:]+)", call["request"]["systemPrompt"], re.MULTILINE)
    return re.sub(r"\W+", "_", found.group(1).strip().lower()) if found else str(call["agentRole"])


def _shown(calls: Sequence[Mapping[str, Any]], i: int) -> list[int]:
    """Which earlier replies stand in this prompt, word for word; a planner's part is found by the sub-question."""
    prompt = calls[i]["request"]["userPrompt"]
    task = re.search(r"Sub-question to investigate:\n(.+)", prompt)
    sources = []
    for j in range(i):
        said = TRAILER.sub("", calls[j]["response"]["text"]).strip()
        if said[:300] in prompt or (task and task.group(1).strip() in said):
            sources.append(j)
    return sources


def _tool_row(ask: int, position: int, tool: Mapping[str, Any]) -> dict[str, Any]:
    result = tool["result"]
    error = isinstance(result, dict) and "error" in result
    return {
        "ask": ask,
        "turn": 0,
        "position": position,
        "tool": tool["toolName"],
        "arguments": orjson.dumps(tool["arguments"]).decode(),
        "result": orjson.dumps(result).decode(),
        "items": 0 if error else len(result) if isinstance(result, list) else 1,
        "error": error,
    }
