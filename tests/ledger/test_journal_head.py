"""How much a journal holds: what is read is what was written, or it is known to be damaged."""

import os
import zlib

import pytest

from coordeval.ledger.journal_head import SIZE, Head, HeadFile

HEAD = Head(last=7, moved=2, waiting=9, unsummed=1, ledger=42)


@pytest.fixture
def journal(tmp_path):
    file = HeadFile(tmp_path / "j.journal")
    file.write(Head(last=10**12, moved=10**11, waiting=10**9, unsummed=10**8, ledger=2**63))
    file.write(HEAD)
    file.close()
    return tmp_path / "j.journal"


def test_a_head_comes_back_in_the_place_of_the_one_before(journal):
    assert Head.read(journal) == HEAD
    assert not Head.read(journal).damaged
    content = Head.path(journal).read_bytes()
    assert (len(content), content[-1:], content.count(b"\n")) == (SIZE, b"\n", 1), "one sector, and one line"
    umask = os.umask(0)
    os.umask(umask)
    assert Head.path(journal).stat().st_mode & 0o777 == 0o644 & ~umask


def test_only_what_has_to_survive_a_power_cut_waits_for_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    file = HeadFile(tmp_path / "j.journal")
    file.write(HEAD)
    assert synced == []
    file.write(HEAD, durable=True)
    assert synced == [file._file]
    file.close()


def test_no_changed_bit_goes_unseen(journal):
    content = Head.path(journal).read_bytes()
    for at in range(len(content.rstrip())):
        for bit in range(8):
            changed = bytearray(content)
            changed[at] ^= 1 << bit
            Head.path(journal).write_bytes(changed)
            found = Head.read(journal)
            assert found.damaged is True or found == HEAD, f"bit {bit} of byte {at}"  # a letter of the checksum in capitals


@pytest.mark.parametrize("content", [b'{"of another version": 1}', b"[1]", b"no JSON", b"7"])
def test_what_has_its_checksum_and_is_no_head_is_damaged(journal, content):
    Head.path(journal).write_bytes(content + b" %08x" % zlib.crc32(content))
    assert Head.read(journal).damaged is True


@pytest.mark.parametrize("content", [None, b"", b"  \n"])
def test_where_nothing_was_written_nothing_is_known(journal, content):
    Head.path(journal).unlink()
    if content is not None:
        Head.path(journal).write_bytes(content)
    assert (Head.read(journal), Head.read(journal).damaged) == (Head(), False)
