"""Before money is spent: whoever pays says yes to it, by whatever way a model is asked. This is the one place that decides.

At a terminal a quote is shown and asked about. Where nobody is there to be asked (a scheduled job, a notebook) a bound that
somebody wrote down is the yes: `budget_usd`, or limits in [budget] that hold all of the study.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from coordeval.analysis.base.arms import MAIN
from coordeval.flows.costs.exam import examined
from coordeval.flows.costs.quote import Quote, quote
from coordeval.flows.costs.terminal import dollars, print_quote
from coordeval.flows.study.names import PROBE
from coordeval.flows.study.schema import Study
from coordeval.flows.study.study import LoadedStudy
from coordeval.ledger import read
from coordeval.market_data.errors import CoordevalError

COMMAND: Final = (
    "there is no terminal to ask at: say --yes-up-to USD with the most that it may cost, or --yes for any amount"
)
PILOT: Final = "there is no terminal to ask at: say --yes-up-to USD with the most that it may cost"
FLOW: Final = (
    "nobody is there to be asked: write the most that it may cost into the study file (budget_usd = 40, or cell_usd in "
    "[budget])"
)
JOB: Final = f"{FLOW}, or say it to `coordeval wake` with --set max_usd=40"
NOTEBOOK: Final = (
    "a notebook does not ask: say coordeval.run(study, max_usd=40) with the most that it may cost, or yes=True for any "
    "amount, or write budget_usd into the study file"
)


class NotAgreed(CoordevalError):
    """Nobody said yes to what a run may cost. Nothing was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One way by which a model comes to be asked, and what is a yes there."""

    how: str
    """What to do for a yes where there is nobody to ask, in words."""
    up_to: Decimal | None = None
    """USD that it may cost without a question."""
    ask: Callable[[str], bool] | None = None
    """Asks somebody; None: nobody is there."""
    bound_is_yes: bool = False
    """A bound that was written down is the consent."""
    yes: bool = False
    """Any amount."""
    unchecked: bool = False
    """Also with a model that failed its exam."""


def kept_within(most: float | None, budget: Decimal | None, up_to: Decimal | None) -> bool:
    """Whether nobody has to be asked: it costs nothing, or its upper end or its budget is within `up_to`."""
    if most == 0:
        return True
    return up_to is not None and any(limit is not None and limit <= up_to for limit in (most, budget))


def bounded(study: Study) -> bool:
    """Whether all that the study asks is held by a limit that its file, or who started it, states."""
    if study.budget_usd is not None or study.budget.cell_usd is not None:
        return True
    labels = {entry.key for entry in study.configurations} | ({PROBE} if study.agents.memorisation_probe else set())
    return labels <= study.budget.configurations.keys()


def agreed(
    loaded: LoadedStudy,
    ledger: Path,
    console: Any,
    door: Door,
    *,
    markets: int | None = None,
    expected: Callable[[], Quote] | None = None,
) -> Quote | None:
    """Returns once what the study may cost is agreed to: the quote, or None where none was needed. Raises NotAgreed.

    Where a quote is needed it is shown on `console` (a rich one; of what nobody reads, its `print` of text is enough);
    where somebody is there, they are asked. `expected` makes it; else it is of the study's first `markets` (None: all).
    Raises CoordevalError for a model that failed its exam, and notes one without.
    """
    if loaded.money != "paid":
        return None
    note = None if door.unchecked else _exam(loaded, ledger)
    if door.yes or (door.bound_is_yes and bounded(loaded.study)):
        _say(console, note)
        return None
    found = quote(loaded, ledger, markets=markets) if expected is None else expected()
    if not found.open:
        return None
    _say(console, note)
    if not door.bound_is_yes:  # somebody reads it
        print_quote(found.as_json(), console)
    live = found.live
    most = live.high if live.high is not None else live.mean
    budget = loaded.study.budget_usd
    if kept_within(most, budget, door.up_to):
        return found
    may = f"may cost {dollars(live.as_json())}" if most is not None else "costs an amount that is not known"
    limit = "" if door.up_to is None else f", more than --yes-up-to {door.up_to}"
    kept = "" if budget is None else f" (its budget_usd is {budget})"
    if door.ask is None:
        raise NotAgreed(f"{loaded.study.name} {may}{limit}{kept}, and {door.how}")
    if not door.ask(f"{loaded.study.name} {may}{limit}{kept}. Go on?"):
        raise NotAgreed("not agreed to: nothing was asked, nothing was spent")
    return found


def agreed_to_at_most(loaded: LoadedStudy, ledger: Path, console: Any, door: Door, what: str, most: float | None) -> None:
    """Returns once it is agreed to that `what`, which is no run of the study, may cost `most` USD (None: not known).

    Raises NotAgreed, or CoordevalError for a model that failed its exam; notes one that had none.
    """
    if loaded.money != "paid":
        return
    note = None if door.unchecked else _exam(loaded, ledger)
    _say(console, note)
    if door.yes or kept_within(most, loaded.study.budget_usd, door.up_to):
        return
    limit = "" if door.up_to is None else f", more than --yes-up-to {door.up_to}"
    may = f"{what} may cost {'an amount that is not known' if most is None else f'up to ${most:,.2f}'}{limit}"
    if door.ask is None:
        raise NotAgreed(f"{may}, and {door.how}")
    if not door.ask(f"{may}. Go on?"):
        raise NotAgreed("not agreed to: nothing was asked, nothing was spent")


def agreed_without_limit(loaded: LoadedStudy, *, yes: bool, ask: Callable[[str], bool] | None) -> None:
    """Consent to an exam whose --max-usd cannot be kept, since no price of the model is known. Raises NotAgreed."""
    model = loaded.study.model_name
    says = f"the price of {model} is not known, so --max-usd cannot be kept"
    if yes or (ask is not None and ask(f"{says}. Go on?")):
        return
    raise NotAgreed(f"{says}: give it under [prices.{model!r}] in the study (0 for a model of your own), or say --yes")


def _exam(loaded: LoadedStudy, ledger: Path) -> str | None:
    """What to say about a model that was never examined in this setting; None: it passed. Raises where it failed."""
    first = {arm.model: arm for arm in reversed(loaded.compared)}  # of each model the first arm that asks it
    missing = []
    for arm in [one for one in loaded.compared if first[one.model] is one]:
        own = loaded if arm.name == MAIN else loaded.alone(arm.name)
        if not (ledger.is_file() and examined(own, read(ledger))):
            missing.append((own.study.model_name, "" if arm.name == MAIN else f" --arm {arm.name!r}"))
    if not missing:
        return None
    names = ", ".join(name for name, _ in missing)
    return (
        f"{names} {'was' if len(missing) == 1 else 'were'} not examined with these settings: `coordeval check-model "
        f"STUDY{missing[0][1]}` shows whether it calls tools and answers in form, for at most $5"
    )


def _say(console: Any, note: str | None) -> None:
    if note is not None:
        console.print(f"note: {note}", style="yellow", markup=False, highlight=False, soft_wrap=True)
