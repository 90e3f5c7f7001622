"""Arms of a study of open markets: with the price and without, each committed to day by day and scored by itself."""

import orjson
import pytest

from coordeval.flows.compare.comparing import compare
from coordeval.flows.monitor.watching import look
from coordeval.flows.prospective.committing import changed_since
from coordeval.flows.prospective.forecasting import forecast_open
from coordeval.flows.prospective.resolving import resolve_and_score
from coordeval.flows.run.between import between
from coordeval.flows.run.scoring import score
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read
from coordeval.ledger.commitments import day_roots, proof_of, verify
from coordeval.ledger.database import kept_open
from tests.flows.prospective.conftest import STUDY, day, written

ARMS = """
[[arms]]
name = "no price"
show_price = false
"""


@pytest.fixture(scope="module")
def ahead(tmp_path_factory):
    """(study file, ledger, days, the last one once more, how it stood in the end): six days."""
    folder = tmp_path_factory.mktemp("ahead")
    path, ledger = written(folder, STUDY + ARMS), folder / "coordeval.duckdb"
    Ledger.open(ledger, purpose="a test").close()
    with kept_open(ledger):
        days = [forecast_open(path, ledger, now=day(n)) for n in range(6)]
        again = forecast_open(path, ledger, now=day(5, hours=2))
        end = resolve_and_score(path, ledger, now=day(60))
    return path, ledger, days, again, end


def test_every_arm_is_forecast_on_its_day_and_the_same_again_asks_nothing(ahead):
    _, ledger, days, again, _ = ahead
    assert {one.status for one in days} <= {"complete", "nothing to forecast"}
    assert days[0].answered == 2 * 2 * 2, "two markets, two configurations, two arms"
    assert (again.made, again.root) == (0, days[-1].root)
    counts = read(ledger).query("SELECT arm, count(*) FROM cells GROUP BY ALL ORDER BY ALL").rows()
    assert counts[0][1] == counts[1][1] > 0


def test_a_leaf_names_its_arm_and_that_of_the_first_is_what_it_was(ahead):
    _, ledger, *_ = ahead
    reader = read(ledger)
    rows = reader.query("SELECT arm, forecast_id FROM cells WHERE configuration = 'single_agent' ORDER BY arm, forecast_id")
    said = {arm: verify(proof_of(reader, one)) for arm, one in rows.rows()}
    assert "arm" not in said["main"]
    assert said["no price"]["arm"] == "no price"
    assert said["no price"].keys() - said["main"].keys() == {"arm"}
    leaves = reader.query("SELECT leaf FROM commitment_leaves WHERE day = ? ORDER BY position", [str(day(0).date())])
    order = [orjson.loads(leaf) for leaf in leaves["leaf"][1:]]
    places = [(one["market_id"], one.get("arm", ""), one["configuration"], one["replicate"]) for one in order]
    assert places == sorted(places)
    assert changed_since(reader, day_study(reader)) == []


def day_study(reader):
    return reader.studies()["study_id"][0]


def test_one_root_a_day_holds_all_arms(ahead):
    _, ledger, days, *_ = ahead
    roots = day_roots(read(ledger), day_study(read(ledger)))
    assert [row["root"] for row in roots] == [one.root for one in days]
    assert roots[0]["size"] == 1 + 8


def test_each_arm_is_scored_by_itself(ahead):
    _, ledger, _, _, end = ahead
    assert list(end.arms) == ["main", "no price"]
    assert end.brier == end.arms["main"]
    frame = read(ledger).forecast_frame("ahead").drop_nulls(["probability", "outcome"]).filter(configuration="single_agent")
    for arm, scores in end.arms.items():
        own = frame.filter(arm=arm)
        assert scores["single_agent"] == pytest.approx(((own["probability"] - own["outcome"]) ** 2).mean())
    assert end.arms["main"]["single_agent"] != end.arms["no price"]["single_agent"]


def test_between_them_exactly_the_price_differs_and_they_are_compared(ahead):
    _, ledger, *_ = ahead
    [held] = between(read(ledger), "ahead")
    assert (held.declared, held.differs, held.held) == (("show_price",), ("show_price",), True), held.problems
    found = compare(read(ledger), "ahead", "ahead", arms=("main", "no price"), policy="available", resamples=20)
    assert found.differs == ("whether agents see the market price: yes → no",)
    assert score(ledger, "ahead", arm="no price", policy="available").arm == "no price"


def test_the_monitor_watches_each_by_day(ahead):
    _, ledger, *_ = ahead
    reader = read(ledger)
    seen = [look(reader, day_study(reader), now=day(60), arm=arm) for arm in ("main", "no price")]
    assert [one.found.by for one in seen] == ["day", "day"]


def test_a_days_quote_and_one_that_was_broken_off_are_of_all_arms(tmp_path):
    """A market that one arm answered and the other did not is still to be asked."""
    from coordeval.flows.prospective.forecasting import _LEFT

    path, ledger = written(tmp_path, STUDY + ARMS), tmp_path / "l.duckdb"
    with Ledger.open(ledger, purpose="a test"):
        pass
    forecast_open(path, ledger, now=day(0))
    from coordeval.ledger.database import connected

    with connected(ledger) as con:
        con.execute(
            "DELETE FROM forecasts WHERE forecast_id = (SELECT min(forecast_id) FROM cells WHERE arm = 'no price' "
            "AND configuration = 'single_agent')"
        )
    assert read(ledger).query(_LEFT, [load_study(path).id, str(day(0).date())]).item() == 1
