"""A run as spans and metrics: what hangs on what, by which names, and that nothing of a market or a key is in them."""

import http.server
import io
import threading

import polars as pl
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console

from coordeval.agents import telemetry
from coordeval.flows.run import guard
from coordeval.flows.run.run import Steps, run_steps
from coordeval.flows.run.telemetry import telemetry_of
from coordeval.flows.study.study import load_study
from coordeval.ledger import read

STUDY = """
name = "traced"
replicates = 1
configurations = ["peer_critique_debate"]
[markets]
source = "simulated"
count = 2
[model]
provider = "simulated"
[[arms]]
name = "bare"
tools = "none"
"""


@pytest.fixture(scope="module")
def received(tmp_path_factory):
    """Spans and bytes that a real OTLP receiver on this machine was sent by one run, its metrics, and the ledger."""
    bodies, measured = [], []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            own = measured if self.path.endswith("/v1/metrics") else bodies
            own.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder = tmp_path_factory.mktemp("traced")
    (folder / "traced.toml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        patch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        loaded = load_study(folder / "traced.toml")
        guard.run(run_steps(loaded, folder / "l.duckdb", Console(file=io.StringIO()), Steps("traced")))
    server.shutdown()
    found = []
    for body in bodies:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            found += [span for scope in resource.scope_spans for span in scope.spans]
    metrics = {}
    for body in measured:
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            metrics |= {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics}
    return found, b"".join([*bodies, *measured]), metrics, folder / "l.duckdb"


def test_spans_hang_together_from_the_study_to_the_tool(received):
    spans, *_ = received
    by_id = {span.span_id: span for span in spans}
    kinds = {"study": None, "forecast": "study", "round": "forecast", "chat": "round", "execute_tool": "round"}
    seen = set()
    for span in spans:
        kind = span.name.split()[0]
        seen.add(kind)
        parent = by_id[span.parent_span_id].name.split()[0] if span.parent_span_id else None
        assert parent == kinds[kind], span.name
        assert span.end_time_unix_nano >= span.start_time_unix_nano > 0
    assert seen == set(kinds)
    assert sum(span.name.startswith("forecast ") for span in spans) == 4
    assert len({span.trace_id for span in spans}) == 1


def test_a_call_has_the_attributes_of_the_conventions(received):
    call = next(span for span in received[0] if span.name.startswith("chat "))
    attributes = {one.key: one.value for one in call.attributes}
    assert attributes["gen_ai.operation.name"].string_value == "chat"
    assert attributes["gen_ai.request.model"].string_value == "simulated-forecaster-1"
    assert attributes["gen_ai.response.model"].string_value == "simulated-forecaster-1"
    assert attributes["gen_ai.usage.input_tokens"].int_value > 0
    assert attributes["gen_ai.usage.output_tokens"].int_value > 0
    assert attributes["gen_ai.response.finish_reasons"].array_value.values
    assert call.kind == 3, "a client's"


def test_no_text_of_a_market_or_a_reply_is_in_a_span(received):
    _, bodies, *_ = received
    for word in (b"Will ", b"dated documents", b"<market>", b"rationale"):
        assert word not in bodies


def test_it_is_off_where_nothing_is_set():
    assert not telemetry.on()


def test_a_forecasts_span_says_its_arm(received):
    told = [_said(span) for span in received[0] if span.name.startswith("forecast ")]
    assert sorted(one["coordeval.arm"].string_value for one in told) == ["bare", "bare", "main", "main"]


def test_metrics_are_the_rows_of_the_ledger_by_arm_configuration_and_round(received):
    _, _, metrics, ledger = received
    rows = telemetry_of(read(ledger), "traced")
    assert set(metrics) == {
        f"coordeval.coordination.{name}" for name in (*telemetry.SPREADS, *telemetry.COUNTS, *telemetry.SUMS)
    }
    for name in ("messages", "tool_calls", "flips"):
        sent = {_at(point): point.as_int for point in metrics[f"coordeval.coordination.{name}"].sum.data_points}
        own = rows.drop_nulls(name).group_by("arm", "round").agg(pl.col(name).sum()).rows()
        assert sent == {(arm, at): told for arm, at, told in own}, name
    [moved] = [p.as_double for p in metrics["coordeval.coordination.moved"].sum.data_points if _at(p) == ("bare", 1)]
    assert moved == pytest.approx(rows.filter(arm="bare", round=1)["moved"].sum())
    points = metrics["coordeval.coordination.spread"].histogram.data_points
    sent = {_at(point): (point.count, pytest.approx(point.sum)) for point in points}
    own = rows.group_by("arm", "round").agg(pl.len(), pl.col("spread").sum()).rows()
    assert {(arm, at): (n, of) for arm, at, n, of in own} == sent


def _said(one):
    return {each.key: each.value for each in one.attributes}


def _at(point):
    return _said(point)["coordeval.arm"].string_value, _said(point)["coordeval.round"].int_value
