"""What a configuration does when it is tried: on a few simulated markets, with agents that answer and agents that fail.

`check` runs the trial in a process of its own with a time limit, so that one that never comes back is a finding too. It
finds what a trial can show: what a plugin hides, or does under other answers, it does not. Code that you do not trust runs
isolated all the same.
"""

import ast
import inspect
import json
import random
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

SECONDS = 60.0
"""What the whole trial may take."""
_BOUNDS = "[bounds]\nasks = 100\ntokens = 2_000_000\nseconds = 5.0\n"
_STUDY = """name = "trial"
replicates = 1
configurations = ["{name}"]
{plugins}
[markets]
source = "simulated"
count = 2
[model]
provider = "simulated"
{bounds}"""
_FOREIGN = {
    "a clock": {"time", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"},
    "randomness": {"random", "secrets", "uuid", "numpy.random", "np.random"},
    "the network": {"socket", "ssl", "http", "urllib", "requests", "httpx", "aiohttp"},
    "threads or processes": {"threading", "multiprocessing", "concurrent", "subprocess", "os.system", "os.fork"},
    "the ledger": {"duckdb", "sqlite3", "coordeval.ledger"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule and how the configuration did; `mend` says what to do where it failed."""

    configuration: str
    rule: str
    status: Literal["passed", "failed", "noted"]
    says: str
    mend: str = ""


def check(target: str, *, seconds: float = SECONDS) -> list[Finding]:
    """Every rule, for an installed configuration (its name) or the ones in a Python file (its path)."""
    command = [sys.executable, "-m", "coordeval.flows.run.conformance", target]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=seconds, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        mend = "look for a loop without await, time.sleep, or a wait for what never comes"
        return [_failed(target, "comes back", f"the trial was not over after {seconds:g} s", mend)]
    lines = done.stdout.splitlines()
    try:
        return [Finding(**row) for row in json.loads(lines[-1])]
    except (IndexError, ValueError, TypeError):
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        says = f"the trial's process ended with status {done.returncode} before it was over: {last:.300}"
        mend = "a configuration ends by returning panel.conclude(probability); it ends no process"
        return [_failed(target, "comes back", says, mend)]


def _failed(configuration: str, rule: str, says: str, mend: str) -> Finding:
    return Finding(configuration=configuration, rule=rule, status="failed", says=says, mend=mend)


def _trial(target: str) -> list[Finding]:
    from coordeval.configurations import Panel
    from coordeval.configurations.registry import classes_in, load

    def untouched() -> dict[str, int]:
        return {name: id(value) for name, value in vars(Panel).items()}

    before = untouched()
    file = Path(target).resolve() if target.endswith(".py") else None
    try:
        classes = classes_in(file) if file else [load().of(target)]
    except BaseException as error:
        says = "".join(traceback.format_exception_only(error)).strip()
        return [_failed(target, "loads", says, "the message names what is missing or wrong")]
    names = ", ".join(cls.name for cls in classes)
    found = [Finding(configuration=names, rule="loads", status="passed", says=f"from {inspect.getfile(classes[0])}")]
    found += _source(classes[0], names)
    reached: list[str] = []
    _listen(reached)
    for cls in classes:
        found += _tried(cls, file, reached)
    touched = untouched() != before
    mend = "use its verbs; what they refuse is refused for every configuration"
    says = "the class Panel was changed" if touched else "nothing of it was changed"
    return [*found, _found(names, "leaves the panel alone", [says] if touched else [], says, mend)]


def _found(configuration: str, rule: str, problems: list[str], otherwise: str, mend: str) -> Finding:
    if not problems:
        return Finding(configuration=configuration, rule=rule, status="passed", says=otherwise)
    return _failed(configuration, rule, "; ".join(list(dict.fromkeys(problems))[:3]), mend)


def _source(cls: type, names_of_all: str) -> Iterator[Finding]:
    """What the module reaches for that is not the panel's, by line."""
    module = inspect.getmodule(cls)
    tree = ast.parse(inspect.getsource(module if module is not None else cls))
    used = [(line, name) for node in ast.walk(tree) for line, name in _names(node)]
    problems = [
        f"line {line}: {name} reaches {what}"
        for what, names in _FOREIGN.items()
        for line, name in used
        if any(name == one or name.startswith(f"{one}.") for one in names)
    ]
    mend = "a configuration has the panel only: the question, the price, what agents say"
    yield _found(
        names_of_all, "uses the panel only", problems, "no clock, network, randomness, thread or ledger in its module", mend
    )


def _names(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Import):
        yield from ((node.lineno, alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from ((node.lineno, name) for name in (node.module, *(f"{node.module}.{a.name}" for a in node.names)))
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        yield node.lineno, f"{node.value.id}.{node.attr}"


def _tried(cls: Any, file: Path | None, reached: list[str]) -> Iterator[Finding]:
    name, required = cls.name, [key for key, field in cls.model_fields.items() if field.is_required()]
    if required:
        says = f"{', '.join(required)} must be given, so it cannot be tried as it comes"
        yield _failed(name, "forecasts", says, "give every parameter a default")
        return
    reached.clear()
    random.seed(1)
    before = _cut_off()
    first = _run(name, file)
    failed = [f"{row['market_id']}: {row['reason']}" for row in first["forecasts"] if row["status"] == "failed"]
    asked = len(first["estimates"])
    yield _found(name, "forecasts", failed, f"2 markets, {asked} asks", "the reason names the rule and what to do")
    nothing = "opened no file or socket, started no thread or process"
    yield _found(name, "reaches nothing", reached, nothing, "do it with the panel, or outside of the forecast")
    if failed:  # what else it does shows once it forecasts
        yield _ends(cls, _cut_off() - before)
        return
    random.seed(2)
    again = _run(name, file)
    differs = [
        f"market {a['market_id']}: {a['probability']} and then {b['probability']}"
        for a, b in zip(first["forecasts"], again["forecasts"], strict=True)
        if (a["probability"], a["call_graph"]) != (b["probability"], b["call_graph"])
    ]
    mend = "take out whatever is drawn, timed or kept between forecasts: the same answers give the same forecast"
    yield _found(name, "is deterministic", differs, "the same answers gave the same forecasts twice", mend)
    yield from _declared(cls, first)
    yield from _failing(cls, file)
    if cls.elements.endpoints:
        last = max(row["ask"] for row in first["estimates"])
        for failing in ("over at 0", f"over at {last}"):  # with its first ask under way, and with its last one
            _run(name, file, failing)
    yield _ends(cls, _cut_off() - before)


def _declared(cls: Any, rows: Mapping[str, Any]) -> Iterator[Finding]:
    elements = cls.elements
    roles = {row["role"] for row in rows["estimates"]}
    idle = [f"role {end.role!r}" for end in elements.endpoints if end.role not in roles]
    edges = {(row["speaker"], row["listener"]) for row in rows["edges"]}
    idle += [f"edge {a!r} to {b!r}" for a, b in elements.topology if (a, b) not in edges]
    says = (
        f"declared and not used in the trial: {', '.join(idle)}" if idle else "every role and edge that is declared was used"
    )
    yield Finding(
        configuration=cls.name,
        rule="does what it declares",
        status="noted" if idle else "passed",
        says=says,
        mend="take it out of elements, unless it is used under other answers" if idle else "",
    )


def _failing(cls: Any, file: Path | None) -> Iterator[Finding]:
    """With agents that have no answer, for good: some of them, and all of them."""
    problems = []
    for some in (True, False):
        for row in _run(cls.name, file, "some" if some else "all")["forecasts"] if cls.elements.endpoints else ():
            reason = row["reason"] or ""
            if f"{cls.name} raised" in reason or "rests on no answer" in reason or "not its own" in reason:
                problems.append(f"with {'some agents' if some else 'all agents'} failing: {reason}")
    mend = "catch NoAnswer only, and where nobody answered let it through"
    how = cls.elements.failure_handling
    yield _found(
        cls.name,
        "handles failures",
        problems,
        f"as declared ({how}): a forecast, or a failed row with the agent's reason",
        mend,
    )


def _cut_off() -> int:
    """How many tasks of configurations this process had to cut off so far."""
    from coordeval.flows.run import guard

    return len(guard._LET_GO)


def _ends(cls: Any, cut_off: int) -> Finding:
    """Whether it lets itself be ended: by a bound, by a server that is down, by whoever stops the run."""
    went_on = "a task" if cut_off == 1 else f"{cut_off} tasks"
    return _found(
        cls.name,
        "ends when it is ended",
        [f"{went_on} went on after being called off, and had to be cut off"] if cut_off else [],
        "called off at its first ask and at its last, no task was left",
        "let asyncio.CancelledError through, in `except BaseException` and around `asyncio.shield` too",
    )


def _listen(reached: list[str]) -> None:
    """Notes what a configuration's own code opens or starts, by Python's audit events."""
    from coordeval.flows.run.guard import OWNER

    starts = {
        "socket.__new__": "a socket",
        "socket.connect": "a socket",
        "subprocess.Popen": "a process",
        "os.fork": "a process",
        "os.system": "a process",
    }

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if OWNER.get() is None:
            return
        if event in starts:
            reached.append(f"it started {starts[event]} ({event})")
        elif event == "open" and not str(arguments[0]).endswith((".py", ".pyc", ".so")):
            reached.append(f"it opened {str(arguments[0])[-80:]}")

    start = threading.Thread.start

    def started(self: threading.Thread) -> None:  # Python 3.11 has no audit event for it
        if OWNER.get() is not None:
            reached.append("it started a thread")
        start(self)

    sys.addaudithook(heard)
    threading.Thread.start = started  # type: ignore[method-assign]


def _run(name: str, file: Path | None, failing: str = "") -> dict[str, list[dict[str, Any]]]:
    """One run of a study of this configuration in a folder of its own."""
    from coordeval.agents.messages import ModelError, Reply, Request, Slot
    from coordeval.agents.simulated import SimulatedModel, SimulatedParameters
    from coordeval.flows.run import guard
    from coordeval.flows.run.planning import plan, pull
    from coordeval.flows.run.window import run_chunks
    from coordeval.flows.study.evaluation import Evaluation
    from coordeval.flows.study.study import load_study
    from coordeval.ledger import Ledger, read

    class Trying(SimulatedModel):
        async def complete(self, request: Request, slot: Slot) -> Reply:
            if failing == "all" or (failing == "some" and slot.ask % 3 == 1):
                raise ModelError("this agent has no answer (a trial)", retryable=False)
            if failing == f"over at {slot.ask}":
                raise ModelError("the server is down (a trial)", retryable=True)  # which ends the cell from outside
            return await super().complete(request, slot)

    with tempfile.TemporaryDirectory(prefix="coordeval-check-") as folder:
        path, study = Path(folder) / "trial.duckdb", Path(folder) / "trial.toml"
        plugins = f"plugins = [{json.dumps(str(file))}]" if file else ""
        study.write_text(_STUDY.format(name=name, plugins=plugins, bounds=_BOUNDS))
        still = SimulatedParameters(malformed_rate=0.0, refusal_rate=0.0, truncation_rate=0.0)
        with Ledger.open(path, purpose="trial") as ledger:
            evaluation = Evaluation.start(load_study(study), path, ledger, Trying(still))
            guard.run(run_chunks(evaluation, plan(evaluation, pull(evaluation)).chunks))
        with read(path).moment() as held:
            return {table: held.query(sql).to_dicts() for table, sql in _ROWS.items()}


_ROWS = {
    "forecasts": "SELECT market_id, status, probability, reason, call_graph FROM forecasts ORDER BY market_id",
    "estimates": "SELECT forecast_id, ask, role FROM estimates",
    "edges": """SELECT DISTINCT a.role AS speaker, b.role AS listener FROM messages m
        JOIN estimates a ON a.forecast_id = m.forecast_id AND a.ask = m.from_ask
        JOIN estimates b ON b.forecast_id = m.forecast_id AND b.ask = m.to_ask""",
}


if __name__ == "__main__":
    sys.stdout.write(
        json.dumps([asdict(finding) for finding in _trial(sys.argv[1])]) + "\n"
    )  # for whoever started it, no terminal
