"""One cell becomes a forecast, or a failed row that says why there is none. Never its neighbours' business."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Protocol

from coordeval.agents.cell import AskFailed, BoundReached, CellAgents
from coordeval.agents.messages import Model
from coordeval.analysis.base.arms import MAIN
from coordeval.configurations import Estimate, Panel, PanelError
from coordeval.configurations.acts import Act
from coordeval.configurations.isolation import Isolated
from coordeval.flows.run import guard
from coordeval.flows.run.custody import Custody
from coordeval.flows.run.known import numbers_of
from coordeval.flows.study.evaluation import Cell
from coordeval.ledger import CellRows
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.secrets import redacted

SETTLE_SECONDS = 900.0
"""How long a cell waits for calls that nobody of its configuration waits for any more, and that are charged to it."""
BATCH_SETTLE_SECONDS = 100_000.0
"""The same where calls go out in batches: these end within a day."""

Result = tuple[float | None, str | None, bool]
"""(probability, why there is none, whether a resumed run may get one)."""


class Making(Protocol):
    """What making a cell asks of its run; an `Evaluation` has it."""

    @property
    def run_id(self) -> str: ...
    @property
    def simulated(self) -> bool: ...
    @property
    def batch(self) -> bool: ...
    @property
    def clock(self) -> Callable[[], datetime]: ...


class Sitting(Protocol):
    """What is done at one cell: a forecast at its panel, or a game. It asks agents through the custody that it is given."""

    async def run(self) -> object:
        """All of it. May raise anything: that goes into the cell's row."""
        ...

    def result(self, returned: object) -> Result:
        """What came out, of what `run` returned. Raises PanelError where that is nothing that it can have returned."""
        ...

    @property
    def asks(self) -> Sequence[Mapping[str, Any]]:
        """A record per ask, in program order; see `Panel.asks`."""
        ...

    @property
    def call_graph(self) -> str:
        """Hash of the procedure."""
        ...

    def rows(self, asks: Sequence[Mapping[str, Any]]) -> dict[str, Sequence[dict[str, Any]]]:
        """Rows of its own tables, by name."""
        ...


Sits = Callable[[Cell, Custody], Sitting]
"""Who sits down at a cell; asks go to the custody."""


class _Forecasting:
    """A configuration at its panel."""

    def __init__(self, cell: Cell, custody: Custody) -> None:
        price = cell.view.price
        shows = cell.settings.show_price or not _asks(cell)
        self._cell = cell
        self._panel = Panel(
            question=cell.view.market.question,
            # the baseline that repeats the price may read it; what agents see is decided by the study's show_price
            market_price=price.price if price is not None and shows else None,
            elements=cell.configuration.elements,
            roles=cell.roles,
            answering=custody,
            facts=numbers_of(cell.view),
        )

    async def run(self) -> object:
        return await self._cell.configuration.forecast(self._panel)

    def result(self, returned: object) -> Result:
        if self._panel.aborted is not None:
            return None, self._panel.aborted, False
        return self._panel.answered(returned), None, False

    @property
    def asks(self) -> Sequence[Mapping[str, Any]]:
        return self._panel.asks

    @property
    def call_graph(self) -> str:
        return self._panel.call_graph

    def rows(self, asks: Sequence[Mapping[str, Any]]) -> dict[str, Sequence[dict[str, Any]]]:
        forecast_id = self._cell.forecast_id
        return {
            "messages": [row for record in asks for row in _message_rows(forecast_id, record)],
            "parts": [
                {"forecast_id": forecast_id, "ask": record["ask"], **parts}
                for record in asks
                if (parts := record["parts"])["asked"] or parts["given"] or parts["blank"]
            ],
            "acts": [_act_row(act) for record in asks for act in getattr(record["said"], "acts", ())],
        }


