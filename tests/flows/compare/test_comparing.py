"""Two studies are compared on their overlap, and the overlap is said."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from coordeval.analysis.base.frames import scored
from coordeval.analysis.differences.comparisons import comparisons, holm
from coordeval.flows.cli.main import app
from coordeval.flows.compare.comparing import compare
from coordeval.flows.compare.settings import different_parameters, different_settings
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.scoring import score
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read
from coordeval.market_data.errors import CoordevalError
from tests.flows.conftest import SMALL
from tests.flows.run.test_run import run

pytestmark = pytest.mark.usefixtures("stored_is_made_again")

OTHER = ('name = "small"', 'name = "other"')


def test_only_markets_that_both_studies_forecast_as_of_one_moment_are_compared(study_file, tmp_path):
    path = tmp_path / "l.duckdb"
    run(study_file(), path)
    run(study_file(OTHER, ("count = 6", "count = 9"), ("replicates = 2", "replicates = 1")), path)
    found = compare(read(path), "small", "other", resamples=200)
    assert found.n_markets <= 6
    assert "small has 6 markets, other 9; both have 6, 6 of them as of the same moment." in found.overlap
    assert "1 replicate each" in found.overlap
    assert found.labels == ("small: SIMULATED", "other: SIMULATED")
    assert found.table.height == 5 * 5
    same = found.table.filter(pl.col("first").str.split(":").list.last() == pl.col("second").str.split(":").list.last())
    assert same["delta"].to_list() == [0.0] * 5, "the same forecasts by their hash"
    done = CliRunner().invoke(app, ["compare", "small", "other", "--ledger", str(path)])
    assert done.exit_code == 0
    assert "SIMULATED" in done.output


def test_studies_without_a_common_moment_are_not_compared(study_file, tmp_path):
    path = tmp_path / "l.duckdb"
    run(study_file(), path)
    run(study_file(OTHER, ("count = 6", "count = 6\nseed = 2")), path)
    with pytest.raises(CoordevalError, match="share 0 markets"):
        compare(read(path), "small", "other")
    with pytest.raises(CoordevalError, match="are one study"):
        compare(read(path), "small", "small")


FEW = (
    '["single_agent", "market_price", "independent_ensemble", "peer_critique_debate", "consensus_alignment"]',
    '["single_agent", "independent_ensemble"]',
)
BLIND = ("[markets]", "[agents]\nshow_price = false\n[markets]")


def written(folder: Path, *replacements: tuple[str, str]) -> Path:
    """A study file: SMALL with replacements."""
    text = SMALL
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    path = folder / "study.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """zeta with two replicates and prices shown, alpha with one and none shown, on the same 12 markets."""
    folder = tmp_path_factory.mktemp("two")
    path, more = folder / "l.duckdb", ("count = 6", "count = 12")
    run(written(folder, FEW, more, ('"small"', '"zeta"')), path)
    run(written(folder, FEW, more, ('"small"', '"alpha"'), ("replicates = 2", "replicates = 1"), BLIND), path)
    return path


@pytest.fixture(scope="module")
def small_and_other(tmp_path_factory):
    """small, and other, which shows no prices, on the same 6 markets; tests that write copy it."""
    folder = tmp_path_factory.mktemp("both")
    run(written(folder, FEW), folder / "l.duckdb")
    run(written(folder, FEW, OTHER, BLIND), folder / "l.duckdb")
    return folder / "l.duckdb"


def test_the_first_study_is_the_first_of_every_pair_whatever_it_is_called(two):
    there, back = (compare(read(two), *names, resamples=200) for names in (("zeta", "alpha"), ("alpha", "zeta")))
    assert there.table["first"].str.starts_with("zeta:").all()
    assert there.table["second"].str.starts_with("alpha:").all()
    mirrored = {(row["second"], row["first"]): -row["delta"] for row in back.table.to_dicts()}
    assert {(row["first"], row["second"]): row["delta"] for row in there.table.to_dicts()} == pytest.approx(mirrored)


def test_the_differences_are_those_of_the_scores_and_correction_is_over_the_pairs_shown(two):
    found = compare(read(two), "zeta", "alpha", resamples=200)
    assert found.table.height == 4
    assert found.table["p_holm"].to_list() == holm(found.table["p_value"].to_list())
    for row in found.table.to_dicts():
        assert row["delta"] == pytest.approx(row["brier_first"] - row["brier_second"])
        assert row["verdict"]


def test_what_else_differs_is_said(two):
    found = compare(read(two), "zeta", "alpha", resamples=200)
    assert found.differs == ("whether agents see the market price: yes → no",)
    shown = CliRunner().invoke(app, ["compare", "zeta", "alpha", "--ledger", str(two)]).output
    assert "whether agents see the market price: yes → no" in shown
    assert "show_price" not in shown
    assert "SIMULATED" in shown
    assert len(shown.splitlines()) <= 40
    assert max(map(len, shown.splitlines())) <= 80
    assert found.answer.split(":")[0] in ("Yes", "No", "Cannot tell yet")
    assert shown.index(found.answer[:40]) < shown.index("Δ Brier"), "the answer is first"


CONTENT = {"name": "a", "agents": {"max_turns": 12}, "model": {"provider": "anthropic", "id": "x"}, "configurations": []}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"agents": {"max_turns": 12, "show_price": True}}, []),
        ({"agents": {}}, []),
        ({"max_price_age_hours": None, "evidence": {"providers": [], "limit": 5}}, []),
        ({"model": {"provider": "anthropic", "id": "x", "sampling": {}, "max_tokens": 4000}}, []),
        ({"agents": {"max_turns": 12, "show_price": False}}, ["whether agents see the market price: yes → no"]),
        ({"agents": {"max_turns": 3}}, ["model turns that an ask may take: 12 → 3"]),
        ({"model": {"provider": "anthropic", "id": "x", "max_tokens": 9}}, ["tokens that a call may answer with: 4000 → 9"]),
        (
            {"model": {"provider": "anthropic", "id": "x", "sampling": {"top_k": 5}}},
            ["sampling parameter top k: not set → 5"],
        ),
        ({"prices": {"my-model": {"input": 1}}}, ["price of my-model, input: not set → 1"]),
    ],
)
def test_a_default_that_is_only_not_written_is_no_difference_and_no_field_is_named(change, said):
    assert list(different_settings(CONTENT, CONTENT | change, but=("name", "configurations"))) == said
    names = ["show_price", "max_turns", "max_tokens", "max_price_age_hours", "base_url"]
    assert not [name for name in names for line in said if name in line]


@pytest.mark.parametrize(("parameter", "said"), [(3, []), (5, ["independent_ensemble has agents 3 in a, 5 in b"])])
def test_a_parameter_that_is_not_given_has_the_default_of_its_configuration(parameter, said):
    plain, given = {"name": "independent_ensemble", "label": ""}, {"name": "independent_ensemble", "agents": parameter}
    pair = ({"configurations": [plain]}, {"configurations": [given | {"label": ""}]})
    assert list(different_parameters(*pair, ("a", "b"))) == said


def test_replicates_that_only_one_study_has_are_left_out_but_tell_what_noise_is(two):
    found = compare(read(two), "zeta", "alpha", resamples=200)
    assert "with 1 replicate each" in found.overlap
    assert "1 replicate of zeta is not compared; they only tell what noise is" in found.notes
    assert found.found.noise_floor == pytest.approx(score(two, "zeta").findings.comparisons.noise_floor, rel=0.5)
    assert found.table["ratio"].null_count() == 0


def test_one_label_with_other_parameters_is_said_and_so_are_forecasts_that_are_the_same(study_file, tmp_path):
    path = tmp_path / "l.duckdb"
    run(study_file(FEW), path)
    more = ('"independent_ensemble"', '{ name = "independent_ensemble", agents = 5 }')
    run(study_file(FEW, OTHER, more), path)
    found = compare(read(path), "small", "other", resamples=200)
    assert found.differs == ()
    assert "independent_ensemble has agents 3 in small, 5 in other" in found.notes
    assert any(note.startswith("12 forecasts the same in both") for note in found.notes), found.notes
    [row] = [r for r in found.table.to_dicts() if {r["first"], r["second"]} == {"small:single_agent", "other:single_agent"}]
    assert (row["delta"], row["p_value"]) == (0.0, 1.0)


def planned_only(study, path) -> None:
    """The study's cells without a forecast."""
    with Ledger.open(path, purpose="test") as ledger:
        evaluation = open_evaluation(load_study(study), path, ledger)
        plan(evaluation, pull(evaluation))


