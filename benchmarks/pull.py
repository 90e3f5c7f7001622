"""100,000 generated rows of a venue into the ledger, against parsing the same pages and loading them with no checks at all.

The pages are made once and served from memory to both, so the generator's own time is in neither figure. Peak memory is
that of a process of its own, at several sizes: it reads the pages from files, so it holds no generator.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import httpx
import orjson
import polars as pl
import stamina
from starlette.datastructures import QueryParams

from coordeval.flows.markets.pulling import pull_markets
from coordeval.ledger import Ledger, read
from coordeval.market_data.http import Patience
from coordeval.market_data.standin import Faults, GeneratedMarkets, polymarket_app
from coordeval.market_data.standin.app import keyset
from coordeval.market_data.venues import Query

ROWS = 100_000
WINDOW = Query(after=datetime(2023, 1, 1, tzinfo=UTC), before=datetime(2026, 11, 2, tzinfo=UTC))
AT_ONCE = Patience(wait_initial=0, wait_max=0, wait_jitter=0)
SAME = {
    "markets": "*",
    "outcomes": "* EXCLUDE (recorded_at)",
    "venue_facts": "* EXCLUDE (seen_at)",
    "refused_rows": "*",
    "market_edits": "* EXCLUDE (seen_at)",
}
"""What must not depend on faults: every column but the moment at which a row was seen."""
KEPT = (
    *("id", "conditionId", "question", "slug", "description", "endDate", "startDate", "createdAt", "closedTime", "closed"),
    *("outcomes", "outcomePrices", "clobTokenIds", "umaEndDate", "umaResolutionStatus", "questionID", "volumeNum"),
    *("negRiskMarketID", "events", "tags"),
)
REPEATS = 3
RATIO = 2.0
"""At most so many times the seconds of the unchecked load."""
LISTED = (10_000, 25_000, 50_000, 100_000)
"""Rows whose peaks are measured without prices."""
PRICED = (50, 100, 200)
"""Rows whose peaks are measured with the prices of DAYS, 21,600 a market."""
DAYS = 15.0
FLAT = 1.1
"""Memory is flat in the number of pages if no size takes more than this times the peak of a quarter of the largest."""


NO_PAYOUTS = b'{"data": []}'
"""None are known, so each outcome stands on Gamma alone."""


def asks_payouts(request: httpx.Request) -> bool:
    return request.url.path.endswith("/resolutions")


class Pages(httpx.AsyncBaseTransport):
    """Answers from memory, by cursor."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        self.pages = pages

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = NO_PAYOUTS if asks_payouts(request) else self.pages[request.url.params.get("after_cursor", "")]
        return httpx.Response(200, headers={"content-type": "application/json"}, content=body)


