"""The fixture by which modules of tests hold that what they store is made again: it sees what is not."""

from coordeval.ledger import Ledger
from coordeval.ledger.database import connected
from tests.flows import replayed
from tests.flows.verify.test_verify import SMALL, store


def test_what_was_stored_with_other_bytes_is_seen_once_per_kind(tmp_path, monkeypatch):
    close = Ledger.close

    def spoilt(own: Ledger) -> None:
        own.flush()
        with connected(own.path) as con:
            con.execute("UPDATE draws SET request = replace(request, 'forecaster', 'fortuneteller')")
        close(own)

    monkeypatch.setattr(replayed, "KINDS", set())
    monkeypatch.setattr(Ledger, "close", spoilt)
    with replayed.replaying() as again:
        store(tmp_path, SMALL)
        assert again.looked == len(replayed.KINDS) > 1
        assert any("the request differs in" in one for one in again.wrong)
        before = again.looked
        (tmp_path / "other").mkdir()
        store(tmp_path / "other", SMALL)
    assert again.looked == before, "the same kinds are not looked at again"
