"""Coherence of linked forecasts: projections against a general optimiser, gains against their theorem."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from scipy.optimize import minimize

from coordeval.analysis import PRICE, AnalysisError
from coordeval.analysis.linked.coherence import MEASURES, coherence, project_exclusive, project_ladder
from coordeval.analysis.linked.links import propose_links
from tests.analysis.reference import cell, failed, recorded, recorded_frame, table

NOW = datetime(2026, 1, 10, tzinfo=UTC)
P = st.lists(st.floats(0, 1), min_size=2, max_size=6)


def dated(*cells, as_of=NOW):
    return table(*cells).with_columns(as_of=pl.lit(as_of))


def linked(*, kind="ladder", event="e", exhaustive=False, ids):
    return pl.DataFrame(
        {"market_id": ids, "order": list(range(len(ids))) if kind == "ladder" else [None] * len(ids)}
    ).with_columns(
        link_id=pl.lit(f"{kind} {event}"),
        event_id=pl.lit(event),
        kind=pl.lit(kind),
        exhaustive=pl.lit(exhaustive),
        rule=pl.lit("mine"),
    )


def legs(p, y, *, event="e", configuration="a", price=None, replicate=0):
    return [
        cell(
            configuration=configuration,
            market_id=f"{event}{i}",
            event_id=event,
            probability=q,
            outcome=o,
            market_price=price[i] if price else None,
            replicate=replicate,
        )
        for i, (q, o) in enumerate(zip(p, y, strict=True))
    ]


def nearest(p, constraints):
    start = np.full(len(p), 1 / len(p))
    found = minimize(lambda q: np.sum((q - p) ** 2), start, bounds=[(0, 1)] * len(p), constraints=constraints, tol=1e-12)
    assert found.success
    return found.x


@settings(max_examples=40, deadline=None)
@given(P)
def test_projections_are_the_nearest_points_that_an_optimiser_finds(p):
    p = np.array(p)
    ladder = [{"type": "ineq", "fun": np.diff}]
    assert project_ladder(p) == pytest.approx(nearest(p, ladder), abs=2e-5)
    assert project_exclusive(p) == pytest.approx(nearest(p, [{"type": "ineq", "fun": lambda q: 1 - q.sum()}]), abs=2e-5)
    whole = [{"type": "eq", "fun": lambda q: 1 - q.sum()}]
    assert project_exclusive(p, exhaustive=True) == pytest.approx(nearest(p, whole), abs=2e-5)


@pytest.mark.proof
@settings(max_examples=60, deadline=None)
@given(P, st.data())
def test_projecting_gains_at_least_the_squared_distance_whatever_happens(p, data):
    """Outcomes are coherent, and a projection onto a convex set is nearer to each of its points (Predd et al. 2009)."""
    rung = data.draw(st.integers(0, len(p)))
    winner = data.draw(st.integers(0, len(p)))
    for kind, y in (
        ("ladder", [int(i >= rung) for i in range(len(p))]),
        ("exclusive", [int(i == winner) for i in range(len(p))]),
    ):
        found = coherence(dated(*legs(p, y)), linked(kind=kind, ids=[f"e{i}" for i in range(len(p))]), n=2).details
        row = found.row(0, named=True)
        moved = np.sum((np.array(row["forecasts"]) - np.array(row["projected"])) ** 2)
        assert row["gain"] >= moved - 1e-12
        assert (row["excess"] == 0) == (moved < 1e-20) or row["excess"] < 1e-6


def test_projections_leave_alone_what_fits():
    assert project_exclusive([0.2, 0.3]).tolist() == [0.2, 0.3]
    assert project_exclusive([0.5, 0.5], exhaustive=True).tolist() == [0.5, 0.5]
    assert project_ladder([0.1, 0.1, 0.7]).tolist() == [0.1, 0.1, 0.7]


@pytest.mark.parametrize(
    ("kind", "exhaustive", "p", "excess", "projected"),
    [
        pytest.param("exclusive", False, [0.6, 0.6, 0.1], 0.3, [0.5, 0.5, 0.0], id="more than 1"),
        pytest.param("exclusive", False, [0.2, 0.2, 0.0], 0.0, [0.2, 0.2, 0.0], id="less than 1 is allowed"),
        pytest.param("exclusive", True, [0.2, 0.2, 0.3], 0.3, [0.3, 0.3, 0.4], id="less than 1 of all there are"),
        pytest.param("ladder", False, [0.5, 0.3, 0.6], 0.1, [0.4, 0.4, 0.6], id="a step down"),
        pytest.param("ladder", False, [0.1, 0.3, 0.6], 0.0, [0.1, 0.3, 0.6], id="upwards"),
    ],
)
def test_what_is_too_much(kind, exhaustive, p, excess, projected):
    found = coherence(dated(*legs(p, [0, 0, 1])), linked(kind=kind, exhaustive=exhaustive, ids=["e0", "e1", "e2"]), n=50)
    row = found.details.row(0, named=True)
    assert row["excess"] == pytest.approx(excess)
    assert row["projected"] == pytest.approx(projected)
    told = dict(found.table.filter(kind=kind).select("measure", "estimate").iter_rows())
    gain = sum((q - y) ** 2 - (r - y) ** 2 for q, r, y in zip(p, projected, (0, 0, 1), strict=True))
    assert told == pytest.approx({"violated": float(excess > 0), "excess": excess, "gain": gain / 3})


def test_links_count_once_whatever_their_replicates_and_gains_are_per_market():
    frame = dated(
        *legs([0.6, 0.4], [0, 1]),
        *legs([0.4, 0.6], [0, 1], replicate=1),
        *legs([0.5, 0.5, 0.5], [1, 1, 1], event="f"),
        *legs([0.5, 0.5, 0.2], [1, 1, 1], event="f", replicate=1),
    )
    both = pl.concat([linked(ids=["e0", "e1"]), linked(ids=["f0", "f1", "f2"], event="f")])
    found = coherence(frame, both, n=50).table.filter(kind="ladder")
    row = {name: found.filter(measure=name).row(0, named=True) for name in MEASURES}
    assert (row["violated"]["n_links"], row["violated"]["n_markets"], row["violated"]["n_events"]) == (2, 5, 2)
    assert row["violated"]["estimate"] == pytest.approx((0.5 + 0.5) / 2)
    assert row["excess"]["estimate"] == pytest.approx((0.2 / 2 + 0.15 / 2) / 2)
    gains = [2 * 0.6**2 - 2 * 0.5**2, 0.25 + 0.25 + 0.64 - 3 * 0.36]
    assert row["gain"]["estimate"] == pytest.approx((gains[0] / 2 + gains[1] / 2) / 5)


def test_intervals_resample_events_and_tell_a_violation_from_none():
    rng = np.random.default_rng(0)
    cells, links = [], []
    for e in range(40):
        event, p = f"e{e:02}", rng.uniform(0.2, 0.8)
        rung = int(rng.random() < p)
        for name, off in (("fits", 0.1), ("breaks", -0.1)):
            cells += legs([p - off / 2, p + off / 2], [0, rung], event=event, configuration=name, price=[p, p])
        links.append(linked(ids=[f"{event}0", f"{event}1"], event=event))
    found = coherence(dated(*cells), pl.concat(links), n=500).table.filter(kind="ladder")
    breaks = found.filter(configuration="breaks", measure="excess").row(0, named=True)
    assert breaks["estimate"] == pytest.approx(0.1)
    gain = found.filter(configuration="breaks", measure="gain").row(0, named=True)
    assert 0 < gain["low"] < gain["estimate"] < gain["high"]
    none = found.filter(configuration="fits", measure="gain").row(0, named=True)
    assert (none["estimate"], none["low"], none["reason"]) == (0, None, "low, high: the same in every resample")
    assert found.filter(configuration=PRICE, measure="violated")["estimate"][0] == 0
    again = coherence(dated(*cells)[::-1], pl.concat(links[::-1]), n=500).table.filter(kind="ladder")
    assert_frame_equal(again, found)


@pytest.mark.parametrize(
    ("cells", "links", "reason"),
    [
        pytest.param(legs([0.2, 0.3], [1, 0]), linked(ids=["e0", "e1"]), "a lower rung resolved YES", id="ladder"),
        pytest.param(
            legs([0.2, 0.3], [1, 1]),
            linked(kind="exclusive", ids=["e0", "e1"]),
            "2 of its markets resolved YES",
            id="two winners",
        ),
        pytest.param(
            legs([0.2, 0.3], [0, 0]),
            linked(kind="exclusive", exhaustive=True, ids=["e0", "e1"]),
            "0 of its markets resolved YES",
            id="no winner of all",
        ),
        pytest.param(legs([0.2, 0.3], [0, 0]), linked(ids=["e0", "x"]), "the frame has no market x", id="unknown"),
    ],
)
def test_a_link_that_is_contradicted_or_unknown_is_told_and_not_used(cells, links, reason):
    found = coherence(dated(*cells), links, n=2)
    row = found.links.row(0, named=True)
    assert row["used"] is False
    assert reason in row["reason"]
    assert found.details.is_empty()
    assert found.table["estimate"].null_count() == found.table.height
    assert set(found.table["reason"]) == {"no link has two of its forecasts"}


def test_forecasts_of_other_moments_need_not_fit():
    times = pl.when(pl.col("market_id") == "e0").then(pl.lit(NOW)).otherwise(pl.lit(NOW + timedelta(days=2)))
    frame = table(*legs([0.6, 0.4], [0, 1])).with_columns(as_of=times)
    found = coherence(frame, linked(ids=["e0", "e1"]), n=2)
    assert (
        found.links["reason"][0] == "its markets were forecast for times that are 2 days, 0:00:00 apart, 1:00:00 is allowed"
    )
    assert coherence(frame, linked(ids=["e0", "e1"]), within=timedelta(days=2), n=2).links["used"][0] is True
    unknown = frame.with_columns(as_of=pl.lit(None, pl.Datetime("us", "UTC")))
    assert coherence(unknown, linked(ids=["e0", "e1"]), n=2).links["reason"][0] == "the as-of time of market e0 is not known"


def test_a_missing_forecast_leaves_the_others_of_its_link_and_an_open_market_the_violation():
    frame = dated(*legs([0.6, 0.4], [0, 1]), failed(market_id="e2", event_id="e", outcome=1, market_price=None))
    row = coherence(frame, linked(ids=["e0", "e1", "e2"]), n=2).details.row(0, named=True)
    assert (row["n_markets"], row["forecasts"]) == (2, [0.6, 0.4])
    open_ = coherence(dated(*legs([0.6, 0.4], [0, None])), linked(ids=["e0", "e1"]), n=2)
    row = open_.details.row(0, named=True)
    assert (row["gain"], row["reason"]) == (None, "gain: one of its markets is not resolved")
    assert row["excess"] == pytest.approx(0.2)
    assert open_.table.filter(kind="ladder", measure="gain")["reason"][0] == "no link is resolved"


def test_a_tolerance_forgives_rounding():
    frame, links = dated(*legs([0.34, 0.34, 0.34], [0, 0, 1])), linked(kind="exclusive", ids=["e0", "e1", "e2"])
    shares = [
        coherence(frame, links, tolerance=t, n=2).table.filter(kind="exclusive", measure="violated")["estimate"][0]
        for t in (0.0, 0.03)
    ]
    assert shares == [1, 0]


def test_what_is_missing_is_named():
    with pytest.raises(AnalysisError, match="lacks as_of"):
        coherence(table(cell()), linked(ids=["e0", "e1"]))
    with pytest.raises(AnalysisError, match="tolerance is 5"):
        coherence(dated(cell()), linked(ids=["e0", "e1"]), tolerance=5)
    with pytest.raises(AnalysisError, match="called 'market price'"):
        coherence(dated(cell(configuration=PRICE)), linked(ids=["e0", "e1"]))


@recorded
def test_the_recorded_study_has_three_ladders_and_the_price_breaks_one():
    """Two launches by value and one count of views; nominees and top fives do not exclude each other, and are not linked."""
    from tests.analysis.reference import _lines

    facts = [
        {"market_id": m["marketId"], "question": m["question"], "as_of": datetime.fromisoformat(m["baselineDate"])}
        | {"event_id": m["eventGroupId"]}
        for m in _lines("markets.jsonl")
    ]
    asked = pl.DataFrame(facts)
    links = propose_links(asked)
    assert links.left_out.is_empty()
    frame = recorded_frame().join(asked.select("market_id", "as_of"), on="market_id")
    found = coherence(frame, links.table, n=2)
    assert found.links.select("event_id", "n_markets", "used").rows() == [
        ("26699", 3, True),
        ("43020", 3, True),
        ("79164", 2, False),
    ]
    assert "5 days" in found.links["reason"][2]
    broken = found.details.filter(pl.col("excess") > 0)
    assert set(broken["event_id"]) == {"26699"}
    assert broken["configuration"].to_list() == sorted([*recorded_frame()["configuration"].unique(), PRICE])
    price = broken.filter(configuration=PRICE).row(0, named=True)
    assert price["excess"] == pytest.approx((0.777342 - 0.748011) / 2)
    table_ = found.table.filter(kind="ladder", measure="gain")
    assert table_["reason"].to_list() == ["low, high: 2 events: an interval needs 6"] * 6
