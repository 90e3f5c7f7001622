"""A study's first markets, forecast now so that the rest can be quoted from its own calls. They are not asked for again."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console

from coordeval.flows.costs.consent import PILOT, Door, agreed
from coordeval.flows.run import guard
from coordeval.flows.run.gathering import gather
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.run import recorded
from coordeval.flows.run.spending import Spending
from coordeval.flows.run.stopping import Stop
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.study import LoadedStudy
from coordeval.ledger import Ledger


def piloted(
    loaded: LoadedStudy, path: Path, console: Console, markets: int, up_to: Decimal | None, ask: Callable[[str], bool] | None
) -> None:
    """Forecasts the first `markets` of the study, inside its budget, as a run would; those that are made are not made again.

    Raises what `agreed` and a run raise.
    """
    loaded.study.check_backtest()
    agreed(loaded, path, console, Door(how=PILOT, up_to=up_to, ask=ask), markets=markets)
    stop = Stop()
    with Ledger.open(path, purpose=f"coordeval quote {loaded.study.name}") as ledger:
        evaluation = open_evaluation(loaded, path, ledger)
        ids = pull(evaluation)[:markets]

        async def made(spending: Spending) -> None:
            await gather(evaluation, ids)
            await run_chunks(evaluation, plan(evaluation, ids).chunks, store=spending, stop=stop)

        async def whole() -> Any:
            with stop.attached():
                return await recorded(evaluation, console, stop, "coordeval run", made, ids)

        with stop.caught():
            guard.run(whole())
