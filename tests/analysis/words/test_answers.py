"""What the report says of coordination, of the price and of its own limits: no more than the numbers, and never nothing."""

import numpy as np
import polars as pl
import pytest

from coordeval.analysis import diagnose, example, example_estimates, scored
from coordeval.analysis.control import Control, Field, Value
from coordeval.analysis.report.page import build_report
from coordeval.analysis.study.leaderboard import REFERENCE
from coordeval.analysis.study.record import Record
from coordeval.analysis.talk.coordination import aggregations
from coordeval.analysis.words.coordination import on_coordination
from tests.analysis.report_data import STUDY, synthetic

pytestmark = pytest.mark.usefixtures("few_resamples")

MARKETS = 150
RNG = np.random.default_rng(3)
LATENT = RNG.uniform(0.05, 0.95, MARKETS)
OUTCOME = (RNG.random(MARKETS) < LATENT).astype(int)


def talk(*, toward, name="debate", agents=3):
    """Estimates of a debate in which all move halfway `toward` a target per market, and its cells."""
    rng = np.random.default_rng(5)
    rows = []
    for i in range(MARKETS):
        first = np.clip(LATENT[i] + rng.normal(0, 0.15, agents), 0.01, 0.99)
        last = first + 0.5 * (toward(first, i) - first)
        for said, number in ((first, 0), (last, 1)):
            for agent, p in enumerate(said):
                rows.append(
                    {
                        **{"configuration": name, "market_id": f"m{i:03}", "event_id": f"e{i:03}", "replicate": 0},
                        **{"ask": number * agents + agent, "agent": agent, "round": number, "probability": float(p)},
                        **{"role": "critic" if number else "forecaster", "outcome": int(OUTCOME[i])},
                        **{"market_price": 0.5, "forecast": float(last.mean())},
                    }
                )
    estimates = pl.DataFrame(rows)
    base = synthetic(markets=MARKETS, replicates=1, failing=0).filter(configuration="single_agent").sort("market_id")
    cells = base.with_columns(
        configuration=pl.lit(name),
        event_id=pl.lit("e") + pl.col("market_id").str.slice(1),
        probability=estimates.group_by("market_id", maintain_order=True).agg(pl.col("forecast").first())["forecast"],
        outcome=pl.Series(OUTCOME),
        market_price=pl.lit(0.5),
    )
    return cells, estimates


def said(report, name):
    return " ".join(next(answer.says for answer in report.answers if answer.name == name))


def report_of(cells, **record):
    return build_report(cells, STUDY, resamples=5, n=300, record=Record(aggregation={"debate": "mean"}, **record))


@pytest.mark.parametrize(
    ("toward", "verdict"),
    [
        pytest.param(lambda p, i: OUTCOME[i], "talking made it better than its pooled first estimates", id="to the truth"),
        pytest.param(lambda p, i: 1 - OUTCOME[i], "talking made it worse than its pooled first estimates", id="away"),
        pytest.param(lambda p, i: p.mean(), "talking changed nothing: every forecast scores", id="to each other only"),
    ],
)
def test_what_talking_did_is_said_with_its_sign(toward, verdict):
    cells, estimates = talk(toward=toward)
    words = said(report_of(cells, estimates=estimates), "coordination")
    assert f"debate: {verdict}" in words
    assert "averaging the first estimates takes their ambiguity" in words


def test_rounds_without_peers_are_not_called_coordination():
    cells, estimates = talk(toward=lambda p, i: 0.5, agents=1)
    words = said(report_of(cells, estimates=estimates), "coordination")
    assert "debate had rounds but no peers: an agent revised its own estimate, which is no coordination" in words
    assert "the group ended" not in words


def test_without_recorded_estimates_the_question_is_answered_with_the_reason():
    cells, _ = talk(toward=lambda p, i: 0.5)
    report = report_of(cells)
    assert "not known: what agents said on the way was not recorded" in said(report, "coordination")
    assert report.results()["reasons"]["pooling"] == "what agents said on the way was not recorded"


def test_a_forecaster_that_knows_more_than_the_price_adds_information_and_one_that_repeats_it_does_not():
    cells, _ = talk(toward=lambda p, i: LATENT[i])
    knowing = said(report_of(cells), "market")
    assert "debate adds information to the price" in knowing
    copy = cells.with_columns(probability=pl.col("market_price"))
    assert "debate: every forecast lies within 0.005 of the price." in said(report_of(copy), "market")


@pytest.mark.proof
def test_missing_forecasts_are_bounded_and_none_missing_is_said():
    frame = synthetic(failing=0.02)
    words = said(build_report(frame, STUDY, resamples=5, n=50), "trust")
    missing = frame.filter((pl.col("status") == "failed") & pl.col("outcome").is_not_null()).height
    assert f"{missing} of 1,176 forecasts of resolved markets are missing" in words
    whole = said(build_report(synthetic(failing=0), STUDY, resamples=5, n=50), "trust")
    assert "No forecast of a resolved market is missing" in whole


