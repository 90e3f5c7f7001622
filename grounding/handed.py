"""What was handed in, as units and plans: the rules of the game held against rows that are sound in form."""

from collections.abc import Mapping, Sequence
from typing import Any

from coordeval.grounding.game import Plan, Rules, Units


def units_of(rows: Sequence[Mapping[str, Any]], rules: Rules) -> tuple[Units | None, str]:
    """Units of each resource, or what is wrong. Rows are those of a submission, {resource, units}."""
    bought = dict.fromkeys(rules.names, 0)
    for row in rows:
        if row["resource"] not in bought:
            return None, f"{row['resource']!r} is no resource of this game; there are {', '.join(rules.names)}"
        bought[row["resource"]] += row["units"]
    return tuple(bought.values()), ""


def purchase_problem(units: Units, rules: Rules) -> str:
    """What one player may not buy, whatever the other does; "" where it may. More than the supply may be asked for."""
    if (kinds := sum(map(bool, units))) > rules.most_types:
        return f"{kinds} kinds of resource are bought, at most {rules.most_types} may be"
    if (cost := rules.cost(units)) > rules.budget:
        return f"{rules.words(units)} cost {cost:g} coins, which is over the budget of {rules.budget:g}"
    return ""


def plan_of(rows: Sequence[Mapping[str, Any]], player: int, rules: Rules) -> tuple[Plan | None, str]:
    """The plan in rows {who, resource, units} that `player` wrote: "me" is the player. Who is not in it buys nothing."""
    parts: list[Units] = []
    for who in (0, 1):
        own = [row for row in rows if (row["who"] == "me") == (who == player)]
        names = [row["resource"] for row in own]
        if twice := [name for name in names if names.count(name) > 1]:
            return None, f"the plan names {twice[0]} twice for one player; give each resource once"
        units, problem = units_of(own, rules)
        if units is None:
            return None, problem
        parts.append(units)
    return (parts[0], parts[1]), ""


def rows_of(plan: Plan, player: int, rules: Rules) -> list[dict[str, Any]]:
    """The rows in which `player` writes a plan: the reverse of `plan_of`."""
    return [
        {"who": "me" if who == player else "you", "resource": name, "units": n}
        for who, units in enumerate(plan)
        for name, n in zip(rules.names, units, strict=True)
        if n
    ]


def purchases_of(units: Units, rules: Rules) -> list[dict[str, Any]]:
    """The rows in which units are submitted."""
    return [{"resource": name, "units": n} for name, n in zip(rules.names, units, strict=True) if n]
