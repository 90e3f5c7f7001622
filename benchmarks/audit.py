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
_REQUEST = """
    json_object('model', 'generated', 'max_tokens', 2000, 'system', repeat('How to judge. ', 200),
        'tools', [{'name': 'market_details'}, {'name': 'search_evidence'}],
        'messages', [{'role': 'user', 'content': concat_ws(chr(10), '<market>', 'Question: ' || question,
            'As of: 2026-10-21', 'Market price of YES: 0.400', '</market>', repeat('Weigh it. ', 250), ask)}])
"""
_DRAWS = f"""
    INSERT INTO draws BY NAME
    SELECT draw_id, any_value(md5(draw_id)) AS request_id, any_value(market_id) AS market_id, 0 AS replicate, 0 AS k,
        'generated' AS model, 'generated' AS served_model, any_value({_REQUEST}) AS request, '{{}}' AS reply,
        20000 AS micro_usd, any_value(forecast_id) AS payer, TIMESTAMPTZ '2026-11-20' AS created_at
    FROM calls JOIN forecasts USING (forecast_id) JOIN markets USING (market_id) GROUP BY draw_id
"""
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
        with duckdb.connect(str(path)) as con:
            for statement in (_DRAWS, _TOOLS, _REPORTS):
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
