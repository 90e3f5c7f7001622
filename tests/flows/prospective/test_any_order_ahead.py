"""A prospective study in any order: steps missed, doubled, killed and back in time, while the venue changes its mind."""

import random

import pytest

from coordeval.flows.prospective import forecasting
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
from tests.flows.prospective.test_prospective import endings

__all__ = ["endings"]  # the fixture


class Killed(BaseException):
    """The process is gone."""


def moody(seed):
    """A venue that resolves, takes back, turns round and deletes markets; what it says on a day it says all that day."""

    def of(market_id, at):
        luck = random.Random(f"{seed} {market_id} {at.date()}").random()
        resolved = Outcome(market_id=market_id, status="resolved", value=int(luck * 100) % 2, resolved_at=at)
        open_ = Outcome(market_id=market_id, status="unresolved", value=None, resolved_at=None, reason="r")
        return Ending(outcome=resolved) if luck < 0.4 else Ending(outcome=open_, gone=luck > 0.8)

    return of


@pytest.mark.parametrize("seed", [1])  # 2 s each; 1 to 10 were tried
def test_nothing_is_doubled_lost_or_changed_in_any_order(seed, tmp_path, endings, monkeypatch):
    luck, endings.of = random.Random(seed), moody(seed)
    path, file = written(tmp_path), tmp_path / "ledger.duckdb"
    loaded, commit = load_study(path), forecasting.commit
    now, latest, committed = 0.0, 0.0, {}
    with Ledger.open(file, purpose="a test") as book, kept_open(file):
        for _ in range(12):
            now += luck.choice((0, 0.1, 1, 1, 2, -1.5))
            step, killed = luck.choice((forecast_day, forecast_day, resolve_day)), luck.random() < 0.25
            with monkeypatch.context() as patch:
                if killed:
                    patch.setattr(forecasting, "commit", ends if luck.random() < 0.5 else after(commit))
                try:
                    step(loaded, book, now=day(0, hours=24 * now))
                except (ProspectiveError, ClocksDisagree):
                    assert now < latest, "only a clock that went back is refused"
                    now = latest
                except Killed:
                    pass
            latest = max(now, latest)
            reader = read(file)
            roots = {row["day"]: row["root"] for row in day_roots(reader, loaded.id) if row["root"] is not None}
            assert committed.items() <= roots.items(), "a root that was there stays"
            committed = roots
        last = int(latest) + 1
        forecast_day(loaded, book, now=day(last))
        found = resolve_day(loaded, book, now=day(last, hours=1))
        reader, previous = read(file), None
        days = day_roots(reader, loaded.id)
        for row in days:
            assert verify(day_proof(reader, loaded.id, row["day"]))["previous"] == previous
            previous = row["root"]
        assert changed_since(reader, loaded.id) == []
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


def ends(*given):
    raise Killed


def after(commit):
    def committed(*given):
        commit(*given)
        raise Killed

    return committed
