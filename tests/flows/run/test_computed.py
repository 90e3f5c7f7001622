"""A report is computed once for the same rows: the same bytes with and without, and never another's numbers."""

import os
import shutil
from pathlib import Path

import duckdb
import pytest

from coordeval.flows.run import computed, scoring
from coordeval.flows.run.scoring import score
from tests.flows.conftest import SMALL
from tests.flows.run.test_run import run


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A ledger with a study that has run: as little as a whole report can be made of."""
    folder = tmp_path_factory.mktemp("made")
    text = SMALL.replace("count = 6", "count = 3").replace('"market_price", ', "")
    (folder / "small.toml").write_text(text.replace(', "peer_critique_debate", "consensus_alignment"', ""))
    run(folder / "small.toml", folder / "l.duckdb")
    return folder / "l.duckdb"


@pytest.fixture
def own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    computed._own_key.cache_clear()
    yield
    computed._own_key.cache_clear()


@pytest.fixture
def ledger(made, own, tmp_path) -> Path:
    return Path(shutil.copy(made, tmp_path / "l.duckdb"))


@pytest.fixture
def computations(monkeypatch) -> list[str]:
    """The policies of the reports that were computed, not taken from what is kept."""
    return counted(monkeypatch, scoring.build_report)


@pytest.fixture
def counts(monkeypatch) -> list[str]:
    """The same where it does not matter what is in them: of each policy one, handed out again."""
    made, build = {}, scoring.build_report

    def once(*given, policy, **named):
        if policy not in made:
            made[policy] = build(*given, policy=policy, **named)
        return made[policy]

    return counted(monkeypatch, once)


def counted(monkeypatch, build) -> list[str]:
    done = []

    def counting(*given, policy, **named):
        done.append(policy)
        return build(*given, policy=policy, **named)

    monkeypatch.setattr(scoring, "build_report", counting)
    return done


def written(report, folder: Path) -> dict[str, bytes]:
    report.write(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def entries(ledger: Path) -> list[Path]:
    return sorted((ledger.parent / computed.FOLDER).glob("*.zip"))


def test_the_second_report_is_the_first_byte_for_byte_and_is_not_computed(ledger, computations, tmp_path):
    first = written(score(ledger), tmp_path / "first")
    again = written(score(ledger), tmp_path / "again")
    assert computations == ["common"]
    shutil.rmtree(ledger.parent / computed.FOLDER)
    afresh = written(score(ledger), tmp_path / "afresh")
    assert computations == ["common"] * 2
    assert first == again == afresh
    assert {"report.html", "results.json", "markets.csv"} <= first.keys()


@pytest.mark.proof
def test_another_policy_is_another_report(ledger, counts):
    for policy in ("common", "available", "common", "available"):
        assert score(ledger, policy=policy).board.policy == policy
    assert counts == ["common", "available"]


CHANGES = {
    "a forecast": "UPDATE forecasts SET probability = 0.123 WHERE forecast_id = (SELECT min(forecast_id) FROM forecasts "
    "WHERE status = 'answered' AND configuration = 'single_agent')",
    "a cost": "UPDATE forecasts SET attributed_micro_usd = 7 WHERE forecast_id = (SELECT min(forecast_id) FROM forecasts)",
    "an outcome": "UPDATE outcomes SET value = 1 - value WHERE market_id = (SELECT min(market_id) FROM outcomes)",
    "a price": "UPDATE cells SET market_price = 0.321 WHERE market_id = (SELECT min(market_id) FROM cells)",
    "an event": "UPDATE markets SET event_id = 'elsewhere' WHERE market_id = (SELECT min(market_id) FROM cells)",
    "a question": "UPDATE markets SET question = 'Else?' WHERE market_id = (SELECT min(market_id) FROM cells)",
    "an estimate": "UPDATE estimates SET probability = 0.99 WHERE rowid = (SELECT min(rowid) FROM estimates "
    "WHERE probability IS NOT NULL)",
    "a request": "UPDATE draws SET request = replace(request, 'max_tokens', 'most_tokens') WHERE draw_id = "
    "(SELECT min(draw_id) FROM draws)",
}


@pytest.mark.proof
def test_any_row_that_changed_is_computed_anew(ledger, counts):
    score(ledger)
    for number, (change, sql) in enumerate(CHANGES.items(), 1):
        with duckdb.connect(ledger) as con:
            assert con.execute(sql).fetchall()[0][0] >= 1, f"{change}: the change changes something"
        score(ledger)
        assert len(counts) == 1 + number, change


def test_other_code_is_another_report(ledger, counts, monkeypatch):
    score(ledger)
    monkeypatch.setattr(computed, "_code", lambda: b"of a later version")
    score(ledger)
    assert counts == ["common"] * 2


DAMAGES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:1000]),
    "empty": lambda path: path.write_bytes(b""),
    "one bit": lambda path: path.write_bytes(path.read_bytes()[:500] + b"\x00\xff" + path.read_bytes()[502:]),
    "another's seal": lambda path: path.write_bytes(b"\0" * 32 + path.read_bytes()[32:]),
    "another report under this name": lambda path: path.write_bytes(path.with_name("other").read_bytes()),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


def test_what_is_damaged_or_not_ones_own_is_computed_anew(ledger, counts):
    right = score(ledger).results()
    before = entries(ledger)
    path = max(before, key=lambda entry: entry.stat().st_size)  # beside it lies the audit, which the report holds too
    score(ledger, policy="available")
    [other] = [entry for entry in entries(ledger) if entry not in before]
    other.rename(path.with_name("other"))
    for number, (damage, harm) in enumerate(DAMAGES.items(), 1):
        harm(path)
        assert score(ledger).results() == right, damage
        assert counts == ["common", "available", *["common"] * number], damage


def test_a_forged_entry_of_somebody_else_is_not_believed(ledger, computations, monkeypatch, tmp_path):
    score(ledger)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "of another user"))
    computed._own_key.cache_clear()
    score(ledger)
    assert computations == ["common"] * 2


@pytest.mark.proof
def test_where_nothing_can_be_kept_the_report_is_made_all_the_same(ledger, computations, monkeypatch, tmp_path):
    (ledger.parent / computed.FOLDER).touch()  # no folder can be made there
    first = score(ledger).results()
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))  # nor a key
    computed._own_key.cache_clear()
    assert score(ledger).results() == first
    assert computations == ["common"] * 2


def test_what_was_used_longest_ago_goes_first(own, tmp_path, monkeypatch):
    ledger, given = tmp_path / "l.duckdb", [[k] for k in range(4)]
    for k in given[:3]:
        assert computed.kept(ledger, k, lambda k=k: ("x" * 10_000, k)) == ("x" * 10_000, k)
    for age, path in enumerate(sorted(entries(ledger), key=lambda path: path.stat().st_mtime_ns)):
        os.utime(path, (1000 + age, 1000 + age))
    computed.kept(ledger, given[0], lambda: pytest.fail("the oldest is used, and so is the newest now"))
    monkeypatch.setattr(computed, "AT_MOST", 31_000)
    computed.kept(ledger, given[3], lambda: ("x" * 10_000, given[3]))
    assert len(entries(ledger)) == 3
    computed.kept(ledger, given[0], lambda: pytest.fail("it was used since"))
    assert computed.kept(ledger, given[1], lambda: "gone") == "gone"


def test_a_report_is_made_where_the_memory_of_duckdb_is_too_little(ledger, counts, monkeypatch):
    monkeypatch.setattr(scoring, "_LEAST_MEMORY", 1)
    opened, read = [], scoring.read
    monkeypatch.setattr(scoring, "read", lambda path, **named: opened.append(named) or read(path, **named))
    assert score(ledger).study["name"] == "small"
    assert [bool(named) for named in opened] == [True, False]
