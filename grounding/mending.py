"""A repair at work: what it says is held against what a repair may say, for it may be somebody else's code."""

from collections.abc import Iterable
from typing import Any, Literal, get_args

from coordeval.agents.scaffold import Statement
from coordeval.grounding.game import MEDIATOR, PLAYERS, GameError, Step
from coordeval.grounding.repairs import Extra, Repair
from coordeval.grounding.table import Table

_STEPS = tuple(step for step in get_args(Step) if step in ("restating", "mediation"))


def shown_by(repair: Repair, what: Literal["earlier", "beside"], table: Table, player: int) -> list[Statement]:
    """What a repair shows a player. Raises GameError naming the repair where that is no list of statements."""
    return _listed(repair, what, Statement, lambda: getattr(repair, what)(table, player))


def extras_of(repair: Repair, table: Table) -> list[Extra]:
    """The asks that a repair adds. Raises GameError naming the repair, the ask and the rule that it breaks."""
    extras = _listed(repair, "extras", Extra, lambda: repair.extras(table))
    for number, extra in enumerate(extras, start=1):
        if extra.player not in (*PLAYERS, MEDIATOR):
            raise GameError(
                f"repair {repair.name!r}: ask {number} goes to player {extra.player!r}; players are 0 and 1, the mediator 2"
            )
        if extra.step not in _STEPS:
            raise GameError(
                f"repair {repair.name!r}: ask {number} is of step {extra.step!r}; it is one of {', '.join(_STEPS)}"
            )
    if len({extra.player for extra in extras}) < len(extras):
        raise GameError(f"repair {repair.name!r} asks one player twice at once; ask each once between talk and submission")
    return extras


def _listed(repair: Repair, what: str, kind: type, call: Any) -> list[Any]:
    try:
        found = call()
        listed = list(found) if isinstance(found, Iterable) else None
    except GameError:
        raise
    except Exception as error:  # a plugin may raise anything; the game says whose fault it is
        raise GameError(f"repair {repair.name!r}: {what} failed with {type(error).__name__}: {error}") from error
    if listed is None or not all(isinstance(one, kind) for one in listed):
        raise GameError(f"repair {repair.name!r}: {what} gave {found!r:.200}; it gives a list of {kind.__name__}")
    return listed
