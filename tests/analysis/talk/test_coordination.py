"""What coordination did: identities, tables by hand, and the simulator's own parameters."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordeval.analysis import AnalysisError
from coordeval.analysis.talk.coordination import GAIN, anchoring, coordination
from coordeval.ledger import read
from coordeval.ledger.estimates import estimates_frame
from tests.analysis.talk.test_pooling import estimate, frame, said
from tests.flows.run.test_run import run

HOW = {"debate": "mean"}
STUDY = """
name = "world"
replicates = 2
configurations = ["independent_ensemble", "peer_critique_debate", "consensus_alignment", "sequential_pipeline"]
[markets]
source = "simulated"
count = 60
[model]
provider = "simulated"
[model.parameters]
herding = {herding}
anchoring = {anchoring}
[agents]
show_price = {show_price}
"""


def world(directory: Path, *, show_price: bool = True, **parameters: float) -> pl.DataFrame:
    study = directory / f"{show_price}.toml"
    study.write_text(STUDY.format(**{"herding": 0.4, "anchoring": 0.35} | parameters, show_price=str(show_price).lower()))
    ledger = directory / str(show_price) / "ledger.duckdb"
    run(study, ledger)
    return estimates_frame(read(ledger), "world")


def values(table: pl.DataFrame, *, key: str = "measure", **where) -> dict[str, dict]:
    return {row[key]: row for row in table.filter(**where).iter_rows(named=True)}


probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(probabilities, st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=8))
def test_the_static_pool_is_individual_minus_ambiguity_and_the_gain_is_what_the_final_beats_the_pool_by(cells):
    made = [said(tuple(p), market_id=f"m{i}", outcome=y, forecast=q) for i, (p, q, y) in enumerate(cells)]
    found = values(coordination(frame(*made), aggregation=HOW, n=50).gain)
    b, a, s, pool, final, gain = (found[name]["estimate"] for name in GAIN[:6])
    assert s == pytest.approx(b - a, abs=1e-12)
    assert pool == pytest.approx(s, abs=1e-12), "the mean is the static pool"
    assert gain == pytest.approx(pool - final, abs=1e-12)


def test_the_table_worked_out_by_hand():
    """One agent pair on two markets; peers are each other, so movement toward a peer is movement toward the other."""
    yes = said((0.2, 0.6), (0.4, 0.6), forecast=0.5, market_price=0.7)
    no = said((0.2, 0.4), (0.4, 0.6), forecast=0.5, outcome=0, market_id="m1", market_price=0.3)
    found = coordination(frame(yes, no), aggregation=HOW, n=50)
    gain = values(found.gain)
    assert gain["individual"]["estimate"] == pytest.approx(((0.64 + 0.16) / 2 + (0.04 + 0.16) / 2) / 2)
    assert gain["ambiguity"]["estimate"] == pytest.approx((0.04 + 0.01) / 2)
    assert gain["gain"]["estimate"] == pytest.approx((0.36 - 0.25 + 0.09 - 0.25) / 2)
    assert gain["away"]["estimate"] == 0.5
    rounds = values(found.rounds, round=1)
    assert rounds["spread"]["estimate"] == pytest.approx(0.2)
    assert rounds["toward_peers"]["estimate"] == pytest.approx((0.2 + 0 + 0.2 - 0.2) / 4)
    assert rounds["toward_price"]["estimate"] == pytest.approx((0.2 + 0 + 0 - 0.2) / 4)
    assert rounds["toward_truth"]["estimate"] == pytest.approx((0.2 + 0 - 0.2 - 0.2) / 4)
    assert rounds["away"]["estimate"] == 0.5
    assert values(found.rounds, round=0)["spread"]["estimate"] == pytest.approx((0.4 + 0.2) / 2)


def test_the_pool_is_the_configurations_own_aggregation():
    cells = [said((0.1, 0.2, 0.9), market_id=f"m{i}", forecast=0.2) for i in range(3)]
    found = values(coordination(frame(*cells), aggregation={"debate": "median"}, n=50).gain)
    assert found["gain"]["estimate"] == pytest.approx(0), "the forecast is the median of the first round"
    assert found["static_pool"]["estimate"] == pytest.approx(0.36)


def test_weights_are_those_that_the_revisions_were_made_with():
    """Agent 0 is followed with 0.5, agent 1 with 0.1, agent 2 not at all; nothing is random, so they come out exactly."""
    rng = np.random.default_rng(1)
    cells = []
    for i in range(25):
        x = rng.normal(0, 1, 3)
        w = np.array([0.5, 0.1, 0.0])
        new = x + [np.sum(w * (x - own)) for own in x]
        p, q = (tuple(1 / (1 + np.exp(-v))) for v in (x, new))
        cells.append(said(p, q, market_id=f"m{i:02}", outcome=i % 2))
    found = values(coordination(frame(*cells), aggregation=HOW, n=200).influence, key="agent", measure="agent")
    assert [found[j]["estimate"] for j in range(3)] == pytest.approx([0.5, 0.1, 0.0], abs=1e-9)


def test_a_first_mover_whom_the_others_follow_has_more_than_its_share():
    rng = np.random.default_rng(2)
    follow, average = [], []
    for i in range(40):
        p = tuple(rng.uniform(0.1, 0.9, 3))
        x = [np.log(v / (1 - v)) for v in p]
        follow.append(said(p, market_id=f"m{i:02}", forecast=p[0], outcome=i % 2))
        average.append(said(p, market_id=f"m{i:02}", forecast=float(1 / (1 + np.exp(-np.mean(x)))), outcome=i % 2))
    first, none = (
        values(coordination(frame(*cells), aggregation=HOW, n=200).influence)["first_mover"] for cells in (follow, average)
    )
    assert first["estimate"] == pytest.approx(1 - 1 / 3)
    assert none["estimate"] == pytest.approx(0, abs=1e-9)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param({"herding": 0.2, "anchoring": 0.6}, id="herding 0.2, anchoring 0.6"),
        pytest.param({"herding": 0.6, "anchoring": 0.4}, id="herding 0.6, anchoring 0.4", marks=pytest.mark.proof),
    ],
)
def simulated(request, tmp_path_factory):
    """What the simulator was told, and the estimates of a study that shows the price and of one that does not."""
    folder = tmp_path_factory.mktemp("worlds")
    return request.param, *(world(folder, show_price=show, **request.param) for show in (True, False))


@pytest.mark.proof
def test_herding_and_conformity_of_the_simulator_are_recovered_within_their_intervals(simulated):
    told, made, _ = simulated
    herding = told["herding"]
    found = coordination(made, n=2000).influence
    for role, true in (("critic", herding), ("aligner", herding + 0.3)):
        row = values(found, role=role, measure="peers")["peers"]
        assert row["low"] <= true <= row["high"], role
        assert row["high"] - row["low"] < 0.15
        for agent in values(found, key="agent", role=role, measure="agent").values():
            assert agent["estimate"] == pytest.approx(true / 2, abs=0.08), "three agents follow two peers alike"


@pytest.mark.proof
def test_anchoring_of_the_simulator_is_recovered_from_a_pair_of_studies(simulated):
    told, shown, hidden = simulated
    weight = told["anchoring"]
    found = values(anchoring(shown, hidden, n=2000), key="configuration")
    for name in ("independent_ensemble", "peer_critique_debate", "consensus_alignment"):
        row = found[name]
        assert row["low"] <= weight <= row["high"], row
        assert row["high"] - row["low"] < 0.4
    assert "two views without it" in found["sequential_pipeline"]["reason"]


@pytest.mark.proof
def test_the_ensemble_gains_nothing_and_the_pipeline_has_no_independent_start(simulated):
    _, made, _ = simulated
    assert set(made["round"].unique()) == {0, 1, 2}
    found = coordination(made, n=200)
    ensemble = values(found.gain, configuration="independent_ensemble")
    assert (ensemble["gain"]["estimate"], ensemble["gain"]["low"]) == (0, None)
    assert "the same in every resample" in ensemble["gain"]["reason"]
    pipeline = values(found.gain, configuration="sequential_pipeline")
    assert {row["reason"] for row in pipeline.values()} == {"it does not begin with independent estimates"}
    debate = values(found.rounds, key="round", configuration="peer_critique_debate", measure="spread")
    assert debate[2]["estimate"] < debate[1]["estimate"] < debate[0]["estimate"]


def test_nothing_depends_on_the_order_of_rows_or_on_a_copy_of_every_replicate():
    cells = [said((0.1, 0.3, 0.8), (0.2, 0.3, 0.6), market_id=f"m{i}", outcome=i % 2) for i in range(12)]
    made = frame(*cells)
    a = coordination(made, aggregation=HOW, n=100)
    b = coordination(made[::-1], aggregation=HOW, n=100)
    copied = coordination(pl.concat([made, made.with_columns(replicate=pl.lit(1, pl.Int64))]), aggregation=HOW, n=100)
    for name in ("gain", "rounds", "influence"):
        assert getattr(a, name).equals(getattr(b, name)), name
        assert getattr(copied, name)["estimate"].to_list() == pytest.approx(getattr(a, name)["estimate"].to_list())


def test_what_is_undefined_is_null_with_its_reason():
    alone = coordination(frame([estimate()]), aggregation=HOW, n=50)
    assert values(alone.rounds)["spread"]["reason"] == "one agent estimates"
    assert values(alone.influence)["first_mover"]["reason"] == "fewer than two agents estimate"
    assert "1 event" in values(alone.gain)["gain"]["reason"]
    failed = coordination(frame([estimate(forecast=None)]), aggregation=HOW, n=50)
    assert values(failed.gain)["gain"]["reason"] == "no cell is resolved and answered"
    unknown = values(coordination(frame(said((0.2, 0.4))), n=50).gain)
    assert (unknown["static_pool"]["estimate"], unknown["gain"]["estimate"]) == (pytest.approx(0.49), None)
    assert unknown["gain"]["reason"] == "its aggregation is not stated"
    agreed = coordination(frame(said((0.4, 0.4), (0.4, 0.4))), aggregation=HOW, n=50)
    assert values(agreed.influence, key="measure")["peers"]["reason"] == "peers never differ"
    unpriced = coordination(frame(said((0.4, 0.5), (0.4, 0.4), market_price=None)), aggregation=HOW, n=50)
    assert values(unpriced.rounds, round=1)["toward_price"]["reason"] == "no market price is known"


def test_an_unknown_aggregation_is_refused():
    with pytest.raises(AnalysisError, match="aggregation of debate"):
        coordination(frame([estimate()]), aggregation={"debate": "mode"})
