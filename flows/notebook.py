"""What a notebook asks for by one name: run a study, report it, look at one conversation or one certificate."""

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from coordeval.analysis.base.frames import Policy
from coordeval.analysis.report.page import Report
from coordeval.flows.certificate.certificate import Certificate
from coordeval.flows.certificate.certificate import certificate as certificate_of
from coordeval.flows.certificate.conversation import Conversation
from coordeval.flows.certificate.conversation import conversation as conversation_of
from coordeval.flows.certificate.trace import Trace
from coordeval.flows.certificate.trace import trace as trace_of
from coordeval.flows.costs.consent import NOTEBOOK, Door, agreed
from coordeval.flows.imports.storing import Imported
from coordeval.flows.imports.storing import import_forecasts as stored_forecasts
from coordeval.flows.imports.wanted import Wanted
from coordeval.flows.markets.importing import import_dataset as imported
from coordeval.flows.run.run import Steps, run_steps
from coordeval.flows.run.scoring import score
from coordeval.flows.run.telemetry import telemetry_of
from coordeval.flows.study.stored import chosen
from coordeval.flows.study.study import load_study
from coordeval.flows.terminal import Terminal
from coordeval.ledger import read

T = TypeVar("T")


def _place(ledger: str | Path | None) -> Path:
    """None: where `coordeval notebook` says that the ledger is, else where the commands keep it; asked at each call."""
    return Path(os.environ.get("COORDEVAL_LEDGER", "results/coordeval.duckdb") if ledger is None else ledger)


def run(
    study: str | Path,
    ledger: str | Path | None = None,
    *,
    quiet: bool = True,
    max_usd: Decimal | float | str | None = None,
    yes: bool = False,
    unchecked: bool = False,
) -> Report:
    """Run a study file, or go on with it, without Prefect; returns its report. Works inside a notebook's own event loop.

    A model that costs money is asked only where somebody said what it may cost: `max_usd` (all of the study, in place of its
    `budget_usd`), a budget in the study file, or `yes=True` for any amount. `unchecked`: also with a model that failed
    `coordeval check-model`.

    Raises CoordevalError for what a person can mend: a key of the study, a cost that nobody agreed to, a model that refuses,
    a ledger in use. Forecasts that failed are rows of the report, not an exception.
    """
    changes = {} if max_usd is None else {"budget_usd": str(max_usd)}
    loaded, place = load_study(Path(study), changes=changes), _place(ledger)
    console = Terminal(quiet=quiet)

    def all_of_it() -> None:
        agreed(loaded, place, console, Door(how=NOTEBOOK, bound_is_yes=True, yes=yes, unchecked=unchecked))
        asyncio.run(run_steps(loaded, place, console, Steps(loaded.study.name)))

    _aside(all_of_it)
    return score(place, loaded.id)


def import_dataset(dataset: str, folder: str | Path | None = None, ledger: str | Path | None = None) -> str:
    """Load a published dataset, from a folder or its public repository; returns the name of its study."""
    return _aside(lambda: imported(dataset, None if folder is None else Path(folder), _place(ledger)))


def import_forecasts(
    forecasts: Any, name: str, ledger: str | Path | None = None, *, columns: Mapping[str, str] | None = None, **choices: Any
) -> Imported:
    """Make a study called `name` of forecasts that were made elsewhere: a data frame (polars, pandas, pyarrow), or files.

    `columns` maps a field to the column that holds it, where that is not found by its name; `choices` are those of
    `coordeval import forecasts --help`: scale, timezone, duplicates, by_date, wide (a tuple) and so on. Then
    `report(ledger, name)`. Raises CoordevalError naming the rows that break a rule; nothing is stored then.
    """
    return stored_forecasts(forecasts, Wanted(name=name, columns=columns or {}, **choices), _place(ledger))


def _aside(work: Callable[[], T]) -> T:
    """In a thread of its own: a notebook's has an event loop that runs already."""
    with ThreadPoolExecutor(1, thread_name_prefix="coordeval") as own:
        return own.submit(work).result()


def report(
    ledger: str | Path | None = None,
    study: str | None = None,
    *,
    policy: Policy = "common",
    baseline: str | None = None,
    arm: str | None = None,
) -> Report:
    """The report of a stored study, by name or hash; None: the one that was used last. Asks no model.

    `baseline`: the configuration that the others are asked to beat; else the study's own, else `single_agent`.
    `arm`: the arm of the study in which configurations are compared; None: its first.
    """
    return score(_place(ledger), study, policy=policy, baseline=baseline, arm=arm)


def conversation(ledger: str | Path, forecast: str) -> Conversation:
    """What was said on the way to one forecast, ask by ask, by the forecast's id."""
    return conversation_of(read(ledger), forecast)


def telemetry(ledger: str | Path | None = None, study: str | None = None, *, arm: str | None = None) -> pl.DataFrame:
    """What the agents of a stored study did together: a row per forecast and round; None: the study that was used last.

    Of every arm, told apart by the column `arm`, or of the one that is named.

    Its columns (spread, movement, influence, agreement, contradictions, useless tool calls, tokens and so on) are those of
    `coordeval.analysis.talk.telemetry.TELEMETRY`, where each is defined.
    """
    with read(_place(ledger)).moment() as reader:
        return telemetry_of(reader, chosen(reader, study), arm=arm)


def trace(ledger: str | Path, forecast: str) -> Trace:
    """Who saw what, who moved whom and where agreement was kept, of one forecast, by the start of its id."""
    return trace_of(read(ledger), forecast)


def certificate(ledger: str | Path, forecast: str) -> Certificate:
    """What the agents of one forecast could see, re-checked from stored bytes, by the forecast's id."""
    return certificate_of(read(ledger), forecast)
