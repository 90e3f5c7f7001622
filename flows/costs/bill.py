"""The bill: what was asked, at list price, as it was charged, and as it was paid, split so that every split adds up.

Of each call, in whole millionths of a dollar:

    list          its tokens at list price on its day, as if there were no cache and no batch, and its web searches
    cached        what the prompt cache took off it (below 0: writing cost more than reading saved)
    batch         what the batch took off it
    attributed    what its configuration is charged: list - cached - batch
    paid          attributed, where the reply was bought for its sake; 0 where another cell had bought it, or a stand-in
                  made it

A sum is null where one of its calls has no known price. Dollars of a study that nobody pays are the model's own.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, Final

import polars as pl

from coordeval.agents.messages import Usage
from coordeval.agents.prices import PriceBook
from coordeval.flows.costs.commanded import commanded, uncertain
from coordeval.flows.costs.searches import searches_of
from coordeval.flows.costs.terminal import COLUMNS
from coordeval.ledger import Reader

SPLITS: Final = ("configuration", "role", "round", "tool")
FORECASTS: Final = "forecasts"
"""The purpose of all calls that no command asked for beside them."""
_BESIDE: Final = ("purpose", "calls", "attributed_micro_usd", "paid_micro_usd")
_CALLS: Final = """
    WITH own AS (SELECT DISTINCT ON (forecast_id) forecast_id, arm, configuration FROM cells WHERE study_id = $study),
    used AS (
        SELECT forecast_id, ask, turn, string_agg(DISTINCT tool, ' + ' ORDER BY tool) AS tool
        FROM tool_calls SEMI JOIN own USING (forecast_id) GROUP BY ALL
    )
    SELECT o.arm, o.configuration, k.role, k.round, coalesce(u.tool, '(an answer)') AS tool, d.served_model, d.model,
        d.created_at, {batch} AS batch, {searches} AS searches, k.input_tokens, k.output_tokens, k.cache_read_tokens,
        k.cache_write_tokens, k.attributed_micro_usd, k.paid_micro_usd,
        k.paid_micro_usd = 0 AND k.attributed_micro_usd > 0 AND d.payer = k.forecast_id AS unpaid
    FROM calls k JOIN own o USING (forecast_id) LEFT JOIN used u USING (forecast_id, ask, turn)
    LEFT JOIN draws d USING (draw_id)
"""
_STUDIES: Final = """
    WITH own AS (SELECT DISTINCT study_id, forecast_id FROM cells)
    SELECT s.name AS study, s.study_id, count(*) AS calls,
        CASE WHEN count(*) = count(k.attributed_micro_usd) THEN sum(k.attributed_micro_usd)::BIGINT END
            AS attributed_micro_usd,
        CASE WHEN count(*) = count(k.paid_micro_usd) THEN sum(k.paid_micro_usd)::BIGINT END AS paid_micro_usd
    FROM own JOIN studies s USING (study_id) JOIN calls k USING (forecast_id) GROUP BY ALL ORDER BY s.name, s.study_id
