"""Fills a small disk (a tmpfs given as argument, or a file-size limit), then frees it; says what happened as JSON."""

import asyncio
import json
import resource
import sys
from pathlib import Path

from coordeval.ledger import Ledger, LedgerWriteError, read
from tests.ledger.ledger_rows import draw, market, whole_cell

directory, mode = Path(sys.argv[1]), sys.argv[2]
path, filler = directory / "x.duckdb", directory / "filler"


def fill():
    if mode == "rlimit":
        largest = max(file.stat().st_size for file in directory.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 200_000, resource.RLIM_INFINITY))
        return
    with filler.open("wb", buffering=0) as file:
        try:
            for _ in range(10**6):
                file.write(b"\0" * 4096)
        except OSError:
            file.truncate(file.tell() - 200_000)


def free():
    if mode == "rlimit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    else:
        filler.unlink()


async def until_full(ledger, stored):
    for i in range(1000):
        await ledger.put_cell(whole_cell(f"f{i}"))
        await ledger.put("draws", draw(f"d{i}", size=20_000))
        stored.append(f"d{i}")


def bulk(start):
    return [market(f"m{i}", description=str(i * 7919) * 2000) for i in range(start, start + 400)]


said = {"stored": [], "put": "", "write": ""}
with Ledger.open(path, purpose="filling") as ledger:
    ledger.write("markets", [market("before")])
    fill()
    try:
        asyncio.run(until_full(ledger, said["stored"]))
    except LedgerWriteError as error:
        said["put"] = str(error)
    try:
        ledger.write("markets", bulk(0))
    except LedgerWriteError as error:
        said["write"] = str(error)
    said["markets_while_full"] = read(path).query("SELECT market_id FROM markets")["market_id"].to_list()
    free()
    asyncio.run(ledger.put("draws", draw("after")))
    ledger.write("markets", bulk(0))
reader = read(path)
said["draws"] = reader.query("SELECT draw_id FROM draws")["draw_id"].to_list()
said["calls_per_cell"] = reader.query("SELECT DISTINCT count(*) AS n FROM calls GROUP BY forecast_id")["n"].to_list()
said["markets"] = reader.query("SELECT count(*) AS n FROM markets")["n"].to_list()
sys.stdout.write(json.dumps(said))
