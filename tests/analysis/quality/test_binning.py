"""What a choice of bins does to REL and RES: against the decomposition itself, and in worlds where it can do nothing."""

import numpy as np
import polars as pl
import pytest

from coordeval.analysis import PRICE, AnalysisError, corp, decompose, scored
from coordeval.analysis.quality.binning import BIN_CHOICES, MEASURES, binning
from tests.analysis.reference import cell, made_up, recorded, recorded_frame, table


def said(**probabilities):
    """Configurations with these forecasts of markets that resolve 0, 1, 0, 1, ..."""
    return table(
        *(
            cell(configuration=name, market_id=f"m{i}", probability=p, outcome=i % 2, market_price=None)
            for name, forecasts in probabilities.items()
            for i, p in enumerate(forecasts)
        )
    )


def test_every_row_is_the_decomposition_under_its_choice_averaged_over_replicates():
    frame = made_up(markets=40, replicates=2)
    found = binning(scored(frame)).table
    assert found.height == 4 * len(BIN_CHOICES)
    for row in found.filter(configuration="c1").iter_rows(named=True):
        parts = [
            (part["probability"].to_numpy(), part["outcome"].to_numpy())
            for part in frame.filter(configuration="c1").partition_by("replicate")
        ]
        cut = [decompose(p, y, bins=row["bins"] or 1, edges=row["edges"]) for p, y in parts]
        for measure in MEASURES:
            assert row[measure] == pytest.approx(np.mean([getattr(d, measure) for d in cut]), abs=1e-14)
        assert row["mcb"] == pytest.approx(np.mean([corp(p, y).mcb for p, y in parts]), abs=1e-14)


def test_ranges_name_the_choices_at_their_ends():
    found = binning(scored(made_up(markets=40)))
    for row in found.ranges.iter_rows(named=True):
        mine = found.table.filter(configuration=row["configuration"]).drop_nulls(row["measure"])
        assert row["least"] == pytest.approx(mine[row["measure"]].min())
        assert row["range"] == pytest.approx(mine[row["measure"]].max() - mine[row["measure"]].min())
        edges, _, bins = row["most_at"].partition(" ")
        at = mine.filter((pl.col("edges") == edges) & (pl.col("bins").eq_missing(int(bins) if bins else None)))
        assert at[row["measure"]].item() == row["most"]
        assert row["bin_free"] == mine["mcb" if row["measure"].startswith("rel") else "dsc"][0]


def test_forecasts_that_every_choice_cuts_alike_never_flip():
    frame = said(good=[0.05, 0.95] * 5, bad=[0.35, 0.65] * 5)
    found = binning(scored(frame))
    assert set(found.pairs.filter(measure="rel")["flips"]) == {0}
    rel = found.rankings.filter(measure="rel").row(0, named=True)
    assert (rel["usual"], rel["choices"], rel["changed"], rel["rankings"], rel["best"]) == (
        *(["good", "bad"], len(BIN_CHOICES), 0, 1),
        ["good"],
    )
    res = found.pairs.filter(measure="res").row(0, named=True)
    assert (res["flips"], res["reason"]) == (None, "flips, flipped_at, bin_free_flips: under decimal 10 it is a tie")
    assert found.rankings.filter(measure="res")["changed"][0] == 0


def test_a_pair_that_changes_places_is_counted_where_it_does():
    """In one bin both are as good as their mean; in two, what lies at the right ends wins."""
    frame = said(spread=[0.1, 0.8, 0.1, 0.8], centred=[0.49, 0.52, 0.49, 0.52])
    choices = [("decimal", 1), ("decimal", 2), ("quantile", 2)]
    found = binning(scored(frame), choices=choices, usual=("decimal", 1))
    rel = dict(found.table.filter(edges="decimal", bins=1).select("configuration", "rel").iter_rows())
    assert rel == pytest.approx({"centred": 0.005**2, "spread": 0.05**2})
    rel = dict(found.table.filter(edges="quantile").select("configuration", "rel").iter_rows())
    assert rel == pytest.approx({"centred": (0.49**2 + 0.48**2) / 2, "spread": (0.1**2 + 0.2**2) / 2})
    pair = found.pairs.filter(measure="rel").row(0, named=True)
    assert (pair["first"], pair["second"], pair["choices"]) == ("centred", "spread", 3)
    assert (pair["flips"], pair["flipped_at"], pair["bin_free_flips"]) == (2, ["decimal 2", "quantile 2"], True)
    ranking = found.rankings.filter(measure="rel").row(0, named=True)
    assert (ranking["changed"], ranking["rankings"], ranking["best"]) == (2, 2, ["centred", "spread"])


def test_a_correction_that_is_unknown_has_a_reason_and_does_not_rank():
    found = binning(scored(said(a=[0.1, 0.9], b=[0.2, 0.6])))
    row = found.table.filter(configuration="a", edges="decimal", bins=10).row(0, named=True)
    assert row["rel"] is not None
    assert row["rel_corrected"] is None
    assert "no bin holds two forecasts" in row["reason"]
    ranking = found.rankings.filter(measure="rel_corrected").row(0, named=True)
    assert (ranking["usual"], ranking["choices"]) == (None, 0)
    assert "does not tell it" in ranking["reason"]
    for part in (found.table, found.ranges, found.pairs, found.rankings):
        silent = part.filter(pl.any_horizontal(pl.exclude("reason", "bins").is_null()) & pl.col("reason").is_null())
        assert silent.is_empty()


def test_the_price_has_rows_and_no_rank():
    found = binning(scored(made_up(markets=30)))
    assert PRICE in found.table["configuration"]
    assert PRICE not in found.pairs["first"].to_list() + found.pairs["second"].to_list()
    assert found.rankings["usual"].list.len().to_list() == [3] * 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"usual": ("decimal", 11)}, "usual is 'decimal 11': it must be one of the choices decimal 5"),
        ({"choices": [("decimal", 10), ("round", 5)]}, "edges"),
    ],
)
def test_an_unknown_choice_is_named(options, message):
    with pytest.raises(AnalysisError, match=message):
        binning(scored(made_up(markets=4)), **options)


@recorded
def test_every_other_choice_of_bins_ranks_the_recorded_configurations_differently():
    found = binning(scored(recorded_frame(), policy="fallback_half"))
    published = found.table.filter(edges="float", configuration="independent_ensemble").row(0, named=True)
    assert (published["rel"], published["res"]) == pytest.approx((0.019898, 0.110414), abs=5e-7)
    usual = found.table.filter(edges="decimal", bins=10, configuration="independent_ensemble").row(0, named=True)
    assert (usual["rel"], usual["mcb"], usual["dsc"]) == pytest.approx((0.016025, 0.025229, 0.115183), abs=5e-7)
    rel = found.rankings.filter(measure="rel").row(0, named=True)
    assert (rel["choices"], rel["changed"]) == (16, 15)
    assert len(rel["best"]) == 3
    never = found.pairs.filter((pl.col("measure") == "rel") & (pl.col("flips") == 0))
    assert never.select("first", "second").rows() == [("sequential_pipeline", "consensus_alignment")]
