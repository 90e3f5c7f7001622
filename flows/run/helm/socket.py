"""The private socket of a run: one line of JSON asked, one answered. Only the same user can open it."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from coordeval.flows.run.helm.helm import Helm
from coordeval.flows.run.helm.place import HelmError, folder
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.secrets import redacted

LINE = 64_000
"""Bytes of a question, and of an answer."""
SECONDS = 10.0
"""How long a run has to answer: it may be busy writing."""


@asynccontextmanager
async def steered(helm: Helm, run_id: str) -> AsyncIterator[str]:
    """While inside, `helm` answers at a socket. Gives "" or why there is none: a run does not fail for it."""
    why, server, path = "", None, None
    try:
        path = folder(make=True) / f"{run_id[:12]}.sock"
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)  # so that it is nobody else's from its first moment
        try:
            listening.bind(str(path))
        finally:
            os.umask(before)
        listening.setblocking(False)
        server = await asyncio.start_unix_server(lambda r, w: _serve(helm, r, w), sock=listening, limit=LINE)
    except (OSError, CoordevalError) as error:
        why = f"`coordeval ctl` cannot reach this run: {error}"
    try:
        yield why
    finally:
        if server is not None:
            server.close()
        if path is not None:
            with suppress(OSError):
                path.unlink(missing_ok=True)


async def _serve(helm: Helm, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        if _user(writer.get_extra_info("socket")) not in (None, os.getuid()):
            return
        async with asyncio.timeout(SECONDS):
            line = await reader.readline()
        answer: dict[str, Any]
        try:
            asked = orjson.loads(line)
            answer = await helm.answer(asked if isinstance(asked, dict) else {})
        except orjson.JSONDecodeError:
            answer = {"error": "a question is one line of JSON"}
        except CoordevalError as error:
            answer = {"error": redacted(str(error))}
        writer.write(orjson.dumps(answer) + b"\n")
        await writer.drain()
    except (OSError, ValueError, TimeoutError):
        pass
    finally:
        writer.close()


def _user(connection: Any) -> int | None:
    """Who is at the other end; None where the system does not say."""
    if connection is None or not hasattr(socket, "SO_PEERCRED"):
        return None
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid)


def ask(path: Path, question: dict[str, Any]) -> dict[str, Any]:
    """What the run at that socket answers. Raises HelmError where there is none, or it says what is wrong."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SECONDS)
            connection.connect(str(path))
            connection.sendall(orjson.dumps(question) + b"\n")
            with connection.makefile("rb") as stream:
                line = stream.readline(LINE)
    except OSError as error:
        raise HelmError(f"run {path.stem} does not answer: {error}") from error
    answer: dict[str, Any] = orjson.loads(line) if line else {"error": f"run {path.stem} ended before it answered"}
    if "error" in answer:
        raise HelmError(str(answer["error"]))
    return answer


def running() -> list[dict[str, Any]]:
    """The status of every run of this user that answers, the oldest first. What a killed run left is removed."""
    found = []
    for path in sorted(folder().glob("*.sock")):
        try:
            found.append(ask(path, {"do": "status"}) | {"socket": str(path)})
        except HelmError as error:
            if isinstance(error.__cause__, ConnectionRefusedError):
                path.unlink(missing_ok=True)
    return sorted(found, key=lambda row: row["started_at"])
