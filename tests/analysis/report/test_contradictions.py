"""A report does not contradict itself: ten made-up studies are read whole, and each contradiction is found where it is."""

import html
import io
import re

import polars as pl
import pytest
from rich.console import Console

from coordeval.analysis import Record, build_report, example, example_estimates
from coordeval.analysis.report.terminal import print_report
from coordeval.analysis.words.contradictions import contradictions

STUDY = {"name": "made up", "study_id": "0" * 64, "model": "none", "source": "made up", "simulated": True}
STUDY |= {"created_at": "2026-03-01T00:00:00Z", "elements": {}, "content": {}}
ONE = pl.col("configuration") == "independent_ensemble"


def nearer(p, share):
    """Probabilities moved towards the outcome."""
    return p + share * (pl.col("outcome") - p)


def changed(cells, **columns):
    return cells.with_columns(**{name: pl.when(ONE).then(value).otherwise(name) for name, value in columns.items()})


P = pl.col("probability")
STUDIES = {
    "nothing differs": lambda: example(seed=3),
    "one replicate": lambda: example(replicates=1),
    "one is better": lambda: changed(example(markets=60), probability=nearer(P, 0.6)),
    "one is worse": lambda: changed(example(markets=60), probability=nearer(P, -0.4).clip(0.01, 0.99)),
    "better, one replicate": lambda: changed(example(markets=60, replicates=1), probability=nearer(P, 0.6)),
    "miscalibrated": lambda: changed(example(markets=60), probability=1 - P),
    "few markets": lambda: example(markets=6),
    "one market": lambda: example(markets=2).filter(pl.col("market_id") == "m00"),
    "no price, no baseline": lambda: (
        example().filter(pl.col("configuration") != "single_agent").with_columns(market_price=pl.lit(None, pl.Float64))
    ),
    "as cheap as one agent": lambda: changed(example(markets=60), probability=nearer(P, 0.3)).with_columns(cost_usd=0.01),
    "one procedure": lambda: example().with_columns(call_graph=pl.lit("the same")),
}


def read(page):
    """What a person reads of a page."""
    bare = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", bare)).replace("\u00ad", "").replace(" .", ".")


@pytest.mark.parametrize("name", STUDIES)
def test_no_report_contradicts_itself(name):
    cells = STUDIES[name]()
    said = Record(estimates=example_estimates()) if name == "nothing differs" else Record()
    report = build_report(cells, STUDY, resamples=60, n=120, record=said)
    out = io.StringIO()
    print_report(report, Console(file=out, width=2000, color_system=None), full=True)
    assert contradictions(report.results(), out.getvalue(), read(report.html())) == ()


def test_a_difference_from_one_agent_is_told_apart_from_plain_sampling_as_from_that_agent():
    """For the money of one forecast there is one forecast: the two questions are one, and so are interval and answer."""
    for share in (0.0, 0.6):
        cells = changed(example(markets=60), probability=nearer(P, share)).with_columns(cost_usd=0.01)
        found = build_report(cells, STUDY, resamples=60, n=400).results()
        pairs = {row["first"]: row for row in found["comparisons"] if row["second"] == "single_agent"}
        pairs |= {row["second"]: row for row in found["comparisons"] if row["first"] == "single_agent"}
        for row in found["compute_matched"]["table"]:
            pair = pairs[row["configuration"]]
            assert {abs(row["low"]), abs(row["high"])} == {abs(pair["low"]), abs(pair["high"])}
            if row["configuration"] == "independent_ensemble":
                said = [each["of"] for each in found["stated"] if each["kind"] == "sampling"]
                assert row["apart"] == ("independent_ensemble" in said) == (share == 0.6)
        brier = {row["configuration"]: row for row in found["intervals"] if row["measure"] == "brier"}["single_agent"]
        first = found["compute_matched"]["curve"][0]
        assert (first["brier"], first["low"], first["high"]) == pytest.approx(
            (brier["estimate"], brier["low"], brier["high"]), abs=1e-12
        )


