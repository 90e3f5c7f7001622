"""What pages know: the ledger's answers, each computed once per state of it, and long work done once, in the background."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

import polars as pl

from coordeval.analysis.base.arms import arms_table
from coordeval.analysis.figures.style import Look, looks
from coordeval.analysis.report.page import Report, build_report
from coordeval.analysis.study.leaderboard import REFERENCE
from coordeval.flows.dashboard import cells
from coordeval.flows.dashboard.first_answer import First, first_answer
from coordeval.flows.dashboard.view import View
from coordeval.flows.run.scoring import recorded, score
from coordeval.flows.study.study import PROBE
from coordeval.ledger import Reader, read
from coordeval.ledger.reader import Study
from coordeval.market_data.errors import CoordevalError, choose

T = TypeVar("T")
MOST_CELLS: Final = 100_000
"""Cells of a study beyond which intervals by resampling, which take minutes and gigabytes, are left to the report."""
SMALL: Final[Mapping[str, str | int]] = MappingProxyType({"memory_limit": "512MB", "threads": 2})
"""DuckDB would keep whatever it has read of the file, up to most of the machine's memory."""
_KEPT: Final = 48
_KEPT_BYTES: Final = 160_000_000
"""Of frames that are kept: the cells of a million forecasts take 57 MB, those of a filter as much again."""
_REPORTS: Final = 8
_PATIENCE: Final = 4.0
"""While a study grows it is computed again only after this many times as long as the last time took."""

_STATE = """
    SELECT (SELECT count(*) FROM cells WHERE study_id = $1) AS cells,
        (SELECT count(*) FROM cells c SEMI JOIN forecasts f ON hash(c.forecast_id) = hash(f.forecast_id)
            WHERE study_id = $1) AS made,
        (SELECT max(created_at) FROM forecasts) AS newest, (SELECT count(*) FROM outcomes) AS outcomes
"""

# As the reader's own, but joined by the hash of ids: a million ids of 64 characters take 200 MB in a join.
_STUDIES = """
    WITH made AS (SELECT hash(forecast_id) AS forecast, status FROM forecasts)
    SELECT s.study_id, s.name, s.source, s.model, s.simulated, s.created_at, s.locked_at,
        greatest(s.created_at, (SELECT max(started_at) FROM runs r WHERE r.study_id = s.study_id)) AS used_at,
        count(c.study_id) AS cells,
        count(*) FILTER (f.status = 'answered') AS answered,
        count(*) FILTER (f.status = 'failed') AS failed
    FROM studies s LEFT JOIN cells c USING (study_id) LEFT JOIN made f ON f.forecast = hash(c.forecast_id)
    WHERE (s.source = 'grounding') = $games GROUP BY ALL ORDER BY used_at DESC, s.study_id
"""


@dataclass(frozen=True, slots=True)
class Deeper:
    """The report of a view, or why it is not there (yet)."""

    report: Report | None
    waiting: bool
    note: str
    """Empty where the report is of this very state."""

    @property
    def why_no_interval(self) -> str:
        """In a cell of a table, where the report would have an interval."""
        return "being computed" if self.waiting else "`coordeval report` has it" if self.report is None else "not defined"


