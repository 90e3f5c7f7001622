"""A ledger of a large study, made in bulk: what a run of the five reference configurations would have left behind.

It holds markets in events, outcomes, cells, forecasts, calls, estimates and messages with the ids and call graphs of a real
run; not the bytes of requests, because nobody has them for a million forecasts on a laptop. Without them the certificate
of information control says "not recorded". 1% of the forecasts failed.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import orjson
import polars as pl
from scipy.special import expit

from coordeval.configurations import load
from coordeval.ledger import Ledger

MARKETS, REPLICATES, AGENTS = 100_000, 2, 3
STUDY = "5a" * 32
NOW = datetime(2026, 11, 20, tzinfo=UTC)
FAILING = 0.01
# configuration -> (role, round, kind) of its asks, and who is shown to whom
_FIRST = [("forecaster", 0, "estimate")] * AGENTS


def _asks(revisers: str) -> list[tuple[str, int, str]]:
    return [*_FIRST, *[(revisers, 1, "estimate")] * AGENTS]


_PEERS = [(i, AGENTS + j) for i in range(AGENTS) for j in range(AGENTS) if i != j]
ASKS = {
    "consensus_alignment": (_asks("aligner"), _PEERS),
    "independent_ensemble": (_FIRST, []),
    "orchestrator_specialist": (
        [("planner", 0, "report"), *[("specialist", 1, "report")] * 3, ("integrator", 2, "estimate")],
        [(1, 4), (2, 4), (3, 4)],
    ),
    "peer_critique_debate": (_asks("critic"), _PEERS),
    "sequential_pipeline": (
        [("researcher", 0, "report"), ("analyst", 1, "report"), ("closer", 2, "estimate")],
        [(0, 1), (0, 2), (1, 2)],
    ),
}


def make(path: Path, *, markets: int = MARKETS, seed: int = 0) -> int:
    """Writes the ledger; returns the number of forecasts."""
    with Ledger.open(path, purpose="benchmark"):
        pass  # the schema
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 4, markets)
    event = np.repeat(np.arange(markets), size)[:markets]
    shared, own = rng.normal(0, 1, markets)[event], rng.normal(0, 1, markets)
    latent = 0.6 * shared + 1.2 * own
    outcome = (rng.random(markets) < expit(latent)).astype(np.uint8)
    price = expit(latent + rng.normal(0, 0.4, markets)).round(4)
    ids = pl.Series(_hex(np.arange(markets), "market"))
    with duckdb.connect(path) as con:
        facts = pl.DataFrame({"market_id": ids, "event": event, "outcome": outcome, "price": price}).with_row_index("i")
        con.register("facts", facts)
        con.execute(
            "INSERT INTO markets BY NAME SELECT market_id, 'generated' AS source, true AS simulated, "
            "'e' || event AS event_id, "
            "'Will the made-up thing number ' || i || ' happen before the end of the year?' AS question, "
            "'It resolves YES if it does.' AS description, 'made up' AS category, '' AS url FROM facts"
        )
        con.execute(
            "INSERT INTO outcomes BY NAME SELECT market_id, 'resolved' AS status, outcome AS value, '' AS reason, "
            "?::TIMESTAMPTZ + to_seconds(i) AS resolved_at, ?::TIMESTAMPTZ AS recorded_at FROM facts",
            [NOW, NOW + timedelta(days=60)],
        )
        _study(con)
        said = rng.normal(0, 0.7, (markets, 1, 1)) + rng.normal(0, 0.6, (markets, REPLICATES, AGENTS))
        first = expit(latent[:, None, None] + said).round(2).clip(0.01, 0.99)  # as people and models say it
        for name in ASKS:
            for replicate in range(REPLICATES):
                _cells(con, facts, name, replicate, first[:, replicate], latent, rng)
        con.execute("UPDATE studies SET locked_at = created_at")
    return markets * REPLICATES * len(ASKS)


def with_requests(path: Path) -> int:
    """Adds the bytes of a request of 6 KB for each draw, alike but for the market's facts; returns how many."""
    with duckdb.connect(path) as con:
        con.execute(_DRAWS)
        return int(con.execute("SELECT count(*) FROM draws").fetchall()[0][0])


_REQUEST = """
    json_object('model', 'generated', 'max_tokens', 2000, 'system', repeat('How to judge. ', 200),
        'tools', [{'name': 'market_details'}, {'name': 'search_evidence'}],
        'messages', [{'role': 'user', 'content': concat_ws(chr(10), '<market>', 'Question: ' || question,
            'As of: 2026-10-21', 'Market price of YES: 0.400', '</market>', repeat('Weigh it. ', 250), ask)}])
"""
_DRAWS = f"""
    INSERT INTO draws BY NAME
    SELECT draw_id, any_value(md5(draw_id)) AS request_id, any_value(market_id) AS market_id, 0 AS replicate, 0 AS k,
        'generated' AS model, 'generated' AS served_model, any_value({_REQUEST}) AS request, '{{}}' AS reply,
        20000 AS micro_usd, any_value(forecast_id) AS payer, TIMESTAMPTZ '2026-11-20' AS created_at
    FROM calls JOIN forecasts USING (forecast_id) JOIN markets USING (market_id) GROUP BY draw_id
"""