def test_one_interval_for_one_difference_and_one_for_a_component():
    report = build_report(changed(example(markets=24), probability=1 - P), STUDY, resamples=60, n=2200)
    found = report.results()
    pairs = {(row["first"], row["second"]): row for row in found["comparisons"]}
    for row in found["influence"]["restated"]:
        assert (row["low"], row["high"]) == (
            pairs[row["first"], row["second"]]["low"],
            pairs[row["first"], row["second"]]["high"],
        )
    mcb = {row["configuration"]: row for row in found["intervals"] if row["measure"] == "mcb"}
    for row in found["leaderboard"]:
        assert (row["calibration_p"] < 0.05) == (mcb[row["configuration"]]["low"] > 0)


STATED = [{"kind": "pair", "of": "a", "than": "b", "estimate": -0.1}]
PAIR = {"first": "a", "second": "b", "delta": -0.1, "low": -0.2, "high": -0.05}
PREMIUM = {"configuration": "a", "premium": 0.1, "low": 0.05, "high": 0.2}
BRIER = {"configuration": "one", "measure": "brier", "estimate": 0.2, "low": 0.1, "high": 0.3}
NULL = {"table": [{"configuration": "a", "measure": "mcb", "p_value": 0.3}]}


@pytest.mark.parametrize(
    ("results", "texts", "found"),
    [
        pytest.param(
            {"comparisons": [PAIR], "influence": {"restated": [PAIR | {"low": -0.19}]}}, (), "two intervals", id="rows"
        ),
        pytest.param(
            {"headline": ["a is ahead by 0.0100 [0.0010, 0.0200].", "a is better by 0.0100 [0.0020, 0.0200]."]},
            (),
            "has the intervals [0.0010, 0.0200] and [0.0020, 0.0200]",
            id="sentences",
        ),
        pytest.param(
            {"comparisons": [PAIR], "compute_matched": {"table": [PREMIUM | {"high": 0.21}], "curve": []}},
            (),
            "0.1000 of a has two intervals, in comparisons and in compute_matched",
            id="a pair, and plain sampling at the price of one",
        ),
        pytest.param({"comparisons": [PAIR], "compute_matched": {"table": [PREMIUM], "curve": []}}, (), None, id="the same"),
        pytest.param(
            {
                "baseline": "one",
                "intervals": [BRIER],
                "compute_matched": {"table": [], "curve": [{"k": 1, "brier": 0.2, "low": 0.1, "high": 0.31}]},
            },
            (),
            "0.2000 of one has two intervals",
            id="the first point of the curve",
        ),
        pytest.param(
            {"component_nulls": NULL, "intervals": [{"configuration": "a", "measure": "mcb", "low": 0.01}]},
            (),
            "MCB of a has p 0.300 and an interval from 0.0100",
            id="a p-value against its interval",
        ),
        pytest.param(
            {"stated": STATED, "headline": ["To tell b from a, if they truly differ by the 0.1000 seen, it takes about 9."]},
            (),
            "it is said what that would take",
            id="what it takes to tell apart what is told apart",
        ),
        pytest.param(
            {"headline": ["Brier scores differ from the price's here: a in price 1. 13 of 13 cells are too small to say."]},
            (),
            "13 of 13 are too small",
            id="cells that differ and say nothing",
        ),
        pytest.param(
            {"stated": STATED, "verdicts": [{"name": "apart", "answer": "cannot tell yet", "sentence": "x"}]},
            (),
            "the answer to apart is",
            id="an answer that is not what is stated",
        ),
        pytest.param(
            {"stated": STATED, "headline": ["so the study tells no two apart"]},
            (),
            "that no two do",
            id="a sentence against it",
        ),
        pytest.param(
            {"verdicts": [{"name": "market", "answer": "no", "sentence": "None is better."}]},
            ("None is better.", "Some are."),
            "text 2 has no sentence",
            id="a page that says another thing",
        ),
        pytest.param({}, ("of 1 markets",), "'1 markets'", id="one markets"),
        pytest.param({}, ("on 12 market.",), "'12 market'", id="twelve market"),
        pytest.param({}, ("1 of 3 pairs differ by more",), "1 of 3 pairs differ", id="one differ"),
        pytest.param({}, ("21 markets, 0.1 markets, 1 of 3 pairs differs, 1,001 markets",), None, id="all is well"),
    ],
)
def test_each_contradiction_is_found(results, texts, found):
    told = contradictions(results, *texts)
    assert (told == ()) if found is None else any(found in each for each in told), told