@pytest.mark.parametrize(
    ("declared", "known"),
    [
        pytest.param("median of the last round", "median", id="a median"),
        pytest.param("mean of both rounds", "mean", id="a mean"),
        pytest.param("none", "mean", id="one agent's estimate is its mean"),
        pytest.param("the integrator's estimate", None, id="no pool"),
    ],
)
def test_how_a_configuration_pools_is_read_off_what_it_declares(declared, known):
    assert aggregations({"x": {"aggregation": declared}, "y": None}).get("x") == known


def controlled(status):
    values = (Value(value="4000", draws={"single_agent": 3}, example="d1"), Value(value="900", draws={"x": 3}, example="d2"))
    found = Field(name="output cap", status=status, detail="max_tokens of each call", values=values)
    return Control(
        study_id="s", study="synthetic", simulated=True, imported=False, draws={}, baselines=(), probes=(), unasked=(),
        fields=(found,),
    )  # fmt: skip


def test_where_more_than_coordination_differed_the_difference_stands_in_place_of_the_comparison():
    report = build_report(synthetic(), STUDY, resamples=5, n=50, record=Record(control=controlled("differs")))
    results, page = report.results(), report.html()
    assert report.uncontrolled.startswith("NOT COMPARABLE: the configurations were not given the same output cap")
    assert {row["family"] for row in results["comparisons"]} == {"market"}, "the price is no configuration"
    assert results["frontier"] is None
    assert results["compute_matched"] is None
    assert "not one of coordination" in said(report, "differences")
    assert "not one of coordination" in said(report, "frontier")
    assert 'id="uncontrolled"' in page
    assert "<code>900</code>" in page


def test_where_more_than_coordination_differed_nothing_else_sets_configurations_against_each_other():
    rules = [
        {"claim": "a", "measure": "brier", "of": "single_agent", "than": "consensus_alignment", "direction": "higher"},
        {"claim": "b", "measure": "brier", "of": "single_agent", "than": REFERENCE, "direction": "higher"},
    ]
    study = STUDY | {"content": {"predictions": rules}}
    report = build_report(synthetic(), study, resamples=5, n=200, record=Record(control=controlled("differs")))
    found = report.results()
    between, against_price = found["predictions"]["table"]
    assert (between["verdict"], between["estimate"], between["p_value"]) == ("undecided at this N", None, None)
    assert "not one of coordination" in between["reason"]
    assert against_price["estimate"] is not None
    assert {row["second"] for row in (*found["influence"]["restated"], *found["sequences"])} == {REFERENCE}
    assert all(row["than"] is None for row in found["missing_bounds"])
    assert found["binning"]["rankings"] == []
    assert "Who leads is not said" in said(report, "trust")
    assert "keep their sign" not in said(report, "trust")


def test_a_gain_without_an_interval_is_not_called_nothing():
    cells, estimates = talk(toward=lambda p, i: OUTCOME[i])
    few = [f"m{i:03}" for i in range(4)]
    part = report_of(
        cells.filter(pl.col("market_id").is_in(few)), estimates=estimates.filter(pl.col("market_id").is_in(few))
    )
    words = said(part, "coordination")
    assert "debate: whether talking helped is not known: gain 0." in words
    assert "4 events: an interval needs 6" in words
    assert "changed nothing" not in words


@pytest.mark.parametrize("status", ["same", "not recorded"])
def test_what_is_held_or_not_recorded_leaves_the_comparison(status):
    report = build_report(synthetic(), STUDY, resamples=5, n=50, record=Record(control=controlled(status)))
    assert report.uncontrolled is None
    assert {row["family"] for row in report.results()["comparisons"]} == {"market", "configurations"}
    assert ("not all of it was recorded" in report.html()) is (status == "not recorded")


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"blank": 0, "repeated": 0, "dropped": 0}, None),
        ({"blank": 3, "repeated": 0, "dropped": 0}, "of 12 parts that were handed in where 9 were asked for, 3 were blank"),
        ({"blank": 0, "repeated": 2, "dropped": 4}, "2 said what another one said and 4 were more than was asked for"),
    ],
)
def test_parts_that_agents_did_not_hand_in_as_asked_are_told(counts, said):
    parts = pl.DataFrame([{"configuration": "orchestrator", "reports": 3, "asked": 9, "given": 12, **counts}])
    cells = example(markets=12)
    deeper = diagnose(cells, scored(cells), Record(estimates=example_estimates(markets=12), parts=parts), n=50)
    told = [sentence for sentence in on_coordination(deeper) if "handed in" in sentence]
    assert (said is None and not told) or said in told[0]
