"""What `coordeval.analysis` gives is documented, and every example runs in a fresh session as it is printed."""

import doctest
import inspect
import pkgutil
from importlib import import_module

import pytest

from coordeval import analysis

MODULES = [import_module(module.name) for module in pkgutil.walk_packages(analysis.__path__, "coordeval.analysis.")]
FUNCTIONS = [name for name in analysis.__all__ if inspect.isfunction(getattr(analysis, name))]
EXAMPLES = {
    test.name: test for module in MODULES for test in doctest.DocTestFinder().find(module, globs={}) if test.examples
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_has_an_example_that_calls_it(name):
    function = getattr(analysis, name)
    example = EXAMPLES.get(f"{function.__module__}.{function.__name__}")
    assert example, f"{name} has no example: end its docstring with one (>>> from coordeval.analysis import {name})"
    assert any(f"{name}(" in line.source for line in example.examples), f"the example of {name} does not call it"


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_gives_what_it_says(name):
    said: list[str] = []
    found = doctest.DocTestRunner(verbose=False).run(EXAMPLES[name], out=said.append)
    assert not found.failed, "".join(said)
