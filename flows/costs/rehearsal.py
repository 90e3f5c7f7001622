"""A study planned in a ledger that is thrown away: nothing is asked, nothing is paid, the user's ledger is only read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from coordeval.agents.providers import Around
from coordeval.flows.run.planning import cells_of_study, pull
from coordeval.flows.study.evaluation import Cell, Evaluation, data_directory
from coordeval.flows.study.study import LoadedStudy
from coordeval.ledger import Ledger, Reader, read
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.gate import MarketView
from coordeval.market_data.traces100 import NAME as TRACES

_COPIED = ("markets", "prices", "documents", "outcomes", "evidence_searches")
_MADE = """
    SELECT forecast_id FROM forecasts SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS forecast_id) USING (forecast_id)
    WHERE status = 'answered' OR NOT retryable
"""


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a run would have before it."""

    evaluation: Evaluation
    views: Sequence[MarketView]
    cells: Sequence[Cell]
    made: frozenset[str]
    """Ids of the forecasts that are stored already, and not asked for again."""
    stored: Reader | None
    """The user's own ledger; None where there is none yet."""

    @property
    def open(self) -> list[Cell]:
        """The cells that a run would make."""
        return [cell for cell in self.cells if cell.forecast_id not in self.made]


@contextmanager
def rehearsed(loaded: LoadedStudy, ledger: Path) -> Iterator[Rehearsed]:
    """The study's cells as they would be planned now, for the length of a with-block.

    Evidence that no run has gathered yet is not there: a study with evidence that never ran is planned without. Raises what
    `plan` raises, and CoordevalError for a prospective study, whose markets are picked later (`costs.ahead` has others).
    """
    loaded.study.check_backtest()
    stored = read(ledger) if ledger.is_file() else None
    with TemporaryDirectory(prefix="coordeval-rehearsal-") as folder:
        path = Path(folder) / "ledger.duckdb"
        model = loaded.provider.model(
            loaded.study.model, Around(data=data_directory(ledger), asks=False, asking=_asking(loaded))
        )
        with Ledger.open(path, purpose="a rehearsal") as own:
            evaluation = Evaluation.start(loaded, path, own, model)
            if loaded.sample:  # its markets were pulled before
                if stored is None:
                    raise CoordevalError(f"{ledger} does not exist, and the sample's markets are pulled into a ledger first")
                ids = [str(market) for market in loaded.sample["market_ids"]]
                _copy(stored, own, ids, _COPIED)
            elif loaded.study.markets.source == TRACES:  # downloaded once, to where runs look for it
                data_directory(ledger).mkdir(parents=True, exist_ok=True)
                evaluation.data.symlink_to(data_directory(ledger).absolute(), target_is_directory=True)
            ids = pull(evaluation)
            if stored is not None and not loaded.sample:
                _copy(stored, own, ids, ("documents", "evidence_searches"))
            views, cells = cells_of_study(evaluation, ids)
            yield Rehearsed(evaluation, views, cells, made_among(stored, cells), stored)


def made_among(stored: Reader | None, cells: Sequence[Cell]) -> frozenset[str]:
    """Ids of those cells whose forecast is stored, and not asked for again."""
    if stored is None:
        return frozenset()
    return frozenset(stored.query(_MADE, [[cell.forecast_id for cell in cells]])["forecast_id"])


def _asking(loaded: LoadedStudy) -> list[str]:
    return [name for name, configuration in loaded.configurations.items() if configuration.elements.endpoints]


def _copy(stored: Reader, own: Ledger, ids: Sequence[str], tables: Sequence[str]) -> None:
    semi = "SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS market_id) USING (market_id)"
    own.write_all({table: stored.query(f"FROM {table} {semi}", [list(ids)]).to_dicts() for table in tables})
