"""A run that `serve` starts has the keys that `serve` was given; reading the studies took them out of the environment."""

import contextlib
import io
import os

import pytest
from rich.console import Console

from coordeval.flows.orchestration import serve as serving
from coordeval.flows.run.stopping import Stop
from coordeval.market_data.secrets import forget, take


def test_what_runs_are_started_with_holds_the_keys_again(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", os.environ | {"ANTHROPIC_API_KEY": "sk-0123456789-a-key"})
    seen = []

    def run(work):
        work.close()
        seen.append(os.environ.get("ANTHROPIC_API_KEY"))
        raise KeyboardInterrupt

    monkeypatch.setattr(serving, "server", lambda console, port: contextlib.nullcontext(("http://x", lambda: True)))
    monkeypatch.setattr(serving.asyncio, "run", run)
    try:
        take("ANTHROPIC_API_KEY")
        assert "ANTHROPIC_API_KEY" not in os.environ
        with pytest.raises(KeyboardInterrupt):
            serving.serve([], tmp_path / "x.duckdb", Console(file=io.StringIO()), port=None, catch_up=False, stop=Stop())
    finally:
        forget()
    assert seen == ["sk-0123456789-a-key"]
