"""One answer per question: yes and no only where a test shows it, and what it would take where none does."""

import numpy as np
import polars as pl
import pytest

from coordeval.analysis import AnalysisError, answers, diagnose, find, judge, leaderboard, scored
from coordeval.analysis.report.page import build_report
from coordeval.analysis.study.record import Record
from tests.analysis.report_data import STUDY, synthetic

pytestmark = pytest.mark.usefixtures("few_resamples")

MARKETS = 120
RNG = np.random.default_rng(11)
LATENT = RNG.uniform(0.05, 0.95, MARKETS)
OUTCOME = (RNG.random(MARKETS) < LATENT).astype(int)
HALF = np.full(MARKETS, 0.5)
NEAR = np.clip(LATENT + RNG.normal(0, 1e-4, MARKETS), 0, 1)
KNOWS = np.where(OUTCOME == 1, np.maximum(LATENT, 0.8), np.minimum(LATENT, 0.2))


def noisy(p, seed=0, by=0.02):
    return np.clip(p + np.random.default_rng(seed).normal(0, by, len(p)), 0, 1)


def cells(forecasts, *, price=LATENT, replicates=2, noise=0.02):
    """Cells of `forecasts` (configuration -> probability per market), sampled with `noise` around them."""
    template = synthetic(markets=MARKETS, replicates=1, failing=0).filter(configuration="independent_ensemble")
    parts = [
        template.sort("market_id").with_columns(
            configuration=pl.lit(name),
            replicate=pl.lit(replicate, pl.Int64),
            event_id="market_id",
            outcome=pl.Series(OUTCOME),
            outcome_status=pl.lit("resolved"),
            probability=pl.Series(noisy(p, 10 * replicate + i, noise)),
            market_price=pl.Series(price, dtype=pl.Float64),
            cost_usd=pl.lit(0.1 if name == "single_agent" else 0.3),
        )
        for i, (name, p) in enumerate(forecasts.items())
        for replicate in range(replicates)
    ]
    return pl.concat(parts)


def told(frame, **options):
    return {verdict.name: verdict for verdict in judge(find(frame, scored(frame), n=400), **options)}


@pytest.mark.parametrize(
    ("forecasts", "options", "asked", "answer", "words"),
    [
        pytest.param({"a": KNOWS}, {}, "market", "yes", "a is ahead of the market price by", id="knows more than the price"),
        pytest.param({"a": NEAR}, {"noise": 1e-4}, "market", "no", "None is better than the market price by 0.005 or more",
                     id="no better by what matters, which is shown"),
        pytest.param({"a": 1 - KNOWS}, {}, "market", "no", "] worse.", id="shown to be worse"),
        pytest.param({"a": LATENT}, {"noise": 0.2, "price": noisy(LATENT, 99, 0.2)}, "market", "cannot tell yet",
                     "which chance alone could do", id="too few markets"),
        pytest.param({"a": KNOWS}, {"price": [None] * MARKETS}, "market", "not asked", "No market price", id="no price"),
        pytest.param({"a": KNOWS}, {"replicates": 1}, "market", "yes", "with one replicate nobody knows",
                     id="shown by events alone"),
        pytest.param({"a": KNOWS}, {}, "baseline", "not asked", "is not among the configurations", id="no single agent"),
        pytest.param({"a": KNOWS, "single_agent": HALF}, {}, "baseline", "yes", "a is ahead of one agent alone by",
                     id="better than one agent"),
        pytest.param({"a": KNOWS, "single_agent": HALF}, {}, "sampling", "yes", "a is ahead of plain sampling by",
                     id="better than its money"),
        pytest.param({"a": HALF, "single_agent": KNOWS}, {}, "sampling", "no", "None is better", id="worse than its money"),
        pytest.param({"a": KNOWS}, {}, "sampling", "not asked", "sample it twice", id="nothing sampled alone"),
        pytest.param({"a": KNOWS, "b": HALF}, {}, "apart", "yes", "the furthest apart: a is ahead of b by", id="apart"),
        pytest.param({"a": NEAR, "b": LATENT}, {"noise": 1e-4}, "apart", "no", "shown to be within 0.005", id="equivalent"),
        pytest.param({"a": LATENT, "b": LATENT}, {"noise": 0.2}, "apart", "cannot tell yet", "chance alone", id="undecided"),
        pytest.param({"a": LATENT}, {}, "apart", "not asked", "no pair", id="one configuration"),
    ],
)  # fmt: skip
def test_each_question_has_the_answer_that_the_numbers_allow(forecasts, options, asked, answer, words):
    frame = cells(forecasts, **options)
    if len(forecasts) > 1:  # else structure calls them one procedure
        frame = frame.with_columns(call_graph="configuration")
    verdict = told(frame)[asked]
    assert (verdict.answer, words in verdict.sentence) == (answer, True), verdict
    if answer in ("yes", "no") and verdict.low is not None:
        assert verdict.low <= verdict.estimate <= verdict.high


