"""Looking at the markets of a ledger: what there is, one market whole, what changed, and what a sample may draw from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, get_args

import orjson
import polars as pl

from coordeval.flows.study.as_of import AsOf, moment, rule_of
from coordeval.ledger import Reader
from coordeval.ledger.information import stored_markets
from coordeval.market_data.errors import CoordevalError, choose
from coordeval.market_data.forecasts import SOURCE
from coordeval.market_data.price_at import PREFERENCE
from coordeval.market_data.sampling import NO_PRICE
from coordeval.market_data.types import OutcomeStatus

if TYPE_CHECKING:
    from coordeval.analysis import EarlyClosing

TOO_EARLY: Final = "as-of is before its first stored price; pull more days with --prices"
MADE_UP: Final = "made up, and not drawn beside real markets (--include-simulated draws it)"
IMPORTED: Final = "known from imported forecasts only: no venue was asked about it"
TWO_WINNERS: Final = "another market of its negative-risk group ended YES too"
_TIME: Final = pl.Datetime("us", "UTC")
_RANK = f"CASE kind {' '.join(f'WHEN {kind!r} THEN {rank}' for kind, rank in PREFERENCE.items())} END"
_LIST = """
    SELECT m.market_id, m.source, m.simulated, o.status, o.value AS outcome, m.category, m.event_id, v.volume, m.opened_at,
        m.scheduled_close, m.reference_time, coalesce(v.closed_at, o.resolved_at) AS closed_at, o.resolved_at, m.question
    FROM markets m LEFT JOIN current_outcomes o USING (market_id) LEFT JOIN venue_facts v USING (market_id)
    WHERE ($source IS NULL OR m.source = $source) AND ($status IS NULL OR o.status = $status)
        AND ($category IS NULL OR m.category = $category) AND ($event IS NULL OR m.event_id = $event)
        AND ($words IS NULL OR contains(lower(m.question), lower($words)))
        AND ($after IS NULL OR coalesce(v.closed_at, o.resolved_at) >= $after)
        AND ($before IS NULL OR coalesce(v.closed_at, o.resolved_at) < $before)
        AND ($min_volume IS NULL OR v.volume >= $min_volume)
    ORDER BY coalesce(v.closed_at, o.resolved_at) DESC NULLS LAST, m.market_id
"""
_PRICES = f"""
    WITH asked AS (SELECT unnest($ids::VARCHAR[]) AS market_id, unnest($times::TIMESTAMPTZ[]) AS as_of)
    SELECT market_id,
        max({{'at': knowable_at, 'rank': {_RANK}, 'price': price}}) FILTER (knowable_at <= as_of) AS last,
        min(knowable_at) AS first
    FROM asked JOIN prices USING (market_id) WHERE knowable_at IS NOT NULL GROUP BY market_id
"""
"""What `price_at` takes, of every market at once: the latest price, of those the preferred kind, of those the higher one."""
_TWO_WINNERS = """
    WITH legs AS (
        SELECT market_id, event_id, json_extract_string(facts, '$.neg_risk_id') AS neg_risk
        FROM venue_facts JOIN markets USING (market_id) JOIN current_outcomes USING (market_id) WHERE value = 1
    )
    SELECT market_id, event_id, neg_risk FROM legs WHERE neg_risk <> ''
    QUALIFY count(*) OVER (PARTITION BY neg_risk) > 1 ORDER BY neg_risk, market_id
"""
"""Markets that ended YES beside another of their negative-risk group, which pays out one YES at most."""
_RESAMPLES = 500
_ENDED = """
    SELECT m.source, m.market_id, m.event_id, m.scheduled_close, v.closed_at, o.resolved_at,
        CAST(o.value AS TINYINT) AS outcome
    FROM markets m JOIN current_outcomes o USING (market_id) LEFT JOIN venue_facts v USING (market_id)
    WHERE o.status = 'resolved'
