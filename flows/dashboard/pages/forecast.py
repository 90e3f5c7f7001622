"""One forecast: the conversation ask by ask, and the certificate of what its agents could see."""

from datetime import datetime
from typing import Any

from coordeval.analysis.base.numerals import number, usd
from coordeval.flows.certificate.certificate import Certificate, certificate
from coordeval.flows.certificate.conversation import Ask, Conversation, Turn, conversation
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.pages.page import Asked, Page
from coordeval.flows.dashboard.tags import Component, dcc, html
from coordeval.flows.dashboard.traced import trace_section
from coordeval.flows.dashboard.why import why_section
from coordeval.market_data.errors import CoordevalError

_ITEMS = 200


def layout(asked: Asked) -> list[Component]:
    view, facts = asked.view, asked.facts
    if not view.forecast:
        raise CoordevalError("no forecast is named in the address: a market's page leads to its forecasts")
    study = facts.study(view.study)
    found = facts.per_state(
        "conversation", study.study_id, lambda: conversation(facts.reader(), view.forecast, study.study_id), view.forecast
    )
    row = found.forecast
    answer = "failed" if row["probability"] is None else number(row["probability"], 3)
    outcome = {None: "not resolved", 1: "YES", 0: "NO"}[row["outcome"]]
    about: list[tuple[str, Any]] = [
        (
            "market",
            dcc.Link(row["question"] or row["market_id"], href=view.href("/market", market=row["market_id"], forecast="")),
        ),
        ("configuration", f"{row['configuration']}, replicate {row['replicate']}"),
        ("forecast", answer if row["reason"] is None else f"{answer}: {row['reason']}"),
        ("market price as of then", number(row["market_price"], 3) if row["market_price"] is not None else "none was known"),
        ("outcome", outcome),
        ("cost", _cost(row)),
        ("asked", _asked(row)),
        ("id", html.Code(row["forecast_id"])),
    ]
    return [
        html.H1(f"{row['configuration']}: {answer}"),
        parts.facts(about),
        why_section(asked, row["forecast_id"]),
        *trace_section(found, (study.elements or {}).get(row["configuration"]), dark=asked.dark),
        parts.section(
            "The conversation",
            *_asks(found),
            about="Each block is one request to one agent, in the order of asking, shown as it is stored.",
        ),
        parts.section("Certificate: what its agents could see", *_certificate(asked)),
    ]


def _asked(row: dict[str, Any]) -> str:
    if row["model_calls"] is None:
        return "not known: the forecast was imported, and its file says nothing of calls"
    return f"{row['model_calls']} model calls, {row['tool_calls']} tool calls, {row['seconds']:.1f} s of model time"


def _cost(row: dict[str, Any]) -> str:
    if row["cost"] is None:
        return "not known: a price is missing"
    paid = "not known" if row["paid"] is None else usd(row["paid"])
    return f"{usd(row['cost'])} in full; {paid} was paid for its sake (replies that others drew too are paid once)"


def _asks(found: Conversation) -> list[Component]:
    if not found.asks and found.forecast["model_calls"] is None:
        return [parts.note("The forecast was imported, and its file gives no reasons for it.")]
    if not found.asks:
        return [parts.note("Nobody was asked, or nothing of it is stored: this configuration calls no model.")]
    head = []
    if found.system:
        head.append(html.Details([html.Summary("The system prompt of its first request"), html.Pre(found.system)]))
    return [*head, *(_ask(ask) for ask in found.asks)]