async def run_cell(evaluation: Making, cell: Cell, model: Model) -> CellRows:
    """One forecast, or the reason why there is none.

    Raises CoordevalError for what is no failure of this forecast (a key that is refused, a full disk), so the run stops and
    says so; and CancelledError only where the run is stopped, whatever the configuration cancels.
    """
    guard.install(asyncio.get_running_loop())
    settings = cell.settings
    agents = CellAgents(
        model=model,
        settings=settings,
        view=cell.view,
        forecast_id=cell.forecast_id,
        configuration=cell.label,
        replicate=cell.replicate,
    )
    arm = "" if cell.arm == MAIN else f" in the arm {cell.arm!r}"
    name = f"{cell.label}{arm}, market {cell.view.market.id}, replicate {cell.replicate + 1}"
    custody = Custody(agents, settings.bounds, guard.Owner(name))
    sitting: Sitting = (cell.sits or _Forecasting)(cell, custody)
    returned, raised = await custody.conduct(sitting.run)
    unsettled = await agents.settle(BATCH_SETTLE_SECONDS if evaluation.batch else SETTLE_SECONDS)
    for failure in (custody.failure, *agents.unheard):
        if isinstance(failure, CoordevalError) and not isinstance(failure, AskFailed | BoundReached):
            raise failure
    unheard = agents.unheard[0] if agents.unheard else None
    result = _ended(cell, custody, unheard) or _result(cell, sitting, custody, returned, raised)
    rows = _rows(evaluation, cell, custody, sitting, result, unsettled)
    if custody.owner.stubborn:  # what was cut off stays until the process ends, and must not hold the ledger until then
        del custody.agents
    return rows


def _ended(cell: Cell, custody: Custody, unheard: BaseException | None) -> Result | None:
    """What a cell that was ended from outside its configuration is; None where it was not."""
    match failure := custody.failure or unheard:
        case None:
            return None
        case BoundReached() if custody.owner.stubborn:  # the same code again would end the same
            return None, f"{failure.reason}; and {_stubborn(cell, custody.owner)}", False
        case AskFailed() | BoundReached():
            return None, failure.reason, failure.retryable
        case _:  # a fault of ours, met by one ask: its cell stays open, the others go on
            return None, f"an ask of {cell.label} met {type(failure).__name__}: {_words(failure)}", True


def _stubborn(cell: Cell, owner: guard.Owner) -> str:
    tasks = "a task of it" if owner.stubborn == 1 else f"{owner.stubborn} tasks of it"
    return (
        f"{cell.label} did not end when it was called off: {tasks} went on {guard.RELEASE_TRIES} times and had to be "
        "cut off. Let asyncio.CancelledError through, in `except BaseException` and around `asyncio.shield` too"
    )


def _result(cell: Cell, sitting: Sitting, custody: Custody, returned: object, raised: BaseException | None) -> Result:
    """What a configuration's own end is worth."""
    if custody.owner.trespassed or custody.owner.stubborn:
        tasks = f"{cell.label} cancelled tasks that are not its own"
        return None, tasks if custody.owner.trespassed else _stubborn(cell, custody.owner), False
    if raised is not None:
        return _raised(cell, raised)
    try:
        probability, reason, retryable = sitting.result(returned)
    except PanelError as error:
        return None, _words(error), False
    if reason is not None:
        return None, reason, retryable
    failures = [record["failure"] for record in sitting.asks if record["said"] is None]
    if _asks(cell) and len(failures) == len(sitting.asks):
        asked = f"none of its {len(failures)} asks was answered; first: {failures[0]}" if failures else "it asked no agent"
        return None, f"{cell.label} concluded {probability!r}, which rests on no answer: {asked}", False
    return probability, None, False


def _raised(cell: Cell, raised: BaseException) -> Result:
    """The reason in what a configuration raised; of a group, what is inside."""
    reasons: list[str] = []
    retryable = False
    for error in _leaves(raised):
        match error:
            case AskFailed():
                reasons.append(_words(error))
                retryable |= error.retryable
            case PanelError():
                reasons.append(_words(error))
            case asyncio.CancelledError():
                reasons.append(f"{cell.label} cancelled its own task")
                retryable = True
            case guard.EscapedError():
                reasons.append(f"{cell.label} raised {error}")
                retryable = True
            case _:
                reasons.append(f"{cell.label} raised {type(error).__name__}: {_words(error)}")
                retryable = True
    return None, "; ".join(dict.fromkeys(reasons)), retryable


