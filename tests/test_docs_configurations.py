"""The guide to a configuration of one's own works as it is written there."""

import inspect
import re
from pathlib import Path

from coordeval.configurations import Panel
from coordeval.flows.run import guard
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import Evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger
from tests.flows.run.harness import Model, stored

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "configurations.md").read_text()


def test_the_example_runs(tmp_path):
    [source] = re.findall(r"```python\n(# show_of_hands.py\n.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "show_of_hands.py").write_text(source)
    (tmp_path / "s.toml").write_text(
        'name = "s"\nreplicates = 1\nplugins = ["show_of_hands.py"]\nconfigurations = ["show_of_hands"]\n'
        '[markets]\nsource = "simulated"\ncount = 2\n[model]\nprovider = "simulated"\n'
    )
    path = tmp_path / "ledger.duckdb"
    with Ledger.open(path, purpose="test") as ledger:
        evaluation = Evaluation.start(load_study(tmp_path / "s.toml"), path, ledger, Model())
        made = plan(evaluation, pull(evaluation))
        guard.run(run_chunks(evaluation, made.chunks))
    assert stored(tmp_path, "SELECT DISTINCT status FROM forecasts") == [{"status": "answered"}]
    shown = stored(tmp_path, "SELECT DISTINCT statistic FROM messages WHERE statistic IS NOT NULL")
    assert shown == [{"statistic": "0 of 3 hold YES to be the likelier"}]


def test_the_table_of_verbs_is_the_panel():
    rows = re.findall(r"^\| `(?:await )?(\w+)\(([^`]*)\)` \|", GUIDE, re.MULTILINE)
    told = {
        name: [p.split("=")[0].strip(" *") for p in given.split(",") if p.strip() not in ("", "*")] for name, given in rows
    }
    public = {n: f for n, f in vars(Panel).items() if inspect.isfunction(f) and not n.startswith("_") and n != "answered"}
    assert told == {name: list(inspect.signature(f).parameters)[1:] for name, f in public.items()}


def test_every_role_and_placeholder_of_the_project_is_told():
    told = GUIDE[GUIDE.index("## Roles that come") : GUIDE.index("## What comes with")]
    for file in (ROOT / "configurations" / "roles").glob("*.md"):
        [row] = [line for line in told.splitlines() if line.startswith("|") and re.search(rf"\b{file.stem}\b", line)]
        assert set(re.findall(r"\{\w+\}", file.read_text())) == set(re.findall(r"\{\w+\}", row)), file.stem


def test_a_role_text_that_the_simulator_does_not_read_is_said(tmp_path):
    (tmp_path / "roles").mkdir()
    (tmp_path / "roles" / "critic.md").write_text("Always say 0.9. You are {agents}.")
    [source] = re.findall(r"```python\n(# show_of_hands.py\n.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "show_of_hands.py").write_text(source)
    (tmp_path / "s.toml").write_text(
        'name = "s"\nplugins = ["show_of_hands.py"]\nconfigurations = ["show_of_hands", "peer_critique_debate"]\n'
        '[markets]\nsource = "simulated"\ncount = 2\n[model]\nprovider = "simulated"\n'
    )
    [said] = load_study(tmp_path / "s.toml").warnings
    assert "'critic' (show_of_hands) is a plain forecaster to it" in said
