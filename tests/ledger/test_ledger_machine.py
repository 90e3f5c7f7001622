"""Ledger and journal by rules, in any order: put, move, be held up, be refused by the disk, be killed, open again, back up.

What was promised is there, once, as it was promised last; what was refused is not half there.
"""

import asyncio
import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from coordeval.ledger import Ledger, LedgerBusy, LedgerWriteError, read
from coordeval.ledger.backup import backup
from tests.ledger import ledger_rows as rows

NAMES = st.integers(0, 5)


class LedgerByRules(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.number = 0
        self.draws: dict[str, int] = {}
        """Promised: name -> its price, as first stored."""
        self.cells: dict[str, float] = {}
        self.ledger = self.opened()

    @property
    def path(self) -> Path:
        return self.folder / f"life-{self.number}" / "x.duckdb"

    def opened(self) -> Ledger:
        ledger = Ledger.open(self.path, purpose="a machine")
        ledger._flusher.shutdown()
        return ledger

    @rule(name=NAMES, price=st.integers(0, 9))
    def put_draw(self, name: int, price: int) -> None:
        asyncio.run(self.ledger.put("draws", rows.draw(f"d{name}", micro_usd=price)))
        self.draws.setdefault(f"d{name}", price)

    @rule(name=NAMES, probability=st.sampled_from([0.1, 0.5, 0.9]), calls=st.integers(2, 3))
    def put_cell(self, name: int, probability: float, calls: int) -> None:
        asyncio.run(self.ledger.put_cell(rows.whole_cell(f"f{name}", calls=calls, probability=probability)))
        self.cells[f"f{name}"] = probability

    @rule()
    def flush(self) -> None:
        self.ledger.flush()

    @rule()
    def flush_while_a_reader_holds_the_file(self) -> None:
        pending = self.ledger._journal.pending
        with patch("coordeval.ledger.writer.connected", side_effect=LedgerBusy("held")):
            try:
                self.ledger.flush(wait=0.0)
            except LedgerBusy:
                assert pending
        assert self.ledger._journal.pending == pending, "nothing is let go of that did not move"

    @rule(name=NAMES)
    def put_on_a_full_disk(self, name: int) -> None:
        full = sqlite3.OperationalError("database or disk is full")
        real = self.ledger._journal._db

        class Full:
            def execute(self, *arguments: object) -> object:
                raise full

        self.ledger._journal._db = Full()  # type: ignore[assignment]
        try:
            asyncio.run(self.ledger.put("draws", rows.draw(f"refused-{name}")))
        except LedgerWriteError:
            pass
        else:
            raise AssertionError("it said that it is stored")
        finally:
            self.ledger._journal._db = real

    @rule(when=st.sampled_from(["before", "between", "after"]))
    @precondition(lambda self: self.ledger._journal.pending)
    def be_killed_while_rows_move(self, when: str) -> None:
        """`between`: rows are committed to DuckDB, and the journal still has them."""
        if when == "between":
            killed = patch.object(self.ledger._journal, "truncate", side_effect=KeyboardInterrupt)
            with killed, contextlib.suppress(KeyboardInterrupt):
                self.ledger.flush()
        elif when == "after":
            self.ledger.flush()
        self.begin_again()

    @rule()
    def be_killed(self) -> None:
        self.begin_again()

    def begin_again(self) -> None:
        """Another process finds what the files hold now: what this one would still write at its end does not count."""
        old = self.path.parent
        self.number += 1
        shutil.copytree(old, self.path.parent)
        for end in (".lock", ".writer.json"):
            Path(f"{self.path}{end}").unlink(missing_ok=True)
        self.ledger._shut()
        self.ledger = self.opened()

    @rule()
    def close_and_open(self) -> None:
        self.ledger.close()
        self.ledger = self.opened()

    @rule()
    def back_up_and_go_on_with_the_copy(self) -> None:
        self.number += 1
        copy = self.path
        self.number -= 1
        backup(self.path, copy)
        self.ledger.close()
        self.number += 1
        self.ledger = self.opened()

    @invariant()
    def what_was_promised_is_there_once(self) -> None:
        waiting = list(self.ledger._journal.entries())
        with read(self.path).moment() as reader:
            draws = dict(reader.query("SELECT draw_id, micro_usd FROM draws").rows())
            cells = dict(reader.query("SELECT forecast_id, probability FROM forecasts").rows())
            for table, key in (("draws", "draw_id"), ("forecasts", "forecast_id")):
                assert not reader.query(f"SELECT {key} FROM {table} GROUP BY 1 HAVING count(*) > 1").height
            assert not reader.query("SELECT 1 FROM forecasts ANTI JOIN calls USING (forecast_id)").height
        for entry in waiting:
            if entry.table == "draws":
                draws.setdefault(entry.row["draw_id"], entry.row["micro_usd"])
            else:
                cells[entry.row["forecasts"][0]["forecast_id"]] = entry.row["forecasts"][0]["probability"]
        assert draws == self.draws
        assert cells == self.cells

    def teardown(self) -> None:
        self.ledger._shut()
        shutil.rmtree(self.folder)


LedgerByRules.TestCase.settings = settings(
    max_examples=4, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
TestLedgerByRules = LedgerByRules.TestCase
