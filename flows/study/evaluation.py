"""One run of one study on one ledger: the objects that pull, plan, run and score share."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from coordeval.agents.cell import Settings
from coordeval.agents.messages import Model
from coordeval.agents.several import Meant, named_of
from coordeval.analysis.base.arms import MAIN
from coordeval.configurations import Configuration
from coordeval.flows.study.flight import Flight
from coordeval.flows.study.study import LoadedStudy
from coordeval.flows.study.wiring import build_model, identity_model
from coordeval.ledger import Ledger, Reader, read
from coordeval.market_data.gate import MarketView


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Cell:
    """One forecast to make: a market as of a moment, an arm, a configuration, a replicate."""

    view: MarketView
    label: str
    """The configuration's name in this study."""
    configuration: Configuration
    roles: Mapping[str, str]
    """Its role texts as they were when the cell was planned: what the identity is the hash of is what agents read."""
    settings: Settings
    """What is held fixed for its agents: that of its arm."""
    replicate: int
    forecast_id: str
    identity: dict[str, Any]
    """Every field that `forecast_id` is the hash of."""
    sits: Callable[..., Any] | None = None
    """Who sits down at it (`flows.run.cell.Sits`); None: its configuration, at a panel."""
    arm: str = MAIN
    """Under which setting of what is held fixed."""
    model: str = ""
    """Which of the study's models its agents are: "" its own, else the name of another."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All cells of a study, and those without a final forecast, in chunks that share no market and no draw."""

    cells: Sequence[Cell]
    chunks: Sequence[Sequence[Cell]]
    notes: tuple[str, ...] = ()
    """What a user should know before anything is asked."""

    @property
    def to_run(self) -> int:
        return sum(len(chunk) for chunk in self.chunks)


@dataclass(slots=True)
class Evaluation:
    """What every step of a run is given."""

    loaded: LoadedStudy
    ledger: Ledger
    path: Path
    model: Model
    run_id: str
    started_at: datetime
    flight: Flight
    clock: Callable[[], datetime] = now
    """What time it is: a simulated world can have a time of its own."""
    helm: Any = None
    """What steers the run from outside (`flows.run.helm`); it is given the window of cells."""
    made_up: bool = False
    """True once the plan found a made-up market among the study's own: every result then says so."""

    _named: dict[str, Model] = field(default_factory=dict, init=False)

    @property
    def simulated(self) -> bool:
        return self.made_up or self.loaded.simulated

    @property
    def batch(self) -> bool:
        """Whether calls go out in batches."""
        return self.loaded.study.run.batch

    def model_of(self, name: str) -> Model:
        """The study's model of this name ("": its own), behind the budget and the pace that all of them share."""
        if not name:
            return self.model
        if name not in self._named:
            own = named_of(self.model).get(name) or identity_model(self.loaded, name)
            self._named[name] = Meant(self.model, name, own)
        return self._named[name]

    @classmethod
    def start(
        cls,
        loaded: LoadedStudy,
        path: Path,
        ledger: Ledger,
        model: Model,
        flight: Flight | None = None,
        clock: Callable[[], datetime] = now,
    ) -> "Evaluation":
        """`flight` counts the model's calls; a model that sends nothing needs none."""
        return cls(loaded, ledger, path, model, uuid4().hex, clock(), flight or Flight(), clock)

    @property
    def reader(self) -> Reader:
        return read(self.path)

    @property
    def data(self) -> Path:
        return data_directory(self.path)

    def run_row(self, status: str, detail: str = "", **counts: int | None) -> dict[str, Any]:
        budget = self.loaded.study.budget_usd
        return {
            **counts,
            "budget_micro_usd": None if budget is None else int(budget * 1_000_000),
            "run_id": self.run_id,
            "study_id": self.loaded.id,
            "started_at": self.started_at,
            "ended_at": None if status == "running" else self.clock(),
            "status": status,
            "detail": detail,
            "version": version(),
        }


@functools.cache
def version() -> str:
    """Of this coordeval. Kept: it is looked up in the metadata of what is installed, 5 ms each time."""
    from importlib.metadata import version as installed

    return installed("coordeval")


def data_directory(ledger_path: Path) -> Path:
    """Where datasets are kept: beside the ledger."""
    return ledger_path.parent / "data"


def open_evaluation(
    loaded: LoadedStudy, path: Path, ledger: Ledger, clock: Callable[[], datetime] = now, model: Model | None = None
) -> Evaluation:
    """Everything that a run needs, checked before any work: the model can be built and its key is there.

    `model` answers in place of the study's own, for test benches; it has the same identity.
    """
    flight = Flight()
    model = model or build_model(loaded, data_directory(path), ledger, flight)
    return Evaluation.start(loaded, path, ledger, model, flight, clock)
