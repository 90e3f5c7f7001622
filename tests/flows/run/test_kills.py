"""The short form of `python -m benchmarks kills`: one kill of a live run, one of a run in batches."""

import pytest

from benchmarks.kills import measure, report


@pytest.mark.parametrize("batch", [False, True])
def test_a_run_that_was_killed_ends_as_one_that_nobody_killed(tmp_path, monkeypatch, batch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    result = measure(tmp_path, kills=1, seed=1, batch=batch, count=2)
    assert result.kills == 1
    assert result.sound, report(result, batch=batch)
