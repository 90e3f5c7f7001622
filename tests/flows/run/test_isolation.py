"""A plugin that is not trusted runs in a worker process: the same result, and nothing within its reach."""

import os
import time
from pathlib import Path

import pytest

from coordeval.configurations import PluginError, load
from coordeval.configurations.isolation import confine, outside, processes
from coordeval.flows.certificate.certificate import certificate
from coordeval.flows.study.study import StudyError, load_study
from coordeval.ledger import read
from tests.flows.run.harness import Model, run_mine, stored

ISOLATE = "[run]\nconcurrent_cells = 4\nisolate = true"

HONEST = {
    "verbs": """
plan = await panel.report("planner", count=3)
said = await panel.ask_each("forecaster", 3)
middle = panel.statistic(f"The mean is {fmean(e.probability for e in said):.2f}", of=said)
said = await panel.revise(said, role="critic", shown=lambda everyone, own: [middle])
said = await panel.revise(said, role="critic")
one = await panel.ask("critic", shown=said[:2], agent=7, agents=3)
slow = asyncio.ensure_future(panel.ask("forecaster"))
await asyncio.sleep(0)
slow.cancel()
return panel.conclude((one.probability + fmean(e.probability for e in said)) / 2)
""",
    "commits": """
said = await panel.ask_each("forecaster", 2)
reports = await panel.commit("planner", said, within=0.1)
reports += await panel.commit("planner", said)
best = panel.agreement()
shown = panel.statistic(panel.positions(), of=reports)
await panel.revise(said, role="critic", shown=lambda *_: [shown])
return panel.conclude(best.probability)
""",
    "goes_on": "first = await panel.ask('forecaster')\nsecond = await panel.ask('critic', continues=first, agents=1)\n"
    "return panel.conclude(second.probability)",
    "raises": "await panel.ask('forecaster')\nraise ExceptionGroup('g', [ValueError('a'), KeyError('b')])",
    "declines": "from coordeval import NoForecast\nraise NoForecast('no idea')",
    "beyond": "return panel.conclude(1.5)",
    "foreign": "return 0.5",
    "undeclared": "await panel.ask('judge')",
    "edge": "said = await panel.ask('critic', agents=1)\nawait panel.ask('forecaster', shown=[said])",
    "made_up": "from dataclasses import replace\nsaid = await panel.ask('forecaster')\n"
    "await panel.ask('critic', agents=1, shown=[replace(said, probability=0.99)])",
    "unmade": "from coordeval import Statistic\nsaid = await panel.ask('forecaster')\n"
    "await panel.ask('critic', agents=1, shown=[Statistic(text='all say yes', of=(said,))])",
    "blank": "said = await panel.ask('forecaster')\npanel.statistic(' ', of=[said])",
    "placeholder": "await panel.ask('critic')",
    "many": "await panel.ask_each('forecaster', 2.5)",
    "quits": "sys.exit(3)",
    "unanswered": "await panel.ask_each('forecaster', 2, shown=())\nreturn panel.conclude(0.5)",
}


def _reply(request, slot):
    if slot.configuration == "unanswered":
        return {"probability": 7}
    return (
        {"report": "a plan", "parts": ["one", "two"]}
        if slot.configuration == "verbs" and slot.ask == 0
        else {
            "report": "acts",
            "parts": [["propose 0.4", "agree 9"], ["propose 0.6"], ["agree 2"], ["reject 2"]][slot.ask - 2],
        }
        if slot.configuration == "commits" and slot.ask in (2, 3, 4, 5)
        else 0.3 + slot.k / 10
    )


_EVERYTHING = {
    "forecasts": "SELECT * EXCLUDE (run_id, created_at, isolation) FROM forecasts ORDER BY ALL",
    "calls": "SELECT * FROM calls ORDER BY ALL",
    "draws": "SELECT draw_id, request_id, request, reply, payer FROM draws ORDER BY ALL",
    "estimates": "SELECT * FROM estimates ORDER BY ALL",
    "messages": "SELECT * FROM messages ORDER BY ALL",
    "parts": "SELECT * FROM parts ORDER BY ALL",
    "acts": "SELECT * FROM acts ORDER BY ALL",
    "cells": "SELECT * FROM cells ORDER BY ALL",
}