def _words(error: BaseException) -> str:
    """What a foreign error says, as text that can be stored, whatever its own `__str__` does."""
    try:
        said = str(error)
    except Exception as worse:
        said = f"(its text cannot be had: {type(worse).__name__})"
    return redacted(said).encode(errors="replace").decode()[:_LONGEST]


_LONGEST = 2_000
"""Characters of a foreign text that are kept in a reason."""


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inside in error.exceptions:
            yield from _leaves(inside)
    else:
        yield error


def _asks(cell: Cell) -> bool:
    return bool(cell.configuration.elements.endpoints)


def _rows(
    evaluation: Making,
    cell: Cell,
    custody: Custody,
    sitting: Sitting,
    result: Result,
    unsettled: int,
) -> CellRows:
    probability, reason, retryable = result
    agents, calls = custody.agents, custody.agents.calls
    asks = [{**record, "failure": custody.reasons.get(record["ask"], record["failure"])} for record in sitting.asks]
    forecast = {
        "forecast_id": cell.forecast_id,
        "run_id": evaluation.run_id,
        "market_id": cell.view.market.id,
        "configuration": cell.configuration.name,
        "replicate": cell.replicate,
        "status": "answered" if reason is None else "failed",
        "probability": probability,
        "reason": reason,
        "retryable": retryable,
        "attributed_micro_usd": None if unsettled else _total(calls, "attributed_micro_usd"),
        "paid_micro_usd": None if unsettled else _total(calls, "paid_micro_usd"),
        "input_tokens": sum(call["input_tokens"] for call in calls),
        "output_tokens": sum(call["output_tokens"] for call in calls),
        "cache_read_tokens": sum(call["cache_read_tokens"] for call in calls),
        "cache_write_tokens": sum(call["cache_write_tokens"] for call in calls),
        "model_calls": len(calls),
        "tool_calls": len(agents.tool_calls),
        "seconds": sum(call["seconds"] for call in calls),
        "call_graph": sitting.call_graph,
        "simulated": evaluation.simulated,
        "created_at": evaluation.clock(),
        "isolation": _isolation(cell),
    }
    return CellRows(
        forecast=forecast,
        calls=calls,
        tool_calls=agents.tool_calls,
        estimates=[_estimate_row(cell.forecast_id, record) for record in asks],
        **sitting.rows(asks),
    )


def _act_row(act: Act) -> dict[str, Any]:
    row = asdict(act)
    return row | {"said": row.pop("text")}


def _isolation(cell: Cell) -> str | None:
    """How a configuration was kept apart: null, it ran in the run's own process."""
    if not isinstance(cell.configuration, Isolated):
        return None
    return f"worker process; closed to it: {', '.join(cell.configuration.closed) or 'nothing'}"


def _message_rows(forecast_id: str, record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    made = [(source, text) for text, sources in record["statistics"] for source in sources]
    for source, statistic in (*((source, None) for source in record["direct"]), *made):
        yield {"forecast_id": forecast_id, "from_ask": source, "to_ask": record["ask"], "statistic": statistic}


def _total(calls: Sequence[dict[str, Any]], column: str) -> int | None:
    """The sum, or None where one price is unknown: a partial sum would read as the whole."""
    amounts = [call[column] for call in calls]
    return None if None in amounts else sum(amounts)


def _estimate_row(forecast_id: str, record: Mapping[str, Any]) -> dict[str, Any]:
    said = record["said"]
    row = {name: record[name] for name in ("ask", "agent", "round", "role")}
    if said is None:
        answer = {"kind": "failed", "probability": None, "rationale": record["failure"], "reading": ""}
    elif isinstance(said, Estimate):
        answer = {
            "kind": "estimate",
            "probability": said.probability,
            "rationale": said.rationale,
            "reading": said.reading,
        }
    else:  # whatever its form, a text without a probability
        answer = {"kind": "report", "probability": None, "rationale": said.text, "reading": ""}
    return {"forecast_id": forecast_id, **row, **answer}
