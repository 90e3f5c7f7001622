"""One market: its price path with every forecast, and every estimate, each a link to the conversation behind it."""

from typing import Any, Final

import polars as pl

from coordeval.analysis.base.numerals import number, usd, usd_places
from coordeval.analysis.figures.price_path import price_path
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.pages.page import Asked, Page
from coordeval.flows.dashboard.tags import Component, dcc, html
from coordeval.flows.study.study import PROBE
from coordeval.market_data.errors import CoordevalError

_MARKET: Final = """
    SELECT m.*, o.status AS outcome_status, CAST(o.value AS TINYINT) AS outcome, o.resolved_at
    FROM markets m LEFT JOIN current_outcomes o USING (market_id) WHERE m.market_id = ?
"""
_PRICES: Final = "SELECT knowable_at, price FROM prices WHERE market_id = ? AND knowable_at IS NOT NULL ORDER BY 1"
_FORECASTS: Final = """
    SELECT c.configuration, c.replicate, c.as_of, c.market_price, coalesce(f.status, 'pending') AS status, f.probability,
        f.reason, f.attributed_micro_usd / 1e6 AS cost, f.forecast_id
    FROM (FROM cells WHERE study_id = $1 AND market_id = $2 AND configuration <> $3) c
        LEFT JOIN (FROM forecasts WHERE market_id = $2) f USING (forecast_id) ORDER BY 1, 2
"""
_ESTIMATES: Final = """
    SELECT forecast_id, ask, round, agent, role, kind, probability, rationale
    FROM estimates SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS forecast_id) USING (forecast_id)
"""
_TEXT: Final = 400


def layout(asked: Asked) -> list[Component]:
    view, facts = asked.view, asked.facts
    if not view.market:
        raise CoordevalError("no market is named in the address: the page of markets leads to each")
    study = facts.study(view.study)

    def load() -> tuple[dict[str, Any], pl.DataFrame, list[dict[str, Any]], list[dict[str, Any]]]:
        with facts.reader().moment() as reader:
            known = reader.query(_MARKET, [view.market]).to_dicts()
            if not known:
                raise CoordevalError(f"this ledger holds no market {view.market!r}")
            own = [study.study_id, view.market, PROBE]
            forecasts = reader.query(_FORECASTS, own).to_dicts()
            order = {row["forecast_id"]: (row["configuration"], row["replicate"]) for row in forecasts}
            said = reader.query(_ESTIMATES, [[key for key in order if key]]).to_dicts()
            for row in said:
                row["configuration"], row["replicate"] = order[row["forecast_id"]]
            said.sort(key=lambda row: (row["configuration"], row["replicate"], row["ask"]))
            return known[0], reader.query(_PRICES, [view.market]), forecasts, said

    market, prices, forecasts, estimates = facts.per_state("market", study.study_id, load, view.market)
    for row in forecasts:
        row["link"] = view.href("/forecast", forecast=row["forecast_id"]) if row["forecast_id"] else ""
    look = facts.look(study.study_id)
    as_of = forecasts[0]["as_of"] if forecasts else None
    picture = price_path(prices, forecasts, as_of, look, outcome=market["outcome"], simulated=study.simulated)
    return [
        html.H1(market["question"]),
        parts.facts(_about(market, forecasts)),
        html.Details([html.Summary("The market's own description"), html.Pre(market["description"] or "(none)")]),
        parts.figure(
            picture, dark=asked.dark, data=prices, hover="Forecasts: one mark per replicate. Prices: as stored, UTC."
        ),
        parts.section("Forecasts", _forecasts(asked, forecasts, market["outcome"], look)),
        parts.section(
            "Estimates",
            _estimates(asked, estimates, look),
            about="What each agent said in each round, before the configuration combined it into its forecast.",
        ),
    ]


def _about(market: dict[str, Any], forecasts: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    outcome = {None: market["outcome_status"] or "not resolved", 1: "YES", 0: "NO"}[market["outcome"]]
    price = forecasts[0]["market_price"] if forecasts else None
    return [
        ("outcome", outcome if market["resolved_at"] is None else f"{outcome}, resolved {_when(market['resolved_at'])}"),
        ("forecast as of", _when(forecasts[0]["as_of"]) if forecasts else "this study did not forecast it"),
        ("market price then", "none was known" if price is None else number(price, 3)),
        ("category", market["category"] or "none"),
        ("event", f"{market['event_id']} (markets of one event count as one in every interval)"),
        ("opened", _when(market["opened_at"])),
        ("scheduled close", _when(market["scheduled_close"])),
        ("id", html.Code(market["market_id"])),
        ("address", html.Code(market["url"] or "none")),
    ]


def _when(at: Any) -> str:
    return "not known" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def _forecasts(asked: Asked, rows: list[dict[str, Any]], outcome: int | None, look: Any) -> Component:
    made = []
    places = usd_places(row["cost"] for row in rows)
    for row in rows:
        p = row["probability"]
        said = row["status"] if p is None else number(p, 3)
        made.append(
            [
                parts.named(row["configuration"], look, dark=asked.dark),
                str(row["replicate"]),
                said if row["reason"] is None else html.Span([said, html.Small(row["reason"])], className="value"),
                None if p is None or outcome is None else number((p - outcome) ** 2, 3),
                None if not row["forecast_id"] else usd(row["cost"], places),
                dcc.Link("conversation", href=row["link"]) if row["link"] else "not made yet",
            ]
        )
    data = pl.DataFrame([{k: v for k, v in row.items() if k != "link"} for row in rows], infer_schema_length=None)
    columns = ("Configuration", "Replicate", "Forecast", "Squared error", "Cost", "")
    return parts.table(parts.Table("forecasts", columns, made, data, frozenset((1, 2, 3, 4))))


def _estimates(asked: Asked, rows: list[dict[str, Any]], look: Any) -> Component:
    if not rows:
        return parts.note("No estimate is stored for this market in this study.")
    made = []
    for row in rows:
        text = row["rationale"]
        said = row["kind"] if row["probability"] is None else number(row["probability"], 3)
        href = asked.view.href("/forecast", forecast=row["forecast_id"])
        link = dcc.Link(f"ask {row['ask']}", href=href, className="named")
        shown = text if len(text) <= _TEXT else f"{text[:_TEXT]}…"
        made.append(
            [parts.named(row["configuration"], look, dark=asked.dark), str(row["replicate"]), str(row["round"]),
             f"{row['role']} {row['agent']}", said, shown, link]
        )  # fmt: skip
    columns = ("Configuration", "Replicate", "Round", "Agent", "Says", "Why", "")
    data = pl.DataFrame(rows, infer_schema_length=None)
    return parts.table(parts.Table("estimates", columns, made, data, frozenset((1, 2, 4))))


PAGE = Page(path="/market", title="Market", layout=layout, filters=(), in_menu=False)