class Facts:
    """All that pages may ask. Safe for several threads; every query opens the ledger and closes it again."""

    def __init__(
        self,
        ledger: Path,
        *,
        now: Callable[[], float] = time.monotonic,
        arm: str = "",
        worker: ThreadPoolExecutor | None = None,
        whole: "Facts | None" = None,
    ) -> None:
        """`arm`: of studies that have several, the only one that is there (`in_arm`)."""
        self.ledger = ledger
        self.arm = arm
        self.whole = whole or self
        """The same of every arm: where another study is asked about, which may have no arm of that name."""
        self._arms: dict[str, Facts] = {}
        self._memo: OrderedDict[Hashable, Any] = OrderedDict()
        self._bytes: dict[Hashable, int] = {}
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()
        self._worker = worker or ThreadPoolExecutor(max_workers=1, thread_name_prefix="report")
        self._reports: OrderedDict[Hashable, tuple[str, Report | None, str]] = OrderedDict()
        self._asked: set[Hashable] = set()
        self._due: dict[Hashable, float] = {}
        self._now = now
        self._finished = 0

    @property
    def finished(self) -> int:
        """How many reports were made: pages that wait for one look again when it changes."""
        return self._finished + sum(one.finished for one in self._arms.values())

    def in_arm(self, view: View) -> "Facts":
        """The same of the arm that the view names; of a study with one arm, all of it.

        Raises CoordevalError for an arm that the study does not have.
        """
        names = self.arms(view)
        if len(names) < 2:
            return self
        arm = view.arm or names[0]
        if arm not in names:
            raise CoordevalError(choose("arm of this study", arm, names))
        return self._only(arm)

    def of(self, study_id: str) -> "Facts":
        """The same where another study is asked about: in the arm that this is of where it has one of that name, else in its
        first."""
        names = arms_table(self.study(study_id).content)["arm"].to_list()
        if len(names) < 2:
            return self.whole
        return self.whole._only(self.arm if self.arm in names else names[0])

    def _only(self, arm: str) -> "Facts":
        with self._lock:
            if arm not in self._arms:
                self._arms[arm] = Facts(self.ledger, now=self._now, arm=arm, worker=self._worker, whole=self)
            return self._arms[arm]

    def arms(self, view: View) -> list[str]:
        """The arms of the view's study, in its order."""
        if not self.studies():
            return []
        return arms_table(self.study(view.study).content)["arm"].to_list()

    def stamp(self) -> str:
        """Changes whenever the file does. Cheap: nothing is opened."""
        try:
            stat = self.ledger.stat()
        except FileNotFoundError:
            return "none"
        return f"{stat.st_mtime_ns:x}-{stat.st_size:x}"

    def reader(self) -> Reader:
        return read(self.ledger, settings=SMALL, arms=[self.arm, PROBE] if self.arm else None)

    def query(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> pl.DataFrame:
        """One SELECT; values are bound, never written into it."""
        return self.reader().query(sql, parameters or None)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gave for this key; threads that ask for the same thing wait for one computation."""
        with self._lock:
            if key in self._memo:
                self._memo.move_to_end(key)
                found: T = self._memo[key]
                return found
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._memo:
                    return self._memo[key]  # type: ignore[no-any-return]
            value = make()
            with self._lock:
                self._memo[key] = value
                self._making.pop(key, None)
                self._bytes[key] = size(value)
                while len(self._memo) > 1 and (len(self._memo) > _KEPT or sum(self._bytes.values()) > _KEPT_BYTES):
                    oldest, _ = self._memo.popitem(last=False)
                    self._bytes.pop(oldest)
            return value

    def studies(self) -> list[dict[str, Any]]:
        """Of every study of forecasts, the one used last first: study_id, name, cells, answered, failed and the like."""
        return self.once(("studies", self.stamp()), lambda: self.query(_STUDIES, {"games": False}).to_dicts())

    def game_studies(self) -> list[dict[str, Any]]:
        """The same of studies of games."""
        return self.once(("game studies", self.stamp()), lambda: self.query(_STUDIES, {"games": True}).to_dicts())

    def game_study(self, name: str) -> str | None:
        """The id of the study of games by that name or start of its id, else of the one used last; None: there is none."""
        known = self.game_studies()
        named = [row for row in known if name and (row["name"] == name or row["study_id"].startswith(name))]
        return str((named or known)[0]["study_id"]) if known else None

    def study(self, name: str) -> Study:
        """By name or the start of its id; empty: the one used last."""
        if not name:
            known = self.studies()
            if not known:
                raise CoordevalError(f"{self.ledger} holds no study yet; `coordeval run STUDY.toml` stores one")
            name = known[0]["study_id"]
        return self.once(("study", name, self.stamp()), lambda: self.reader().study(name))

    def state(self, study_id: str) -> str:
        """Changes whenever something of this study does."""

        def make() -> str:
            return "/".join(map(str, self.query(_STATE, [study_id]).row(0)))

        return self.once(("state", study_id, self.stamp()), make)

    def per_state(self, name: str, study_id: str, make: Callable[[], T], *rest: Hashable) -> T:
        """Computed once for each state of a study."""
        return self.once((name, study_id, self.state(study_id), *rest), make)

    def cells(self, study_id: str) -> pl.DataFrame:
        return self.per_state("cells", study_id, lambda: cells.load(self.reader(), study_id))

    def look(self, study_id: str) -> dict[str, Look]:
        """How each configuration is drawn on every page and under every filter: as in the report."""

        def make() -> dict[str, Look]:
            known = self.cells(study_id)
            own = looks(map(str, cells.without_copies(known)["configuration"].unique().to_list()))
            return dict.fromkeys(cells.names(known), own[REFERENCE]) | own

        return self.per_state("look", study_id, make)

    def within(self, view: View) -> pl.DataFrame:
        """The cells that the view's filters let through."""
        return cells.within(self.cells(self.study(view.study).study_id), view.scope)

    def first(self, view: View) -> First:
        study_id = self.study(view.study).study_id
        return self.per_state(
            "first", study_id, lambda: first_answer(self.within(view), view.policy), view.policy, view.scope
        )

    def kept(self, view: View) -> pl.DataFrame:
        """The cells that are scored under the view's policy."""
        study_id = self.study(view.study).study_id

        def make() -> pl.DataFrame:
            return cells.scored(cells.without_copies(self.within(view)), view.policy)

        return self.per_state("kept", study_id, make, view.policy, view.scope)

    def deeper(self, view: View) -> Deeper:
        """The report of the view's cells and policy; asks for it where it is not there, and does not wait.

        Of a large study none is made, whatever the filters: the report reads all of its forecasts before it filters them.
        """
        study_id = self.study(view.study).study_id
        if not self.within(view).filter(pl.col("status") != "pending").height:
            return Deeper(None, False, "no forecast is stored yet" if view.scope == View().scope else "no forecast is here")
        if (height := self.cells(study_id).height) > MOST_CELLS:
            return Deeper(
                None,
                False,
                f"of a study of {height:,} forecasts, resampling takes minutes and gigabytes: `coordeval report` does it. "
                "What is shown here rests on sums over events, which at this size comes to the same",
            )
        key, state = (study_id, view.policy, view.scope), self.state(study_id)
        with self._lock:
            made, report, failure = self._reports.get(key, ("", None, ""))
            if made == state:
                return Deeper(report, False, failure)
            if key not in self._asked and self._now() >= self._due.get(key, 0.0):
                self._asked.add(key)
                self._worker.submit(self._make, key, state, view)
            note = "being computed from the newest forecasts" if report else "being computed"
            return Deeper(report, True, f"intervals by resampling are {note}")

    def _make(self, key: Hashable, state: str, view: View) -> None:
        started, report, failure = self._now(), None, ""
        try:
            report = self._report(view)
        except CoordevalError as error:
            failure = str(error)
        except Exception as error:  # a page says so; the next state is tried again
            failure = f"the statistics failed: {error}"
        with self._lock:
            self._reports[key] = (state, report, failure)
            self._reports.move_to_end(key)
            while len(self._reports) > _REPORTS:
                self._reports.popitem(last=False)
            self._asked.discard(key)
            self._due[key] = self._now() + _PATIENCE * (self._now() - started)
            self._finished += 1

    def _report(self, view: View) -> Report:
        study_id = self.study(view.study).study_id
        if view.scope == View().scope:
            return score(self.ledger, study_id, policy=view.policy, arm=self.arm or None)
        with self.reader().moment() as reader:
            stored = reader.study(study_id)
            frame = _filtered(reader.forecast_frame(study_id).filter(pl.col("configuration") != PROBE), view)
            known = recorded(reader, study_id, frame)
            facts = asdict(stored) | {"forecasts_before": reader.forecasts_before(study_id)}
        markets, cut = frame.select("market_id").unique(), view.replicate

        def mine(part: pl.DataFrame | None) -> pl.DataFrame | None:
            if part is None:
                return None
            part = part.join(markets, on="market_id", how="semi")
            return part if cut is None else part.filter(pl.col("replicate") == cut)

        known = replace(known, estimates=mine(known.estimates), openings=mine(known.openings), draws=mine(known.draws))
        return build_report(frame, facts, policy=view.policy, record=known)

    def close(self) -> None:
        self._worker.shutdown(wait=False, cancel_futures=True)


def size(value: Any) -> int:
    """Bytes of the frames in a value, which are what takes room."""
    if isinstance(value, pl.DataFrame):
        return int(value.estimated_size())
    return sum(map(size, value)) if isinstance(value, tuple | list) else 0


def _filtered(frame: pl.DataFrame, view: View) -> pl.DataFrame:
    known = frame.with_columns(pl.col("category").fill_null(""), price=pl.col("market_price"))
    prices = cells.deciles(known)
    kept = cells.within(prices, view.scope)
    return kept.select(frame.columns)
