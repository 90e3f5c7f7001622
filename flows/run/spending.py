"""The dollars of a run in words that are never mixed: paid now, paid before, not paid (replayed), simulated."""

from collections.abc import Mapping
from typing import Any

from coordeval.agents.draws import DrawStore
from coordeval.agents.providers import Money
from coordeval.flows.study.study import LoadedStudy

Kind = Money


def kind_of(loaded: LoadedStudy) -> Kind:
    """What becomes of the dollars is the model's matter, not the markets': a live model on simulated markets is paid for."""
    return loaded.money


class Spending:
    """What a run made and what it cost.

    Each reply is counted once, when it is stored: a cell that is asked again, or draws what is there, adds nothing.
    """

    def __init__(self, store: DrawStore, kind: Kind, *, before: int) -> None:
        """`before`: millionths of a dollar that earlier runs of this study cost."""
        self._store = store
        self.kind: Kind = kind
        self.before = before
        self.now = 0
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
                return f"{now} paid now{unknown}" + (f", {before} paid before" if self.before else "")
            case "not paid":
                return f"nothing paid ({_usd(self.now + self.before)} of replayed replies)"
            case _:
                return f"nothing paid ({_usd(self.now + self.before)} simulated)"


def _usd(micro_usd: int) -> str:
    return f"${micro_usd / 1e6:.2f}"
