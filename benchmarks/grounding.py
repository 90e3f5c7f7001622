"""The grounding game: one instance enumerated, 1,000 games of simulated players, and processor time per answer.

The figures: at most 50 ms an instance; 60 s for 1,000 games on two free cores; 1 ms of CPU for a call. The tasks are made
before, and are not in the second figure; what is enumerated in a game is. The last figure is that of the study that comes
along, with fewer instances, from its plan to the last row in its ledger: without what the players themselves take to think,
and without the start of the process. Processor time is comparable on a busy machine.
"""

import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from coordeval.flows.grounding.running import run_games
from coordeval.flows.grounding.study import load_games
from coordeval.flows.run import guard
from coordeval.flows.terminal import Terminal
from coordeval.grounding import Conditions, instances, optimum, play
from coordeval.grounding.driving import played
from coordeval.grounding.optimum import allocations, together, values
from coordeval.grounding.simulated import Habits, SimulatedPlayer, pair_of
from coordeval.ledger import read

TASKS, GAMES = 50, 1_000


def main() -> None:
    tasks = instances(TASKS)
    rules = tasks[0].rules
    taken = []
    for task in tasks:
        for cached in (optimum, allocations, together, values):
            cached.cache_clear()
        start = time.process_time()
        optimum(rules, task.projects[0])
        taken.append(time.process_time() - start)
    print(f"one instance, its optimum and Pareto-optimal allocations: {median(taken) * 1e3:.1f} ms (the worst of {TASKS}: "
          f"{max(taken) * 1e3:.1f} ms; at most 50)")  # fmt: skip
    habits = Habits(ladder=(0.75, 1.0), forgets=0.2, anchors=0.2, splits=0.2, slips=0.1)
    cpu, wall, asks = time.process_time(), time.perf_counter(), 0
    for k in range(GAMES):
        asks += played(play(tasks[k % TASKS], Conditions()), pair_of(habits), replicate=k // TASKS).asks
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(f"{GAMES:,} games of simulated players, in one process: {wall:.1f} s, {cpu:.1f} s CPU (at most 60 s)")
    print(f"of each of {asks:,} answers: {cpu / asks * 1e3:.2f} ms CPU (at most 1)")
    whole_run()


def whole_run(instances: int = 12) -> None:
    """What the machinery takes for a call: draws, journal, ledger, the game's own rules, and no player."""
    thought, own = 0.0, SimulatedPlayer.hand_in

    def timed(self: SimulatedPlayer, *args: Any, **kwargs: Any) -> Any:
        nonlocal thought
        start = time.process_time()
        try:
            return own(self, *args, **kwargs)
        finally:
            thought += time.process_time() - start

    loaded = load_games(Path("studies/grounding.toml"), changes={"instances.count": instances})
    SimulatedPlayer.hand_in = timed  # type: ignore[method-assign]
    try:
        with TemporaryDirectory() as folder:
            ledger = Path(folder) / "ledger.duckdb"
            start = time.process_time()
            guard.run(run_games(loaded, ledger, Terminal(quiet=True)))
            cpu = time.process_time() - start
            games, calls = read(ledger).query("SELECT count(*), (SELECT count(*) FROM calls) FROM games").row(0)
    finally:
        SimulatedPlayer.hand_in = own  # type: ignore[method-assign]
    beyond, players = (cpu - thought) / calls * 1e3, thought / calls * 1e3
    print(f"{games:,} games through the whole run: of each of {calls:,} calls {beyond:.2f} ms CPU (at most 1), beyond the "
          f"{players:.2f} ms of its player")  # fmt: skip