def test_a_study_that_has_not_begun_and_one_without_an_outcome_are_refused_with_the_reason(
    study_file, tmp_path, small_and_other
):
    path = Path(shutil.copy(small_and_other, tmp_path / "l.duckdb"))
    planned_only(study_file(FEW, ('"small"', '"blind"'), BLIND, ("count = 6", "count = 6\nseed = 2")), path)
    with pytest.raises(CoordevalError, match="blind has no forecast yet"):
        compare(read(path), "small", "blind")
    voided = read(path).query("SELECT market_id FROM current_outcomes ORDER BY 1")["market_id"].to_list()
    for count, (words, fails) in {1: ("1 has no outcome", False), 6: ("6 have no outcome", True)}.items():
        rows = [
            {"market_id": m, "status": "voided", "value": None, "reason": "cancelled", "resolved_at": None}
            for m in voided[:count]
        ]
        with Ledger.open(path, purpose="test") as ledger:
            ledger.write("outcomes", rows)
        if fails:
            with pytest.raises(CoordevalError, match=rf"{words}.*Nothing is left to compare.*--policy"):
                compare(read(path), "small", "other")
        else:
            found = compare(read(path), "small", "other", resamples=200)
            assert words in found.overlap
            assert found.n_markets <= 5


def test_forecasts_that_are_still_to_be_made_leave_their_market_out_and_are_counted(study_file, tmp_path, small_and_other):
    path = Path(shutil.copy(small_and_other, tmp_path / "l.duckdb"))
    planned_only(
        study_file(FEW, ('"small"', '"more"'), BLIND, ("replicates = 2", "replicates = 3")), path
    )  # two are other's
    found = compare(read(path), "small", "more", resamples=200)
    assert "12 forecasts of more on these markets still to be made" in found.notes


