"""Markets that read the same, byte for byte, share their draws: nobody pays one draw twice, however far apart they stand."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, Reader, read, row_of
from coordeval.market_data.types import Market, Outcome

OPEN = datetime(2026, 1, 1, tzinfo=UTC)
STUDY = """
name = "{name}"
replicates = 2
as_of = {{ hours_before_close = 24 }}
configurations = ["single_agent"]
[markets]
source = "ledger"
sample = "{name}.json"
undated_text = "show"
[model]
provider = "simulated"
[run]
concurrent_cells = 1
"""


def market(name: str, question: str) -> list[dict]:
    close = OPEN + timedelta(days=30)
    made = Market(
        id=name, source="here", event_id=name, simulated=True, question=question, opened_at=OPEN, scheduled_close=close
    )
    return [row_of(made), row_of(Outcome(market_id=name, status="resolved", value=1, resolved_at=close))]


def run(folder: Path, path: Path, name: str, ids: list[str]) -> None:
    (folder / f"{name}.json").write_text(json.dumps({"market_ids": ids, "as_of": None}))
    (folder / f"{name}.toml").write_text(STUDY.format(name=name))
    loaded = load_study(folder / f"{name}.toml")
    with Ledger.open(path, purpose="test") as ledger:
        evaluation = open_evaluation(loaded, path, ledger)
        asyncio.run(run_chunks(evaluation, plan(evaluation, pull(evaluation)).chunks))


def test_no_draw_is_paid_twice_for_markets_that_read_the_same(tmp_path: Path):
    path = tmp_path / "l.duckdb"
    asked = {"first": "Will it rain?", **{f"m{i:02}": f"Will it be {i}?" for i in range(40)}, "last": "Will it rain?"}
    asked |= {"later": "Will it rain?"}
    with Ledger.open(path, purpose="test") as ledger:
        for name, question in asked.items():
            row, outcome = market(name, question)
            ledger.write_all({"markets": [row], "outcomes": [outcome]})
    run(tmp_path, path, "one", list(asked)[:-1])
    reader = read(path)
    assert paid(reader, "one") == drawn(reader), "each draw was paid by one forecast"
    before = drawn(reader)
    run(tmp_path, path, "another", ["later"])
    assert drawn(reader) == before, "what was drawn for a market that reads the same is there"
    assert reader.forecast_frame("another")["status"].to_list() == ["answered"] * 2
    assert paid(reader, "another") == 0


def drawn(reader: Reader) -> int:
    return int(reader.query("SELECT sum(micro_usd) FROM draws").item())


def paid(reader: Reader, study: str) -> int:
    return round(reader.forecast_frame(study)["paid_usd"].sum() * 1e6)
