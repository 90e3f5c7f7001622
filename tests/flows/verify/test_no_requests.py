"""Nothing is asked of anybody unless the user asked for it: a study from its file to its report with the network cut off."""

import json
import subprocess
import sys
from pathlib import Path

STUDY = """
name = "alone"
replicates = 1
configurations = ["single_agent", "market_price"]
[markets]
source = "simulated"
count = 3
[model]
provider = "simulated"
"""
LISTENED = """
import json, os, socket, sys
asked = []
def heard(event, arguments):
    if event == "socket.getaddrinfo":
        asked.append([event, str(arguments[0])])
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        asked.append([event, str(arguments[1])])
    elif event == "urllib.Request":
        asked.append([event, str(arguments[0])])
    else:
        return
    raise OSError("the network is cut off")
sys.addaudithook(heard)
from coordeval.flows.cli.ending import status_of
from coordeval.flows.cli.main import app
statuses = {}
for line in sys.argv[1:]:
    statuses[line] = status_of(lambda: app(line.split(), standalone_mode=False))
sys.stderr.write(json.dumps([statuses, asked]) + "\\n")
sys.stderr.flush()
os._exit(0)
"""


def test_a_study_runs_and_is_reported_with_the_network_cut_off(tmp_path: Path, record_property):
    (tmp_path / "alone.toml").write_text(STUDY)
    commands = [
        "run alone.toml --inline --ledger l.duckdb",
        "report alone --ledger l.duckdb --policy available",
        "studies --ledger l.duckdb",
        "audit alone --ledger l.duckdb",
        "verify alone --ledger l.duckdb",
        "export alone folder --ledger l.duckdb --no-figures",
        "configurations",
        "models",
    ]
    done = subprocess.run(
        [sys.executable, "-c", LISTENED, *commands], capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False
    )
    statuses, asked = json.loads(done.stderr.strip().splitlines()[-1])
    record_property("tried", len(statuses))
    assert asked == []
    assert set(statuses.values()) == {0}, (statuses, done.stderr)
