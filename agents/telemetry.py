"""What a run does, as spans of OpenTelemetry: study → cell → round → call → tool, by the GenAI semantic conventions.

Off until `tracing` is entered, and then it costs a few microseconds a call. A span holds names, counts and ids: no prompt,
no reply, no text of a market. https://opentelemetry.io/docs/specs/semconv/gen-ai/
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

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
def cell(*, forecast_id: str, configuration: str, market_id: str, replicate: int) -> Iterator[None]:
    """The span of one forecast."""
    run = _run
    if run is None:
        yield
        return
    span = run.start(
        f"forecast {configuration}",
        run.study,
        coordeval__forecast_id=forecast_id,
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


@contextmanager
def _failing(span: Span) -> Iterator[None]:
    """An error is named by its type alone: its words may hold what a server said."""
    try:
        yield
    except BaseException as error:
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(Status(StatusCode.ERROR))
        raise
