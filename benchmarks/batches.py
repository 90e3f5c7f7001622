"""How many batches a study takes: as many as its longest chain of calls, however many forecasts; and what it costs then."""

import asyncio
import os
import tempfile
from pathlib import Path

from coordeval.agents.standin import Faults, Running, StandIn
from coordeval.agents.standin.app import KEY
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read

STUDY = """
name = "batches"
replicates = 2
configurations = [
    "single_agent", "independent_ensemble", "peer_critique_debate", "orchestrator_specialist", "sequential_pipeline",
    "consensus_alignment",
]
[markets]
source = "simulated"
count = {count}
[model]
provider = "anthropic"
id = "claude-opus-4-6"
base_url = "{url}"
[run]
batch = {batch}
"""
CHAIN = """
    SELECT max(depth) FROM (
        SELECT forecast_id, sum(turns) AS depth FROM
            (SELECT forecast_id, round, max(turn) + 1 AS turns FROM calls GROUP BY ALL)
        GROUP BY ALL)
"""


def main() -> None:
    os.environ["ANTHROPIC_API_KEY"] = KEY
    for count in (5, 25):
        paid = {}
        for batch in (True, False):
            with tempfile.TemporaryDirectory() as folder, Running(StandIn(Faults(), sampled=False)) as running:
                file, path = Path(folder) / "batches.toml", Path(folder) / "batches.duckdb"
                file.write_text(STUDY.format(count=count, url=running.url, batch=str(batch).lower()))
                with Ledger.open(path, purpose="benchmark") as ledger:
                    evaluation = open_evaluation(load_study(file), path, ledger)
                    made = plan(evaluation, pull(evaluation))
                    asyncio.run(run_chunks(evaluation, made.chunks))
                reader = read(path)
                paid[batch] = float(reader.query("SELECT sum(micro_usd) FROM draws").item()) / 1e6
                if batch:
                    calls, chain = reader.query("SELECT count(*) FROM draws").item(), reader.query(CHAIN).item()
                    print(
                        f"{count} markets, {made.to_run} forecasts, {calls} calls: {len(running.standin.batches.made)} "
                        f"batches, the longest chain of calls is {chain}"
                    )
                    assert len(running.standin.batches.made) == chain, "more batches than the longest chain has calls"
        print(f"  ${paid[True]:.2f} in batches, ${paid[False]:.2f} live: {paid[True] / paid[False]:.3f} times")
