"""A ledger with two small studies of the same markets, hostile text planted in it, and one study that is half made."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger

HOSTILE = "<img src=x onerror=alert('question')><script>alert(1)</script> Will \"A & B\" merge?"
REASONS = "<script>alert('rationale')</script> [click](javascript:alert(2)) <b>bold</b>"
RESULT = '{"text":"</pre><script>alert(\'tool\')</script><iframe src=javascript:alert(3)>"}'
STUDY = """
name = "{name}"
replicates = {replicates}
configurations = ["single_agent", "market_price", "independent_ensemble", "peer_critique_debate", "sequential_pipeline"]
[markets]
source = "simulated"
count = {count}
seed = {seed}
[model]
provider = "simulated"
[agents]
show_price = {show_price}
"""


def store(
    path: Path,
    folder: Path,
    *,
    name: str,
    count: int,
    replicates: int = 2,
    show_price: str = "true",
    share: float = 1.0,
    seed: int = 1,
):
    """Runs that share of a study's cells, without the report at the end; returns its id."""
    file = folder / f"{name}.toml"
    file.write_text(STUDY.format(name=name, count=count, replicates=replicates, show_price=show_price, seed=seed))
    loaded = load_study(file)

    async def run() -> None:
        with Ledger.open(path, purpose="test") as ledger:
            evaluation = open_evaluation(loaded, path, ledger)
            made = plan(evaluation, pull(evaluation))
            cells = [cell for chunk in made.chunks for cell in chunk]
            await run_chunks(evaluation, [cells[: max(1, round(len(cells) * share))]])
            ledger.write("runs", [evaluation.run_row("complete" if share == 1.0 else "incomplete")])

    with ThreadPoolExecutor(1) as pool:  # Playwright has an event loop of its own in this thread
        pool.submit(lambda: asyncio.run(run())).result()
    return loaded.id


@pytest.fixture(scope="session")
def ledger(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dashboard")
    path = folder / "ledger.duckdb"
    store(
        path, folder, name="half", count=8, replicates=1, share=0.4, seed=7
    )  # markets of its own: forecasts are shared between studies
    store(path, folder, name="blind", count=30, show_price="false")
    store(path, folder, name="seen", count=30)
    with duckdb.connect(path) as con:
        [(market, forecast)] = con.execute(
            "SELECT c.market_id, c.forecast_id FROM cells c JOIN tool_calls t USING (forecast_id) "
            "WHERE configuration = 'peer_critique_debate' ORDER BY ALL LIMIT 1"
        ).fetchall()
        con.execute("UPDATE markets SET question = ? WHERE market_id = ?", [HOSTILE, market])
        con.execute("UPDATE estimates SET rationale = ? WHERE forecast_id = ?", [REASONS, forecast])
        con.execute("UPDATE tool_calls SET result = ? WHERE forecast_id = ?", [RESULT, forecast])
        con.execute("UPDATE draws SET request = replace(request, 'Description', ?) WHERE market_id = ?", [REASONS, market])
    return path


@pytest.fixture(scope="session")
def hostile(ledger) -> dict[str, str]:
    """The market and the forecast that carry the planted scripts."""
    with duckdb.connect(ledger, read_only=True) as con:
        found = con.execute(
            "SELECT market_id, forecast_id FROM cells JOIN estimates e USING (forecast_id) WHERE e.rationale = ? LIMIT 1",
            [REASONS],
        ).fetchone()
    return {"market": found[0], "forecast": found[1]}


@pytest.fixture
def facts(ledger):
    found = Facts(ledger)
    yield found
    found.close()
