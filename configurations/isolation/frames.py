"""Messages between a run and a worker process: a length of four bytes, then JSON. Nothing from inside is unpickled."""

import struct
from collections.abc import Mapping
from typing import Any

import orjson

from coordeval.configurations.acts import Act
from coordeval.configurations.panel import Estimate, Report, Said

LENGTH = struct.Struct(">I")
MOST_BYTES = 4 * 1024 * 1024
"""One message."""
MOST_BYTES_IN_ALL = 64 * 1024 * 1024
MOST_MESSAGES = 100_000
"""Of one cell."""

ESTIMATE = ("agent", "role", "round", "ask", "probability", "rationale", "reading")
REPORT = ("agent", "role", "round", "ask", "text", "parts", "acts")


def frame(message: Mapping[str, Any]) -> bytes:
    body = orjson.dumps(message)
    return LENGTH.pack(len(body)) + body


def said_as_json(said: Said) -> dict[str, Any]:
    names = ESTIMATE if isinstance(said, Estimate) else REPORT
    return {name: getattr(said, name) for name in names}


def said_of(given: Mapping[str, Any]) -> Said:
    if "probability" in given:
        return Estimate(**{name: given[name] for name in ESTIMATE})
    rest = {"parts": tuple(given["parts"]), "acts": tuple(Act(**act) for act in given["acts"])}
    return Report(**{name: given[name] for name in REPORT} | rest)


def object_in(body: bytes) -> dict[str, Any]:
    message = orjson.loads(body)
    if not isinstance(message, dict):
        raise ValueError(f"a message is an object, not {message!r:.60}")
    return message


def too_long(length: int) -> str:
    return f"a message of {length:,} bytes, and one may have {MOST_BYTES:,}"