"""


def bill(reader: Reader, study_id: str, book: PriceBook) -> dict[str, Any]:
    """The bill of one study, in all and by each of SPLITS; every split's sums are those of the total.

    `beside`: what was asked about it by commands, by purpose (see `commanded`), which no forecast is charged for;
    `with_beside`: the total and those.

    `tool` is what a call's reply asked to use: its dollars are of the turn, for a tool itself costs nothing here.
    """
    calls = priced(reader, study_id, book)
    several = calls["arm"].n_unique() > 1  # a split into one part says nothing
    stored = reader.books(study_id)
    replies = int(calls["paid_micro_usd"].sum() or 0)
    notes = []
    free = 0
    if calls["unpaid"].any():  # a reply that was asked for, and that nobody had bought before
        free = reader.made_up_micro_usd(study_id)
        notes.append(
            f"${free / 1e6:,.6f} is the price of a stand-in's replies: not paid, so it is in no sum of what was paid"
        )
    if lost := stored.paid_micro_usd - free - replies:
        notes.append(f"beside it ${lost / 1e6:,.6f} was paid for replies that no stored forecast holds (yet)")
    if stored.uncertain:
        most = stored.uncertain_micro_usd / 1e6
        notes.append(f"{stored.uncertain} calls may have been charged although no reply is stored, up to ${most:,.2f}")
    lost_beside, worst = uncertain(reader, study_id)
    if lost_beside:
        notes.append(
            f"{lost_beside} calls of commands beside it may have been charged although no reply is stored, up to "
            f"${worst / 1e6:,.2f}"
        )
    if unknown := calls["attributed_micro_usd"].null_count():
        notes.append(f"the price of {unknown:,} calls is not known, so sums that hold one are null; see [prices]")
    total, beside = _sums(calls).to_dicts()[0], commanded(reader, study_id)
    return {
        "study_id": study_id,
        "total": total,
        "by": {part: _sums(calls, part).sort(part).to_dicts() for part in (*SPLITS, *(("arm",) if several else ()))},
        "beside": [{name: row[name] for name in _BESIDE} for row in beside],
        "with_beside": {name: _sum([total[name], *(row[name] for row in beside)]) for name in _BESIDE[1:]},
        "notes": notes,
    }


def bills(reader: Reader) -> list[dict[str, Any]]:
    """Every study's calls, attributed and paid, by purpose: its forecasts, and what was asked about it by commands (see
    `commanded`). A forecast that two studies share stands in both."""
    rows = [{**row, "purpose": FORECASTS} for row in reader.query(_STUDIES).to_dicts()]
    return sorted([*rows, *commanded(reader)], key=lambda row: (row["study"], row["study_id"], row["purpose"] != FORECASTS))


def priced(reader: Reader, study_id: str, book: PriceBook) -> pl.DataFrame:
    """One row per call with COLUMNS in micro-dollars."""
    columns = set(reader.query("SELECT column_name FROM duckdb_columns() WHERE table_name = 'draws'")["column_name"])
    batch = "d.batch_id IS NOT NULL" if "batch_id" in columns else "FALSE"
    searches = searches_of(reader.study(study_id).content["agents"]["tools"])
    calls = reader.query(_CALLS.format(batch=batch, searches=searches), {"study": study_id})
    rows = [_split(row, book) for row in calls.iter_rows(named=True)]
    names = ("list_micro_usd", "cached_micro_usd", "batch_micro_usd")
    return calls.with_columns(pl.Series(name, [row[i] for row in rows], dtype=pl.Int64) for i, name in enumerate(names))


def _split(row: Mapping[str, Any], book: PriceBook) -> tuple[int | None, int | None, int | None]:
    """(list, taken off by the cache, taken off by the batch) of one call."""
    attributed = row["attributed_micro_usd"]
    if attributed is None:
        return None, None, None
    usage = Usage(
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cache_write_5m_tokens=row["cache_write_tokens"],
        cache_read_tokens=row["cache_read_tokens"],
        web_searches=row["searches"],
    )
    plain = Usage(input_tokens=usage.total_input_tokens, output_tokens=usage.output_tokens, web_searches=usage.web_searches)
    if plain == usage and not row["batch"]:
        return attributed, 0, 0
    at = row["created_at"].astimezone(UTC).date()
    known = next((name for name in (row["served_model"], row["model"]) if book.price(name, at, 1) is not None), None)
    if known is None:
        return None, None, None
    listed, live = book.micro_usd(known, plain, at), book.micro_usd(known, usage, at)
    if listed is None or live is None:
        return None, None, None
    if not row["batch"]:  # what was charged is what the cache left, whatever the book says today
        return listed, listed - attributed, 0
    return listed, listed - live, live - attributed


def _sum(amounts: Sequence[int | None]) -> int | None:
    return None if None in amounts else sum(amount for amount in amounts if amount is not None)


def _sums(calls: pl.DataFrame, by: str | None = None) -> pl.DataFrame:
    sums = [pl.len().alias("calls")]
    sums += [pl.when(pl.col(name).null_count() == 0).then(pl.col(name).sum()).alias(name) for name in COLUMNS]
    return calls.select(sums) if by is None else calls.group_by(by).agg(sums)
