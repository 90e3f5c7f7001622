"""Valid rows for every table, and the child processes' way to say what they did."""

import os
from datetime import UTC, datetime, timedelta

from coordeval.ledger import CellRows

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def market(market_id="m1", **changes):
    return {
        "market_id": market_id,
        "source": "simulated",
        "simulated": True,
        "event_id": "e1",
        "question": f"Will {market_id} happen?",
        "description": "",
        "category": "politics",
        "opened_at": T0,
        "scheduled_close": T0 + timedelta(days=30),
        "reference_time": None,
        "url": "",
        "text_known_at": T0,
    } | changes


def outcome(market_id="m1", status="resolved", value=1, reason="", resolved_at=T0):
    return {"market_id": market_id, "status": status, "value": value, "reason": reason, "resolved_at": resolved_at}


def price(market_id="m1", price=0.5, knowable_at=T0, kind="mid"):
    return {"market_id": market_id, "knowable_at": knowable_at, "price": price, "kind": kind}


def document(document_id="d1"):
    return {
        "document_id": document_id,
        "market_id": "m1",
        "knowable_at": None,
        "title": "t",
        "text": "naïve ✓",
        "source": "s",
    }


def study(study_id="a1b2c3", name="first", created_at=T0):
    return {
        "study_id": study_id,
        "name": name,
        "content": '{"model":"m"}',
        "source": "simulated",
        "model": "m",
        "simulated": True,
        "elements": "{}",
        "created_at": created_at,
    }


def run(run_id="r1", study_id="a1b2c3", started_at=T0, status="running"):
    return {
        "run_id": run_id,
        "study_id": study_id,
        "started_at": started_at,
        "ended_at": None,
        "status": status,
        "detail": "",
        "version": "0",
    }


def cell(forecast_id="f1", study_id="a1b2c3", market_id="m1", configuration="debate", replicate=0):
    return {
        "study_id": study_id,
        "market_id": market_id,
        "configuration": configuration,
        "replicate": replicate,
        "as_of": T0,
        "market_price": 0.4,
        "price_kind": "mid",
        "price_at": T0,
        "forecast_id": forecast_id,
        "identity": "{}",
    }


def forecast(forecast_id="f1", **changes):
    return {
        "forecast_id": forecast_id,
        "run_id": "r1",
        "market_id": "m1",
        "configuration": "debate",
        "replicate": 0,
        "status": "answered",
        "probability": 0.7,
        "reason": None,
        "retryable": False,
        "attributed_micro_usd": 2_000_000,
        "paid_micro_usd": 500_000,
        "input_tokens": 10,
        "output_tokens": 20,
        "cache_read_tokens": 3,
        "cache_write_tokens": 4,
        "model_calls": 3,
        "tool_calls": 1,
        "seconds": 1.5,
        "call_graph": "g",
        "simulated": True,
        "created_at": T0,
    } | changes


FAILED = {"status": "failed", "probability": None, "reason": "overloaded", "retryable": True}


def call(ask=0):
    return {
        "ask": ask,
        "turn": 0,
        "agent": ask,
        "round": 0,
        "role": "forecaster",
        "draw_id": "d",
        "stop_reason": "end_turn",
        "input_tokens": 1,
        "output_tokens": 1,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "attributed_micro_usd": None,
        "paid_micro_usd": None,
        "seconds": 0.1,
    }


def estimate(ask=0, probability=0.5):
    return {
        "ask": ask,
        "agent": ask,
        "round": 0,
        "role": "forecaster",
        "kind": "estimate",
        "probability": probability,
        "rationale": "because",
        "reading": "",
    }


def tool_call():
    return {
        "ask": 0,
        "turn": 0,
        "position": 0,
        "tool": "search",
        "arguments": "{}",
        "result": "[]",
        "items": 0,
        "error": False,
    }


def whole_cell(forecast_id="f1", calls=3, **changes):
    """A cell with `calls` calls and estimates, one tool call and one message."""
    return CellRows(
        forecast=forecast(forecast_id, **changes),
        calls=[call(ask) for ask in range(calls)],
        tool_calls=[tool_call()],
        estimates=[estimate(ask) for ask in range(calls)],
        messages=[{"from_ask": 0, "to_ask": 1}],
    )


def draw(draw_id="d1", size=10, **changes):
    return {
        "draw_id": draw_id,
        "request_id": "q",
        "market_id": "m1",
        "replicate": 0,
        "k": 0,
        "model": "m",
        "served_model": "m",
        "request": "x" * size,
        "reply": b'{"content":[]}',
        "micro_usd": 250,
        "payer": "f1",
        "created_at": T0,
    } | changes


def say(*words):
    """One line to the parent, unbuffered, so that it is out before this process can be killed."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())