def _ask(ask: Ask) -> Component:
    answer = ask.answer
    said = ""
    if answer is not None:
        said = {"report": " reports", "failed": " failed"}.get(answer["kind"], "")
        if answer["probability"] is not None:
            said = f" says {number(answer['probability'], 3)}"
    body: list[Any] = [html.H3(f"Ask {ask.ask}: {ask.role} (agent {ask.agent}, round {ask.round}){said}")]
    if ask.shown:
        links: list[Any] = ["Was shown what was said in "]
        for i, source in enumerate(ask.shown):
            links += [", " if i else "", html.A(f"ask {source}", href=f"#ask-{source}")]
        body.append(html.P([*links, "."], className="about"))
    else:
        body.append(html.P("Was shown nothing that others said.", className="about"))
    if ask.given:
        body.append(html.Details([html.Summary("What it was given"), html.Pre(ask.given)]))
    else:
        body.append(html.P("The bytes of its request are not stored.", className="about"))
    body += [part for turn in ask.turns for part in _turn(turn)]
    if answer is not None:
        if answer["rationale"]:
            label = {"failed": "Why it failed", "report": "Its report"}.get(answer["kind"], "Its reasons")
            body += [html.H4(label), html.Div(answer["rationale"], className="said")]
        if answer["reading"]:
            body += [html.H4("How it read the question"), html.Div(answer["reading"], className="said")]
    return html.Article(body, className="ask", id=f"ask-{ask.ask}")


def _turn(turn: Turn) -> list[Component]:
    use = turn.use
    cost = "price not known" if use["attributed_micro_usd"] is None else usd(use["attributed_micro_usd"] / 1e6)
    paid = (
        ""
        if use["paid_micro_usd"] is None
        else ", paid for here"
        if use["paid_micro_usd"]
        else ", a reply that was paid elsewhere"
    )
    tokens = use["input_tokens"] + use["cache_read_tokens"] + use["cache_write_tokens"]
    made: list[Component] = [
        html.P(
            f"Turn {turn.turn}: {tokens:,} tokens in, {use['output_tokens']:,} out, {use['seconds']:.1f} s, {cost}{paid}; "
            f"ended by {use['stop_reason']}",
            className="about",
        )
    ]
    made += [html.Div(text, className="said") for text in turn.texts]
    for call in turn.calls:
        empty = "" if call["items"] else ", empty"
        state = "error" if call["error"] else f"{call['items']} items{empty}"
        made.append(
            html.Details(
                [
                    html.Summary([html.Strong(call["tool"]), f" ({state}) ", html.Code(call["arguments"][:120])]),
                    html.P("Arguments", className="about"),
                    html.Pre(call["arguments"]),
                    html.P("Result", className="about"),
                    html.Pre(call["result"]),
                ],
                className="tool",
            )
        )
    return made


def _certificate(asked: Asked) -> list[Component]:
    facts, forecast = asked.facts, asked.view.forecast
    study = facts.study(asked.view.study)

    def make() -> Certificate:
        with facts.reader().moment() as reader:  # one opening for its twenty questions
            return certificate(reader, forecast)

    try:
        found = facts.per_state("certificate", study.study_id, make, forecast)
    except CoordevalError as error:
        return [parts.note(f"There is none: {error}", kind="warning")]
    return [
        html.P([html.Strong(f"{found.verdict}."), " Everything below was taken again from stored bytes."]),
        *_proof(found),
    ]


def _proof(found: Certificate) -> list[Component]:
    checks = [[check.name, check.status, check.detail] for check in found.checks]
    items = [
        [item.kind, "yes" if item.shown else "no", _when(item.knowable_at), item.source, item.text[:200]]
        for item in found.seen[:_ITEMS]
    ]
    made: list[Component] = [parts.table(parts.Table("checks", ("Check", "Result", "Detail"), checks))]
    more = f" (the first {_ITEMS} of {len(found.seen)})" if len(found.seen) > _ITEMS else ""
    made.append(
        html.Details(
            [
                html.Summary(f"What could be seen: {len(found.seen)} items{more}"),
                parts.table(parts.Table("seen", ("What", "Shown", "Knowable at (UTC)", "Source", "Text"), items)),
            ]
        )
    )
    held = [[one.by, one.kind, one.item[:120], one.reason] for one in found.refusals[:_ITEMS]]
    if held:
        made.append(
            html.Details(
                [
                    html.Summary(f"What was held back: {len(found.refusals)}"),
                    parts.table(parts.Table("refused", ("By", "What", "Item", "Reason"), held)),
                ]
            )
        )
    else:
        made.append(html.P("Held back: nothing.", className="about"))
    return made


def _when(at: datetime | None) -> str:
    return "not recorded" if at is None else f"{at:%Y-%m-%d %H:%M}"


PAGE = Page(path="/forecast", title="Conversation", layout=layout, filters=(), in_menu=False)
