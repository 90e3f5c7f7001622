"""What units are worth: the best number of runs of a player's projects, exactly."""

from functools import lru_cache

from coordeval.grounding.game import Plan, Projects, Rules, Units


@lru_cache(maxsize=4096)
def worth(projects: Projects, units: Units) -> int:
    """The most that `units` earn, by all numbers of runs; units that no project uses earn nothing."""
    best = 0
    for project in projects:
        if any(project.needs) and all(need <= n for need, n in zip(project.needs, units, strict=True)):
            left = tuple(n - need for n, need in zip(units, project.needs, strict=True))
            best = max(best, project.reward + worth(projects, left))
    return best


def settled(rules: Rules, projects: tuple[Projects, Projects], plan: Plan) -> tuple[tuple[str, ...], tuple[int, int]]:
    """What is overdrawn, and what each earns: nothing for either where anything is."""
    if over := rules.over(plan):
        return over, (0, 0)
    first, second = (worth(own, units) for own, units in zip(projects, plan, strict=True))
    return (), (first, second)
