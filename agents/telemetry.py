"""What a run does, as spans of OpenTelemetry: study → cell → round → call → tool, by the GenAI semantic conventions.

And what its agents did together, as metrics, by arm, configuration and round.

Off until `tracing` is entered, and then it costs a few microseconds a call. A span holds names, counts and ids: no prompt,
no reply, no text of a market. https://opentelemetry.io/docs/specs/semconv/gen-ai/
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry.metrics import Meter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from coordeval.agents.messages import Reply, Request


class _Run:
    """The open spans of a run."""

    def __init__(self, tracer: Tracer, study: Span) -> None:
        self.tracer, self.study = tracer, study
        self.cells: dict[str, Span] = {}
        self.rounds: dict[str, dict[int, Span]] = {}

    def start(self, name: str, parent: Span, kind: SpanKind = SpanKind.INTERNAL, **attributes: Any) -> Span:
        named = {key.replace("__", "."): value for key, value in attributes.items() if value is not None}
        return self.tracer.start_span(name, set_span_in_context(parent), kind, named)

    def round(self, forecast_id: str, number: int) -> Span:
        """The span of a cell's round, begun with its first call."""
        rounds = self.rounds.setdefault(forecast_id, {})
        if number not in rounds:
            cell = self.cells.get(forecast_id, self.study)
            rounds[number] = self.start(f"round {number}", cell, coordeval__round=number)
        return rounds[number]


_run: _Run | None = None


def on() -> bool:
    """Whether spans are made."""
    return _run is not None


@contextmanager
def tracing(tracer: Tracer, *, study: str, study_id: str, run_id: str) -> Iterator[None]:
    """While inside, every cell, round, call and tool of this process is a span below one of the study's."""
    global _run  # noqa: PLW0603 (a process makes one run; what it calls need not carry this through)
    attributes = {"coordeval.study": study, "coordeval.study_id": study_id, "coordeval.run_id": run_id}
    span = tracer.start_span(f"study {study}", attributes=attributes)
    before, _run = _run, _Run(tracer, span)
    try:
        with _failing(span):
            yield
    finally:
        _run = before
        span.end()


@contextmanager
def cell(*, forecast_id: str, arm: str, configuration: str, market_id: str, replicate: int) -> Iterator[None]:
    """The span of one forecast."""
    run = _run
    if run is None:
        yield
        return
    span = run.start(
        f"forecast {configuration}",
        run.study,
        coordeval__forecast_id=forecast_id,
        coordeval__arm=arm,
        coordeval__configuration=configuration,
        coordeval__market_id=market_id,
        coordeval__replicate=replicate,
    )
    run.cells[forecast_id] = span
    try:
        with _failing(span):
            yield
    finally:
        for opened in run.rounds.pop(forecast_id, {}).values():
            opened.end()
        run.cells.pop(forecast_id, None)
        span.end()


class CallSpan:
    """One call's span, as far as whoever makes the call needs it."""

    def __init__(self, span: Span | None) -> None:
        self._span = span

    def answered(self, reply: Reply) -> None:
        """What came back."""
        if self._span is None:
            return
        usage = reply.usage
        self._span.set_attributes(
            {
                "gen_ai.response.model": reply.model,
                "gen_ai.response.finish_reasons": [reply.stop_reason],
                "gen_ai.usage.input_tokens": usage.total_input_tokens,
                "gen_ai.usage.output_tokens": usage.output_tokens,
                "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
                "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_5m_tokens + usage.cache_write_1h_tokens,
                "coordeval.paid": reply.paid,
                "coordeval.batch": bool(reply.batch),
                **({} if reply.micro_usd is None else {"coordeval.micro_usd": reply.micro_usd}),
            }
        )


