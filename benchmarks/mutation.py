"""Would the tests see it? Small changes of the core, as mutmut makes them, each with the tests that stand nearest.

`make mutation` (mutmut in an environment of its own), or `python -m benchmarks.mutation --mutmut PYTHON --sample 30`. Of
every module `sample` mutants are drawn; for each a process is forked in which the code of one function is the changed
one, and the module's tests run until one fails. Those that no test sees are printed, to be read one by one: what changes
nothing that anybody could see stands in EQUAL, with the reason, and is left out of the share.

What is in no function, what a decorator wraps in a way that hides the function, and texts (messages, SQL: mutmut puts XX
around them or changes their case) are not among the mutants: a test of each word would only say the word again.
"""

import argparse
import contextlib
import functools
import importlib
import inspect
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_DAMAGE = " ".join(
    f"tests/ledger/test_ledger_damage.py::test_{name}"
    for name in (
        "a_journal_that_vanished_is_missed",
        "a_power_cut_after_which_the_head_lags_behind_is_no_damage",
        "a_journal_of_the_version_before_checksums_goes_on",
        "a_cut_journal_says_how_many_entries_are_missing",
        "what_is_whole_is_moved_and_the_rest_is_said_once",
        "a_flipped_bit_of_a_journal_never_changes_or_drops_an_entry_silently",
    )
)
"""Of a journal, those that take longest last."""
MODULES: Mapping[str, str] = {
    "analysis/quality/scores.py": "tests/analysis/quality/test_scores.py",
    "analysis/quality/decomposition.py": "tests/analysis/quality/test_decomposition.py",
    "analysis/quality/binning.py": "tests/analysis/quality/test_binning.py tests/analysis/quality/test_decomposition.py",
    "analysis/differences/comparisons.py": "tests/analysis/differences/test_comparisons.py",
    "analysis/differences/sign_flips.py": "tests/analysis/differences/test_sign_flips.py",
    "market_data/gate.py": "tests/market_data/test_gate.py",
    "agents/budget.py": "tests/agents/test_budget.py tests/agents/test_budget_machine.py",
    "agents/draws.py": "tests/agents/test_draws.py tests/agents/test_budget_machine.py",
    "ledger/journal.py": "tests/ledger/test_ledger_journal.py tests/ledger/test_ledger_damage.py",
    "ledger/journal_head.py": f"tests/ledger/test_journal_head.py tests/ledger/test_ledger_journal.py {_DAMAGE}",
    "ledger/journal_recovery.py": f"tests/ledger/test_journal_recovery.py tests/ledger/test_ledger_journal.py {_DAMAGE}",
    "ledger/books.py": "tests/ledger/test_ledger_books.py",
}
"""Module of the statistics, the gate, the budget or the journal -> its tests."""
EQUAL: Mapping[tuple[str, str], str] = {
    (
        "analysis/quality/binning.py",
        "flipped = np.flatnonzero((d / np.sign(d[at]) < 0) & (np.abs(d) > SAME))",
    ): "a sign is 1 or -1 here, by which it is all the same to multiply or to divide",
    ("ledger/journal.py", "size, bundle = 1, []"): "a group may end a byte of its 32 MB earlier",
    (
        "ledger/journal_head.py",
        "text = cls.path(journal).read_bytes().rstrip(None)",
    ): "it ends with blanks and a line alone",
}
"""(file, changed line) -> why nobody could see it."""
PATIENCE = 6.0
"""A mutant may take so many times what the tests take without one; then it hangs, and that is seen."""
AT_LEAST = 0.9


def main(mutmut: str, sample: int, seed: int, only: str | None, kept: Path | None) -> int:
    before = [json.loads(line) for line in kept.read_text().splitlines()] if kept is not None and kept.exists() else []
    known = {(one["file"], one["number"]): one for one in before}
    _preload()
    seen: dict[str, Counter[str]] = {}
    alive = []
    for file, tests in MODULES.items():
        if only not in (None, file):
            continue
        all_ = [one for one in _made(mutmut, file) if not _of_text(one)]
        drawn = sorted(random.Random(f"{seed} {file}").sample(range(len(all_)), min(sample, len(all_))))
        module = importlib.import_module(f"coordeval.{file.removesuffix('.py').replace('/', '.')}")
        counts = seen[file] = Counter(made=len(all_))
        usual = None
        for number in drawn:
            mutant = all_[number]
            if (file, number) in known:
                ended = known[file, number]["ended"]
            else:
                if usual is None:
                    at = time.monotonic()
                    if (status := _forked(None, module, tests, 600)) != "alive":
                        raise RuntimeError(f"{tests}: without any change it ends with {status}")
                    usual = time.monotonic() - at
                ended = "equal" if (file, mutant["now"]) in EQUAL else _forked(mutant, module, tests, 10 + PATIENCE * usual)
                if kept is not None:
                    line = {**{name: mutant[name] for name in ("file", "function", "was", "now")}, "number": number}
                    with kept.open("a") as out:
                        out.write(json.dumps({**line, "ended": ended}) + "\n")
            ended = "equal" if (file, mutant["now"]) in EQUAL else ended
            counts[ended] += 1
            if ended == "alive":
                alive.append(mutant)
        print(_line(file, counts), flush=True)
    total = sum(seen.values(), Counter[str]())
    print(_line("all", total))
    for one in alive:
        print(f"ALIVE {one['file']} {one['function']}: {one['was']}  ->  {one['now']}")
    judged = total["killed"] + total["hung"] + total["alive"]
    return int(not judged or (judged - total["alive"]) / judged < AT_LEAST)


