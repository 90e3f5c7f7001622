"""A report as bytes and back: the same values and types, and nothing that runs."""

import io
import json
import pickle
import zipfile
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from coordeval.analysis import AnalysisError, Interval, decompose
from coordeval.analysis.report import stored
from coordeval.analysis.report.later import Later

VALUES = {
    "plain": [None, True, 0, -1, 10**30, 0.1, -0.0, 5e-324, float("inf"), "naïve ✓\ud800"],
    "a tuple in a list in a mapping": {"a": [(1, "x"), ()], ("k", 1): {}, 3: None},
    "numbers of NumPy": [np.float64(0.1), np.int64(3), np.bool_(True)],
    "times": (datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), date(2026, 1, 2)),
    "a dataclass": decompose([0.1, 0.9], [0, 1]),
    "a dataclass with a null": Interval(low=None, high=None, sd=None, reason="too few events"),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_what_is_read_is_what_was_stored(value):
    assert repr(stored.loads(stored.dumps(value))) == repr(value)
    assert stored.dumps(value) == stored.dumps(stored.loads(stored.dumps(value)))


def test_what_would_be_made_when_it_is_asked_for_is_stored_as_made():
    asked = []
    found = stored.loads(stored.dumps(Later(lambda: asked.append(1) or (1, "two"))))
    assert found.value == (1, "two")
    assert asked == [1]


def test_not_a_number_arrays_and_frames_come_back_to_the_last_bit():
    rng = np.random.default_rng(1)
    array = np.where(rng.random((7, 3)) < 0.2, np.nan, rng.random((7, 3)))
    frame = pl.DataFrame({"x": array[:, 0], "s": list("abcdefg"), "l": [[1.5, None]] * 7, "n": [None, *range(6)]})
    found = stored.loads(stored.dumps([array, frame, float("nan"), np.arange(3) > 1]))
    assert found[0].tobytes() == array.tobytes()
    assert found[1].equals(frame, null_equal=True)
    assert found[1].schema == frame.schema
    assert np.isnan(found[2])
    assert found[3].tolist() == [False, False, True]


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, len, np.array([object()]), b"bytes"], ids=lambda value: type(value).__name__
)
def test_what_is_not_known_is_not_stored(value):
    with pytest.raises(AnalysisError, match="cannot be stored"):
        stored.dumps({"x": [value]})


@pytest.mark.parametrize(
    "tree",
    [
        {"os:system": {"command": "true"}},
        {"coordeval.analysis.base.checks:AnalysisError": {}},
        {"coordeval.analysis.base.checks:np": {}},
        {"coordeval.flows.run.run:Steps": {"study_name": "x"}},
        {"coordeval.analysis.report.stored:import_module": {"name": "antigravity"}},
        {"two": 1, "keys": 2},
    ],
    ids=str,
)
def test_a_name_that_is_no_part_of_a_report_is_refused(tree):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("tree.json", json.dumps(tree))
    with pytest.raises((AnalysisError, ValueError)):
        stored.loads(target.getvalue())


def test_an_array_with_a_pickle_in_it_is_refused():
    content = io.BytesIO()
    np.lib.format.write_array(content, np.array([print], dtype=object), allow_pickle=True)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("tree.json", json.dumps({"array": "0.npy"}))
        archive.writestr("0.npy", content.getvalue())
    with pytest.raises(ValueError, match="allow_pickle"):
        stored.loads(target.getvalue())
    with pytest.raises(zipfile.BadZipFile):
        stored.loads(pickle.dumps([1]))


def test_a_fingerprint_tells_every_value_from_every_other():
    changed = [[1.0], [1], (1.0,), [True], ["1.0"], [np.array([1.0])], [np.array([[1.0]])], [pl.DataFrame({"a": [1.0]})]]
    changed += [[pl.DataFrame({"b": [1.0]})], [np.nextafter(1.0, 2)], [[1.0]], {"a": 1.0}, [1.0, None]]
    assert len({stored.fingerprint(value) for value in changed}) == len(changed)
    assert all(len(stored.fingerprint(value)) == 32 for value in changed)


def test_a_fingerprint_is_of_the_rows_however_a_frame_is_cut_into_chunks(monkeypatch):
    monkeypatch.setattr(stored, "_ROWS", 1000)
    frame = pl.DataFrame({"name": ["x" * 64] * 5000, "value": range(5000)})
    cut = pl.concat([frame[:7], frame[7:3001], frame[3001:]], rechunk=False)
    assert cut.n_chunks() == 3
    assert stored.fingerprint([cut, np.arange(1e5)]) == stored.fingerprint([frame, np.arange(1e5)])
    assert stored.fingerprint([frame.head(4999), np.arange(1e5)]) != stored.fingerprint([frame, np.arange(1e5)])
    assert stored.fingerprint(frame.clear()) != stored.fingerprint(frame.clear().rename({"name": "other"}))
