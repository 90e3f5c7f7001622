"""A run of a study of games: plan, play, end. The window, the journal, the budget and the end are those of every run."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from coordeval.flows.grounding.planning import plan
from coordeval.flows.grounding.study import LoadedGames
from coordeval.flows.run.ending import End
from coordeval.flows.run.live import live_progress
from coordeval.flows.run.run import Steps, recorded
from coordeval.flows.run.spending import Spending
from coordeval.flows.run.stopping import Stop
from coordeval.flows.run.waiting import so_far, told
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import Evaluation, open_evaluation
from coordeval.ledger import Ledger


async def run_games(
    loaded: LoadedGames, path: Path, console: Any, *, stop: Stop | None = None, command: str = "coordeval grounding run"
) -> End:
    """Play what is not played yet of a study, on the ledger at `path`; how it ended is printed and stored.

    Raises what stopped it (CancelledError, a CoordevalError) once how far it came is stored. `command` is what a person is
    told to go on with.
    """
    stop = stop or Stop()
    with stop.attached(), ExitStack() as stack:
        with told(so_far(f"{path} and the model to be opened"), partial(console.print, style="dim")):
            ledger = stack.enter_context(Ledger.open(path, purpose=f"coordeval grounding run {loaded.study.name}"))
            evaluation = open_evaluation(loaded, path, ledger)
        return await recorded(evaluation, console, stop, command, partial(_played, evaluation, loaded, console, stop))


async def _played(evaluation: Evaluation, loaded: LoadedGames, console: Any, stop: Stop, spending: Spending) -> None:
    with told(so_far("the games to be planned"), partial(console.print, style="dim")):
        made = plan(evaluation, loaded)
    for notice in made.notes:
        console.print(f"note: {notice}", style="yellow", markup=False, soft_wrap=True)
    steps = Steps(loaded.study.name)
    await steps.started(made.to_run)
    with live_progress(console, made, spending, steps, evaluation.model, noun=loaded.noun) as watch:
        await run_chunks(evaluation, made.chunks, watch=watch, store=spending, stop=stop)
