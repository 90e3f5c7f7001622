"""The last step of a run: what is stored becomes a report."""

from dataclasses import asdict
from pathlib import Path

import polars as pl

from analysis.frames import Policy
from analysis.report import Report, build_report
from flows.study import PROBE
from ledger import read
from ledger.estimates import lone_draws
from market_data.errors import CoordevalError


def score(ledger_path: Path, study: str | None = None, *, policy: Policy = "common") -> Report:
    """The report of a study (by name or hash; None: the one used last) from nothing but the ledger."""
    reader = read(ledger_path)
    if study is None:
        known = reader.studies()
        if known.is_empty():
            raise CoordevalError(f"{ledger_path} holds no study yet; `coordeval run STUDY.toml` stores one")
        study = str(known["study_id"][0])
    stored = reader.study(study)
    forecasts = reader.forecast_frame(stored.study_id).filter(pl.col("configuration") != PROBE)
    # what agents said before they saw each other is plain sampling: the curve that coordination has to beat
    draws = lone_draws(reader, stored.study_id, forecasts["configuration"].unique().to_list())
    facts = asdict(stored) | {"forecasts_before": reader.forecasts_before(stored.study_id)}
    return build_report(forecasts, facts, policy=policy, draws=draws if draws.height else None)


def report_directory(ledger_path: Path, report: Report) -> Path:
    """Where a study's report is written: beside the ledger, under its name and the start of its hash."""
    return ledger_path.parent / f"{report.study['name']}-{report.study['study_id'][:8]}"