"""
_UNPAID = """
    SELECT count(*) FROM current_outcomes JOIN venue_facts USING (market_id)
    WHERE venue = 'polymarket' AND status = 'resolved' AND json_extract(evidence, '$.payouts') IS NULL
"""
_STARTS = """
    SELECT market_id, CAST(json_extract_string(facts, '$.starts_at') AS TIMESTAMPTZ) AS starts_at FROM venue_facts
    WHERE json_extract_string(facts, '$.starts_at') IS NOT NULL
"""
_CHANGED_IDS = "SELECT market_id FROM outcomes GROUP BY ALL HAVING count(DISTINCT (status, value, resolved_at)) > 1"
"""What the outcome rests on may be told in more detail later; that alone is no change."""
_CHANGED = f"""
    SELECT o.market_id, m.question, o.status, o.value, o.reason, o.recorded_at
    FROM outcomes o JOIN markets m USING (market_id)
    WHERE o.market_id IN ({_CHANGED_IDS})
    ORDER BY o.market_id, o.recorded_at
"""
_TOUCHED = f"""
    SELECT s.name, s.study_id, count(DISTINCT c.market_id) AS markets FROM cells c JOIN studies s USING (study_id)
    WHERE c.market_id IN ({_CHANGED_IDS})
    GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What a careful reader would ask of a ledger's markets."""

    statuses: pl.DataFrame
    """source, status, reason, markets."""
    changed: pl.DataFrame
    """Every resolution of each market whose resolution changed, oldest first."""
    touched: pl.DataFrame
    """Studies that hold such a market: their scores changed with it."""
    early: "list[tuple[str, EarlyClosing]]"
    """(source, how much of its outcomes early closing gives away): over all its markets, since a sample leaves most out."""
    unpaid: int
    """Polymarket's resolved markets whose payouts the venue does not state: they stand on status and prices alone."""
    two_winners: pl.DataFrame
    """market_id, event_id, neg_risk of markets that contradict each other: a sample leaves them out."""
    edits: pl.DataFrame
    refused: pl.DataFrame
    statements: list[str]


def listed(
    reader: Reader,
    *,
    source: str | None = None,
    status: str | None = None,
    category: str | None = None,
    event: str | None = None,
    words: str | None = None,
    after: datetime | None = None,
    before: datetime | None = None,
    min_volume: float | None = None,
) -> pl.DataFrame:
    """One row per market, the last closed first: status, outcome, category, event, volume, times and question.

    Closed in [after, before); `words` stand in the question, whatever their case. Raises CoordevalError for a source or
    category that the ledger does not hold, and for an unknown status.
    """
    asked = {"source": source, "status": status, "category": category, "event": event, "words": words}
    found = reader.query(_LIST, {**asked, "after": after, "before": before, "min_volume": min_volume})
    if found.is_empty():
        for name in ("source", "category"):
            known = reader.query(f"SELECT DISTINCT {name} FROM markets WHERE {name} <> ''")[name].to_list()
            if asked[name] is not None and asked[name] not in known:
                raise CoordevalError(choose(f"{name} in this ledger", asked[name] or "", known))
        if status is not None and status not in get_args(OutcomeStatus):
            raise CoordevalError(choose("status", status, get_args(OutcomeStatus)))
    return found


def market_id_of(reader: Reader, start: str) -> str:
    """The market whose id begins so. Raises CoordevalError listing the candidates, or saying that there is none."""
    found = reader.query("SELECT market_id FROM markets WHERE starts_with(market_id, ?) ORDER BY 1 LIMIT 6", [start])
    ids = found["market_id"].to_list()
    if start in ids:
        return start
    if len(ids) != 1:
        what = f"several markets begin with it: {', '.join(ids)}" if ids else "`coordeval markets list` shows what there is"
        raise CoordevalError(f"market {start!r}: {what}")
    return str(ids[0])


def audit(reader: Reader) -> Audit:
    """Statuses and reasons, changed resolutions and the studies that they touch, edited texts, refused rows, listings."""
    with reader.moment() as held:
        return _audit(held)


