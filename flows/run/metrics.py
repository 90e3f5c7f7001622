"""Telemetry of coordination of the run that has just ended, as metrics of OpenTelemetry: the sums of the ledger's rows."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from coordeval.agents import telemetry as spans
from coordeval.flows.run.telemetry import telemetry_of
from coordeval.flows.run.tracing import FLUSH_SECONDS
from coordeval.flows.study.evaluation import Evaluation, version
from coordeval.market_data.errors import CoordevalError

ENDPOINTS = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def send_metrics(evaluation: Evaluation) -> None:
    """What this run's cells did, to the endpoint that OpenTelemetry's environment variables name; else nothing.

    Raises CoordevalError where an endpoint is set and the SDK is missing.
    """
    endpoint = next((name for name in ENDPOINTS if os.environ.get(name)), None)
    if endpoint is None or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
    except ImportError as error:
        raise CoordevalError(
            f"{endpoint} is set, and OpenTelemetry's SDK is not there: `pip install 'coordeval[otel]'`, or unset it"
        ) from error
    resource = Resource.create(
        {"service.name": os.environ.get("OTEL_SERVICE_NAME", "coordeval"), "service.version": version()}
    )
    exporting = PeriodicExportingMetricReader(OTLPMetricExporter(timeout=FLUSH_SECONDS), export_interval_millis=3_600_000)
    provider = MeterProvider(metric_readers=[exporting], resource=resource)
    try:
        loaded = evaluation.loaded
        rows = telemetry_of(evaluation.reader, loaded.id, evaluation.run_id)
        spans.measure(provider.get_meter("coordeval", version()), _rows(rows), study=loaded.study.name, study_id=loaded.id)
    finally:
        provider.force_flush(int(FLUSH_SECONDS * 1000))
        provider.shutdown(timeout_millis=FLUSH_SECONDS * 1000)


def _rows(frame: pl.DataFrame) -> Iterable[Mapping[str, Any]]:
    return frame.iter_rows(named=True)
