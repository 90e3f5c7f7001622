"""The page that leads from a question to a function names them all, and what it links to and shows is there."""

import inspect
import re
from pathlib import Path

import pytest

from coordeval import analysis

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "analysis.md").read_text()
ROWS = re.findall(r"^\|[^|]*\| (\[`.*?) \|", PAGE, re.MULTILINE)
NAMED = {
    name: re.search(r"analysis/([\w/]+)\.py", row).group(1).replace("/", ".")
    for row in ROWS
    for name in re.findall(r"`(\w+)`", row)
}


def test_every_public_function_is_on_the_page_and_nothing_else():
    assert sorted(NAMED) == sorted(name for name in analysis.__all__ if inspect.isfunction(getattr(analysis, name)))


@pytest.mark.parametrize("name", NAMED)
def test_a_function_is_in_the_module_that_its_row_links_to(name):
    assert getattr(analysis, name).__module__ == f"coordeval.analysis.{NAMED[name]}"


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([A-Z]\w+[a-z]\w*)`", PAGE))))
def test_a_type_on_the_page_is_public(name):
    assert inspect.isclass(getattr(analysis, name))


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^)]+)\)", PAGE))))
def test_a_link_leads_somewhere(path):
    assert (DOCS / path).exists()


def test_the_example_of_the_page_runs():
    [block] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(block, "docs/analysis.md", "exec"), {})
