"""Every table of hostile input: how many cases were tried, how many hold. `python -m benchmarks.hostile`, or `--only page`.

Runs the tests that hold the tables, the long forms among them, and counts: each case of a parametrised test, each example
of hypothesis, and where a test goes through a table by itself what it says that it tried. A table of which nothing was
tried, or not everything holds, ends it with 1.
"""

import argparse
import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

TEXT = "tests/flows/verify/test_hostile_text.py"
MODEL = "tests/agents/test_anthropic_model.py"
TABLES: Mapping[str, tuple[str, ...]] = {
    "texts at a terminal, in an error's line, in JSON": (
        f"{TEXT}::test_a_terminal",
        "tests/flows/cli/test_terminal.py::test_the_terminal",
        "tests/flows/cli/test_terminal.py::test_no_command",
    ),
    "texts in a notebook and a figure, in a Prefect artifact": (
        f"{TEXT}::test_a_page",
        f"{TEXT}::test_markdown",
        "tests/flows/orchestration/test_deployments.py::test_a_text_of_others",
        "tests/flows/test_notebook.py::test_text_of_others",
    ),
    "texts on a report's page": (
        "tests/analysis/report/test_report.py::TestPage::test_it_has_the_same",
        "tests/analysis/report/test_report_browser.py::test_a_hostile",
    ),
    "texts on the dashboard": (
        "tests/flows/dashboard/test_hostile_pages.py",
        "tests/flows/dashboard/test_dashboard_browser.py::test_planted",
    ),
    "texts in a spreadsheet": (
        f"{TEXT}::test_a_spreadsheet",
        "tests/analysis/report/test_report_browser.py::test_a_table_as_a_file",
    ),
    "texts in a prompt, and stored": (f"{TEXT}::test_a_prompt", f"{TEXT}::test_half"),
    "venues and evidence: redirects, bombs, endless and slow bodies": ("tests/market_data/test_bodies.py",),
    "the download of the published dataset": ("tests/market_data/test_download_hostile.py",),
    "model endpoints: redirects, bombs, endless and slow bodies, replies that are none": tuple(
        f"{MODEL}::{name}"
        for name in (
            "test_what_was_served",
            "test_a_usage_that",
            "test_a_success_that",
            "test_each_failure",
            "test_a_redirect",
            "test_a_slow_call",
            "test_a_body_without_end",
            "test_a_packed_body",
            "test_the_key_appears",
            "test_a_key_that_a_reply",
        )
    ),
    "keys that come back": ("tests/flows/run/test_secrets.py", "tests/market_data/test_known_secrets.py"),
    "plugins in a process of their own": ("tests/flows/run/test_isolation.py::test_a_hostile_plugin",),
    "plugins that go on, or will not be called off": (
        "tests/flows/run/test_bounds.py::test_a_cell_that_goes_on",
        "tests/flows/run/test_bounds.py::test_one_that_swallows",
    ),
    "plugins that break a rule": ("tests/flows/run/test_conformance.py::test_each_broken",),
    "other hosts and origins at the dashboard": ("tests/flows/dashboard/test_security.py",),
    "other hosts and origins at the server of `serve` and `run`": ("tests/flows/orchestration/test_own_machine.py",),
    "commands with the network cut off": ("tests/flows/verify/test_no_requests.py",),
    "study files, replies, shards, journals, files of forecasts, addresses": ("tests/flows/verify/test_fuzz.py",),
    "payloads of venues": ("tests/market_data/venues/test_venue_malformed.py",),
    "`.eval` logs and other published forms": ("tests/market_data/forecasts/test_forms_fuzz.py",),
}
"""Table -> how the ids of its tests begin."""


class Counting:
    """A plugin of pytest that takes the tests of one table, and counts."""

    def __init__(self, ids: tuple[str, ...]) -> None:
        self.ids = ids
        self.counts = Counter[str]()
        self.wrong: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid.startswith(self.ids)]

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        outcome: Any = yield
        report = outcome.get_result()
        if report.when != "call" and report.passed:
            return
        if report.skipped:
            self.counts["skipped"] += 1
            return
        examples = re.findall(r"(\d+) passing", getattr(item, "hypothesis_statistics", ""))
        tried = sum(int(value) for key, value in item.user_properties if key == "tried") or sum(map(int, examples)) or 1
        self.counts["tried"] += tried
        self.counts["hold"] += tried if report.passed else 0
        if not report.passed:
            self.wrong.append(item.nodeid)


def main(only: str = "") -> int:
    wrong = []
    print("| hostile input | tried | hold |\n|---|---|---|", flush=True)
    for name, ids in TABLES.items():
        if only not in name:
            continue
        counting = Counting(ids)
        files = sorted({each.partition("::")[0] for each in ids})
        with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
            pytest.main(["-q", "-m", "", "-p", "no:cacheprovider", "-p", "no:randomly", *files], plugins=[counting])
        counts = counting.counts
        skipped = f" ({counts['skipped']} left out on this machine)" if counts["skipped"] else ""
        print(f"| {name} | {counts['tried']:,}{skipped} | {counts['hold']:,} |", flush=True)
        wrong += counting.wrong if counts["tried"] else [f"nothing was tried of: {name}"]
    for one in wrong:
        print(f"does not hold: {one}")
    return int(bool(wrong))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=__doc__)
    parser.add_argument("--only", default="", metavar="WORD", help="tables whose name has it")
    raise SystemExit(main(parser.parse_args().only))
