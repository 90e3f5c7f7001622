"""Every example in a docstring of the analysis runs as it stands."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import analysis

MODULES = [module.name for module in pkgutil.iter_modules(analysis.__path__, "analysis.")]
WITH_EXAMPLES = ("binning", "coherence", "links", "nulls", "openings", "shrinkage", "subgroups")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_give_what_they_say(name):
    found = doctest.testmod(import_module(name))
    assert found.failed == 0
    assert found.attempted > 0 or name.removeprefix("analysis.") not in WITH_EXAMPLES
