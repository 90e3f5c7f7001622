"""What was spent on what: by configuration, role, round and tool, paid against attributed, over time."""

from typing import Any, Final

import polars as pl

from coordeval.analysis.base.numerals import number, usd, usd_places
from coordeval.analysis.figures.amounts import over_time, paid_and_attributed, split
from coordeval.analysis.figures.style import Picture
from coordeval.analysis.study.leaderboard import REFERENCE
from coordeval.flows.dashboard import bill, parts
from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.dashboard.pages.page import Asked, Page
from coordeval.flows.dashboard.standing import standing
from coordeval.flows.dashboard.tags import Component, html
from coordeval.flows.study.study import PROBE

_HERE: Final = """
    WITH here AS (
        SELECT hash(forecast_id) AS forecast, configuration FROM cells
        WHERE study_id = $study AND configuration <> $probe AND ($replicate::INTEGER IS NULL OR replicate = $replicate)
    )
"""
_CALLS: Final = f"""{_HERE}
    SELECT h.configuration, k.role, k.round, count(*) AS n,
        CASE WHEN count(*) = count(k.attributed_micro_usd) THEN sum(k.attributed_micro_usd) / 1e6 END AS attributed,
        CASE WHEN count(*) = count(k.paid_micro_usd) THEN sum(k.paid_micro_usd) / 1e6 END AS paid,
        CAST(sum(k.input_tokens + k.cache_read_tokens + k.cache_write_tokens) AS BIGINT) AS input_tokens,
        CAST(sum(k.output_tokens) AS BIGINT) AS output_tokens, sum(k.seconds) AS seconds
    FROM calls k JOIN here h ON h.forecast = hash(k.forecast_id) GROUP BY ALL ORDER BY ALL
"""
_TOOLS: Final = f"""{_HERE}
    SELECT h.configuration, t.tool, count(*) AS n, count(*) FILTER (t.items = 0 AND NOT t.error) AS empty,
        count(*) FILTER (t.error) AS errors
    FROM tool_calls t JOIN here h ON h.forecast = hash(t.forecast_id) GROUP BY ALL ORDER BY ALL
"""
TIME: Final = f"""{_HERE}, made AS (
        SELECT created_at, coalesce(attributed_micro_usd, 0) / 1e6 AS attributed, coalesce(paid_micro_usd, 0) / 1e6 AS paid
        FROM forecasts f SEMI JOIN here h ON h.forecast = hash(f.forecast_id)
    ), step AS (
        SELECT greatest(1, ceil(epoch(max(created_at)) - epoch(min(created_at))) / 120) AS seconds FROM made
    ), binned AS (
        SELECT CAST(floor(epoch(created_at) / seconds) AS BIGINT) AS bin, max(created_at) AS moment,
            sum(attributed) AS attributed, sum(paid) AS paid, count(*) AS n
        FROM made, step GROUP BY bin
    )
    SELECT moment AS "at", sum(attributed) OVER (ORDER BY bin) AS attributed, sum(paid) OVER (ORDER BY bin) AS paid,
        CAST(sum(n) OVER (ORDER BY bin) AS BIGINT) AS made
    FROM binned ORDER BY bin
"""
_TERMS = (
    (
        "attributed",
        "the full price of everything a forecast used, as if it had been asked alone: what the configuration costs",
    ),
    ("paid", "what was in fact paid for its sake: a reply that several configurations drew is paid once, by the first"),
    (
        "list price",
        "of all tokens, as if there were no cache and no batch; less what those took off, it is what is attributed",
    ),
    ("round", "round 0 is before anybody is shown what another says"),
)


