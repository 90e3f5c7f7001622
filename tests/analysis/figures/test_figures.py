"""What the figures must show, and must not hide."""

import math

import numpy as np
import polars as pl
import pytest

from coordeval.analysis.base.numerals import number, usd
from coordeval.analysis.figures.axes import equal_brier, money_axis, round_step, score_ticks
from coordeval.analysis.figures.reliability import reliability
from coordeval.analysis.figures.style import DARK, HUES, Look, looks
from coordeval.analysis.quality.corp import corp
from coordeval.analysis.report.page import Report, build_report
from coordeval.analysis.study.leaderboard import REFERENCE
from tests.analysis.report_data import CONFIGURATIONS, STUDY, synthetic

pytestmark = pytest.mark.usefixtures("few_resamples", "checked_figures")


@pytest.fixture(scope="module")
def report() -> Report:
    return build_report(synthetic(), STUDY, resamples=50)


def drawn(report):
    return {p.name: p for p in (*report.pictures, *report.reliability)}


def traces(picture, name):
    return [t for t in picture.figure.data if t.name == name]


def texts(value):
    """Every string inside a figure."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from texts(part)


def test_there_is_a_reliability_panel_for_every_configuration_and_the_market_price(report):
    assert {p.title for p in report.reliability} == {*CONFIGURATIONS, REFERENCE} - {"market_price"}, (
        "the price is there once"
    )
    assert [p.name for p in report.pictures] == ["plane", "cost", "replicates"]


@pytest.mark.parametrize("simulated", [True, False])
def test_the_simulated_mark_is_in_every_figure_or_in_none(simulated):
    made = build_report(synthetic(markets=20, simulated=simulated), STUDY | {"simulated": simulated}, resamples=5)
    for picture in drawn(made).values():
        assert ("SIMULATED" in str(picture.figure.layout.annotations)) is simulated, picture.name


def test_one_simulated_row_marks_everything():
    frame = synthetic(markets=20, simulated=False)
    mixed = frame.with_columns(simulated=pl.int_range(pl.len()) == 5)
    made = build_report(mixed, STUDY | {"simulated": False}, resamples=5)
    assert made.simulated
    assert all("SIMULATED" in str(p.figure.layout.annotations) for p in drawn(made).values())


def test_every_point_of_the_plane_lies_on_the_line_of_its_brier_score(report):
    for row in report.board.table.iter_rows(named=True):
        (point,) = traces(drawn(report)["plane"], row["configuration"])
        assert row["unc"] + point.x[0] - point.y[0] == pytest.approx(row["brier"], abs=1e-12)


def test_every_configuration_of_the_plane_has_the_ellipse_of_its_resamples(report):
    measures = report.findings.measures
    edges = [trace for trace in drawn(report)["plane"].figure.data if trace.fill == "toself"]
    assert len(edges) == report.board.table.height
    at = measures.configurations.index(REFERENCE)
    rel, across = measures.draws["rel"][:, at], measures.draws["res"] - measures.draws["wbv"] + measures.draws["wbc"]
    [own] = [edge for edge in edges if edge.fillcolor == report.look[REFERENCE].color]
    span = max(own.y) - min(own.y)
    assert span == pytest.approx(2 * math.sqrt(5.991) * np.std(across[:, at], ddof=1), rel=0.02)
    assert min(own.x) >= 0
    assert max(own.x) - min(own.x) <= 2 * math.sqrt(5.991) * np.std(rel, ddof=1) * 1.01
    assert "Ellipses: 95% of resamples of events" in drawn(report)["plane"].caption


def test_the_frontier_stands_in_a_band_of_its_resamples(report):
    traces = {trace.name: trace for trace in drawn(report)["cost"].figure.data}
    low, line, high = (traces[name] for name in ("band, lower end", "frontier", "95% of the frontier"))
    assert tuple(low.x) == tuple(line.x) == tuple(high.x)
    assert all(a <= b <= c for a, b, c in zip(low.y, line.y, high.y, strict=True))
    assert low.y[-2] < high.y[-2]
    rows = report.findings.frontier.table.filter("on_frontier").to_dicts()
    assert list(line.y[:-1]) == pytest.approx([row["brier"] for row in rows])
    for row in rows:
        assert f"(in {row['probability']:.0%} of resamples)" in drawn(report)["cost"].alt


def test_few_events_have_neither_ellipse_nor_band():
    one = build_report(synthetic(markets=20).with_columns(event_id=pl.lit("e")), STUDY, resamples=5)
    plane, cost = drawn(one)["plane"], drawn(one)["cost"]
    assert not [trace for trace in plane.figure.data if trace.fill]
    assert "No ellipses" in plane.caption
    assert not [trace for trace in cost.figure.data if trace.fill]
    assert "It ignores noise" in cost.caption


@pytest.mark.parametrize(
    ("box", "unc"),
    [
        pytest.param((0.01, 0.03, 0.09, 0.12), 0.249, id="as in a study of 100 markets"),
        pytest.param((0.0, 0.002, 0.0, 0.001), 0.25, id="all alike"),
        pytest.param((0.0, 0.3, 0.0, 0.02), 0.1, id="far from square"),
    ],
)
def test_lines_of_equal_brier_score_are_exact_and_cross_the_whole_box(box, unc):
    lines = equal_brier(box, unc)
    x0, x1, y0, y1 = box
    assert 4 <= len(lines) <= 12
    assert len({level for level, _, _ in lines}) == len(lines)
    for level, start, end in lines:
        for x, y in (start, end):
            assert unc + x - y == pytest.approx(level, abs=1e-6)
            assert x0 - 1e-9 <= x <= x1 + 1e-9
            assert y0 - 1e-9 <= y <= y1 + 1e-9
        assert math.isclose(start[0], x0) or math.isclose(start[1], y0, abs_tol=1e-12)
        assert math.isclose(end[0], x1) or math.isclose(end[1], y1)


def test_a_configuration_has_one_colour_in_all_figures(report):
    for name, look in report.look.items():
        if name in (REFERENCE, "market_price"):
            continue
        seen = {trace.marker.color for p in report.pictures for trace in traces(p, name)}
        panel = drawn(report)[f"reliability-{name}"]
        seen |= {trace.line.color for trace in panel.figure.data if str(trace.name).startswith("replicate")}
        assert seen == {look.color}


def test_looks_do_not_depend_on_the_order_and_tell_56_configurations_apart():
    names = [f"c{i:02}" for i in range(56)]
    found = looks(names)
    assert found == looks(reversed(names))
    assert len({(look.hue, look.symbol) for look in found.values()}) == 57
    assert len({look.color for look in looks(names[:7]).values()} - {found[REFERENCE].color}) == len(HUES)


def test_every_colour_of_a_figure_has_a_dark_one(report):
    for picture in drawn(report).values():
        used = {text for text in texts(picture.figure.to_dict()) if text.startswith("#")}
        assert used <= set(DARK), picture.name


def test_an_unknown_cost_is_said_under_the_figure_and_not_drawn(report):
    cost = drawn(report)["cost"]
    assert not traces(cost, "single_agent")
    assert "Not placed, because the price of what they used is not known: single_agent." in cost.caption


def test_dominated_configurations_are_hollow_and_the_frontier_is_filled(report):
    for row in report.board.table.drop_nulls("on_frontier").iter_rows(named=True):
        (point,) = traces(drawn(report)["cost"], row["configuration"])
        assert point.marker.symbol.endswith("-open") is not row["on_frontier"], row["configuration"]


def test_failed_and_pending_forecasts_are_said_under_every_figure():
    frame = synthetic(failing=0.02)
    last = (pl.col("configuration") == "single_agent") & (pl.col("market_id") == "m099")
    frame = frame.with_columns(
        status=pl.when(last).then(pl.lit("pending")).otherwise("status"),
        probability=pl.when(last).then(None).otherwise("probability"),
    )
    made = build_report(frame, STUDY, resamples=5)
    failed = frame.filter(configuration="single_agent", status="failed").height
    assert failed > 0
    for picture in made.pictures:
        assert f"single_agent {failed}" in picture.caption
        assert "not made yet, by configuration: single_agent 2." in picture.caption


def test_every_replicate_is_a_dot(report):
    for row in report.board.table.filter(pl.col("configuration") != REFERENCE).iter_rows(named=True):
        (dots,) = traces(drawn(report)["replicates"], row["configuration"])
        assert len(dots.x) == 2
        assert sum(dots.x) / 2 == pytest.approx(row["brier"])


def test_names_from_data_are_not_markup_in_a_figure():
    hostile = '<a href="javascript:alert(1)">x</a>'
    frame = synthetic(markets=20).with_columns(pl.col("configuration").replace("single_agent", hostile))
    for picture in drawn(build_report(frame, STUDY, resamples=5)).values():
        assert not [text for text in texts(picture.figure.to_dict()) if "<a" in text], picture.name


@pytest.mark.parametrize(
    ("costs", "log", "zero"),
    [
        pytest.param([0.097, 0.098, 0.356], False, False, id="within a factor of 5"),
        pytest.param([0.001, 0.5], True, False, id="over two decades"),
        pytest.param([0.0, 0.001, 0.5], True, True, id="$0 has no place on a logarithmic axis but its own column"),
        pytest.param([0.0, 0.2], False, False, id="$0 on a linear axis"),
        pytest.param([0.0], False, False, id="all free"),
        pytest.param([0.1], False, False, id="one"),
    ],
)
def test_the_cost_axis_holds_every_cost(costs, log, zero):
    scale = money_axis(costs)
    assert (scale["axis"].get("type") == "log") is log
    assert (scale["gap"] is not None) is zero
    low, high = scale["axis"]["range"]
    for cost in costs:
        at = math.log10(scale["place"](cost)) if log else scale["place"](cost)
        assert low < at < high
    if zero:
        assert scale["axis"]["ticktext"][0] == "$0"
        assert scale["place"](0.0) < scale["gap"] < min(c for c in costs if c)


@pytest.mark.parametrize(("rough", "step"), [(0.0042, 0.005), (0.012, 0.01), (0.9, 1.0), (7.0, 5.0), (8.0, 10.0)])
def test_steps_are_round(rough, step):
    assert round_step(rough) == pytest.approx(step)


def test_ticks_have_the_decimals_that_tell_them_apart():
    assert score_ticks(0.15, 0.18)["tickformat"] == ".3f"
    assert score_ticks(0.1, 0.4)["tickformat"] == ".2f"


def test_undefined_is_said_and_minus_is_a_minus():
    assert (number(None), number(-0.5, 1), usd(None), usd(0.0)) == ("not defined", "−0.5", "not known", "$0")


def test_a_line_of_many_points_loses_only_points_inside_level_stretches():
    rng = np.random.default_rng(0)
    p = rng.random(3000)
    cells = pl.DataFrame({"replicate": 0, "probability": p, "outcome": (rng.random(3000) < p).astype(int)})
    row = {"configuration": "c", "mcb": 0.01, "dsc": 0.1, "calibration_p": 0.5}
    traces = reliability(cells, row, Look(0, "circle"), simulated=False, resamples=20).figure.data
    [line] = [trace for trace in traces if trace.name == "replicate 0"]
    whole = corp(p, cells["outcome"].to_numpy())
    assert len(line.x) < whole.x.size / 5
    np.testing.assert_allclose(np.interp(whole.x, line.x, line.y), whole.recalibrated, atol=1e-12)
    assert max(len(trace.x) for trace in traces if trace.name.startswith("band")) == 400