def test_the_baseline_can_be_any_configuration():
    frame = cells({"a": KNOWS, "b": HALF}).with_columns(call_graph="configuration")
    found = find(frame, scored(frame), baseline="b", n=400)
    verdict = {verdict.name: verdict for verdict in judge(found)}["baseline"]
    assert (verdict.answer, verdict.question) == ("yes", "Does any beat b?")
    assert verdict.sentence.startswith("a is ahead of b by")
    assert find(frame, scored(frame), n=50).baseline is None
    with pytest.raises(AnalysisError, match="unknown baseline"):
        find(frame, scored(frame), baseline="c")


def test_what_it_would_take_is_a_number_of_markets():
    verdict = told(cells({"a": LATENT, "b": LATENT}, noise=0.2).with_columns(call_graph="configuration"))["apart"]
    assert verdict.markets_needed > MARKETS
    assert verdict.needs == f"about {verdict.markets_needed:,} markets"
    assert "corrected for 3 tests" in verdict.rests_on


def test_configurations_that_are_one_procedure_are_not_told_apart_whatever_the_numbers():
    frame = cells({"a": KNOWS, "b": HALF}).with_columns(call_graph=pl.lit("the same"))
    verdict = told(frame)["apart"]
    assert (verdict.answer, verdict.sentence[:34]) == ("no", "a and b are one procedure under se")


def test_nothing_is_told_while_forecasts_are_still_to_be_made():
    frame = cells({"a": KNOWS, "b": HALF})
    for verdict in told(frame, pending=221).values():
        assert verdict.answer in ("cannot tell yet", "not asked")
    market = told(frame, pending=221)["market"]
    assert market.sentence.startswith("So far: a is ahead of the market price by ")
    assert market.needs.startswith("the 221 forecasts still to be made")


def test_where_nothing_is_scored_every_question_says_why():
    frame = cells({"a": KNOWS}).with_columns(outcome=pl.lit(None, pl.Int64), outcome_status=pl.lit("open"))
    assert {v.answer for v in told(frame).values()} == {"cannot tell yet"}
    assert all("no resolved market was answered by every configuration" in v.sentence for v in told(frame).values())


def test_a_model_that_answers_alike_each_time_has_no_noise_and_no_absurd_ratio():
    """0.7 twice more or less a bit: a mean of replicates that rounding moved is no noise to divide by."""
    frame = cells({"a": KNOWS, "b": HALF}, noise=0).with_columns(
        probability=pl.col("probability") + pl.when(pl.col("replicate") == 1).then(2.0**-53).otherwise(0),
    )
    report = build_report(frame, STUDY, resamples=5, n=200, record=Record())
    found = report.results()
    assert found["noise_floor"] == 0
    assert {row["ratio"] for row in found["comparisons"]} == {None}
    words = " ".join(report.headline)
    assert "Sampling a configuration again changes no score: the model answers alike each time" in words
    assert "with one replicate" not in words
    assert next(v for v in report.verdicts if v.name == "market").answer == "yes"


def test_differences_of_bits_are_no_differences():
    frame = cells({"a": LATENT, "b": LATENT}, noise=0, replicates=3).with_columns(
        probability=pl.when(pl.col("configuration") == "b").then(pl.col("probability") + 2.0**-53).otherwise("probability")
    )
    row = find(frame, scored(frame), n=200).comparisons.table.filter(family="configurations").row(0, named=True)
    assert (row["delta"], row["p_value"], row["p_holm"], row["n_needed"]) == (0, 1, 1, None)
    board = leaderboard(frame, resamples=50)
    found, deeper = find(frame, scored(frame), n=200), diagnose(frame, scored(frame), Record(), n=50)
    said = next(answer for answer in answers(found, deeper, board) if answer.name == "differences").says
    assert said[-1] == "The same score on every market: a and b."
    assert not any(word in " ".join(said) for word in ("ahead", "largest", "equivalent", "one replicate"))
