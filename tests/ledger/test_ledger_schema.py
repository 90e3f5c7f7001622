"""Migrations: ordered, whole or not at all, and never applied by an older program."""

from datetime import timedelta

import duckdb
import ledger_rows as rows
import pytest

from coordeval.ledger import Ledger, LedgerError, LedgerTooNew, blank, read, schema
from coordeval.ledger.lock import WriterLock
from coordeval.ledger.tables import Tables

FIRST = schema.Migration(1, "first", "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1);")
BROKEN = schema.Migration(2, "second", "ALTER TABLE a ADD COLUMN y INTEGER; DELETE FROM a; CREATE TABLE oops (")
MENDED = schema.Migration(2, "second", "ALTER TABLE a ADD COLUMN y INTEGER;")


@pytest.fixture
def con(tmp_path):
    with duckdb.connect(tmp_path / "bare.duckdb") as opened:
        yield opened


def applied(con):
    return con.execute("SELECT number, name FROM migrations ORDER BY number").fetchall()


def test_a_broken_migration_leaves_the_earlier_ones_and_their_rows(con):
    with pytest.raises(duckdb.Error):
        schema.migrate(con, [FIRST, BROKEN])
    assert applied(con) == [(1, "first")]
    assert con.execute("SELECT * FROM a").fetchall() == [(1,)]
    schema.migrate(con, [FIRST, MENDED])
    assert applied(con) == [(1, "first"), (2, "second")]
    assert con.execute("SELECT * FROM a").fetchall() == [(1, None)]


def test_a_migration_that_fails_when_run_and_not_when_parsed_leaves_nothing_either(con):
    failing = schema.Migration(2, "second", "ALTER TABLE a ADD COLUMN y INTEGER; DELETE FROM a; SELECT error('no');")
    with pytest.raises(duckdb.Error):
        schema.migrate(con, [FIRST, failing])
    assert con.execute("SELECT * FROM a").fetchall() == [(1,)]


def test_migrating_twice_does_nothing(con):
    schema.migrate(con, [FIRST])
    schema.migrate(con, [FIRST])
    assert con.execute("SELECT * FROM a").fetchall() == [(1,)]


def made_of(path):
    """What the tables of a ledger are, said by DuckDB, and when each migration was applied."""
    with duckdb.connect(path) as con:
        columns = con.execute(
            "SELECT table_name, column_name, data_type, is_nullable, column_default FROM duckdb_columns() "
            "WHERE NOT internal ORDER BY ALL"
        ).fetchall()
        rest = con.execute("SELECT table_name, constraint_text FROM duckdb_constraints() ORDER BY ALL").fetchall()
        views = con.execute("SELECT view_name, sql FROM duckdb_views() WHERE NOT internal ORDER BY ALL").fetchall()
        return (columns, rest, views), con.execute("SELECT min(applied_at), max(applied_at) FROM migrations").fetchone()


def test_a_ledger_that_is_a_copy_of_an_empty_one_is_what_the_migrations_make_and_is_of_its_own_time(tmp_path, monkeypatch):
    monkeypatch.setattr(blank, "_BLANK", {})
    for name in ("migrated", "copied", "copied again"):
        with Ledger.open(tmp_path / f"{name}.duckdb", purpose="a test") as ledger:
            ledger.write("markets", [rows.market()])
    assert list(blank._BLANK), "the first one is what the others are copies of"
    first, *copies = (made_of(tmp_path / f"{name}.duckdb") for name in ("migrated", "copied", "copied again"))
    assert [tables for tables, _ in copies] == [first[0]] * 2
    assert first[1][1] < copies[0][1][0] < copies[1][1][0]
    assert read(tmp_path / "copied.duckdb").query("SELECT count(*) FROM markets").item() == 1


def test_a_changed_migration_is_refused_by_name(con):
    schema.migrate(con, [FIRST])
    with pytest.raises(LedgerError, match=r"0001_first.*never changes"):
        schema.migrate(con, [schema.Migration(1, "first", "CREATE TABLE a (x BIGINT)")])


