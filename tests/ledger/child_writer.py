"""A writer that never stops: draws, cells, retried cells and bulk writes, saying each id after its put has returned."""

import asyncio
import itertools
import sys

from coordeval.ledger import Ledger
from tests.ledger.ledger_rows import FAILED, draw, market, price, say, study, whole_cell
from tests.ledger.ledger_rows import cell as cell_row


async def put_draws(ledger, prefix, worker):
    for i in itertools.count():
        name = f"{prefix}-{worker}-{i}"
        await ledger.put("draws", draw(f"d-{name}", size=500))
        say("draw", f"d-{name}")


async def put_cells(ledger, prefix, worker):
    for i in itertools.count():
        name = f"f-{prefix}-{worker}-{i}"
        await ledger.put_cell(whole_cell(name, calls=1, **FAILED))
        await ledger.put_cell(whole_cell(name))
        say("cell", name)
        if i % 50 == 0:
            await asyncio.sleep(0)


async def work(ledger, prefix):
    tasks = [put_draws(ledger, prefix, n) for n in range(20)] + [put_cells(ledger, prefix, n) for n in range(5)]
    running = asyncio.gather(*tasks)
    for batch in itertools.count():
        ledger.flush_if_due(0.05)
        await asyncio.sleep(0.02)
        if batch % 10 == 0:
            category = f"{prefix}-{batch}"
            ids = [f"m-{category}-{i}" for i in range(10)]
            ledger.write_all(
                {"markets": [market(m, category=category) for m in ids], "prices": [price(m) for m in ids]},
            )
            say("batch", category)
        if running.done():
            running.result()


if __name__ == "__main__":
    with Ledger.open(sys.argv[1], purpose="child") as ledger:
        ledger.write_all({"studies": [study()], "cells": [cell_row(f"f-{sys.argv[2]}-0-0")]})
        say("ready")
        asyncio.run(work(ledger, sys.argv[2]))
