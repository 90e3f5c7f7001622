"""Commands as `coordeval` runs them."""

from collections.abc import Callable

import pytest

from tests.flows.cli.conftest import Ended, run

CONSOLES = ("main.console", "costs.console", "models.console", "prospective.console", "ending.errors")


@pytest.fixture
def coordeval(monkeypatch, capsys) -> Callable[..., Ended]:
    """`coordeval("costs", "small")`: its exit status and what it said, on lines of 200 columns."""
    for name in CONSOLES:
        monkeypatch.setattr(f"coordeval.flows.cli.{name}.width", 200)

    def ended(*arguments: object) -> Ended:
        capsys.readouterr()
        return Ended(run(*arguments), *capsys.readouterr())

    return ended
