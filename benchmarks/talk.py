"""What coordination itself costs: CPU per model call of the panel and of the telemetry, beside that of a whole run.

Panel and telemetry together at most 1 ms a call, on structures that talk, with agents and a model that answer at once.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from coordeval.agents.answers import Answer
from coordeval.agents.scaffold import Ask
from coordeval.agents.simulated import InstantModel
from coordeval.analysis.talk.telemetry import telemetry
from coordeval.configurations import Configuration, Panel
from coordeval.configurations.record import of_panel
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.telemetry import telemetry_of
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import Evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read
from coordeval.ledger.talk import talk_frames

FORECASTS = 600
STUDY = """
name = "talk"
replicates = 2
configurations = ["peer_critique_debate", "consensus_alignment", "orchestrator_specialist"]
[markets]
source = "simulated"
count = 100
[model]
provider = "simulated"
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "study.toml").write_text(STUDY)
        loaded, path = load_study(Path(folder) / "study.toml"), Path(folder) / "talk.duckdb"
        with Ledger.open(path, purpose="benchmark") as ledger:
            evaluation = Evaluation.start(loaded, path, ledger, InstantModel())
            made = plan(evaluation, pull(evaluation))
            run, _ = _cpu(lambda: asyncio.run(run_chunks(evaluation, made.chunks)))
        calls = read(path).query("SELECT count(*) FROM calls").item()
        reading, frames = _cpu(lambda: talk_frames(read(path), loaded.id))
        counting, rows = _cpu(lambda: telemetry(frames))
        kept, stored = _cpu(lambda: telemetry_of(read(path), loaded.id))
        assert stored.height == rows.height
        records: list[Any] = []
        panels, asks = _cpu(lambda: asyncio.run(_panels(list(loaded.configurations.values()), records)))
        recording, _ = _cpu(lambda: [of_panel(one) for one in records])
    whole = 1000 * run / calls
    parts = {
        "the panel": 1000 * panels / asks,
        "the shared record": 1000 * recording / asks,
        "telemetry: counting": 1000 * counting / calls,  # what a cell does at its end, of its own rows
    }
    for what, each in {**parts, "together (at most 1)": sum(parts.values())}.items():
        print(f"{what:<24}{each:8.4f} ms CPU a call  {each / whole:6.1%} of a run's")
    for what, each in {"stored rows, read": kept, "anew: reading": reading, "anew: counting": counting}.items():
        print(f"{what:<24}{1000 * each / calls:8.4f} ms CPU a call")
    print(f"{'a run in whole':<24}{whole:8.4f} ms CPU a call; {calls:,} calls, {rows.height:,} rows of telemetry")


class _AtOnce:
    """Answers whatever is asked."""

    async def answer(self, ask: Ask) -> Answer:
        if ask.answer == "report":
            return Answer(probability=None, text="A report.", parts=("one", "two", "three"))
        return Answer(
            probability=0.2 + 0.1 * ask.agent, text="Because of this and that. " * 8, reading="It happens by then."
        )


async def _panels(configurations: Sequence[Configuration], made: list[Any]) -> int:
    """Makes forecasts on panels alone; returns how many asks that took."""
    asks = 0
    for number in range(FORECASTS):
        own = configurations[number % len(configurations)]
        panel = Panel("Will it?", 0.5, own.elements, own.roles(), _AtOnce())
        panel.answered(await own.forecast(panel))
        asks += len(panel.asks)
        assert panel.call_graph
        made.append(panel.asks)
    return asks


def _cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    made = work()
    return time.process_time() - start, made


if __name__ == "__main__":
    main()
