"""The last step of a run: what is stored becomes a report."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb
import polars as pl

from coordeval.analysis.base.arms import MAIN, arms_table
from coordeval.analysis.base.frames import Policy
from coordeval.analysis.linked.links import propose_links
from coordeval.analysis.report.arms import arms_of
from coordeval.analysis.report.page import Report, build_report
from coordeval.analysis.study.record import Record
from coordeval.flows.run.auditing import audit_kept
from coordeval.flows.run.between import between
from coordeval.flows.run.computed import kept
from coordeval.flows.run.control import control
from coordeval.flows.study.in_arms import in_arm, left_out, one_of
from coordeval.flows.study.names import PROBE
from coordeval.flows.study.roles import stored_roles_not_read
from coordeval.ledger import Reader, read
from coordeval.ledger.commitments import standing_of
from coordeval.ledger.estimates import estimates_frame, lone_draws, openings_frame, parts_frame
from coordeval.ledger.information import resolution_times, told_times
from coordeval.ledger.questions import questions_frame
from coordeval.ledger.reader import Study
from coordeval.ledger.talk import talked_frame
from coordeval.market_data.errors import CoordevalError

_LEAST_MEMORY: Final = 1_000_000_000
"""Bytes for DuckDB, or half as much again as the ledger has: it would keep whatever it has read until the report is made."""


def score(
    ledger_path: Path,
    study: str | None = None,
    *,
    policy: Policy = "common",
    baseline: str | None = None,
    arm: str | None = None,
) -> Report:
    """The report of a study (by name or hash; None: the one used last) from nothing but the ledger.

    Every comparison in it is of one arm (None: the first). `baseline`: the configuration that the others are asked to beat,
    in place of the study's own.

    What was computed before from the same rows is taken from the folder `.computed` beside the ledger.
    """
    how: dict[str, Any] = {"policy": policy, "baseline": baseline, "arm": arm}
    try:
        with _reading(ledger_path) as whole:
            return _score(whole, study, **how)
    except duckdb.OutOfMemoryException:  # not every query gets by with that, whatever it writes into a file
        return _score(read(ledger_path), study, **how)


def _score(whole: Reader, study: str | None, *, policy: Policy, baseline: str | None, arm: str | None) -> Report:
    ledger_path = whole.path
    if study is None:
        known = whole.studies()
        if known.is_empty():
            raise CoordevalError(f"{ledger_path} holds no study yet; `coordeval run STUDY.toml` stores one")
        study = str(known["study_id"][0])
    several = arms_table(whole.study(study).content)
    named = one_of(whole, study, arm).arm
    beside = None
    if several.height > 1:
        frame = whole.forecast_frame(study).filter(pl.col("configuration") != PROBE)
        beside = (frame.drop("question"), several, between(whole, study))
    with in_arm(whole, study, named) as reader:  # a run may be writing: what is scored must fit together
        stored = reader.study(study)
        forecasts = reader.forecast_frame(stored.study_id).filter(pl.col("configuration") != left_out(reader))
        facts = asdict(stored) | {"forecasts_before": reader.forecasts_before(stored.study_id)}
        facts |= {"texts_of_unknown_age": reader.texts_of_unknown_age(stored.study_id)}
        if stored.source == "open":
            facts |= {"ahead": standing_of(reader, stored.study_id)}
        if unread := stored_roles_not_read(reader, stored):
            facts |= {"roles_not_read": unread}
        record = recorded(reader, stored.study_id, forecasts)
        audit = audit_kept(reader, stored.study_id, record.control)
    more: dict[str, Any] = {"record": record, "baseline": baseline, "audit": audit, "arm": named}
    if beside is not None or named != MAIN:
        facts |= _of_arm(stored, named)
    if beside is not None:
        frame, table, held = beside
        more["arms"] = kept(
            ledger_path, ("arms", *beside, policy), lambda: arms_of(frame, table, policy=policy, between=held)
        )
    return kept(ledger_path, (forecasts, facts, policy, more), lambda: build_report(forecasts, facts, policy=policy, **more))


@contextmanager
def _reading(ledger_path: Path) -> Iterator[Reader]:
    """The ledger; what queries need beyond their memory they write into a folder that nobody else uses."""
    size = ledger_path.stat().st_size if ledger_path.is_file() else 0  # what is no ledger `read` refuses
    memory = f"{max(_LEAST_MEMORY, 3 * size // 2)}B"
    try:
        scratch = TemporaryDirectory(prefix="coordeval-", ignore_cleanup_errors=True)
    except OSError:  # a disk that is full: then what cannot be written is the report, and that is said there
        yield read(ledger_path)
        return
    with scratch as folder:
        yield read(ledger_path, settings={"memory_limit": memory, "temp_directory": folder})


def _of_arm(stored: Study, arm: str) -> dict[str, Any]:
    """What a report says of the study where it is one arm's: its model; predictions are about the first arm."""
    named = next((one.get("model") for one in stored.content.get("arms", ()) if one["name"] == arm), None)
    stated = {} if arm == MAIN else {"content": {**stored.content, "predictions": []}}
    return {"model": named or stored.model.split(", ")[0], **stated}


def recorded(reader: Reader, study_id: str, forecasts: pl.DataFrame) -> Record:
    """What the ledger knows of a study beside its `forecasts`."""
    configurations = forecasts["configuration"].unique().to_list()
    markets = forecasts["market_id"].unique().to_list()
    ahead = reader.study(study_id).source == "open"  # then in the order in which outcomes became known, as one looks at it
    resolved = told_times(reader, markets) if ahead else resolution_times(reader, markets)
    if "imported" in reader.study(study_id).content:  # how they were made is in no file: that is not known, it is not none
        return Record(
            links=propose_links(questions_frame(reader, study_id)),
            order=_by_resolution(markets, resolved),
            control=control(reader, study_id),
        )
    draws = lone_draws(reader, study_id, configurations)
    said = estimates_frame(reader, study_id).filter(pl.col("configuration").is_in(configurations))
    return Record(
        estimates=said,
        openings=openings_frame(reader, study_id).filter(pl.col("configuration").is_in(configurations)),
        links=propose_links(questions_frame(reader, study_id)),
        # what agents said before they saw each other is plain sampling: the curve that coordination has to beat
        draws=draws if draws.height else None,
        order=_by_resolution(markets, resolved),
        control=control(reader, study_id),
        talked=talked_frame(reader, study_id).filter(pl.col("configuration").is_in(configurations)),
        parts=parts_frame(reader, study_id).filter(pl.col("configuration").is_in(configurations)),
    )


def _by_resolution(markets: list[str], resolved: Mapping[str, datetime | None]) -> list[str]:
    return sorted(markets, key=lambda market: (resolved.get(market) or datetime.max.replace(tzinfo=UTC), market))


def report_directory(ledger_path: Path, report: Report) -> Path:
    """Where a study's report is written: beside the ledger, by its name, the start of its hash, any other policy and arm."""
    policy = "" if report.board.policy == "common" else f"-{report.board.policy}"
    arm = "" if report.arm == MAIN else f"-{'-'.join(report.arm.split())}"
    return ledger_path.parent / f"{report.study['name']}-{report.study['study_id'][:8]}{policy}{arm}"
