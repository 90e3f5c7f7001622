"""The first answer is the report's own numbers, only sooner; its intervals are near those by resampling."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import bootstrap

from coordeval.analysis.study.leaderboard import REFERENCE
from coordeval.flows.dashboard.first_answer import _components, clustered_mean
from coordeval.flows.dashboard.view import View
from coordeval.flows.run.scoring import score
from tests.thinned import first_of

SAME = (
    "brier",
    "rel",
    "res",
    "unc",
    "wbv",
    "wbc",
    "rel_corrected",
    "res_corrected",
    "mcb",
    "dsc",
    "n_markets",
    "n_forecasts",
)


@pytest.mark.parametrize(
    ("study", "policy"),
    first_of(
        [("half", "common"), *(("seen", policy) for policy in ("available", "common", "fallback_half", "fallback_market"))],
        2,
    ),
)
def test_scores_and_components_are_those_of_the_leaderboard(facts, ledger, study, policy):
    report = score(ledger, study, policy=policy)
    board = {row["configuration"]: row for row in report.board.table.to_dicts()}
    found = {row["configuration"]: row for row in facts.first(View(study=study, policy=policy)).rows}
    assert found.keys() == board.keys() or not report.board.n_markets
    for name, row in board.items():
        for key in SAME:
            if row[key] is not None and found.get(name, {}).get(key) is not None:
                assert found[name][key] == pytest.approx(row[key], abs=1e-12), (name, key)
        if row["brier"] is not None:
            assert found[name]["brier"] is not None


def test_a_component_that_one_replicate_does_not_have_is_not_known_of_their_mean():
    """As in the leaderboard; of a small study no bin of one replicate may hold the two forecasts that a correction needs."""
    rows = [(0, 0.12, 0), (0, 0.14, 1), (0, 0.9, 1), (1, 0.1, 0), (1, 0.5, 1), (1, 0.9, 1)]
    kept = pl.DataFrame(rows, schema=["replicate", "p", "outcome"], orient="row").with_columns(configuration=pl.lit("a"))
    first, second = (_components(kept.filter(replicate=k), "a") for k in (0, 1))
    assert "rel_corrected" in first.keys() - second.keys()
    assert _components(kept, "a").keys() == first.keys() & second.keys() > {"rel", "mcb"}
    assert _components(kept.with_columns(replicate=1 - pl.col("replicate")), "a") == _components(kept, "a")


def test_a_study_in_which_few_outcomes_tell_has_its_intervals_from_the_report_alone(facts, ledger):
    report = score(ledger, "seen")
    scores = report.findings.measures.table.filter(measure="brier")
    first = facts.first(View(study="seen"))
    assert all(row["low"] is None and "events resolved" in row["reason"] for row in first.rows)
    assert {row["configuration"]: row["brier"] for row in first.rows} == pytest.approx(
        dict(scores.select("configuration", "estimate").iter_rows()), abs=1e-12
    )
    deltas = {(r["first"], r["second"]): r["delta"] for r in report.findings.comparisons.table.to_dicts()}
    assert first.pairs
    for pair in first.pairs:
        assert pair["delta"] == pytest.approx(deltas[pair["first"], pair["second"]], abs=1e-12)
        assert pair["low"] is None
        assert "events resolved" in pair["reason"]


def test_intervals_from_sums_are_near_those_by_resampling():
    values = np.random.default_rng(5).beta(1, 4, 120)
    found = clustered_mean(values, np.arange(120))
    by_resampling = bootstrap((values,), np.mean, rng=5).confidence_interval
    width = by_resampling.high - by_resampling.low
    assert found["low"] == pytest.approx(by_resampling.low, abs=0.05 * width)
    assert found["high"] == pytest.approx(by_resampling.high, abs=0.05 * width)


def test_a_filter_leaves_what_it_lets_through(facts):
    everything = facts.cells(facts.study("seen").study_id)
    for view, expected in (
        (View(study="seen", replicate=1), pl.col("replicate") == 1),
        (View(study="seen", category="Health"), pl.col("category").cast(pl.String) == "Health"),
        (View(study="seen", decile=2), pl.col("price").is_between(0.2, 0.3, closed="left")),
    ):
        kept = facts.within(view)
        assert 0 < kept.height == everything.filter(expected).height < everything.height


def test_nothing_scored_is_said_and_never_zero(facts):
    first = facts.first(View(study="seen", category="no such category"))
    assert first.n_markets == 0
    assert all(row.get("brier") is None and row["reason"] for row in first.rows)
    assert [row["configuration"] for row in first.rows] == [REFERENCE]


def test_the_report_of_a_filter_holds_the_same_markets(facts):
    view = View(study="seen", replicate=1, category="Health")
    facts.deeper(view)
    facts._worker.shutdown(wait=True)
    report = facts.deeper(view).report
    assert 0 < report.board.n_markets < 30
    assert report.board.n_markets == facts.first(view).n_markets
    assert report.replicates == 1
    assert report.diagnostics.coordination is not None
