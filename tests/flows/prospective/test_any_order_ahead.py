"""A prospective study by rules, in any order: days pass or are missed, steps are doubled, killed and back in time, and the
venue resolves markets, takes that back, turns it round and deletes them."""

import contextlib
import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from coordeval.flows.prospective import forecasting, ground
from coordeval.flows.prospective.committing import changed_since
from coordeval.flows.prospective.daily import forecast_day, resolve_day
from coordeval.flows.prospective.ground import ProspectiveError
from coordeval.flows.schedule.days import ClocksDisagree
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read
from coordeval.ledger.commitments import day_proof, day_roots, verify
from coordeval.ledger.database import kept_open
from coordeval.market_data.opening import Ending
from coordeval.market_data.types import Outcome
from tests.flows.prospective.conftest import day, written
from tests.flows.prospective.test_prospective import changed


class Killed(BaseException):
    """The process is gone."""


def ends(*given):
    raise Killed


def after(commit):
    def committed(*given):
        commit(*given)
        raise Killed

    return committed


class Ahead(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.open = contextlib.ExitStack()
        self.open.callback(shutil.rmtree, self.folder)
        self.now = self.latest = 0.0
        self.said, self.roots, self.scored = {}, {}, {}

    @initialize()
    def begin(self):
        self.loaded, self.file = load_study(written(self.folder)), self.folder / "ledger.duckdb"
        self.book = self.open.enter_context(Ledger.open(self.file, purpose="a machine"))
        self.open.enter_context(kept_open(self.file))
        self.open.enter_context(patch.object(ground, "SimulatedOpen", lambda venue: changed(venue, of=self.ending)))

    def ending(self, market_id, at):
        how = self.said.get(market_id)
        if how is None:
            return None
        resolved = isinstance(how, int)
        outcome = Outcome(
            market_id=market_id,
            status="resolved" if resolved else "unresolved",
            value=how if resolved else None,
            resolved_at=at if resolved else None,
            reason="" if resolved else "r",
        )
        return Ending(outcome=outcome, gone=how == "gone")

    def step(self, do):
        """Makes a step now. Of a clock that went back it is refused, and nothing is done."""
        try:
            made = do(self.loaded, self.book, now=day(0, hours=24 * self.now))
        except (ProspectiveError, ClocksDisagree):
            assert self.now < self.latest, "only a clock that went back is refused"
            self.now = self.latest
            return None
        finally:
            self.latest = max(self.now, self.latest)
        return made

    @rule(days=st.sampled_from([0, 0.1, 1, 1, 2, 3]))
    def time_passes(self, days):
        self.now += days

    @rule()
    def the_clock_goes_back(self):
        self.now = max(0.0, self.now - 1.5)

    @rule()
    def forecast(self):
        self.step(forecast_day)

    @rule(when=st.sampled_from(["before it is committed to", "after"]))
    def forecast_and_be_killed(self, when):
        killed = ends if when != "after" else after(forecasting.commit)
        with patch.object(forecasting, "commit", killed), contextlib.suppress(Killed):
            self.step(forecast_day)

    @rule()
    def resolve_and_score(self):
        found = self.step(resolve_day)
        if found is not None:
            assert found.picked == found.awaiting + found.scored + sum(found.not_scored.values())
            again = self.step(resolve_day)
            assert (again.scored, again.changed, again.brier) == (found.scored, 0, found.brier), "twice is once"

    @precondition(lambda self: self.roots)
    @rule(which=st.integers(0, 99), how=st.sampled_from([0, 1, 1, "taken back", "gone"]))
    def the_venue_says(self, which, how):
        picks = read(self.file).query("SELECT market_id FROM picks ORDER BY market_id")["market_id"].to_list()
        self.said[picks[which % len(picks)]] = how

    @invariant()
    def a_root_that_was_there_stays(self):
        if not hasattr(self, "book"):
            return
        roots = {row["day"]: row["root"] for row in day_roots(read(self.file), self.loaded.id) if row["root"] is not None}
        assert self.roots.items() <= roots.items()
        self.roots = roots

    def teardown(self):
        with self.open:
            if hasattr(self, "book"):
                self.to_the_end()

    def to_the_end(self):
        """The last day is woken as it should be: then nothing is lost, doubled or changed."""
        self.now = last = int(self.latest) + 1
        self.step(forecast_day)
        found = self.step(resolve_day)
        reader, previous = read(self.file), None
        days = day_roots(reader, self.loaded.id)
        for row in days:
            assert verify(day_proof(reader, self.loaded.id, row["day"]))["previous"] == previous
            previous = row["root"]
        assert changed_since(reader, self.loaded.id) == []
        stated = reader.query("SELECT day, status FROM days WHERE job = 'forecast-open' AND status IN ('done', 'missed')")
        assert stated["day"].is_unique().all(), "a day is over once"
        missed = {str(one) for one, status in stated.iter_rows() if status == "missed"}
        assert {row["day"] for row in days} | missed >= {
            str(day(n).date()) for n in range(last + 1) if str(day(n).date()) >= days[0]["day"]
        }
        picks = reader.query("SELECT market_id FROM picks")["market_id"]
        assert picks.is_unique().all(), "each market is forecast once"
        leaves = reader.query("SELECT forecast_id FROM commitment_leaves WHERE forecast_id IS NOT NULL")["forecast_id"]
        assert leaves.is_unique().all()
        assert len(leaves) == 2 * len(picks), "and committed to, by each configuration"
        assert found.picked == len(picks) == found.awaiting + found.scored + sum(found.not_scored.values())
        told = reader.query("SELECT finding_id FROM findings")["finding_id"]
        assert told.is_unique().all(), "and nothing is told twice"
        stands = dict(reader.query("SELECT market_id, value FROM current_outcomes WHERE status = 'resolved'").rows())
        for market_id, how in self.said.items():
            if isinstance(how, int):
                assert stands[market_id] == how, "what the venue said last is what counts"
            elif how == "taken back":
                assert market_id not in stands


def tried(examples, steps):
    options = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    run_state_machine_as_test(Ahead, settings=options)


def test_nothing_is_doubled_lost_or_changed_in_any_order():
    tried(examples=2, steps=12)


@pytest.mark.proof
def test_nothing_is_doubled_lost_or_changed_in_any_longer_order():
    tried(examples=30, steps=25)
