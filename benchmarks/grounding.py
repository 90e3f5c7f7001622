"""The grounding game: one instance enumerated, 1,000 games of simulated players, and processor time per answer.

The figures: at most 50 ms an instance; 60 s for 1,000 games on two free cores; 1 ms of CPU for a call. The tasks are made
before, and are not in the second figure; what is enumerated in a game is. Processor time is comparable on a busy machine.
"""

import time
from statistics import median

from coordeval.grounding import Conditions, instances, optimum, play
from coordeval.grounding.driving import played
from coordeval.grounding.optimum import allocations, together
from coordeval.grounding.simulated import Habits, pair_of

TASKS, GAMES = 50, 1_000


def main() -> None:
    tasks = instances(TASKS)
    rules = tasks[0].rules
    taken = []
    for task in tasks:
        for cached in (optimum, allocations, together):
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
