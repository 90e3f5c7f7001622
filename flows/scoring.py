"""The last step of a run: what is stored becomes a report."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from analysis.frames import Policy
from analysis.links import propose_links
from analysis.record import Record
from analysis.report import Report, build_report
from flows.control import control
from flows.study import PROBE
from ledger import Reader, read
from ledger.estimates import estimates_frame, lone_draws, openings_frame
from ledger.information import resolution_times
from ledger.questions import questions_frame
from market_data.errors import CoordevalError


def score(ledger_path: Path, study: str | None = None, *, policy: Policy = "common") -> Report:
    """The report of a study (by name or hash; None: the one used last) from nothing but the ledger."""
    with read(ledger_path).moment() as reader:  # a run may be writing: what is scored must fit together
        if study is None:
            known = reader.studies()
            if known.is_empty():
                raise CoordevalError(f"{ledger_path} holds no study yet; `coordeval run STUDY.toml` stores one")
            study = str(known["study_id"][0])
        stored = reader.study(study)
        forecasts = reader.forecast_frame(stored.study_id).filter(pl.col("configuration") != PROBE)
        facts = asdict(stored) | {"forecasts_before": reader.forecasts_before(stored.study_id)}
        record = recorded(reader, stored.study_id, forecasts)
    return build_report(forecasts, facts, policy=policy, record=record)


def recorded(reader: Reader, study_id: str, forecasts: pl.DataFrame) -> Record:
    """What the ledger knows of a study beside its `forecasts`."""
    configurations = forecasts["configuration"].unique().to_list()
    markets = forecasts["market_id"].unique().to_list()
    resolved = resolution_times(reader, markets)
    draws = lone_draws(reader, study_id, configurations)
    said = estimates_frame(reader, study_id).filter(pl.col("configuration").is_in(configurations))
    return Record(
        estimates=said,
        openings=openings_frame(reader, study_id).filter(pl.col("configuration").is_in(configurations)),
        links=propose_links(questions_frame(reader, study_id)),
        # what agents said before they saw each other is plain sampling: the curve that coordination has to beat
        draws=draws if draws.height else None,
        order=sorted(markets, key=lambda market: (resolved.get(market) or datetime.max.replace(tzinfo=UTC), market)),
        control=control(reader, study_id),
    )


def report_directory(ledger_path: Path, report: Report) -> Path:
    """Where a study's report is written: beside the ledger, under its name and the start of its hash."""
    return ledger_path.parent / f"{report.study['name']}-{report.study['study_id'][:8]}"
