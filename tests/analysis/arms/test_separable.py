"""What is separable, against another implementation, closed forms, and worlds whose split is known."""

from itertools import product

import numpy as np
import polars as pl
import pytest
from scipy import stats

from coordeval.analysis import AnalysisError, concordance, crossing, example, separable
from coordeval.analysis.arms.agreement import agreement, taus
from coordeval.analysis.arms.components import components
from coordeval.analysis.arms.crossing import Crossing, bases_of
from coordeval.analysis.arms.effects import flips, interactions, same_effect
from coordeval.analysis.arms.quadratic import Quadratic, quadratic
from coordeval.analysis.selftest.arms import REPLICATES, arms_world, levels, null_cast, split_cast, true_split
from coordeval.analysis.selftest.regimes import MILD

FACTS = {"model": ["small", "small", "large", "large"], "tools": ["none", "all", "none", "all"]}
ARMS = pl.DataFrame({"arm": ["sn", "sa", "ln", "la"], **FACTS})


def frame(shift: dict[str, float] | None = None, **options: int) -> pl.DataFrame:
    """A made-up study in four arms; `shift` draws the forecasts of an arm towards even odds."""
    pull = {"sn": 0.4, "sa": 0.0, "ln": 0.2, "la": 0.1} | (shift or {})
    parts = [
        example(**options).with_columns(
            arm=pl.lit(arm), probability=pl.col("probability") * (1 - w) + 0.5 * w, question=pl.lit("?")
        )
        for arm, w in pull.items()
    ]
    return pl.concat(parts)


def given(errors: np.ndarray, event: np.ndarray | None = None) -> Crossing:
    """(markets, models, information, configurations, replicates) as what `crossing` gives."""
    n, models, known, kinds, _ = errors.shape
    cells = list(product(range(models), range(known), range(kinds)))
    names = dict(
        zip(("model", "information", "configuration"), (tuple(map(str, c)) for c in zip(*cells, strict=True)), strict=True)
    )
    names = {name: names[name] for name in ("configuration", "model", "information") if len(set(names[name])) > 1}
    arms = [f"{m}{i}" for m, i in product(range(models), range(known))]
    return Crossing(
        configurations=tuple(map(str, range(kinds))),
        arms=tuple(arms),
        levels=names,
        bases=bases_of(names, len(cells)),
        event=np.arange(n) if event is None else event,
        errors=errors.reshape(n, len(cells), -1),
        arm_fields={arm: {"model": arm[0], "information": arm[1]} for arm in arms},
        left_out=(),
    )


def test_effects_are_at_right_angles_and_fill_the_space():
    bases = bases_of(levels(), 12)
    whole = np.concatenate(list(bases.values()), axis=1)
    assert whole.T @ whole == pytest.approx(np.eye(12), abs=1e-12)
    assert [basis.shape[1] for basis in bases.values()] == [1, 2, 1, 1, 2, 2, 1, 2]


def test_the_f_of_every_effect_is_that_of_repeated_measures_in_statsmodels():
    """statsmodels 0.15.0, AnovaRM(within=[c, d, i]) on these numbers."""
    rng = np.random.default_rng(7)
    m = rng.normal(size=(12, 1, 1, 1))
    c, d, i = (
        np.array(v).reshape(s)
        for v, s in (([0, 0.3, 0.5], (1, 1, 1, 3)), ([0, 0.4], (1, 2, 1, 1)), ([0, 0.2], (1, 1, 2, 1)))
    )
    x = (m + c + d + i + 0.3 * (c * d) + rng.normal(size=(12, 2, 2, 3)) * 0.5).round(3)
    found = dict(interactions(given(x[..., None]), n=9, seed=0).select("effect", "f").iter_rows())
    assert {name: round(f, 5) for name, f in found.items() if name != "configuration × arm"} == {
        "configuration": 22.11597,
        "model": 39.61523,
        "information": 11.92489,
        "configuration × model": 3.34433,
        "configuration × information": 0.02391,
        "model × information": 0.9411,
        "configuration × model × information": 0.24573,
    }