class Files(httpx.AsyncBaseTransport):
    """Answers from a folder that holds each page under its cursor."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        page = self.folder / (request.url.params.get("after_cursor", "") or "first")
        body = NO_PAYOUTS if asks_payouts(request) else page.read_bytes()
        return httpx.Response(200, headers={"content-type": "application/json"}, content=body)


def main() -> None:
    if sys.argv[1:2] == ["--memory"]:
        _memory(int(sys.argv[2]), Path(sys.argv[3]) if sys.argv[3:] else None)
        return
    pages = made(ROWS)
    size = sum(map(len, pages.values())) / 1e6
    pulls, bulks, lean = [], [], []
    for _ in range(REPEATS):
        seconds, kept = _pull(Pages(pages))
        pulls.append(seconds)
        bulks.append(_bulk(pages))
        lean.append(_bulk(pages, KEPT))
    ours, bare, few = min(pulls), min(bulks), min(lean)
    print(f"{ROWS} rows, {len(pages)} pages, {size:.0f} MB of JSON; {kept} markets kept; the best of {REPEATS} each")
    print(f"  coordeval, every row checked, with outcome, evidence and venue facts: {ours:6.2f} s")
    print(f"  orjson, polars and DuckDB, no checks at all:                          {bare:6.2f} s")
    print(f"  ratio {ours / bare:.2f} (at most {RATIO:g})")
    print(f"  the same, only the {len(KEPT)} fields that the ledger keeps: {few:.2f} s, ratio {ours / few:.2f}")
    pages.clear()
    flat = [_flat("without prices", LISTED, made), _flat(f"with {DAYS:g} days of prices", PRICED, None)]
    same = _faults(ROWS // 4)
    broken = [
        *([f"the ratio is above {RATIO:g}"] if ours / bare > RATIO else []),
        *([] if all(flat) else ["memory is not flat"]),
        *([] if same else ["under faults the rows differ"]),
    ]
    if broken:
        sys.exit("; ".join(broken))


def made(rows: int) -> dict[str, bytes]:
    """Every page of the closed markets, newest first, by the cursor that asks for it."""
    catalogue, pages, cursor = GeneratedMarkets(rows), {}, ""
    while True:
        asked = {"closed": "true", "limit": "100", "include_tag": "true", "order": "closedTime", "ascending": "false"}
        url = httpx.QueryParams(asked | ({"after_cursor": cursor} if cursor else {}))
        _, page = keyset(catalogue, "", QueryParams(str(url)))
        pages[cursor] = orjson.dumps(page)
        if "next_cursor" not in page:
            return pages
        cursor = page["next_cursor"]


def _pull(transport: httpx.AsyncBaseTransport, path: Path | None = None, days: float = 0.0) -> tuple[float, int]:
    """(wall seconds, markets kept)."""
    with tempfile.TemporaryDirectory() as folder:
        path = path or Path(folder) / "pull.duckdb"
        with Ledger.open(path, purpose="benchmark") as ledger:
            start = time.perf_counter()
            asked = pull_markets(
                ledger,
                "polymarket",
                WINDOW,
                base_url="http://stand-in",
                price_days=days,
                transport=transport,
                patience=AT_ONCE,
            )
            statement = asyncio.run(asked)
            return time.perf_counter() - start, statement.kept


def _bulk(pages: dict[str, bytes], fields: tuple[str, ...] = ()) -> float:
    """Wall seconds: the same objects as they come, one column per key, or for these keys only."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        con = duckdb.connect(Path(folder) / "bulk.duckdb")
        waiting: list[dict[str, object]] = []
        there = False
        for number, body in enumerate(pages.values(), start=1):
            rows = orjson.loads(body)["markets"]
            waiting += [{name: row.get(name) for name in fields} for row in rows] if fields else rows
            if len(waiting) >= 10_000 or number == len(pages):
                frame = pl.DataFrame(waiting, infer_schema_length=None)
                con.register("frame", frame)
                con.execute("INSERT INTO bulk BY NAME FROM frame" if there else "CREATE TABLE bulk AS FROM frame")
                con.unregister("frame")
                waiting, there = [], True
        con.close()
        return time.perf_counter() - start


def _flat(what: str, sizes: Sequence[int], pages_of: Callable[[int], dict[str, bytes]] | None) -> bool:
    peaks = {rows: _peak(rows, pages_of) for rows in sizes}
    quarter = peaks[max(sizes) // 4]
    ratio = max(peaks.values()) / quarter
    shown = ", ".join(f"{peak:.0f} MB at {rows} rows" for rows, peak in peaks.items())
    verdict = "flat" if ratio <= FLAT else "NOT FLAT"
    print(f"  peak memory {what}: {shown}; {ratio:.2f} times that of {max(sizes) // 4}: {verdict} (at most {FLAT:g})")
    return ratio <= FLAT


def _peak(rows: int, pages_of: Callable[[int], dict[str, bytes]] | None) -> float:
    """MB of a process of its own that pulls so many rows: from files, or else with prices from a small world."""
    with tempfile.TemporaryDirectory() as folder:
        for cursor, body in pages_of(rows).items() if pages_of else ():
            (Path(folder) / (cursor or "first")).write_bytes(body)
        command = [sys.executable, "-m", "benchmarks.pull", "--memory", str(rows), *([folder] if pages_of else [])]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def _memory(rows: int, folder: Path | None) -> None:
    if folder:
        _pull(Files(folder))
    else:
        _pull(httpx.ASGITransport(polymarket_app(GeneratedMarkets(rows))), days=DAYS)
    # not getrusage: its figure begins with what the parent had
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(int(line.split()[1]) / 1024)


def _faults(rows: int) -> bool:
    faults = Faults(0.02, seed=1, seconds=0.0)
    stamina.instrumentation.set_on_retry_hooks([])
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for name, injected in (("clean", None), ("faulty", faults)):
            path = Path(folder) / name / "pull.duckdb"
            _pull(httpx.ASGITransport(polymarket_app(GeneratedMarkets(rows), injected)), path)
            found.append({t: read(path).query(f"SELECT {columns} FROM {t} ORDER BY ALL") for t, columns in SAME.items()})
    clean, faulty = found
    same = all(clean[table].equals(faulty[table]) for table in SAME)
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(faults.injected.items()))
    print(f"  faults in {rows} rows ({kinds}): the rows {'are equal' if same else 'DIFFER'}")
    return same


if __name__ == "__main__":
    main()
