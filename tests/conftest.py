"""What all tests share. No test has a clock: on a busy machine a property takes longer to check, and is no less true."""

import gc
from collections.abc import Iterator
from functools import cache
from importlib import import_module

import plotly.graph_objects as go
import pytest
import typer.main
import typer.testing
from hypothesis import settings

from coordeval.analysis.figures.canvas import Canvas
from coordeval.analysis.study import findings
from coordeval.market_data import secrets

# A process that a command is for builds the tree of commands once, and here so does one of a thousand commands.
typer.main.get_command = typer.testing._get_command = cache(typer.main.get_command)


def pytest_collection_finish() -> None:
    """Ten thousand tests are looked through by the garbage collector again and again, and none of them is garbage."""
    gc.freeze()


def pytest_sessionfinish() -> None:
    gc.unfreeze()


settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")


@pytest.fixture(autouse=True)
def no_known_secrets() -> Iterator[None]:
    """A key that one test took out of the environment is not there for the next one."""
    yield
    secrets.forget()


@pytest.fixture(scope="module")
def few_resamples() -> Iterator[None]:
    """Reports draw 400 resamples, not 10,000: half the time of a small one, where it is not asked how sure they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(findings, "_MOST", 400)
        patch.setattr(findings, "_MOST_DRAWS", 200)
        patch.setattr(import_module("coordeval.analysis.quality.second_split"), "_MOST", 20)
        yield


@pytest.fixture(scope="module")
def checked_figures() -> Iterator[None]:
    """Plotly checks each property of every figure, and refuses what it does not know; figures are drawn without that."""

    def checked(canvas: Canvas) -> go.Figure:
        return go.Figure(data=canvas._data, layout=canvas._layout)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Canvas, "figure", checked)
        yield
