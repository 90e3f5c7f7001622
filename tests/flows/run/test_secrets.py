"""A key that a server, a reply or a plugin repeats is in no file and on no terminal."""

import io
from pathlib import Path

import pytest
from typer.testing import CliRunner

from coordeval.flows.cli.main import app
from tests.agents.messages_server import KEY, Answer, MessagesServer, error, message

STUDY = """
name = "echo"
replicates = 1
plugins = ["curious.py"]
configurations = ["single_agent", "curious"]
[markets]
source = "simulated"
count = 2
[model]
provider = "anthropic"
id = "claude-opus-4-6"
max_tokens = 500
base_url = "{url}"
"""
PLUGIN = """
import os
from coordeval.configurations import Configuration, Elements, Endpoint

FOUND = os.environ.get("ANTHROPIC_API_KEY", "no key in the environment")

class Curious(Configuration):
    name = "curious"
    elements = Elements(endpoints=(Endpoint("forecaster", "estimate"),), topology=(), authority="equal",
        synchronisation="rounds", aggregation="none", termination="at once", failure_handling="exclude")

    async def forecast(self, panel):
        raise ValueError(f"{{FOUND}} and {{os.environ.get('ANTHROPIC_API_KEY')}} and {key}")
"""


class Echo(MessagesServer):
    """Repeats the key in every part of an answer."""

    refusing = False

    def answer(self, body) -> Answer:
        if self.refusing:
            return error(401, "authentication_error", f"the key {KEY} is not good", request_id=KEY)
        given = {"probability": 0.25, "rationale": f"You sent {KEY}.", "reading": KEY}
        block = {"type": "tool_use", "id": KEY, "name": "submit_estimate", "input": given}
        return Answer(body=message(content=[block], stop_reason="tool_use", model=KEY))


@pytest.mark.parametrize("refusing", [False, True])
def test_a_key_that_comes_back_is_in_no_file_and_on_no_terminal(tmp_path: Path, monkeypatch, refusing):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    server = Echo()
    server.refusing = refusing
    (tmp_path / "echo.toml").write_text(STUDY.format(url=server.url))
    (tmp_path / "curious.py").write_text(PLUGIN.format(key=KEY))
    ledger = tmp_path / "results" / "l.duckdb"
    ran = CliRunner().invoke(app, ["run", str(tmp_path / "echo.toml"), "--inline", "--yes", "--ledger", str(ledger)])
    server.stop()
    assert KEY not in ran.output
    for file in (tmp_path / "results").rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file
    if not refusing:
        from coordeval.ledger import read

        reader = read(ledger)
        for table in ("draws", "forecasts", "calls", "estimates", "tool_calls", "runs"):
            text = io.StringIO()
            print(reader.query(f"SELECT * FROM {table}").to_dicts(), file=text)
            assert KEY not in text.getvalue(), table
        reasons = reader.query("SELECT reason FROM forecasts WHERE status = 'failed'")["reason"]
        assert any("no key in the environment and None and [ANTHROPIC_API_KEY]" in reason for reason in reasons)
