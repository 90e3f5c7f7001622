"""A gate in front of tools: fitted on earlier studies, judged on events that it has not seen, a file of numbers."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import Ridge

from coordeval.analysis import AnalysisError, fit_gate
from coordeval.analysis.selftest.gates import gates, own_error
from coordeval.analysis.tools.example import gate_rows, tool_world
from coordeval.configurations.gates import NUMBERS, GateError, features, read_gate


@pytest.fixture(scope="module")
def made():
    rows = gate_rows(tool_world(300, rng=np.random.default_rng(5)))
    return rows, fit_gate(rows, draws=3, n=100)


def written(tmp_path, file, **changes):
    path = tmp_path / "gate.json"
    path.write_text(json.dumps(file | changes))
    return path


def test_the_file_decides_as_scikit_learn_would(made, tmp_path):
    rows, fitted = made
    gate = read_gate(written(tmp_path, fitted.file))
    known = rows.drop_nulls(["without", "used"])
    used = [row["name"] for row in fitted.file["features"]]
    x = known.select(used).to_numpy()
    ridge = Ridge(alpha=fitted.file["fitted_on"]["penalty"]).fit(
        (x - x.mean(0)) / x.std(0), known["without"] - known["used"]
    )
    mine = [gate.estimate(row, None) for row in known.select(used).to_dicts()]
    assert mine == pytest.approx(ridge.predict((x - x.mean(0)) / x.std(0)).tolist())
    assert gate.markets == set(rows.drop_nulls(["without", "used"])["market_id"])


def test_what_is_reported_of_it_is_of_events_that_it_has_not_seen(made):
    """Targets of pure noise: fitted on what it judges, a gate would gain; on events that were left out it does not."""
    rows, _ = made
    noise = rows.with_columns(used=pl.Series(np.random.default_rng(6).uniform(0, 0.5, rows.height)), without=pl.lit(0.25))
    told = fit_gate(noise, draws=3, n=200).measures
    gain = told.filter(measure="gain over always").row(0, named=True)
    assert gain["low"] < 0.01
    assert told.filter(measure="gain")["estimate"][0] == pytest.approx(0, abs=0.03)


def test_an_unknown_feature_is_at_its_mean(made, tmp_path):
    gate = read_gate(written(tmp_path, made[1].file))
    at_mean = {name: mean for name, (mean, _, _) in gate.weights.items()}
    assert (
        gate.estimate({}, None) == pytest.approx(gate.estimate(at_mean, "no such category")) == pytest.approx(gate.intercept)
    )


def test_a_category_with_few_rows_has_no_weight(made):
    rows, _ = made
    kinds = ["rare" if i < 4 else "politics" if i % 2 else "sport" for i in range(rows.height)]
    file = fit_gate(rows.with_columns(category=pl.Series(kinds)), draws=3, n=20).file
    assert set(file["categories"]) == {"politics", "sport"}


def test_features_are_what_any_endpoint_gives():
    facts = {"horizon_days": 6.0, "question_characters": 40, "documents": 0}
    told = features([0.5, 0.8], price=0.5, facts=facts, rationale=99.0)
    assert set(told) == set(NUMBERS)
    assert told["price"] == told["price_sure"] == told["documents"] == 0.0
    assert told["description"] is None
    assert told["spread"] == pytest.approx(np.std([0, np.log(4)]))
    assert told["from_price"] == told["estimate_sure"] == pytest.approx(np.log(4) / 2)
    assert (told["horizon"], told["rationale"]) == pytest.approx((np.log(7), np.log(100)))
    assert features([0.5], price=None, facts={}, rationale=None)["from_price"] is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 2}, "has version 2, this coordeval reads version 1; fit it again"),
        ({"format": "other"}, "it is no gate"),
        ({"intercept": "much"}, "is missing or no number"),
        ({"intercept": float("nan")}, "a number is not finite"),
        ({"draws": 0}, "draws is 0"),
        ({"features": [{"name": "hidden_state", "mean": 0, "scale": 1, "weight": 1}]}, "unknown feature 'hidden_state'"),
        ({"features": [{"name": "price", "mean": 0, "scale": 0, "weight": 1}]}, "a scale is not over 0"),
    ],
)
def test_a_file_that_is_no_gate_of_this_version_is_refused(made, tmp_path, changes, says):
    with pytest.raises(GateError, match=says):
        read_gate(written(tmp_path, made[1].file, **changes))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(GateError, match="cannot be read"):
        read_gate(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        pytest.param(lambda f: f.drop("spread"), "lack spread", id="no column"),
        pytest.param(lambda f: f.filter(pl.col("event_id") < "e016"), "15 events were answered", id="too few events"),
    ],
)
def test_rows_on_which_no_gate_can_be_fitted_are_refused(made, rows, says):
    with pytest.raises(AnalysisError, match=says):
        fit_gate(rows(made[0]), draws=3)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.proof
def test_what_a_gate_says_of_its_gain_is_what_it_gains(seed):
    assert gates(200, markets=300, seed=seed).failures == ()


def test_at_as_many_calls_a_gate_is_between_own_choice_and_the_best():
    """Twelve worlds see a gate that flatters itself by a tenth: see the next test for what they are held against."""
    found = gates(12, markets=300, seed=1)
    assert found.own_choice < found.at_own < found.best_at_own
    assert abs(found.own) < 0.1 * found.true


def test_the_luck_of_draws_is_set_apart_and_a_bias_is_left_where_it_is():
    rng = np.random.default_rng(4)
    luck = rng.normal(0, 0.02, 200)
    errors = 0.8 * luck + rng.normal(0.003, 0.004, 200)
    bias, sem = own_error(errors, luck)
    assert bias == pytest.approx(0.003, abs=3 * sem)
    assert bias > 2 * sem, "a gate that flatters itself fails"
    assert sem < errors.std() / np.sqrt(200) / 3
