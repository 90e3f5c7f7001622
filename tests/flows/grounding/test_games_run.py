"""A run of games: every cell is a game, what is stored is what was played, nothing is asked twice, faults are named."""

import duckdb
import pytest

from coordeval.flows.grounding.planning import cells_of
from coordeval.flows.grounding.study import load_games
from coordeval.flows.study.evaluation import Evaluation
from coordeval.flows.verify.verifying import verify
from coordeval.ledger import Ledger, read
from coordeval.ledger.games import game_rows, games_frame, games_of
from tests.flows.grounding.conftest import played, study

COMPUTED = ("chance", "fair_split")


def test_every_cell_is_one_game_and_a_repeat_asks_nothing(small):
    loaded, path = small
    frame = games_frame(read(path), loaded.id)
    assert frame.height == len(loaded.configurations) * 3 * 2
    assert set(frame["status"]) == {"answered"}
    draws = read(path).query("SELECT count(*) FROM draws").item()
    end = played(loaded, path)
    assert (end.status, end.made) == ("complete", 0)
    assert read(path).query("SELECT count(*) FROM draws").item() == draws


def test_a_stored_game_is_the_game_that_was_played(small):
    loaded, path = small
    frame = games_frame(read(path), loaded.id)
    games = games_of(read(path), frame["forecast_id"].to_list())
    assert len(games) == frame.height
    for row in frame.iter_rows(named=True):
        game = games[row["forecast_id"]]
        assert (game.instance.id, game.seat == "pair") == (row["instance_id"], row["arm"] not in ("solo", "oracle"))
        assert game.efficiency == pytest.approx(row["efficiency"])
        tables = game_rows(game, row["arm"])
        for table, rows in tables.items():  # what is read makes the same rows again
            stored = read(path).query(f"SELECT * FROM {table} WHERE forecast_id = ?", [row["forecast_id"]]).to_dicts()
            assert [{**one, "forecast_id": row["forecast_id"]} for one in rows] == stored


def test_solo_and_pair_ask_a_model_and_computed_players_ask_nobody(small):
    loaded, path = small
    frame = games_frame(read(path), loaded.id)
    for row in frame.iter_rows(named=True):
        assert (row["model_calls"] == 0) == (row["arm"] in COMPUTED), row
    kept = frame.filter(arm="fair_split")["efficiency"]
    assert kept.min() > frame.filter(arm="chance")["efficiency"].mean()


def test_arms_that_ask_the_same_share_the_draw_and_it_is_paid_once(small):
    _, path = small
    rows = read(path).query(
        "SELECT draw_id, count(DISTINCT forecast_id) AS cells, sum(paid_micro_usd) AS paid FROM calls GROUP BY draw_id"
    )
    shared = rows.filter(rows["cells"] > 1)
    assert shared.height > 0  # the first words of a pair, with a repair or without
    assert set(shared["paid"]) == {5}


def test_what_breaks_a_rule_is_asked_again_then_forfeited_and_named(tmp_path):
    loaded = load_games(study(tmp_path, "stubborn", "stubborn = true"))
    assert played(loaded, tmp_path / "ledger.duckdb").status == "complete"
    reader = read(tmp_path / "ledger.duckdb")
    frame = games_frame(reader, loaded.id)
    talked, silent = (frame.filter(arm=arm) for arm in ("pair", "no talk"))
    assert set(talked["efficiency"]) == {0.0}
    assert set(silent["status"]) == {"failed"}  # not one of its answers was valid: that is no game, and it says so
    assert all("rests on no answer" in why and "over the budget of 18" in why for why in silent["reason"])
    mine = "SELECT name, outcome, round, player FROM mishaps WHERE forecast_id = ? ORDER BY round, player"
    mishaps = [row for row in reader.query(mine, [talked["forecast_id"][0]]).rows() if row[0] == "over budget"]
    assert mishaps == [("over budget", "forfeited", number, player) for number in range(4) for player in (0, 1)]


def test_a_ledger_of_games_is_held_against_what_it_says_of_itself(small, tmp_path):
    loaded, path = small
    for name in (None, loaded.study.name):
        found = verify(read(path), name)
        assert [part.name for part in found.parts if part.wrong] == []
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(path.read_bytes())
    with duckdb.connect(str(copy)) as con:
        con.execute("DELETE FROM instances WHERE instance_id = (SELECT min(instance_id) FROM instances)")
    assert {part.name for part in verify(read(copy), None).parts if part.wrong} >= {"keys"}


def test_a_game_is_identified_by_all_that_could_change_it(small, tmp_path):
    loaded, _ = small
    ids = []
    with Ledger.open(tmp_path / "l.duckdb", purpose="test") as ledger:
        for more in ("", "stubborn = true", "max_tokens = 17"):
            other = load_games(study(tmp_path, "small", more))
            model = other.provider.model(other.study.model, None)
            ids.append([cell.forecast_id for cell in cells_of(Evaluation.start(other, ledger.path, ledger, model), other)])
    assert ids[0] == sorted(set(ids[0]), key=ids[0].index)
    assert not set(ids[0]) & set(ids[1])
    assert not set(ids[0]) & set(ids[2])
    assert {loaded.id} != {load_games(study(tmp_path, "small", "max_tokens = 17")).id}
