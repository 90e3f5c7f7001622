"""Before money is spent: the quote is shown, and whoever pays says yes to it."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from rich.console import Console

from coordeval.flows.costs.quote import Quote, quote
from coordeval.flows.costs.terminal import dollars, print_quote
from coordeval.flows.study.study import LoadedStudy
from coordeval.market_data.errors import CoordevalError


class NotAgreed(CoordevalError):
    """Nobody said yes to what a run may cost. Nothing was asked."""


def kept_within(most: float | None, budget: Decimal | None, up_to: Decimal | None) -> bool:
    """Whether nobody has to be asked: it costs nothing, or its upper end or its budget is within `up_to`."""
    if most == 0:
        return True
    return up_to is not None and any(limit is not None and limit <= up_to for limit in (most, budget))


def agreed(
    loaded: LoadedStudy,
    ledger: Path,
    console: Console,
    *,
    up_to: Decimal | None,
    ask: Callable[[str], bool] | None,
    markets: int | None = None,
) -> Quote | None:
    """Shows what the run should cost; returns the quote, or None where the study spends no money or has nothing to ask.

    `markets`: of the first so many only. No question where it can spend at most `up_to` USD: its budget is within it, or the
    quote's upper end is. Else `ask` is asked, and without one (no terminal) NotAgreed says how to agree.
    """
    if loaded.money != "paid":
        return None
    found = quote(loaded, ledger, markets=markets)
    if not found.open:
        return None
    print_quote(found.as_json(), console)
    live = found.live
    most = live.high if live.high is not None else live.mean
    budget = loaded.study.budget_usd
    if kept_within(most, budget, up_to):
        return found
    may = f"may cost {dollars(live.as_json())}" if most is not None else "costs an amount that is not known"
    limit = "" if up_to is None else f", more than --yes-up-to {up_to}"
    kept = "" if budget is None else f" (its budget_usd is {budget})"
    if ask is None:
        raise NotAgreed(
            f"{loaded.study.name} {may}{limit}{kept}, and there is no terminal to ask at: say --yes-up-to USD with "
            "the most that it may cost, or --yes for any amount"
        )
    if not ask(f"{loaded.study.name} {may}{limit}{kept}. Go on?"):
        raise NotAgreed("not agreed to: nothing was asked, nothing was spent")
    return found
