"""What a second terminal can see of a running study, and do to it. Nothing of a market's text is in it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from coordeval.flows.run.helm.place import HelmError
from coordeval.flows.run.spending import Spending
from coordeval.flows.run.stopping import Stop
from coordeval.flows.study.evaluation import Evaluation
from coordeval.market_data.errors import CoordevalError, choose

COUNTS = {"concurrent_calls": int, "requests_per_minute": float, "tokens_per_minute": float, "max_usd": float}
"""What `change` takes, and what each is."""


class Helm:
    """The commands of one run. Each returns what is then so, or raises CoordevalError with what is wrong."""

    def __init__(self, evaluation: Evaluation, spending: Spending, stop: Stop, pid: int) -> None:
        self._evaluation, self._spending, self._stop, self._pid = evaluation, spending, stop, pid
        self.window: Any = None
        """The window of cells, once there is one; None before, and where workers make the forecasts."""
        self._paused_at: datetime | None = None

    async def answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to {"do": command, ...}."""
        commands: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "status": self._nothing,
            "pause": self._pause,
            "resume": self._resume,
            "change": self._change,
            "again": self._again,
            "stop": self._end,
        }
        do = asked.get("do")
        if do not in commands:
            raise HelmError(choose("command", str(do), list(commands)))
        more = await commands[do](asked)
        return {**self.status(), **(more or {})}

    def status(self) -> dict[str, Any]:
        evaluation, model = self._evaluation, self._evaluation.model
        hold, budget, window = getattr(model, "holding", None), getattr(model, "budget", None), self.window
        paid = self._spending.kind == "paid"
        state = "planning" if window is None else "running"
        if hold is not None:
            state = "waiting"
        if self._paused_at is not None:
            state = "paused"
        return {
            "run_id": evaluation.run_id,
            "study": evaluation.loaded.study.name,
            "study_id": evaluation.loaded.id,
            "ledger": str(evaluation.path.absolute()),
            "pid": self._pid,
            "started_at": evaluation.started_at.isoformat(),
            "state": state,
            "waits_until": None if hold is None else hold.until.isoformat(),
            "to_make": None if window is None else window.planned,
            "made": self._spending.made,
            "under_way": None if window is None else window.under_way,
            "calls_under_way": getattr(model, "running", None),
            "failed_open": None if window is None else len(window.open_cells),
            "paid_usd": self._spending.now / 1e6 if paid else 0.0,
            "paid_before_usd": self._spending.before / 1e6 if paid else 0.0,
            "not_paid_usd": self._spending.made_up / 1e6 if paid else 0.0,
            "unknown_prices": self._spending.unknown,
            "max_usd": None if budget is None or budget.limit_micro_usd is None else budget.limit_micro_usd / 1e6,
            "concurrent_calls": getattr(model, "concurrency", None),
            "requests_per_minute": getattr(model, "requests_per_minute", None),
            "tokens_per_minute": getattr(model, "tokens_per_minute", None),
            "batch": evaluation.loaded.study.run.batch,
        }

    async def _nothing(self, asked: Mapping[str, Any]) -> None:
        return None

    async def _pause(self, asked: Mapping[str, Any]) -> None:
        self._here().pause(True)
        self._paused_at = self._paused_at or self._evaluation.clock()

    async def _resume(self, asked: Mapping[str, Any]) -> None:
        self._here().pause(False)
        self._paused_at = None

    async def _change(self, asked: Mapping[str, Any]) -> None:
        """Each value is checked before any is set."""
        self._here()
        values = {name: _number(name, asked[name]) for name in COUNTS if asked.get(name) is not None}
        if not values:
            raise HelmError(f"nothing to change: give one of {', '.join(COUNTS)}")
        model = self._evaluation.model
        budget = getattr(model, "budget", None)
        pace = {name: value for name, value in values.items() if name != "max_usd"}
        change: Any = getattr(model, "change", None)
        if pace and change is None:
            why = "calls go out in batches" if self._evaluation.loaded.study.run.batch else "the model sends nothing"
            raise HelmError(f"{', '.join(pace)}: this run has no pace to change, since {why}")
        if (usd := values.get("max_usd")) is not None:
            if budget is None:
                raise HelmError("max_usd: this run's model costs nothing, so it keeps no budget")
            await budget.raise_limit(int(Decimal(str(usd)) * 1_000_000))
        if pace:
            if "concurrent_calls" in pace:
                pace["concurrency"] = int(pace.pop("concurrent_calls"))
            change(**pace)

    async def _again(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"asked_again": self._here().again()}

    async def _end(self, asked: Mapping[str, Any]) -> None:
        if not self._stop.ask("coordeval ctl"):
            raise HelmError("this run cannot be stopped at this moment: it has not begun, or is at its end")

    def _here(self) -> Any:
        if self.window is None:
            raise HelmError(
                "this run is planning, or its forecasts are made by workers (--on), which take no such command: "
                "it can be looked at and stopped"
            )
        return self.window


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise CoordevalError(f"{name} = {value!r}: it must be a number above 0 and below a billion")
    if COUNTS[name] is int and value != int(value):
        raise CoordevalError(f"{name} = {value!r}: it must be a whole number")
    return value
