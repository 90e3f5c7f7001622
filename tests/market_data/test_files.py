"""Files that are whole or absent, and tables that run nothing."""

import csv
import io
import os
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from coordeval.market_data.files import FileError, csv_of, write_whole


def test_a_file_is_written_whole_with_its_folder_and_replaced_whole(tmp_path: Path):
    path = tmp_path / "new" / "folder" / "f.txt"
    write_whole(path, "é\n")
    write_whole(path, b"again")
    assert path.read_bytes() == b"again"
    assert os.listdir(path.parent) == ["f.txt"]


@pytest.mark.parametrize("name", [".", "file/below", "a\0b", "x" * 300])
def test_a_path_that_cannot_be_is_named_and_leaves_nothing(tmp_path: Path, name: str):
    (tmp_path / "file").write_text("here")
    with pytest.raises(FileError, match="cannot be written"):
        write_whole(tmp_path / name, b"content")
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "here"


def test_a_full_disk_leaves_the_earlier_file_and_no_half_of_the_new_one(tmp_path: Path):
    path = tmp_path / "f.bin"
    path.write_bytes(b"earlier")
    program = (
        "import resource, signal, sys; from pathlib import Path; from coordeval.market_data.files import write_whole\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "write_whole(Path(sys.argv[1]), b'x' * 1000)"
    )
    assert resource.RLIMIT_FSIZE
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=False, timeout=60)
    assert "FileError" in done.stderr
    assert path.read_bytes() == b"earlier"
    assert os.listdir(tmp_path) == ["f.bin"]


def test_a_cell_that_a_spreadsheet_would_run_is_text():
    hostile = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =cmd|' /C calc'!A0", '=HYPERLINK("http://a","b")']
    ordinary = ["Will A = B?", "", "a-b", "'quoted", None]
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    frame = pl.DataFrame({"question": hostile + ordinary, "volume": [-1.5] * 13, "at": [moment] * 13})
    rows = list(csv.DictReader(io.StringIO(csv_of(frame))))
    assert [row["question"] for row in rows] == [f"'{text}" for text in hostile] + [text or "" for text in ordinary]
    assert {row["volume"] for row in rows} == {"-1.5"}, "a number stays a number"
