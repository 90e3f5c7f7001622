"""What other commands say of a study of games: telemetry, audit, export, lists and plans of games, or the right command."""

import orjson
import polars as pl
import pytest

from coordeval.analysis.games import telemetry
from coordeval.analysis.games.telemetry import CALLS, TELEMETRY
from coordeval.flows.cli.ending import status_of
from coordeval.flows.cli.main import app
from coordeval.flows.exports.bundle import BundleError, restored
from coordeval.flows.grounding.exporting import export_games, export_table_of_games
from coordeval.flows.grounding.power import power_of
from coordeval.flows.grounding.reporting import report_of
from coordeval.flows.grounding.stored import games_meant
from coordeval.flows.grounding.study import load_games
from coordeval.flows.grounding.told import audit_games, telemetry_of_games
from coordeval.ledger import read
from coordeval.ledger.games import games_frame
from tests.flows.grounding.conftest import study


@pytest.fixture(scope="module")
def rows(small) -> pl.DataFrame:
    loaded, path = small
    return telemetry_of_games(read(path), loaded.id)


def test_every_round_of_every_game_has_a_row_that_adds_up_to_the_game(small, rows):
    loaded, path = small
    games = games_frame(read(path), loaded.id)
    assert rows.schema == pl.Schema(TELEMETRY)
    assert rows.height == games.height * 4
    by = rows.group_by("forecast_id").agg(pl.col("efficiency").mean(), pl.col("calls").sum(), pl.col("input_tokens").sum())
    both = by.join(games, on="forecast_id", suffix="_game")
    assert both["efficiency"].to_list() == pytest.approx(both["efficiency_game"].to_list())
    assert (both["calls"] == both["model_calls"]).all()
    assert (both["input_tokens"] == both["input_tokens_game"]).all()


def test_what_is_null_in_a_round_has_its_reason(rows):
    for row in rows.iter_rows(named=True):
        nulls = [name for name, value in row.items() if value is None and name != "reason"]
        assert bool(nulls) == (row["reason"] is not None)
    asked_nobody = rows.filter(arm="chance")
    assert asked_nobody["calls"].null_count() == asked_nobody.height
    assert all("no model was asked" in why for why in asked_nobody["reason"])
    talked = rows.filter(arm="pair")
    assert talked["messages"].min() == 10  # who never says that it is done talks through all exchanges
    assert talked["exchanges"].unique().to_list() == [5]
    assert rows.filter(arm="no talk")["messages"].max() == 0


def test_a_frame_without_a_column_is_refused_by_its_name():
    with pytest.raises(Exception, match="calls has no column micro_usd"):
        telemetry(pl.DataFrame(schema=dict(CALLS)).drop("micro_usd"), {})


def test_an_audit_asks_the_rules_that_mean_something_of_games(small):
    loaded, path = small
    found = audit_games(read(path), loaded.id)
    looked = {one.rule: one.why for one in found.looked}
    assert set(looked) == {
        *("broken_record", "identical_requests", "silent_fallback", "truncated_replies", "unequal_conditions"),
        *("agreement_broken", "forfeited_submissions", "endless_talk", "unread_agreements"),
    }
    assert set(looked.values()) == {None}
    assert "looked at 48 games" in found.says
    by = {(one.rule, one.says.partition(":")[0]): one for one in found.findings}
    assert by["endless_talk", "pair"].count == by["endless_talk", "pair"].of == 3 * 2 * 4
    assert {rule for rule, _ in by} <= {"endless_talk", "agreement_broken"}  # nothing is wrong with how they were asked
    first = by["endless_talk", "pair"].rows.row(0, named=True)
    assert first["table"] == "games"
    assert "5 exchanges were spent" in first["says"]


def test_an_exported_study_gives_every_number_again_without_the_ledger(small, tmp_path):
    loaded, path = small
    done = export_games(path, loaded.id, tmp_path / "out", with_figures=False)
    assert done.rows["instances"] == 3
    assert done.rows["games"] == 48
    with restored(tmp_path / "out", games=True) as (again, study_id):
        assert study_id == loaded.id
        assert report_of(read(again), study_id).results() == report_of(read(path), loaded.id).results()
    with (
        pytest.raises(BundleError, match="holds a study of games: `coordeval grounding report --from"),
        restored(tmp_path / "out"),
    ):
        pass
    manifest = orjson.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert {"coordination.csv", "games.csv", "report.html", "tables/moves.parquet"} <= set(manifest["files"])
    assert export_table_of_games(path, loaded.id, tmp_path / "games.csv") == 48


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["forecasts", "small"], "fair_split"),
        (["telemetry", "small"], "no talk, 6 games"),
        (["audit", "small"], "looked at 48 games"),
        (["audit"], "looked at 48 games"),
        (["control", "small"], "Information control: held"),
        (["costs", "small"], "structured"),
    ],
    ids=lambda given: "" if isinstance(given, str) else " ".join(given),
)
def test_commands_of_both_kinds_do_for_games_what_they_do_for_forecasts(small, capsys, command, says):
    assert status_of(lambda: app([*command, "--ledger", str(small[1])], standalone_mode=False)) == 0
    assert says in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("command", ["trace", "certificate", "diagnose"])
def test_commands_about_one_forecast_name_the_one_about_a_game(small, capsys, command):
    game = games_frame(read(small[1]), small[0].id)["forecast_id"][0]
    assert status_of(lambda: app([command, game, "--ledger", str(small[1])], standalone_mode=False)) == 1
    assert f"`coordeval grounding replay {game[:12]}`" in " ".join(capsys.readouterr().err.split())


def test_a_study_of_games_is_meant_by_its_file_name_or_hash(small, tmp_path):
    loaded, path = small
    reader = read(path)
    file = loaded.directory / "small.toml"
    assert {games_meant(reader, asked) for asked in (None, "small", loaded.id[:6], str(file))} == {loaded.id}
    assert games_meant(reader, "other") is None
    (tmp_path / "f.toml").write_text('configurations = ["single_agent"]')
    assert games_meant(reader, str(tmp_path / "f.toml")) is None


def test_a_plan_rests_on_stored_games_else_on_simulated_players_and_says_which(small, tmp_path):
    loaded, path = small
    stored = power_of(loaded, path, difference=0.1)
    assert stored.source == "36 stored games of this study" or "stored games" in stored.source
    assert set(stored.plan.needed["arm"]) == {"no talk", "structured", "record"}
    fresh = power_of(load_games(study(tmp_path, "fresh")), tmp_path / "none.duckdb", difference=0.1)
    assert "simulated players" in fresh.source
    assert fresh.simulated
    assert not fresh.usd_per_game
