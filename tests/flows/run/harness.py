"""One study of own configurations on a model that does as a test says: what is stored of each cell."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from coordeval.agents.messages import Reply, Request, Slot, Usage
from coordeval.flows.run import guard
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import Evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read

HEAD = """
import asyncio, sys, time
from statistics import fmean
from typing import ClassVar
from coordeval import Configuration, Elements, Endpoint, Forecast, Panel, peers
"""
PLUGIN = '''
class C_NAME(Configuration):
    """A configuration of a test."""

    name: ClassVar[str] = "NAME"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("forecaster", "estimate"), Endpoint("critic", "estimate"), Endpoint("planner", "report")),
        topology=(("forecaster", "critic"), ("critic", "critic"), ("forecaster", "planner"), ("planner", "critic")),
        authority="equal",
        synchronisation="none", aggregation="mean", termination="once", failure_handling="HANDLING",
    )

    async def forecast(self, panel: Panel) -> Forecast:
BODY
'''

STUDY = """
name = "mine"
replicates = 1
configurations = [CONFIGURATIONS]
plugins = ["mine.py"]
EXTRA
[markets]
source = "simulated"
count = COUNT
[model]
provider = "simulated"
"""


class Model:
    """Answers each ask after `wait` by `reply(request, slot)`, which may raise; the n-th call costs 10 n micro-dollars."""

    def __init__(
        self, reply: Callable[[Request, Slot], Any] | None = None, wait: Callable[[Slot], float] | None = None
    ) -> None:
        self.reply, self.wait, self.slots = reply or (lambda request, slot: 0.3), wait, []

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"model": "test", "simulated": True}

    async def complete(self, request: Request, slot: Slot) -> Reply:
        self.slots.append(slot)
        await asyncio.sleep(0 if self.wait is None else self.wait(slot))
        given = self.reply(request, slot)
        name = "submit_estimate"
        if isinstance(given, float):
            given = {"probability": given, "rationale": "because", "reading": "as worded"}
        elif "report" in given:
            name = "submit_report"
        return Reply(
            content=[{"type": "tool_use", "id": "toolu_1", "name": name, "input": given}],
            stop_reason="tool_use",
            model="test",
            usage=Usage(input_tokens=90, output_tokens=10),
            micro_usd=10,
            seconds=1.0,
        )


def run_mine(
    folder: Path,
    bodies: Mapping[str, str],
    model: Model | None = None,
    *,
    handling: str = "exclude",
    beside: tuple[str, ...] = (),
    count: int = 1,
    extra: str = "",
    forecaster: str = "",
) -> dict[str, list[dict[str, Any]]]:
    """Run each body as a configuration of its own, in one study; returns the stored forecasts by configuration.

    `forecaster`: what stands in the endpoint of the forecaster beside its kind of answer."""
    source = HEAD
    for name, body in bodies.items():
        lines = "\n".join("        " + line for line in body.strip("\n").splitlines())
        source += PLUGIN.replace("NAME", name).replace("HANDLING", handling).replace("BODY", lines)
    source = source.replace('Endpoint("forecaster", "estimate")', f'Endpoint("forecaster", "estimate"{forecaster})')
    (folder / "mine.py").write_text(source)
    names = ", ".join(f'"{name}"' for name in (*bodies, *beside))
    study = STUDY.replace("CONFIGURATIONS", names).replace("COUNT", str(count)).replace("EXTRA", extra)
    (folder / "mine.toml").write_text(study)
    loaded = load_study(folder / "mine.toml")
    path = folder / "ledger.duckdb"
    with Ledger.open(path, purpose="test") as ledger:
        evaluation = Evaluation.start(loaded, path, ledger, model or Model())
        made = plan(evaluation, pull(evaluation))

        guard.run(run_chunks(evaluation, made.chunks))
    rows = stored(folder, "SELECT * FROM forecasts ORDER BY configuration, market_id")
    return {name: [row for row in rows if row["configuration"] == name] for name in (*bodies, *beside)}


def stored(folder: Path, sql: str) -> list[dict[str, Any]]:
    return read(folder / "ledger.duckdb").query(sql).to_dicts()