def test_the_shipped_migrations_are_numbered_without_gaps():
    numbers = [migration.number for migration in schema.load()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_ledger_of_a_newer_version_is_refused_by_reader_and_writer(path):
    with Ledger.open(path, purpose="making"):
        pass
    with duckdb.connect(path) as con:
        con.execute("INSERT INTO migrations VALUES (99, 'future', 'x', now())")
    with pytest.raises(LedgerTooNew, match=rf"schema 99.*up to {len(schema.load())}.*upgrade coordeval"):
        Ledger.open(path, purpose="writing")
    with pytest.raises(LedgerTooNew):
        read(path).studies()


def test_a_reader_of_a_database_without_our_tables_says_what_to_do(tmp_path):
    other = tmp_path / "other.duckdb"
    duckdb.connect(other).close()
    with pytest.raises(LedgerError, match=r"schema 0.*coordeval run"):
        read(other).studies()


def test_a_ledger_from_before_the_keys_became_comments_keeps_its_rows_and_goes_on_taking_each_once(path):
    path.parent.mkdir(parents=True)
    old = {
        "markets": rows.market(),
        "documents": rows.document(),
        "pulls": {"pull_id": "p", "venue": "v", "endpoint": "", "statement": "{}", "ended": True, "updated_at": rows.T0},
        "refused_rows": {"pull_id": "p", "item": "i", "reason": "r", "detail": "d", "kept": ""},
        "venue_facts": {
            "market_id": "m1",
            "venue": "v",
            "volume": 1.5,
            "closed_at": None,
            "facts": "{}",
            "seen_at": rows.T0,
        },
        "market_edits": {"market_id": "m1", "field": "question", "first": "a", "now": "b", "seen_at": rows.T0},
        "price_fetches": {
            "market_id": "m1",
            "source": "clob",
            "until": rows.T0,
            "points": 3,
            "dropped": "{}",
            "reason": "",
            "fetched_at": rows.T0,
        },
        "outcomes": rows.outcome() | {"recorded_at": rows.T0},
        "prices": rows.price(),
    }
    with duckdb.connect(path) as con:
        con.execute("SET TimeZone = 'UTC'")
        schema.migrate(con, schema.load()[:2])
        known_at = old["markets"].pop("text_known_at")
        for table, row in old.items():
            con.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
    with Ledger.open(path, purpose="migrating") as ledger:
        for table, row in old.items():
            [stored] = read(path).query(f"SELECT * FROM {table}").to_dicts()
            assert {name: stored[name] for name in row} == row, table
        fetch = old.pop("price_fetches")
        [stored] = read(path).query("SELECT * FROM price_fetches").to_dicts()
        assert stored["since"] == fetch["until"], "what was not kept is not claimed"
        old["markets"]["text_known_at"] = known_at  # what the simulated world says is known from the opening
        for table, row in old.items():
            assert ledger.write(table, [row]) == 0, table
            assert ledger.write("price_fetches", [fetch | {"since": fetch["until"], "every": 0.0}]) == 0


def test_what_grows_with_a_pull_has_a_key_and_no_index():
    with duckdb.connect() as con:
        schema.migrate(con)
        tables = Tables.of(con)
    pulled = ("markets", "outcomes", "prices", "documents", "venue_facts", "price_fetches", "refused_rows", "market_edits")
    assert all(tables[name].key and not tables[name].indexed for name in (*pulled, "pulls"))
    assert tables["price_fetches"].key == ("market_id", "source", "since", "until")
    assert tables["draws"].indexed, "a draw is paid for: the database itself keeps it from being there twice"


def test_prices_that_were_thinned_before_their_grain_was_kept_are_not_claimed_whole(tmp_path):
    """A ledger of schema 3 opens, and only what was certainly kept whole says so."""
    path = tmp_path / "three.duckdb"
    with duckdb.connect(path) as con:
        con.execute("SET TimeZone = 'UTC'")
        schema.migrate(con, schema.load()[:3])
        for market, dropped in (("whole", "{}"), ("thinned", '{"not the last of its minutes":9}')):
            con.execute(
                "INSERT INTO price_fetches VALUES (?, 'clob', ?, ?, 1, ?, '', ?)",
                [market, rows.T0 - timedelta(days=1), rows.T0, dropped, rows.T0],
            )
    with Ledger.open(path, purpose="migrating"):
        pass
    found = read(path).query("SELECT market_id, every FROM price_fetches ORDER BY market_id").rows()
    assert found == [("thinned", None), ("whole", 0.0)]


def test_an_older_ledger_is_brought_up_to_date_where_it_is_first_read(path):
    path.parent.mkdir(parents=True)
    with duckdb.connect(path) as con:
        schema.migrate(con, schema.load()[:4])
    assert read(path).studies().is_empty()
    assert read(path).query("SELECT max(number) AS n FROM migrations").item() == len(schema.load())


def test_an_older_ledger_that_a_run_of_its_own_version_holds_is_not_touched(path):
    """The lock is what the older version takes too."""
    path.parent.mkdir(parents=True)
    with duckdb.connect(path) as con:
        schema.migrate(con, schema.load()[:4])
    lock = WriterLock(path)
    lock.acquire("an older coordeval run")
    with pytest.raises(LedgerError, match=r"schema 4.*cannot be brought up to date.*an older coordeval run"):
        read(path).studies()
    lock.release()


def test_cells_from_before_there_were_arms_are_of_the_first_and_the_probe_is_one_of_its_own(path):
    path.parent.mkdir(parents=True)
    row = {name: value for name, value in rows.cell().items() if name != "arm"}
    old = [row, row | {"configuration": "memorisation_probe", "forecast_id": "f-probe"}]
    with duckdb.connect(path) as con:
        con.execute("SET TimeZone = 'UTC'")
        schema.migrate(con, schema.load()[:17])
        for one in old:
            con.execute(f"INSERT INTO cells ({', '.join(one)}) VALUES ({', '.join('?' * len(one))})", list(one.values()))
    with Ledger.open(path, purpose="migrating") as ledger:
        stored = read(path).query("SELECT arm, configuration FROM cells ORDER BY ALL").rows()
        assert stored == [("main", row["configuration"]), ("memorisation_probe", "memorisation_probe")]
        assert ledger.write("cells", [row]) == 0, "a row that does not know of arms is of the first"
        other = row | {"arm": "bare", "forecast_id": "f-bare"}
        assert ledger.write("cells", [other]) == 1, "an arm is part of the key"
        assert ledger.write("cells", [other]) == 0