def test_two_market_prices_of_one_market_are_no_reason_to_refuse(study_file, tmp_path):
    """A study with a limit on the age of prices has none where another study has one."""
    path = tmp_path / "l.duckdb"
    failing = "\n[model.parameters]\nrefusal_rate = 0.4\n"
    for name, change in (("small", ("", "")), ("other", ("replicates = 2", "replicates = 2\nmax_price_age_hours = 0.0001"))):
        study = study_file(FEW, ('"small"', f'"{name}"'), *([change] if change[0] else []))
        study.write_text(study.read_text() + failing)
        run(study, path)
    half = compare(read(path), "small", "other", policy="fallback_half", resamples=200)
    assert half.n_markets == 6
    assert any("different market prices" in note for note in half.notes)
    assert any("could see other facts" in note for note in half.notes)
    assert any(line.startswith("hours after which a price counts as none: none → 0.0001") for line in half.differs)
    market = compare(read(path), "small", "other", policy="fallback_market", resamples=200)
    own = scored(read(path).forecast_frame("small"), policy="fallback_market")
    errors = own.frame.with_columns(e=(pl.col("probability") - pl.col("outcome")) ** 2)
    answered = read(path).forecast_frame("other").filter(configuration="single_agent", status="answered")["market_id"]
    mine = errors.filter(pl.col("configuration") == "single_agent", pl.col("market_id").is_in(answered.to_list()))
    row = market.table.filter(first="small:single_agent", second="other:single_agent").row(0, named=True)
    assert row["n_markets"] == answered.n_unique(), "where other failed it has no price to stand in"
    assert row["brier_first"] == pytest.approx(mine.group_by("market_id").agg(pl.col("e").mean())["e"].mean())


def test_an_imported_study_says_that_its_settings_are_not_known(published, tmp_path):
    from coordeval.flows.markets.importing import import_dataset
    from coordeval.market_data.traces100 import NAME

    path = tmp_path / "l.duckdb"
    import_dataset(NAME, published, path)
    reader = read(path)
    [row] = reader.query("SELECT * FROM studies").to_dicts()
    cells = reader.query("SELECT * FROM cells WHERE configuration = 'independent_ensemble'").to_dicts()
    twin = {**row, "study_id": "f" * 64, "name": "twin", "created_at": datetime.now(UTC), "locked_at": None}
    with Ledger.open(path, purpose="test") as ledger:
        ledger.write_all({"studies": [twin], "cells": [{**cell, "study_id": "f" * 64} for cell in cells]})
    found = compare(read(path), NAME, "twin", resamples=200)
    assert "not stored key by key" in found.differs[0]
    assert found.n_markets == 94
    assert any("HINDSIGHT-ANCHORED" in label for label in found.labels)


def test_as_json_every_null_has_its_reason(two):
    done = CliRunner().invoke(app, ["compare", "zeta", "alpha", "--policy", "available", "--json", "--ledger", str(two)])
    found = json.loads(done.output)
    assert found["policy"] == "available"
    assert found["names"] == ["zeta", "alpha"]
    for row in found["table"]:
        assert row["reason"] or None not in [v for k, v in row.items() if k != "reason"]
    assert found["n_markets"] == 12


def test_pairs_within_a_group_are_neither_compared_nor_counted(two):
    frame = scored(read(two).forecast_frame("zeta"), policy="available")
    names = ["independent_ensemble", "single_agent"]
    across = comparisons(frame, n=200, groups=dict(zip(names, "ab", strict=True))).table
    assert across.select("first", "second").rows() == [tuple(names)]
    assert comparisons(frame, n=200, groups=dict.fromkeys(names, "a")).table.is_empty()
