"""The audit of a study of 10,000 forecasts within 30 s on two free cores: requests of 6 KB, two results of 3 KB an ask.

The ledger (`benchmarks.large_ledger`, with requests, replies and tool calls added) is made before, and is not in the figure.
"""

import sys
import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks import large_ledger
from coordeval.flows.run.auditing import audit_study
from coordeval.ledger import read

MARKETS = 1_000
SECONDS = 30
_TOOLS = """
    INSERT INTO tool_calls BY NAME
    SELECT forecast_id, ask, turn, position, tool, '{}' AS arguments, 3 AS items, false AS error,
        CASE tool WHEN 'market_details' THEN json_object('question', question, 'text', repeat('It is so. ', 300))
            ELSE json_object('documents', [{'date': '2026-10-01', 'text': repeat('It was so. ', 280) || market_id}])
            END AS result
    FROM calls JOIN forecasts USING (forecast_id) JOIN markets USING (market_id),
        (VALUES (0, 'market_details'), (1, 'search_evidence')) AS used(position, tool)
"""
_REPORTS = "UPDATE estimates SET rationale = 'The filing names $12.5 million, up 3.1%.' WHERE kind = 'report'"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.duckdb"
        forecasts = large_ledger.make(path, markets=MARKETS)
        large_ledger.with_requests(path)
        with duckdb.connect(str(path)) as con:
            for statement in (_TOOLS, _REPORTS):
                con.execute(statement)
            asked = con.execute("SELECT (SELECT count(*) FROM draws), (SELECT count(*) FROM tool_calls)").fetchone() or (
                0,
                0,
            )
        begun, used = time.perf_counter(), time.process_time()
        found = audit_study(read(path), large_ledger.STUDY)
        wall, cpu = time.perf_counter() - begun, time.process_time() - used
    print(f"{forecasts:,} forecasts, {asked[0]:,} requests, {asked[1]:,} tool calls: {wall:.1f} s, {cpu:.1f} s of CPU")
    print(found.says)
    if wall > SECONDS:
        sys.exit(f"an audit of {forecasts:,} forecasts takes {wall:.1f} s (at most {SECONDS})")
