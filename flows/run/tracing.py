"""Spans of a run to an OTLP endpoint, where OpenTelemetry's own environment variables name one; else nothing at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from coordeval.agents import telemetry
from coordeval.flows.study.evaluation import Evaluation, version
from coordeval.market_data.errors import CoordevalError

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
FLUSH_SECONDS = 5.0
"""How long the end of a run waits for spans to be taken."""


@contextmanager
def traced(evaluation: Evaluation) -> Iterator[None]:
    """While inside, what the run does is exported. Raises CoordevalError where an endpoint is set and the SDK is missing."""
    endpoint = next((name for name in ENDPOINTS if os.environ.get(name)), None)
    if endpoint is None or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise CoordevalError(
            f"{endpoint} is set, and OpenTelemetry's SDK is not there: `pip install 'coordeval[otel]'`, or unset it"
        ) from error
    resource = Resource.create(
        {"service.name": os.environ.get("OTEL_SERVICE_NAME", "coordeval"), "service.version": version()}
    )
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=FLUSH_SECONDS)))
    study = evaluation.loaded
    try:
        tracer = provider.get_tracer("coordeval", version())
        with telemetry.tracing(tracer, study=study.study.name, study_id=study.id, run_id=evaluation.run_id):
            yield
    finally:
        provider.force_flush(int(FLUSH_SECONDS * 1000))
        provider.shutdown()
