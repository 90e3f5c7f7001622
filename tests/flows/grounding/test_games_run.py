"""A run of games: every cell is a game, what is stored is what was played, nothing is asked twice, faults are named."""

import duckdb
import orjson
import pytest

from coordeval.flows.grounding.again import StoredGames
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
        assert found.parts[-1].looked == len(loaded.configurations) * 3 * 2  # each was played again from its replies
        assert not found.parts[-1].not_looked
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(path.read_bytes())
    with duckdb.connect(str(copy)) as con:
        con.execute("DELETE FROM instances WHERE instance_id = (SELECT min(instance_id) FROM instances)")
    broken = verify(read(copy), None).parts
    assert {part.name for part in broken if part.wrong} >= {"keys"}
    assert broken[-1].not_looked["the instance is not stored"] > 0


def test_a_game_that_is_not_what_its_replies_make_of_it_is_found(small, tmp_path):
    _, path = small
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(path.read_bytes())
    changes = {
        "moves of round 3: text": "UPDATE moves SET text = text || '!' FROM games g WHERE g.forecast_id = moves.forecast_id "
        "AND label = 'structured' AND position = 0 AND round = 2",
        "games: asks": "UPDATE games SET asks = asks + 1 WHERE label = 'solo'",
        "mishaps this time": "DELETE FROM mishaps USING games g WHERE g.forecast_id = mishaps.forecast_id "
        "AND label = 'pair'",
        "the request differs in": "UPDATE draws SET request = replace(request, 'You play for both', 'You play for one')",
    }
    with duckdb.connect(str(copy)) as con:
        for change in changes.values():
            con.execute(change)
    part = verify(read(copy), None).parts[-1]
    for says in changes:
        assert any(fault.where.startswith("game ") and says in fault.says for fault in part.faults), says
    assert (part.wrong, part.looked) == (4 * 6, 48)


def test_games_by_other_rules_or_of_a_repair_that_is_not_here_are_not_replayed_and_it_is_said_why(small):
    loaded, path = small
    games = StoredGames(read(path), loaded.repairs)
    cell = read(path).query("SELECT identity FROM cells WHERE configuration = 'record' LIMIT 1").item()
    identity = orjson.loads(cell)
    assert not isinstance(games.made_of(identity), str)
    told = identity["configuration"]
    for changed, why in (
        ({**identity, "game": "0"}, "another version's rules"),
        ({**identity, "configuration": {**told, "repair": {**told["repair"], "name": "gone"}}}, "is not here"),
        ({**identity, "configuration": {**told, "repair": {**told["repair"], "code": "0"}}}, "has changed since"),
        ({**identity, "settings": {**identity["settings"], "scaffold": "0"}}, "another version of the scaffold"),
    ):
        said = games.made_of(changed)
        assert isinstance(said, str)
        assert why.split()[-1] in said


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