def layout(asked: Asked) -> list[Component]:
    view, facts = asked.view, asked.facts
    study = facts.study(view.study)
    calls, tools, time = _load(facts, study.study_id, view.replicate)
    look = facts.look(study.study_id)
    found: list[Component] = [html.H1("Costs"), _per_market(asked, look)]
    if calls.is_empty():
        found.append(parts.note("No model call is stored for this study, so nothing can be split by role, round or tool."))
        return [*found, parts.terms(_TERMS)]
    by: dict[str, list[dict[str, Any]]] = {}
    for part in ("role", "round"):
        grouped = calls.group_by("configuration", part, maintain_order=True).agg(
            pl.col("n").sum(),
            amount=pl.when(pl.col("attributed").null_count() == 0).then(pl.col("attributed").sum()),
        )
        by[part] = grouped.to_dicts()
    exact = "Sums of what is stored: exact, so without an interval."
    common: dict[str, Any] = {"simulated": study.simulated}
    spent: dict[str, Any] = {"axis": "USD, full price", "dollars": True, "caption": exact, **common}
    role = split(by["role"], by="role", name="by-role", title="Spent on each role", **spent)
    round_ = split(by["round"], by="round", name="by-round-cost", title="Spent in each round", **spent)
    used = split(
        tools.select("configuration", "tool", amount="n").to_dicts(),
        by="tool",
        name="by-tool",
        title="Tool calls",
        axis="calls",
        dollars=False,
        caption=f"{exact} A tool call costs the tokens of its result, which are in the next turn of its agent.",
        **common,
    )
    sums = calls.group_by("configuration", maintain_order=True).agg(
        *(pl.when(pl.col(c).null_count() == 0).then(pl.col(c).sum()).alias(c) for c in ("attributed", "paid"))
    )
    both = paid_and_attributed(sums.to_dicts(), look, caption="The gap is what sharing replies saved. " + exact, **common)
    grown = over_time(
        time.to_dicts(),
        name="over-time",
        title="Spent over time",
        axis="USD",
        lines={"attributed": "attributed", "paid": "paid"},
        caption="Forecasts of unknown price are not in it.",
        **common,
    )
    cards = [(role, calls), (round_, calls), (both, sums), (used, tools), (grown, time)]
    found.append(parts.grid(*(_figure(asked, picture, data) for picture, data in cards)))
    if role is None:
        found.append(parts.note("Dollars are not split: the price of a model is not known.", kind="warning"))
    found.append(parts.section("By configuration, role and round", _table(calls, look, dark=asked.dark)))
    found += bill.sections(asked, study, look, int(calls["n"].sum()))
    if not tools.is_empty():
        found.append(parts.section("Tools", _tools(tools, look, dark=asked.dark)))
    found.append(parts.terms(_TERMS))
    return found


def _load(facts: Facts, study: str, replicate: int | None) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    bound = {"study": study, "probe": PROBE, "replicate": replicate}

    def make() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        with facts.reader().moment() as reader:
            return reader.query(_CALLS, bound), reader.query(_TOOLS, bound), reader.query(TIME, bound)

    return facts.per_state("costs", study, make, replicate)


def _figure(asked: Asked, picture: Picture | None, data: pl.DataFrame) -> Component | None:
    hover = "Sums over all forecasts of the study; attributed: full price; paid: each reply once"
    return None if picture is None else parts.figure(picture, dark=asked.dark, data=data, hover=hover)


def _per_market(asked: Asked, look: Any) -> Component:
    known = standing(asked.facts, asked.view)
    rows: list[list[Any]] = []
    each, all_paid = (usd_places(row.get(key) for row in known.rows) for key in ("cost", "paid"))
    for row in known.rows:
        if row["configuration"] == REFERENCE or "answered" not in row:
            continue
        cost = [usd(row.get("cost"), each)]
        if row.get("cost_low") is not None:
            cost.append(html.Small(f"[{usd(row['cost_low'], each)}, {usd(row['cost_high'], each)}]", className="ends"))
        elif row.get("cost") is None and row["answered"] + row["failed"]:
            cost.append(html.Small("a price is missing"))
        elif row.get("cost") is None:
            cost = ["nothing is made yet"]
        value = None
        if row.get("cost") and row.get("brier") is not None:
            value = number(row["brier"])
        rows.append([parts.named(row["configuration"], look, dark=asked.dark), html.Span(cost, className="value"),
                     usd(row.get("paid"), all_paid), value])  # fmt: skip
    columns = ("Configuration", "USD per market", "Paid in all", "Brier score")
    made = parts.table(parts.Table("cost-per-market", columns, rows, None, frozenset((1, 2, 3))), note=known.method)
    return parts.section("Per market and replicate", made)


def _table(calls: pl.DataFrame, look: Any, *, dark: bool) -> Component:
    places = usd_places([*calls["attributed"], *calls["paid"]])
    rows = [
        [parts.named(r["configuration"], look, dark=dark), r["role"], str(r["round"]), f"{r['n']:,}",
         usd(r["attributed"], places), usd(r["paid"], places), f"{r['input_tokens']:,}", f"{r['output_tokens']:,}"]
        for r in calls.to_dicts()
    ]  # fmt: skip
    columns = ("Configuration", "Role", "Round", "Calls", "Attributed", "Paid", "Tokens in", "Tokens out")
    return parts.table(parts.Table("calls", columns, rows, calls, frozenset(range(2, 8))))


def _tools(tools: pl.DataFrame, look: Any, *, dark: bool) -> Component:
    rows = [
        [parts.named(r["configuration"], look, dark=dark), r["tool"], f"{r['n']:,}", f"{r['empty']:,}", f"{r['errors']:,}"]
        for r in tools.to_dicts()
    ]
    columns = ("Configuration", "Tool", "Calls", "Empty", "Errors")
    return parts.table(parts.Table("tools", columns, rows, tools, frozenset((2, 3, 4))))


PAGE = Page(path="/costs", title="Costs", layout=layout, filters=("replicate",))