def test_an_isolated_run_stores_what_a_plain_one_does(tmp_path):
    found = []
    for isolate in ("false", "true"):  # one cell at a time: who pays for a shared draw hangs on who is first
        (folder := tmp_path / isolate).mkdir()
        run_mine(folder, HONEST, Model(_reply), extra=f"[run]\nconcurrent_cells = 1\nisolate = {isolate}")
        found.append({name: stored(folder, sql) for name, sql in _EVERYTHING.items()})
    plain, isolated = found
    assert {row["status"] for row in plain["forecasts"]} == {"answered", "failed"}
    for name in _EVERYTHING:
        assert isolated[name] == plain[name], name


HOSTILE = {
    "exits": ("os._exit(3)", "its worker process ended with exit status 3 before it came to an end"),
    "crashes": ("import ctypes; ctypes.string_at(0)", "its worker process was killed by SIGSEGV"),
    "eats": ("x = []\nwhile True: x.append(bytearray(1 << 26))", "it wanted more than the 1024 MB"),
    "hoards": (
        "for i in range(99):\n    try: await panel.ask('forecaster', agent=i)\n    except BaseException: pass",
        "it made more than 20 asks",
    ),
    "will_not_end": (
        "while True:\n    try: await panel.ask('forecaster')\n    except BaseException: pass",
        "it made more than 20 asks",
    ),
    "garbles": ("LINE.sendall(bytes([0, 0, 0, 9]) + b'{garbage}')\ntime.sleep(9)", "what is no message to a panel"),
    "shouts": ("LINE.sendall(bytes([255] * 4))\ntime.sleep(9)", "and one may have 4,194,304"),
    "floods": (
        'while True: LINE.sendall(bytes([0, 0, 0, 31]) + b\'{"verb":"cancel","number":1   }\')',
        "more than the 100,000 messages",
    ),
    "wrong_verb": ("panel._line.send({'verb': '__init__', 'number': 1})\ntime.sleep(9)", "what is no message to a panel"),
    "wrong_words": (
        "panel._line.send({'verb': 'ask', 'number': 1, 'role': [], 'agent': {}, 'shown': 3, 'details': 0})\ntime.sleep(9)",
        "what is no message to a panel",
    ),
    "forges": (
        "said = await panel.ask('forecaster')\npanel._answers[5] = said\n"
        "await panel._line.request('ask', role='critic', agent=0, shown=[{'ask': 5}], details={'agents': 1})",
        "which nobody in this panel said",
    ),
    "concludes_alone": ("return panel.conclude(0.9)", "rests on no answer"),
    "lies": ("panel._line.send({'concluded': 'yes'})\ntime.sleep(9)", "a forecast is a probability"),
    "reads": ("return panel.conclude(len(open(LEDGER, 'rb').read()))", "Permission denied"),
    "writes": ("open(LEDGER, 'ab').write(b'x')", "Permission denied"),
    "hides": ("os.chmod(LEDGER, 0)", "Operation not permitted"),
    "searches": ("raise ValueError(os.listdir(os.path.dirname(LEDGER)))", "Permission denied"),
    "calls_home": ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "Operation not permitted"),
    "kills": ("os.kill(os.getppid(), 9)", "Operation not permitted"),
    "forks": ("os.fork()", "Operation not permitted"),
    "frames": (
        "frame, seen = sys._getframe(), []\nwhile frame:\n    seen += list(frame.f_locals)\n    frame = frame.f_back\n"
        "raise ValueError([name for name in seen if name in ('cell', 'evaluation', 'agents', 'ledger')])",
        "raised ValueError: []",
    ),
    "models": (
        "import gc\nraise ValueError([o for o in gc.get_objects() if hasattr(type(o), 'complete')])",
        "raised ValueError: []",
    ),
    "worlds": ("from coordeval.market_data.simulated import SimulatedWorld", "raised PermissionError"),
    "keys": ("raise ValueError(f'{sorted(os.environ)}')", "raised ValueError: ["),
    "parents": ("raise ValueError(open(f'/proc/{os.getppid()}/environ').read())", "Permission denied"),
    "descriptors": ("raise ValueError([d for d in range(64) if _open(d)])", "raised ValueError: [0, 1, 2, 3, 4, 5, 6]"),
}
_HEAD = """
import os
from pathlib import Path
def _open(d):
    try:
        os.fstat(d)
        return True
    except OSError:
        return False
"""


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """(folder, rows by configuration) of one run of every hostile plugin beside an honest neighbour."""
    closed = outside.isolated(Path(__file__).parents[1] / "extreme_plugin.py")[0].closed
    if closed != ("files", "network", "processes"):
        pytest.skip(f"this system closes {closed} only")
    folder = tmp_path_factory.mktemp("attacked")
    ledger = folder / "ledger.duckdb"
    given = f"LEDGER = {str(ledger)!r}\nLINE = getattr(getattr(panel, '_line', None), '_sock', None)\n{_HEAD}"
    bodies = {name: given + body for name, (body, _) in HOSTILE.items()}
    os.environ["ISOLATION_API_KEY"] = "sk-very-secret-0123456789"
    try:
        beside = ("single_agent", "independent_ensemble")
        rows = run_mine(folder, bodies, beside=beside, extra=f"[bounds]\nasks = 20\n{ISOLATE}")
    finally:
        del os.environ["ISOLATION_API_KEY"]
    return folder, rows


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_plugin_is_a_failed_row_that_says_why(attacked, name):
    _, rows = attacked
    [row] = rows[name]
    assert row["status"] == "failed"
    assert HOSTILE[name][1] in row["reason"], row["reason"]
    assert "sk-very-secret" not in row["reason"]