def _audit(reader: Reader) -> Audit:
    from coordeval.analysis import early_closing  # a second that `markets list` need not wait

    statuses = reader.query("""
        SELECT m.source, coalesce(o.status, 'no outcome') AS status, coalesce(o.reason, '') AS reason, count(*) AS markets
        FROM markets m LEFT JOIN current_outcomes o USING (market_id) GROUP BY ALL ORDER BY ALL
    """)
    markets = reader.query(_ENDED).partition_by("source", as_dict=True)
    refused = reader.query("SELECT reason, count(*) AS rows, any_value(kept) AS example FROM refused_rows GROUP BY ALL")
    pulls = reader.query("SELECT venue, endpoint, statement, ended FROM pulls ORDER BY updated_at").to_dicts()
    return Audit(
        statuses=statuses,
        changed=reader.query(_CHANGED),
        touched=reader.query(_TOUCHED),
        early=[(str(source), early_closing(frame, resamples=_RESAMPLES)) for (source,), frame in sorted(markets.items())],
        unpaid=reader.query(_UNPAID).item(),
        two_winners=reader.query(_TWO_WINNERS),
        edits=reader.query("SELECT * FROM market_edits ORDER BY seen_at, market_id"),
        refused=refused,
        statements=[_statement(row) for row in pulls],
    )


def _statement(row: dict[str, Any]) -> str:
    plain = orjson.loads(row["statement"])
    query = plain["query"]
    ended = plain["ended"] or "NOT READ TO ITS END"
    return (
        f"{row['venue']}{' at ' + row['endpoint'] if row['endpoint'] else ''}: closed from {query['after']} to before "
        f"{query['before']}, volume from {query['min_volume']:g}: {plain['pages']} pages, {plain['rows']} rows, "
        f"{plain['kept']} kept, {sum(plain['refused'].values())} refused; read to: {ended}"
    )


def eligible(
    reader: Reader, markets: pl.DataFrame, rule: AsOf, *, max_price_age_hours: float, include_simulated: bool = False
) -> pl.DataFrame:
    """What a sample may draw from: `markets` (of `listed`) with as_of by `rule`, the price of YES then, and reason: why a
    market is not eligible, "" where it is.

    A market that had closed by its as-of time is left out, and counted: early closings are mostly YES, so that count says
    how selected the sample is. So is one whose game had begun by then, since its result may have been known. The price is
    the last one knowable at as-of and not older than `max_price_age_hours`, just as a study's view takes it. Made-up markets
    are not drawn beside real ones, unless `include_simulated`.
    """
    beside_real = not include_simulated and not bool(markets["simulated"].all())
    moments = [
        moment(rule, **times)
        for times in markets.select("opened_at", "scheduled_close", "resolved_at", "reference_time").iter_rows(named=True)
    ]
    rows = markets.with_columns(
        pl.Series("as_of", [at for at, _ in moments], dtype=_TIME),
        pl.Series("lacks", [lacking for _, lacking in moments], dtype=pl.String),
    )
    asked = rows.filter(pl.col("as_of").is_not_null())
    prices = reader.query(_PRICES, {"ids": asked["market_id"].to_list(), "times": asked["as_of"].to_list()})
    rows = rows.join(prices.unnest("last"), on="market_id", how="left", maintain_order="left")
    rows = rows.join(reader.query(_STARTS), on="market_id", how="left", maintain_order="left")
    as_of, age = pl.col("as_of"), pl.lit(timedelta(hours=max_price_age_hours))
    tests = (
        (pl.col("source") == SOURCE, pl.lit(IMPORTED)),
        (pl.col("simulated") & beside_real, pl.lit(MADE_UP)),
        (pl.col("status").is_null(), pl.lit("no outcome")),
        (pl.col("status") != "resolved", pl.format("outcome {}", "status")),
        (pl.col("market_id").is_in(reader.query(_TWO_WINNERS)["market_id"].to_list()), pl.lit(TWO_WINNERS)),
        (pl.col("lacks") != "", pl.format("no {}", "lacks")),
        (as_of < pl.col("opened_at"), pl.lit("as-of would be before it opened")),
        (as_of >= pl.min_horizontal("closed_at", "resolved_at"), pl.lit("it had closed before its as-of time")),
        (as_of >= pl.col("starts_at"), pl.lit("its game had begun before its as-of time")),
        (pl.col("at").is_null() & (pl.col("first") > as_of), pl.lit(TOO_EARLY)),
        (pl.col("at").is_null(), pl.lit(NO_PRICE)),
        (as_of - pl.col("at") > age, pl.lit(f"its last price was older than {max_price_age_hours:g} h")),
    )
    reason = pl.lit("")
    for fails, words in reversed(tests):
        reason = pl.when(fails).then(words).otherwise(reason)
    return rows.with_columns(
        status=pl.col("status").fill_null("none stored"), reason=reason, price=pl.when(reason == "").then("price")
    ).drop("lacks", "at", "rank", "first", "starts_at")


