"""The dollars of a run in words that are never mixed: paid now, paid before, not paid (replayed, stand-in), simulated."""

from collections.abc import Mapping
from typing import Any

from coordeval.agents.draws import DrawStore
from coordeval.agents.messages import STAND_IN_REPLY, Model
from coordeval.agents.providers import Money
from coordeval.flows.study.study import LoadedStudy
from coordeval.ledger import Ledger

Kind = Money


def spending_of(loaded: LoadedStudy, ledger: Ledger, model: Model) -> "Spending":
    """What a run that begins now goes on from. Only behind an address of one's own can a stand-in have answered."""
    spent = ledger.spent_micro_usd(loaded.id)
    made_up = ledger.made_up_micro_usd(loaded.id) if "base_url" in model.identity else 0
    return Spending(ledger, kind_of(loaded), before=spent - made_up, made_up=made_up)


def kind_of(loaded: LoadedStudy) -> Kind:
    """What becomes of the dollars is the model's matter, not the markets': a live model on simulated markets is paid for."""
    return loaded.money


class Spending:
    """What a run made and what it cost.

    Each reply is counted once, when it is stored: a cell that is asked again, or draws what is there, adds nothing.
    """

    def __init__(self, store: DrawStore, kind: Kind, *, before: int, made_up: int = 0) -> None:
        """`before`: millionths of a dollar that earlier runs of this study paid; `made_up`: a stand-in's in them."""
        self._store = store
        self.kind: Kind = kind
        self.before = before
        self.now = 0
        self.made_up = made_up
        """Millionths of a dollar of replies by a stand-in, of this run and earlier ones: nobody pays them."""
        self.made = 0
        """Forecasts that this run stored."""
        self.unknown = 0
        """Replies of this run whose price is not known."""

    async def put(self, table: str, row: dict[str, Any]) -> None:
        """Returns once the row is on disk."""
        await self._store.put(table, row)
        if table == "draws":
            self.count(row)

    def count(self, draw: Mapping[str, Any]) -> None:
        """A reply that is on disk, however it came there."""
        price = draw["micro_usd"]
        if STAND_IN_REPLY in draw["reply"]:
            self.made_up += price or 0
            return
        self.unknown += price is None
        self.now += price or 0

    @property
    def paid_now(self) -> int | None:
        """Millionths of a dollar that this run paid; None where a price is not known, 0 where nothing is paid for."""
        if self.kind != "paid":
            return 0
        return None if self.unknown else self.now

    def __str__(self) -> str:
        unknown = f" + {self.unknown} replies of unknown price" if self.unknown else ""
        now, before = _usd(self.now), _usd(self.before)
        match self.kind:
            case "paid":
                free = f"not paid: {_usd(self.made_up)} (stand-in)" if self.made_up else ""
                if free and not (self.now or self.before or self.unknown):
                    return free
                paid = f"{now} paid now{unknown}" + (f", {before} paid before" if self.before else "")
                return f"{paid}, {free}" if free else paid
            case "not paid":
                return f"nothing paid ({_usd(self.now + self.before)} of replayed replies)"
            case _:
                return f"nothing paid ({_usd(self.now + self.before)} simulated)"


def _usd(micro_usd: int) -> str:
    return f"${micro_usd / 1e6:.2f}"