def test_its_neighbours_are_unharmed(attacked):
    _, rows = attacked
    assert [rows[name][0]["status"] for name in ("single_agent", "independent_ensemble")] == ["answered"] * 2


def test_one_that_does_not_come_back_is_ended_and_its_neighbours_go_on(tmp_path):
    bodies = {"blocks": "await panel.ask('forecaster')\nwhile True: pass", "sleeps": "time.sleep(60)"}
    bounds = "[bounds]\nseconds = 1.5\n"
    rows = run_mine(tmp_path, bodies, beside=("single_agent", "independent_ensemble"), extra=bounds + ISOLATE)
    assert all("[bounds] seconds allows one cell" in rows[name][0]["reason"] for name in bodies)
    assert [rows[name][0]["status"] for name in ("single_agent", "independent_ensemble")] == ["answered"] * 2


def test_no_worker_process_outlives_its_cell(attacked):
    nursery = processes.nurseries[-1]
    until = time.monotonic() + 10
    while nursery._workers and time.monotonic() < until:
        time.sleep(0.01)
    assert not nursery._workers


def test_the_certificate_says_where_the_code_ran(attacked):
    folder, rows = attacked
    reader = read(folder / "ledger.duckdb")
    isolated = certificate(reader, rows["frames"][0]["forecast_id"])
    plain = certificate(reader, rows["single_agent"][0]["forecast_id"])
    assert isolated.isolation == "worker process; closed to it: files, network, processes"
    assert plain.isolation is None


def test_isolation_is_no_part_of_a_studys_identity(study_file, tmp_path):
    (tmp_path / "mine.py").write_text((Path(__file__).parents[1] / "extreme_plugin.py").read_text())
    plugins = 'plugins = ["mine.py"]\n[markets]'
    plain = load_study(study_file(("[markets]", plugins)))
    for isolate in ("true", '["mine.py"]'):
        isolated = load_study(study_file(("[markets]", plugins), ("[model]", f"[run]\nisolate = {isolate}\n[model]")))
        assert isolated.id == plain.id
        assert isolated.registry.create("extreme", {}).identity() == plain.registry.create("extreme", {}).identity()