def nearest_rules(
    reader: Reader, markets: pl.DataFrame, *, max_price_age_hours: float, include_simulated: bool, but: AsOf
) -> list[tuple[str, int]]:
    """(rule, eligible markets) of the usual rules that would draw some, the most first: what to try where one draws none."""
    found = []
    for text in _USUAL:
        if (rule := rule_of(text)) == but:
            continue
        frame = eligible(reader, markets, rule, max_price_age_hours=max_price_age_hours, include_simulated=include_simulated)
        if count := frame.filter((pl.col("reason") == "") & pl.col("price").is_not_null()).height:
            found.append((text, count))
    return sorted(found, key=lambda pair: -pair[1])


_USUAL: Final = (
    "hours_before_close=1",
    "hours_before_close=6",
    "hours_before_close=24",
    "hours_before_close=72",
    "hours_before_close=168",
    "fraction_of_life=0.25",
    "fraction_of_life=0.5",
    "source",
    "hours_before_resolution=24",
)


def shown(reader: Reader, market_id: str) -> list[tuple[str, Sequence[tuple[str, Any]]]]:
    """One market whole, as titled groups of (name, value)."""
    [stored] = stored_markets(reader, [market_id])
    market = stored.market
    opening = [(name, value) for name, value in market.known_at_opening().items()]
    internal = [("id", market.id), ("source", market.source), ("event", market.event_id), ("url", market.url)]
    outcomes = reader.query(
        "SELECT status, value, reason, resolved_at, recorded_at, evidence FROM outcomes WHERE market_id = ? "
        "ORDER BY recorded_at",
        [market_id],
    ).to_dicts()
    groups: list[tuple[str, Sequence[tuple[str, Any]]]] = [("known at opening", opening), ("bookkeeping", internal)]
    groups += [(f"outcome recorded {row['recorded_at']:%Y-%m-%d %H:%M}", list(row.items())) for row in outcomes]
    if stored.prices:
        dated = [p for p in stored.prices if p.knowable_at is not None]
        last = dated[-1]
        groups.append(
            (
                f"{len(stored.prices)} prices",
                [("first", dated[0].knowable_at), ("last", last.knowable_at), ("last price", f"{last.price} ({last.kind})")],
            )
        )
    facts = reader.query("SELECT facts FROM venue_facts WHERE market_id = ?", [market_id])
    if facts.height:
        groups.append(("the venue's own words, when it was listed", list(orjson.loads(facts.item()).items())))
    edits = reader.query("SELECT field, first, now, seen_at FROM market_edits WHERE market_id = ?", [market_id]).to_dicts()
    groups += [(f"edited since, seen {row['seen_at']:%Y-%m-%d}", list(row.items())) for row in edits]
    groups.append((f"{len(stored.documents)} documents", [(str(d.knowable_at), d.title) for d in stored.documents]))
    return groups