@contextmanager
def call(*, forecast_id: str, round_: int, role: str, request: Request, identity: Mapping[str, Any]) -> Iterator[CallSpan]:
    """The span of one model call, a shared draw included."""
    run = _run
    if run is None:
        yield CallSpan(None)
        return
    span = run.start(
        f"chat {request.model}",
        run.round(forecast_id, round_),
        SpanKind.CLIENT,
        gen_ai__operation__name="chat",
        gen_ai__provider__name=str(identity.get("provider", "simulated")),
        gen_ai__request__model=request.model,
        gen_ai__request__max_tokens=request.max_tokens,
        gen_ai__request__temperature=request.sampling.get("temperature"),
        coordeval__role=role,
    )
    try:
        with _failing(span):
            yield CallSpan(span)
    finally:
        span.end()


@contextmanager
def tool(*, forecast_id: str, round_: int, name: str) -> Iterator[None]:
    """The span of one tool call."""
    run = _run
    if run is None:
        yield
        return
    parent = run.round(forecast_id, round_)
    span = run.start(
        f"execute_tool {name}",
        parent,
        gen_ai__operation__name="execute_tool",
        gen_ai__tool__name=name,
        gen_ai__tool__type="function",
    )
    try:
        with _failing(span):
            yield
    finally:
        span.end()


SPREADS: Mapping[str, tuple[str, str]] = {
    "spread": ("1", "Highest minus lowest estimate of a round"),
    "agreement": ("1", "Share of estimates of a round close to their median"),
    "movement": ("1", "Mean size of a revision, in probability"),
}
"""Histograms: column of the telemetry -> unit and meaning."""
COUNTS: Mapping[str, tuple[str, str]] = {
    "asks": ("{ask}", "Asks put to agents"),
    "failed_asks": ("{ask}", "Asks without a valid answer"),
    "messages": ("{message}", "Words of others that agents were shown"),
    "contradictions": ("{pair}", "Pairs of estimates on different sides of even odds"),
    "flips": ("{agent}", "Agents that changed sides"),
    "tool_calls": ("{call}", "Tool calls"),
    "useless_tool_calls": ("{call}", "Tool results that were empty, errors or repeated"),
    "input_tokens": ("{token}", "Tokens read, cached ones included"),
    "output_tokens": ("{token}", "Tokens written"),
}
"""Counters: column of the telemetry -> unit and meaning."""
SUMS: Mapping[str, tuple[str, str]] = {
    "moved": ("1", "How far agents came nearer to the estimates that they were shown; below 0: went away"),
    "apart": ("1", "How far they were from these before; moved over apart is influence"),
}
"""Sums that may fall."""
_SHARES = [0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


def measure(meter: Meter, rows: Iterable[Mapping[str, Any]], *, study: str, study_id: str) -> None:
    """Rows of one forecast and round each (columns of SPREADS, COUNTS, SUMS, arm, configuration and round) as metrics.

    Their names begin with `coordeval.coordination.`; what is null is not recorded.
    """
    named = {"coordeval.study": study, "coordeval.study_id": study_id}
    prefix = "coordeval.coordination."
    spreads = {
        name: meter.create_histogram(
            prefix + name, unit=unit, description=about, explicit_bucket_boundaries_advisory=_SHARES
        )
        for name, (unit, about) in SPREADS.items()
    }
    counts = {
        name: meter.create_counter(prefix + name, unit=unit, description=about) for name, (unit, about) in COUNTS.items()
    }
    sums = {
        name: meter.create_up_down_counter(prefix + name, unit=unit, description=about)
        for name, (unit, about) in SUMS.items()
    }
    for row in rows:
        where = {name: row[name] for name in ("arm", "configuration", "round")}
        at = named | {f"coordeval.{name}": value for name, value in where.items()}
        for name, histogram in spreads.items():
            if row[name] is not None:
                histogram.record(row[name], at)
        for name, counter in counts.items():
            if row[name] is not None:
                counter.add(row[name], at)
        for name, either_way in sums.items():
            if row[name] is not None:
                either_way.add(row[name], at)


@contextmanager
def _failing(span: Span) -> Iterator[None]:
    """An error is named by its type alone: its words may hold what a server said."""
    try:
        yield
    except BaseException as error:
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(Status(StatusCode.ERROR))
        raise