def test_of_two_levels_the_f_test_is_scipys_paired_t_test():
    x = np.random.default_rng(1).normal(size=(20, 2, 1, 1, 1))
    row = interactions(given(x), n=9, seed=0).row(0, named=True)
    t, p = stats.ttest_rel(x[:, 0, 0, 0, 0], x[:, 1, 0, 0, 0])
    assert (row["f"], row["df"]) == pytest.approx((t**2, 1))
    assert row["df_noise"] <= 19  # fewer where single markets carry the variance
    assert stats.f.sf(row["f"], row["df"], row["df_noise"]) == pytest.approx(p, abs=0.02)


def test_shares_add_up_to_one_and_the_parts_to_the_whole_variance():
    """Closed form: the variance of all squared errors of many markets, cells and draws is the sum of its parts."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(4000, 1, 1, 1, 1)) + rng.normal(size=(4000, 2, 2, 3, 1)) + rng.normal(size=(4000, 2, 2, 3, 2))
    x += np.arange(3).reshape(1, 1, 1, 3, 1) * 0.5
    found = components(given(x), n=20, seed=0, level=0.95)
    assert found["share"].sum() == pytest.approx(1)
    assert found["estimate"].sum() == pytest.approx(x.var(), rel=1e-3)
    true = {"configuration": 1 / 6, "market": 1 + 1 / 12, "market × configuration": 2 / 12, "sampling again": 1.0}
    told = dict(found.select("component", "estimate").iter_rows())
    assert {name: told[name] for name in true} == pytest.approx(true, rel=0.08)


def test_an_effect_that_few_markets_show_is_corrected_for_noise():
    """|z|² of three equal means is noise alone: on average what is taken off."""
    rng, basis = np.random.default_rng(11), bases_of({"configuration": ("a", "b", "c")}, 3)["configuration"]
    x = rng.normal(size=(4000, 12, 3))
    seen = [quadratic(each, np.ones(12), basis).estimate for each in x]
    assert np.mean(seen) == pytest.approx(0, abs=3 * np.std(seen) / np.sqrt(4000))


def test_events_count_once():
    """Every market three times, as one event: the same F, not one that is three times as large."""
    x = np.random.default_rng(5).normal(size=(15, 2, 1, 3, 2))
    once = interactions(given(x), n=99, seed=0).drop("n_events")
    thrice = interactions(given(np.repeat(x, 3, axis=0), np.repeat(np.arange(15), 3)), n=99, seed=0).drop("n_events")
    assert once["f"].to_list() == pytest.approx(thrice["f"].to_list())
    assert once["p_value"].to_list() == thrice["p_value"].to_list()


def test_draws_that_cells_share_are_no_market_effect():
    """All noise is common to all cells and drawn again each time: between markets nothing varies."""
    noise = np.random.default_rng(2).normal(size=(2000, 1, 1, 1, 2)) * np.ones((1, 2, 1, 3, 1))
    told = dict(components(given(noise), n=2, seed=0, level=0.95).select("component", "estimate").iter_rows())
    assert told["market"] == pytest.approx(0, abs=0.05)
    assert told["sampling again"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("size", "share", "limit"),
    [
        pytest.param(4.0, 0.975, 0.0, id="what noise gives has the lower limit 0"),
        pytest.param(25.0, 0.025, (5 + 1.96) ** 2, id="far from 0, one dimension: its root is normal"),
    ],
)
def test_limits_of_one_dimension_with_a_known_variance_are_those_of_a_normal(size, share, limit):
    found = Quadratic(z=np.array([np.sqrt(size)]), covariance=np.eye(1), events=10**7, freedom=1e6)
    assert found._limit(size, share) == pytest.approx(limit, rel=2e-3, abs=1e-9)


def test_the_limits_are_those_of_a_noncentral_chi_squared():
    found = Quadratic(z=np.array([3.0, 1.0, 0.5]), covariance=np.eye(3), events=10**7, freedom=1e7)
    seen = float(found.z @ found.z)
    low, high = found._limit(seen, 0.975), found._limit(seen, 0.025)
    assert stats.ncx2.cdf(seen, 3, [low, high]) == pytest.approx([0.975, 0.025], abs=1e-4)


def test_concordance_is_what_scipys_friedman_test_rests_on():
    scores = np.random.default_rng(4).normal(size=(5, 6)).round(1)
    statistic = stats.friedmanchisquare(*scores.T).statistic
    assert concordance(scores) == pytest.approx(statistic / (5 * (6 - 1)))


def test_tau_of_two_arms_is_scipys():
    found = separable(frame(), ARMS, n=50)
    scores = found.means.pivot(on="arm", index="configuration", values="brier")
    for first, second, tau, _ in found.taus.iter_rows():
        assert tau == pytest.approx(stats.kendalltau(scores[first], scores[second]).statistic)


def test_signs_of_events_agree_with_all_signs_tried():
    sums = np.random.default_rng(6).normal(0.3, 1, size=(8, 2))
    every = np.array(list(product((-1, 1), repeat=8))) @ sums
    exact = np.mean(np.sum(every**2, axis=1) >= np.sum(sums.sum(axis=0) ** 2) - 1e-12)
    assert flips(sums, n=20_000, seed=0) == pytest.approx(exact, abs=0.01)
    assert flips(np.zeros((8, 2)), n=9, seed=0) == 1.0


def test_a_planted_interaction_is_found_and_an_effect_that_is_the_same_is_not():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(120, 2, 1, 3, 2)) * 0.1
    x += np.array([0.0, 0.05, 0.1]).reshape(1, 1, 1, 3, 1)
    tests = {row["effect"]: row for row in interactions(given(x), n=999, seed=0).to_dicts()}
    assert tests["configuration"]["p_value"] == 0.001
    assert tests["configuration × model"]["p_value"] > 0.05
    x[:, 1, :, 0] += 0.06
    turned = given(x)
    tests = {row["effect"]: row for row in interactions(turned, n=999, seed=0).to_dicts()}
    assert tests["configuration × model"]["p_value"] < 0.01
    moved = {row["configuration"]: row for row in same_effect(turned, n=500, seed=0, level=0.95).to_dicts()}
    assert moved["0"]["difference"] == pytest.approx(-0.04, abs=0.02)
    assert moved["0"]["high"] < 0
    assert {row["factor"] for row in moved.values()} == {"model"}


def test_arms_are_compared_where_one_field_differs():
    found = separable(frame(), ARMS, n=50)
    pairs = set(found.effects.select("factor", "first", "second").iter_rows())
    assert pairs == {("tools", "sn", "sa"), ("tools", "ln", "la"), ("model", "sn", "ln"), ("model", "sa", "la")}
    assert found.factors == {
        "configuration": ["independent_ensemble", "peer_critique_debate", "single_agent"],
        "model": ["small", "large"],
        "tools": ["none", "all"],
    }
    assert found.agreement["across"].to_list() == ["arms", "model", "tools"]


def test_configurations_stand_in_one_order_in_every_arm():
    means = separable(frame(), ARMS, n=50).means
    orders = {tuple(part["configuration"]) for _, part in means.group_by("arm", maintain_order=True)}
    assert len(orders) == 1
    assert set(means["arm"]) == set(ARMS["arm"])


def test_rankings_that_are_one_agree_as_if_they_were_and_more_than_by_chance():
    rng = np.random.default_rng(9)
    x = rng.normal(size=(200, 2, 2, 5, 1)) * 0.2 + np.linspace(0, 0.2, 5).reshape(1, 1, 1, 5, 1)
    row = agreement(given(x), n=999, seed=0).row(0, named=True)
    assert row["w"] > 0.9
    assert row["w_chance"] == pytest.approx(1 / 4, abs=0.05)  # of four rankings by chance: 1/m
    assert row["p_value"] < 0.01 < row["p_one"]
    assert taus(given(x))["tau"].min() > 0.5


def test_arms_that_are_not_crossed_are_one_factor_and_that_is_said():
    made = crossing(frame().filter(pl.col("arm") != "sn"), ARMS.filter(pl.col("arm") != "sn"))
    assert list(made.levels) == ["configuration", "arm"]
    assert "model and tools are not told apart" in made.left_out[-1]


def test_what_is_missing_in_one_arm_is_left_out_of_all_and_counted():
    whole = frame()
    gone = whole.filter(~((pl.col("arm") == "la") & (pl.col("market_id") == "m05")))
    gone = gone.filter(~((pl.col("arm") == "sa") & (pl.col("configuration") == "single_agent")))
    found = separable(gone, ARMS, n=50)
    assert found.n_markets == 38  # one failed in the made-up study itself
    assert any("single_agent runs in 3 of 4 arms" in why for why in found.left_out)
    assert any("2 markets of 40" in why for why in found.left_out)


def test_one_replicate_gives_no_sampling_again_and_says_so():
    found = separable(frame(replicates=1), ARMS, n=50).components
    row = found.filter(component="sampling again").row(0, named=True)
    assert row["variance"] is None
    assert "one replicate" in row["reason"]
    assert "includes sampling again" in found.filter(component="market")["reason"][0]


def test_the_same_seed_gives_the_same_and_every_null_has_its_reason():
    one, again, other = (separable(frame(), ARMS, n=60, seed=seed) for seed in (1, 1, 2))
    assert one.components.equals(again.components)
    assert not one.components.equals(other.components)
    for table in (one.components, one.interactions, one.agreement, one.effects, one.means):
        numbers = [c for c, kind in table.schema.items() if kind == pl.Float64 and c != "p_joint"]
        silent = table.filter(pl.any_horizontal(pl.col(numbers).is_null()) & pl.col("reason").is_null())
        assert silent.is_empty(), silent


@pytest.mark.parametrize(
    ("cells", "arms", "says"),
    [
        pytest.param(lambda f: f.drop("arm"), ARMS, "lacks arm", id="no column arm"),
        pytest.param(lambda f: f, ARMS.drop("arm"), "column arm", id="no names of arms"),
        pytest.param(lambda f: f, ARMS.head(3), "arm 'la' has no row", id="an arm that is not described"),
        pytest.param(
            lambda f: f,
            ARMS.with_columns(tools=pl.lit("all")),
            "'sn' and 'sa' differ in no field",
            id="two that are the same",
        ),
        pytest.param(lambda f: f.filter(arm="sn"), ARMS, "1 arm: what is separable needs two", id="one arm"),
        pytest.param(lambda f: f.with_columns(model_calls=0), ARMS, "no configuration that calls a model", id="no model"),
        pytest.param(lambda f: f.with_columns(outcome=None), ARMS, "0 of 40 markets were scored", id="nothing resolved"),
        pytest.param(lambda f: pl.concat([f, f]), ARMS, "this cell is there more than once", id="every cell twice"),
    ],
)
def test_what_cannot_be_split_is_refused(cells, arms, says):
    with pytest.raises(AnalysisError, match=says):
        separable(cells(frame()), arms, n=20)


def test_the_worlds_of_the_selftest_have_the_split_that_is_said_of_them():
    """One large world against its integrals: a formula that is off is off by more than chance."""
    made = arms_world(30_000, split_cast(), regime=MILD[0], rng=np.random.default_rng(1))
    told = components(made, n=2, seed=0, level=0.95)
    true = true_split(MILD[0])
    for name, estimate in told.select("component", "estimate").iter_rows():
        assert estimate == pytest.approx(true[name], rel=0.12, abs=2e-5), name
    assert made.errors.shape[2] == REPLICATES
    assert np.ptp(null_cast().slope) == 0


@pytest.mark.parametrize(("share", "thin"), [(None, None), (0.9, "resolved YES"), (-0.9, "resolved NO")])
def test_scores_of_arms_have_no_interval_where_few_outcomes_tell(share, thin):
    """As anywhere: with fewer than 15 events of a kind a score has none; differences keep theirs."""
    cells = frame(markets=60)
    if share is not None:
        kept = cells.select("event_id").unique().sort("event_id")[:8]["event_id"].implode()
        cells = cells.with_columns(
            outcome=pl.when(pl.col("event_id").is_in(kept)).then(int(share > 0)).otherwise(int(share < 0))
        )
    found = separable(cells, ARMS, n=100)
    assert found.means["brier"].null_count() == 0
    for row in found.means.to_dicts():
        assert (row["low"] is None) == (row["high"] is None) == (thin is not None)
        assert thin is None or thin in row["reason"]
    assert found.effects["low"].null_count() == 0
