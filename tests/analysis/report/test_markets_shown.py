"""Which markets the page shows, and that none is lost."""

import polars as pl
import pytest

from coordeval.analysis.report.markets_shown import SHOWN, every_market, market_facts, market_means, shown
from coordeval.analysis.report.page import build_report
from tests.analysis.report_data import STUDY, synthetic


@pytest.fixture(scope="module")
def cells():
    return synthetic(markets=40)


def test_few_markets_are_all_shown_by_question(cells):
    means = market_means(cells)
    rows = shown(market_facts(cells, means), means)
    assert [row["question"] for row in rows] == sorted(cells["question"].unique())


def test_of_many_markets_those_with_the_widest_range_of_mean_forecasts_come_first(cells):
    means = market_means(cells)
    rows = shown(market_facts(cells, means), means, most=7)
    apart = {}
    for (market,), mine in cells.group_by("market_id"):
        each = mine.group_by("configuration").agg(pl.col("probability").mean())["probability"].drop_nulls()
        apart[market] = each.max() - each.min()
    assert [row["market_id"] for row in rows] == sorted(apart, key=lambda market: (-apart[market], market))[:7]
    for row in rows:
        said = [f["mean"] for f in row["forecasts"].values() if f["mean"] is not None]
        assert max(said) - min(said) == pytest.approx(row["apart"])


def test_the_file_has_every_market_and_each_mean_forecast(cells, tmp_path):
    report = build_report(cells, STUDY, resamples=5, n=20)
    report.write(tmp_path)
    file = pl.read_csv(tmp_path / "markets.csv")
    assert sorted(file["market_id"]) == sorted(cells["market_id"].unique())
    means = market_means(cells)
    for name in set(cells["configuration"]) - {"market_price"}:  # that is the column market_price
        told = dict(file.select("market_id", f"forecast_{name}").iter_rows())
        for market, mean in means.filter(configuration=name).select("market_id", "mean").iter_rows():
            assert told[market] == pytest.approx(mean)


def test_a_page_that_leaves_markets_out_says_how_many_and_where_they_are(tmp_path):
    report = build_report(synthetic(markets=SHOWN + 200, replicates=1), STUDY, resamples=5, n=20)
    page = report.write(tmp_path).read_text()
    assert len(report.markets) == SHOWN
    assert "The 1,000 of 1,200 markets on which the configurations are furthest apart" in page
    assert "markets.csv" in page
    assert page.count("<tr data-words=") == SHOWN
    assert pl.read_csv(tmp_path / "markets.csv").height == SHOWN + 200


def test_a_market_without_any_forecast_is_in_the_file(cells):
    silent = cells.with_columns(
        pl.when(market_id="m003").then(None).otherwise("probability").alias("probability"),
        pl.when(market_id="m003").then(pl.lit("failed")).otherwise("status").alias("status"),
    )
    means = market_means(silent)
    facts = market_facts(silent, means)
    [row] = every_market(facts, means).filter(market_id="m003").to_dicts()
    assert row["apart"] is None
    assert row["failed"] == cells.filter(market_id="m003").height
    assert shown(facts, means, most=39)[-1]["market_id"] != "m003"
