"""What is watched: signals of one agent's output, of several agents together and of the outcome, and their values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import polars as pl

from coordeval.analysis.base.checks import AnalysisError, Floats, Ints

Kind = Literal["leaf", "joint", "outcome"]
KINDS: Final[Mapping[Kind, str]] = {
    "leaf": "one agent's output",
    "joint": "several agents together",
    "outcome": "accuracy, as outcomes arrive",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """The value of a period is the sum of `top` over the sum of `below`, over its forecasts that have both.

    `log`: `top` is then taken as ln(1 + top), so that one huge latency or price moves a period no more than its order of
    magnitude does; the value is shown as exp(value) − 1, a kind of typical size.
    """

    name: str
    title: str
    kind: Kind
    top: str
    below: str | None = None
    """None: 1 for each forecast."""
    log: bool = False
    unit: str = ""
    digits: int = 2
    lacking: str = "no forecast of it has one"
    """Why there may be no value."""

    def shown(self, value: float) -> float:
        """A period's value in its own unit."""
        return float(np.expm1(value)) if self.log else value


_ALONE = "no two agents give an estimate in one round"
_TOOLS = "its agents call no tool"
SIGNALS: Final = (
    Signal(name="failed_asks", title="asks without a valid answer", kind="leaf", top="failed_asks", below="asks", digits=3),
    Signal(name="corrections", title="answers sent back as malformed", kind="leaf", top="corrections", below="asks",
        digits=3),
    Signal(name="retries", title="requests refused or lost", kind="leaf", top="retries", below="calls", digits=3),
    Signal(name="other_model", title="served by another model than at first", kind="leaf", top="other_model", below="calls"),
    Signal(name="tool_calls", title="tool calls of an ask", kind="leaf", top="tool_calls", below="asks"),
    Signal(
        name="empty_results", title="tool results that are empty or errors", kind="leaf", top="empty_results",
        below="tool_calls", lacking=_TOOLS,
    ),
    Signal(
        name="boldness", title="distance of an estimate from 0.5", kind="leaf", top="boldness", below="estimates", digits=3,
        lacking="its agents give no estimate",
    ),
    Signal(
        name="length", title="length of a statement", kind="leaf", top="length", below="statements", unit="characters",
        digits=0,
    ),
    Signal(name="call_tokens", title="output of a call", kind="leaf", top="call_tokens", log=True, unit="tokens", digits=0),
    Signal(name="call_seconds", title="latency of a call", kind="leaf", top="call_ms", log=True, unit="ms", digits=0),
    Signal(name="failed", title="forecasts that failed", kind="joint", top="failed", digits=3),
    Signal(name="path", title="path length", kind="joint", top="asks", unit="asks"),
    Signal(name="rounds", title="rounds to the end", kind="joint", top="rounds"),
    Signal(
        name="opening_spread", title="spread of the first estimates", kind="joint", top="opening_spread", digits=3,
        lacking=_ALONE,
    ),
    Signal(name="spread", title="spread of the last estimates", kind="joint", top="spread", digits=3, lacking=_ALONE),
    Signal(
        name="influence", title="share of the way that agents move to peers", kind="joint", top="moved",
        below="apart", lacking="nobody revises after reading peers",
    ),
    Signal(
        name="from_price", title="distance of the forecast from the price", kind="joint", top="from_price", digits=3,
        lacking="no price was known",
    ),
    Signal(name="tokens", title="tokens of a forecast", kind="joint", top="tokens", log=True, digits=0),
    Signal(name="seconds", title="model time of a forecast", kind="joint", top="ms", log=True, unit="ms", digits=0),
    Signal(
        name="cost", title="full price of a forecast", kind="joint", top="micro_usd", log=True, unit="micro-dollars",
        digits=0,
        lacking="a price is not known",
    ),
    Signal(
        name="brier", title="Brier score", kind="outcome", top="brier", digits=3, lacking="no outcome has arrived"
    ),
    Signal(
        name="excess", title="Brier score less that of the market price", kind="outcome", top="excess", digits=3,
        lacking="no outcome of a market with a price has arrived",
    ),
)  # fmt: skip
"""Every signal, in the order in which they are told."""
BY_NAME: Final = {signal.name: signal for signal in SIGNALS}