def _study(con: duckdb.DuckDBPyConnection) -> None:
    known = load().classes
    elements = {name: known[name].elements.as_dict() for name in ASKS}
    row = {"study_id": STUDY, "name": "large", "content": '{"name":"large"}', "source": "generated", "model": "generated"}
    row |= {"elements": orjson.dumps(elements).decode(), "simulated": True, "created_at": NOW, "hindsight": False}
    con.register("row", pl.DataFrame([row]))
    con.execute("INSERT INTO studies BY NAME FROM row")


def _cells(
    con: duckdb.DuckDBPyConnection,
    facts: pl.DataFrame,
    name: str,
    replicate: int,
    first: np.ndarray,
    latent: np.ndarray,
    rng: np.random.Generator,
) -> None:
    asks, shown = ASKS[name]
    markets = facts.height
    heard = [k for k, (_, _, kind) in enumerate(asks) if kind == "estimate"]
    p = np.full((markets, len(asks)), np.nan)
    if len(heard) > 1:
        p[:, :AGENTS] = first
        p[:, AGENTS : len(asks)] = (0.6 * first + 0.4 * first.mean(axis=1, keepdims=True))[:, : len(asks) - AGENTS]
        final = np.median(p[:, -AGENTS:], axis=1) if name != "consensus_alignment" else p[:, -AGENTS:].mean(axis=1)
    else:
        final = expit(latent + rng.normal(0, 0.9, markets))  # orchestrator_specialist answers in full precision
        final = final.round(2) if name == "sequential_pipeline" else final
        p[:, -1] = final
    failed = rng.random(markets) < FAILING
    key = f"{name}/{replicate}"
    # what an ask costs, in millionths of a dollar, goes by its market: a draw that several share has one price
    each = (20_000 + 20_000 * (np.arange(markets) * 0.618 % 1)).astype(np.int64)
    cells = facts.select("market_id", "price").with_columns(
        forecast_id=_hex(np.arange(markets), key),
        probability=pl.Series(final),
        failed=pl.Series(failed),
        cost=pl.Series(each * len(asks)),
    )
    con.register("made", cells)
    con.execute(
        "INSERT INTO cells BY NAME SELECT ? AS study_id, market_id, ? AS configuration, ? AS replicate, "
        "?::TIMESTAMPTZ AS as_of, price AS market_price, forecast_id, '{}' AS identity FROM made",
        [STUDY, name, replicate, NOW - timedelta(days=30)],
    )
    con.execute(
        "INSERT INTO forecasts BY NAME SELECT forecast_id, 'run' AS run_id, market_id, ? AS configuration, ? AS replicate, "
        "CASE WHEN failed THEN 'failed' ELSE 'answered' END AS status, "
        "CASE WHEN NOT failed THEN probability END AS probability, "
        "CASE WHEN failed THEN 'the reply was cut off' END AS reason, false AS retryable, "
        "cost AS attributed_micro_usd, cost // 2 AS paid_micro_usd, "
        "4000 AS input_tokens, 700 AS output_tokens, 0 AS cache_read_tokens, 0 AS cache_write_tokens, ? AS model_calls, "
        "2 AS tool_calls, cost / 1e4 AS seconds, ? AS call_graph, true AS simulated, ?::TIMESTAMPTZ AS created_at FROM made",
        [name, replicate, len(asks), _hex(np.arange(1), name)[0], NOW],
    )
    for ask, (role, round_number, kind) in enumerate(asks):
        agent = ask % AGENTS
        # the first estimates of the three that begin alone are the same draws
        owner = f"{'alone' if role == 'forecaster' else key}/{replicate}/{ask}"
        rows = cells.select("forecast_id", probability=pl.Series(p[:, ask]).fill_nan(None), cost=pl.col("cost") // len(asks))
        con.register("rows", rows.with_columns(draw_id=_hex(np.arange(markets), owner)))
        values = f"{ask} AS ask, {agent} AS agent, {round_number} AS round, '{role}' AS role"
        con.execute(
            f"INSERT INTO estimates BY NAME SELECT forecast_id, {values}, '{kind}' AS kind, probability, "
            "'A short reason.' AS rationale, '' AS reading FROM rows"
        )
        con.execute(
            f"INSERT INTO calls BY NAME SELECT forecast_id, {values}, 0 AS turn, draw_id, 'end_turn' AS stop_reason, "
            "1000 AS input_tokens, 200 AS output_tokens, 0 AS cache_read_tokens, 0 AS cache_write_tokens, "
            "cost AS attributed_micro_usd, cost // 2 AS paid_micro_usd, "
            "3.0 AS seconds FROM rows"
        )
    for source, target in shown:
        con.execute(f"INSERT INTO messages BY NAME SELECT forecast_id, {source} AS from_ask, {target} AS to_ask FROM made")


def _hex(index: np.ndarray, salt: str) -> pl.Series:
    """Ids as long as the real ones, the same for the same salt."""
    start = pl.Series([salt]).hash(seed=1)[0]
    parts = [pl.Series(index.astype(np.uint64) + np.uint64(start >> 1)).hash(seed=k) for k in range(4)]
    return pl.select(pl.concat_str([pl.lit(part).cast(pl.String).str.zfill(20).str.slice(4) for part in parts])).to_series()