def _line(name: str, counts: Counter[str]) -> str:
    judged = counts["killed"] + counts["hung"] + counts["alive"]
    share = (judged - counts["alive"]) / judged if judged else float("nan")
    rest = ", ".join(f"{counts[what]} {what}" for what in ("hung", "equal", "hidden") if counts[what])
    tried = f"{judged} of {counts['made']} mutants tried, {counts['alive']} alive, {share:.1%} seen"
    return f"{name}: {tried}{f' ({rest})' if rest else ''}"


def _made(mutmut: str, file: str) -> list[dict[str, Any]]:
    command = [mutmut, str(Path(__file__).with_name("mutants.py")), file]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in said.splitlines()]


def _of_text(mutant: Mapping[str, Any]) -> bool:
    """Whether nothing but a text was changed: what mutmut puts around it, or its case."""
    was, now = mutant["was"], mutant["now"]
    return ("XX" in now and now.replace("XX", "") == was) or was.lower() == now.lower()


def _preload() -> None:
    """What every test would import by itself, so that no fork has to."""
    for name in ("pytest", "hypothesis.stateful", "numpy", "scipy.stats", "polars", "duckdb", "httpx", "orjson"):
        importlib.import_module(name)
    importlib.import_module("coordeval.flows.run.run")


def _forked(mutant: Mapping[str, Any] | None, module: Any, tests: str, seconds: float) -> str:
    """ "killed" by a test, "hung", "alive", or "hidden" where the function cannot be reached."""
    pid = os.fork()
    if not pid:
        os.setsid()
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        status = 77
        with contextlib.suppress(BaseException):
            import pytest

            if mutant is not None:
                _put_in(module, mutant)
            status = 78
            status = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *tests.split()]))
        os._exit(status)
    end = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return {0: "alive", 77: "hidden"}.get(os.waitstatus_to_exitcode(status), "killed")
        if time.monotonic() > end:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return "hung"
        time.sleep(0.02)


def _put_in(module: Any, mutant: Mapping[str, Any]) -> None:
    """Gives the function, wherever it has been imported to, the changed code and defaults."""
    space = dict(vars(module))
    *above, name = mutant["function"].split(".")
    owner: Any = module
    for part in above:
        owner = getattr(owner, part)
    old = _plain(inspect.getattr_static(owner, name))
    source = textwrap.dedent(mutant["source"])
    for part in reversed(above):
        source = f"class {part}:\n{textwrap.indent(source, '    ')}"
    exec(compile(f"from __future__ import annotations\n{source}", module.__file__, "exec"), space)
    new: Any = space[above[0]] if above else space[name]
    for part in [*above[1:], name] if above else []:
        new = inspect.getattr_static(new, part)
    new = _plain(new)
    if len(old.__code__.co_freevars) != len(new.__code__.co_freevars):
        raise TypeError("it is another closure")
    old.__code__, old.__defaults__, old.__kwdefaults__ = new.__code__, new.__defaults__, new.__kwdefaults__


def _plain(found: Any) -> Any:
    """The function itself within what decorators made of it."""
    while not inspect.isfunction(found) or hasattr(found, "__wrapped__"):
        if isinstance(found, property | functools.cached_property):
            found = found.fget if isinstance(found, property) else found.func
        elif hasattr(found, "cache_clear"):
            found.cache_clear()
            found = found.__wrapped__
        else:
            found = found.__wrapped__ if hasattr(found, "__wrapped__") else found.__func__
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation", description=__doc__)
    parser.add_argument("--mutmut", default=sys.executable, help="a Python that has mutmut 3.8")
    parser.add_argument("--sample", type=int, default=30, help="mutants of each module")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=MODULES, help="one module")
    parser.add_argument("--kept", type=Path, metavar="FILE", help="what became of each, a line each; goes on with it")
    asked = parser.parse_args()
    raise SystemExit(main(asked.mutmut, asked.sample, asked.seed, asked.only, asked.kept))