RECORD: Final[dict[str, Any]] = {
    **dict.fromkeys(("configuration", "forecast_id"), pl.String),
    **dict.fromkeys(("period", "outcome_period"), pl.Int64),
    **dict.fromkeys(
        (
            "failed", "asks", "failed_asks", "corrections", "retries", "other_model", "calls", "tool_calls", "empty_results",
            "boldness", "estimates", "length", "statements", "call_tokens", "call_ms", "rounds", "opening_spread", "spread",
            "moved", "apart", "from_price", "tokens", "ms", "micro_usd", "brier", "excess",
        ),
        pl.Float64,
    ),
}  # fmt: skip
"""One row per forecast that was made: what is counted of it. Null: it has none.

period: the day (days since 1970-01-01) or block in which it was made; outcome_period: that in which its outcome arrived.
moved, apart: sums over its revisions of |q − g| − |p − g| and |q − g|, of an agent that went from q to p with peers at g.
length: characters of all its statements; call_tokens, call_ms: means over its calls; tokens, ms, micro_usd: sums.
"""


def checked(record: pl.DataFrame) -> pl.DataFrame:
    """`record` with the columns of RECORD. Raises AnalysisError for one that is absent or of another kind."""
    if absent := [name for name in RECORD if name not in record.columns]:
        raise AnalysisError(f"the record lacks {', '.join(absent)}: it needs the columns {', '.join(RECORD)}")
    try:
        return record.select(pl.col(name).cast(kind) for name, kind in RECORD.items())
    except pl.exceptions.PolarsError as error:
        raise AnalysisError(f"the record has a column of another kind than RECORD says: {error}") from error


def values(record: pl.DataFrame, signal: Signal) -> pl.DataFrame:
    """configuration, period, value, below, forecasts: of every period that has a value, in order.

    `below`: the sum that the value is divided by, its weight where periods are put together.

    >>> import polars as pl
    >>> from coordeval.analysis.monitor import BY_NAME, RECORD, values
    >>> rows = [{"configuration": "debate", "period": d, "failed": f} for d, f in ((0, 0.0), (0, 1.0), (1, 0.0))]
    >>> values(pl.DataFrame(rows, schema=RECORD), BY_NAME["failed"]).rows()
    [('debate', 0, 0.5, 2.0, 2), ('debate', 1, 0.0, 1.0, 1)]
    """
    top, below = pl.col(signal.top), pl.lit(1.0) if signal.below is None else pl.col(signal.below)
    period = pl.col("outcome_period" if signal.kind == "outcome" else "period")
    if signal.log:
        top = top.log1p()
    rows = (
        record.lazy()
        .select("configuration", period.alias("period"), top.alias("top"), below.alias("below"))
        .filter(pl.all_horizontal(pl.col("period", "top", "below").is_not_null()), pl.col("below") > 0)
        .sort("configuration", "period")
        .with_columns(group=pl.struct("configuration", "period").rle_id())
        .collect()
    )
    group = rows["group"].to_numpy()
    forecasts = np.bincount(group)
    begins = np.cumsum(forecasts) - forecasts
    tops = _sums(rows["top"].to_numpy(), group, begins)
    belows = forecasts.astype(np.float64) if signal.below is None else _sums(rows["below"].to_numpy(), group, begins)
    found = {
        "configuration": rows["configuration"].gather(begins),
        "period": rows["period"].gather(begins),
        "value": tops / belows,
        "below": belows,
        "forecasts": forecasts,
    }
    # rounded, because equal values are ordered at random, and one bit is no difference
    return pl.DataFrame(found).with_columns(pl.col("value", "below").round_sig_figs(12))


def _sums(values: Floats, group: Ints, begins: Ints) -> Floats:
    """The sum of each group, the same bits whatever the order of the rows, which decides the last bits of a sum, and
    whatever the threads, by which polars splits a group into parts that it adds.
    """
    if not begins.size:
        return np.empty(0)
    return np.asarray(np.add.reduceat(values[np.lexsort((values, group))], begins), np.float64)


def extremes(
    record: pl.DataFrame, signal: Signal, configuration: str, periods: tuple[int, int], *, up: bool, n: int
) -> list[str]:
    """Ids of the `n` forecasts of these periods (both included) in which the signal is highest, or lowest."""
    top, below = pl.col(signal.top), pl.lit(1.0) if signal.below is None else pl.col(signal.below)
    period = pl.col("outcome_period" if signal.kind == "outcome" else "period")
    rows = record.filter(period.is_between(*periods), configuration=configuration)
    rows = rows.select("forecast_id", ratio=pl.when(below > 0).then(top / below)).drop_nulls()
    return rows.sort("ratio", "forecast_id", descending=[up, False])["forecast_id"].head(n).to_list()