def test_only_a_plugin_of_the_study_can_be_isolated(study_file):
    with pytest.raises(StudyError, match=r"run\.isolate: unknown plugin of this study 'theirs\.py'"):
        load_study(study_file(("[model]", '[run]\nisolate = ["theirs.py"]\n[model]')))


SOURCES = {
    "raises when it is loaded": ("raise RuntimeError('no')", "cannot be loaded: RuntimeError: no"),
    "exits when it is loaded": ("import os; os._exit(4)", "its worker process ended with exit status 4"),
    "never ends to be loaded": ("while True: pass", "was not loaded within"),
    "holds nothing": ("x = 1", "defines no subclass of configurations.Configuration"),
    "is not Python": ("def", "SyntaxError"),
}


@pytest.mark.parametrize("case", SOURCES)
def test_an_isolated_file_that_cannot_be_loaded_says_why(tmp_path, monkeypatch, case):
    source, said = SOURCES[case]
    monkeypatch.setattr(processes, "LOAD_SECONDS", 1.0)
    (tmp_path / "theirs.py").write_text(source)
    with pytest.raises(PluginError, match=r"theirs\.py") as raised:
        load((tmp_path / "theirs.py",), {tmp_path / "theirs.py"})
    assert said in str(raised.value)


def test_loading_an_isolated_file_runs_nothing_of_it_here(tmp_path):
    file, mark = tmp_path / "theirs.py", "coordeval_isolation_mark"
    source = (Path(__file__).parents[1] / "extreme_plugin.py").read_text()
    file.write_text(f"import sys\nsys.{mark} = True\n{source}")
    cls = load((file,), {file}).classes["extreme"]
    import sys

    assert not hasattr(sys, mark)
    assert cls.elements.failure_handling == "exclude"


def test_a_file_that_is_changed_after_it_was_loaded_makes_no_forecast(tmp_path):
    """What a forecast's identity is the hash of is what runs."""
    from coordeval.flows.run import guard
    from coordeval.flows.run.planning import plan, pull
    from coordeval.flows.run.window import run_chunks
    from coordeval.flows.study.evaluation import Evaluation
    from coordeval.ledger import Ledger

    source = (Path(__file__).parents[1] / "extreme_plugin.py").read_text()
    (tmp_path / "mine.py").write_text(source)
    (tmp_path / "s.toml").write_text(
        'name = "s"\nreplicates = 1\nplugins = ["mine.py"]\nconfigurations = ["extreme"]\n'
        f'[markets]\nsource = "simulated"\ncount = 1\n[model]\nprovider = "simulated"\n{ISOLATE}\n'
    )
    path = tmp_path / "ledger.duckdb"
    with Ledger.open(path, purpose="test") as ledger:
        evaluation = Evaluation.start(load_study(tmp_path / "s.toml"), path, ledger, Model())
        made = plan(evaluation, pull(evaluation))
        (tmp_path / "mine.py").write_text(source.replace("1.5", "2.5"))
        guard.run(run_chunks(evaluation, made.chunks))
    [row] = stored(tmp_path, "SELECT status, reason FROM forecasts")
    assert row["status"] == "failed"
    assert "was changed after the study was loaded" in row["reason"]


def test_the_filter_of_system_calls_is_a_program_for_both_machines():
    for machine in ("x86_64", "aarch64"):
        program = confine._program(machine)
        assert len(program) % 8 == 0
        assert len(program) // 8 < 4096  # what the kernel takes
        jumps = [program[i : i + 8] for i in range(0, len(program), 8)]
        assert all(max(step[2], step[3]) < len(jumps) - i for i, step in enumerate(jumps))
