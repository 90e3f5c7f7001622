"""The words in which the game is put to a player: everything that it is told, it is told here."""

from functools import cache
from importlib.resources import files

from coordeval.grounding.game import Conditions, Instance, Plan, Projects, Rules


@cache
def instructions() -> str:
    """The system prompt, the same for every player of every game."""
    return template("instructions")


@cache
def template(name: str) -> str:
    return files("coordeval.grounding").joinpath(f"prompts/{name}.md").read_text(encoding="utf-8").strip()


@cache
def facts(instance: Instance, number: int, player: int, conditions: Conditions) -> str:
    """What a player knows of a round before anything is said: who it is, the rules' numbers, and projects."""
    own, other = instance.projects[number][player], instance.projects[number][1 - player]
    who = [f"You are player {player + 1}. This is round {number + 1} of {instance.rules.rounds}."]
    told = _projects(other, instance.rules) if conditions.disclosed else ["You are not told them."]
    return "\n".join(
        [*who, *_numbers(instance), "Your projects:", *_projects(own, instance.rules), "The other player's projects:", *told]
    )


@cache
def all_facts(instance: Instance, number: int) -> str:
    """What somebody is told who sees the projects of both."""
    said = [f"This is round {number + 1} of {instance.rules.rounds}.", *_numbers(instance)]
    for player, own in enumerate(instance.projects[number]):
        said += [f"The projects of player {player + 1}:", *_projects(own, instance.rules)]
    return "\n".join(said)


def _numbers(instance: Instance) -> list[str]:
    rules = instance.rules
    changing = "Projects are others in each round." if instance.rotating else "Projects are the same in every round."
    return [
        "Resources, for both players together:",
        *(f"- {one.name}: {one.supply} units, {one.cost:g} coins each" for one in rules.resources),
        f"Each player may spend {rules.budget:g} coins in this round, on {rules.most_types} kinds of resource at most.",
        changing,
    ]


def _projects(projects: Projects, rules: Rules) -> list[str]:
    return [f"- {one.name}: each run needs {rules.words(one.needs)} and earns {one.reward}" for one in projects]


def outcome(rules: Rules, plan: Plan, over: tuple[str, ...], earned: int | None) -> str:
    """What a player sees after a round: both allocations, and what it earned itself (None: it is no player)."""
    void = f" Too much was wanted of: {', '.join(over)}. The round was void." if over else ""
    own = "" if earned is None else f" You earned {earned}."
    return f"Bought: {rules.plan_words(plan)}.{void}{own}"
