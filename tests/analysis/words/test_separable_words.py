"""What is separable in sentences and figures: no claim that the numbers do not carry."""

import polars as pl
import pytest

from coordeval.analysis import example, separable
from coordeval.analysis.figures.arms import arm_panels, split_bars
from coordeval.analysis.figures.style import looks
from coordeval.analysis.words.separable import on_separable

ARMS = pl.DataFrame({"arm": ["with", "without"], "tools": ["all", "none"]})


@pytest.fixture(scope="module")
def found():
    cells = pl.concat([example().with_columns(arm=pl.lit(arm)) for arm in ("with", "without")])
    pulled = pl.when(pl.col("arm") == "without").then(0.25 + 0.5 * pl.col("probability")).otherwise("probability")
    return separable(cells.with_columns(probability=pulled), ARMS, n=100)


def test_where_nothing_is_shown_nothing_is_claimed(found):
    said = " ".join(on_separable(found))
    assert "is not shown" in said
    assert "hangs on the tools is not shown" in said
    assert "no configuration's effect is shown to differ" in said
    assert "Not in it: 1 market of 40" in said


def test_what_passes_its_test_after_correction_is_claimed_with_its_p(found):
    sure = found.interactions.with_columns(p_value=pl.lit(0.0005))
    moved = found.effects.with_columns(p_holm=pl.lit(0.01), difference=pl.lit(0.03))
    ranked = found.agreement.with_columns(p_value=pl.lit(0.01), p_one=pl.lit(0.6))
    kept = {name: getattr(found, name) for name in found.__dataclass_fields__}
    said = " ".join(on_separable(type(found)(**kept | {"interactions": sure, "effects": moved, "agreement": ranked})))
    assert "What a configuration does hangs on the tools: interaction, signs of events, p = under 0.001" in said
    assert "independent_ensemble by 0.0300 (worse in with than in without, tools)" in said
    assert "the ranking holds (p = 0.010)" in said


def test_every_panel_has_the_same_order_and_the_same_axis(found):
    panels = arm_panels(found.means, looks(found.means["configuration"]), simulated=True, missing="No forecast failed.")
    assert [panel.title for panel in panels] == ["Arm with", "Arm without"]
    assert len({tuple(panel.figure.layout.yaxis.ticktext) for panel in panels}) == 1
    assert len({panel.figure.layout.xaxis.range for panel in panels}) == 1
    assert all("SIMULATED" in str(panel.figure.layout.annotations) for panel in panels)


def test_bars_show_every_part_with_its_share(found):
    picture = split_bars(found.components, simulated=False, missing="")
    drawn = {name: x for trace in picture.figure.data for name, x in zip(trace.y, trace.x, strict=True)}
    assert sum(drawn.values()) == pytest.approx(1)
    assert set(drawn) == set(found.components["component"])
