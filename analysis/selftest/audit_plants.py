"""Faults put into a simulated study at a known rate: what the audit has to find, and the diagnosis to name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from coordeval.analysis.selftest.audit_world import AGENTS, DEBATE, ENSEMBLE, REPORTS, Frames

Which = pl.Expr
"""Whether a row belongs to a forecast that is chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """One fault. `put` changes the frames of the chosen forecasts; `of`: the configurations that can have it."""

    rule: str
    """The rule that has to find it."""
    about: str
    put: Callable[[Frames, Which], Frames]
    of: tuple[str, ...] = (ENSEMBLE, DEBATE, REPORTS)
    first_cause: bool = True
    """Whether one forecast alone can have it, so that a diagnosis can name it."""


def planted(frames: Frames, plant: Plant, rate: float, *, seed: int = 0) -> tuple[Frames, set[str]]:
    """The frames with the fault in about `rate` of the forecasts that can have it, and the ids of those."""
    rng = np.random.default_rng([seed, len(plant.rule), sum(map(ord, plant.rule))])
    able = frames["forecasts"].filter(pl.col("configuration").is_in(list(plant.of)))["forecast_id"].to_list()
    chosen = [one for one in able if rng.random() < rate]
    return plant.put(dict(frames), pl.col("forecast_id").is_in(chosen)), set(chosen)


def _set(frame: str, **columns: Any) -> Callable[[Frames, Which], Frames]:
    """Sets columns of a frame's rows of the chosen forecasts; `when` is a further condition on the row."""
    when = columns.pop("when", pl.lit(True))

    def put(frames: Frames, which: Which) -> Frames:
        values = {name: value if isinstance(value, pl.Expr) else pl.lit(value) for name, value in columns.items()}
        old = frames[frame]
        new = [
            pl.when(which & when).then(value).otherwise(pl.col(name)).cast(old.schema[name], strict=False).alias(name)
            for name, value in values.items()
        ]
        return frames | {frame: old.with_columns(new)}

    return put


def _last_round(say: Callable[[pl.DataFrame], pl.Expr]) -> Callable[[Frames, Which], Frames]:
    """Sets the critics' estimates, from columns first (the group's first mean), lead (agent 0's first) and outcome."""

    def put(frames: Frames, which: Which) -> Frames:
        begun = frames["asks"].filter(pl.col("round") == 0, pl.col("kind") == "estimate").group_by("forecast_id")
        known = begun.agg(first=pl.col("probability").mean(), lead=pl.col("probability").sort_by("agent").first())
        known = known.join(frames["forecasts"].select("forecast_id", "outcome"), on="forecast_id", how="left")
        asks = frames["asks"].join(known, on="forecast_id", how="left", maintain_order="left")
        critics = which & (pl.col("role") == "critic")
        moved = pl.when(critics).then(say(asks).clip(0.001, 0.999)).otherwise(pl.col("probability"))
        asks = asks.with_columns(probability=moved).drop("first", "lead", "outcome")
        return _pooled(frames | {"asks": asks}, which)

    return put


def _pooled(frames: Frames, which: Which) -> Frames:
    """The chosen debates' forecasts, as the median of their last round again."""
    last = frames["asks"].filter(pl.col("role") == "critic").group_by("forecast_id").agg(pool=pl.col("probability").median())
    made = frames["forecasts"].join(last, on="forecast_id", how="left", maintain_order="left")
    value = pl.when(which & pl.col("pool").is_not_null()).then("pool").otherwise("probability")
    return frames | {"forecasts": made.with_columns(probability=value).drop("pool")}


def _alone(frames: Frames, which: Which) -> Frames:
    messages = frames["messages"]
    return frames | {"messages": messages.filter(~(which & (pl.col("from_ask") != pl.col("to_ask") - AGENTS)))}


def _repeated(frames: Frames, which: Which) -> Frames:
    again = frames["tool_calls"].filter(which).with_columns(position=pl.col("position") + 2)
    return frames | {"tool_calls": pl.concat([frames["tool_calls"], again])}


def _unsaid(frames: Frames, which: Which) -> Frames:
    lost = (
        frames["forecasts"]
        .filter(which)
        .select("forecast_id", from_ask=pl.lit(99), to_ask=pl.lit(100), statistic=pl.lit(None))
    )
    return frames | {"messages": pl.concat([frames["messages"], lost.cast(frames["messages"].schema)])}


def _broken(frames: Frames, which: Which) -> Frames:
    """Agent 1 agreed to what it said first; the chosen ones' then say something else."""
    first = frames["asks"].filter(pl.col("agent") == 0, pl.col("round") == 0).select("forecast_id", "probability")
    away = (pl.col("probability") + 0.3) % 1
    said = first.with_columns(agent=pl.lit(0), proposal=pl.lit(0), position=pl.lit("agreed"), within=pl.lit(0.02))
    said = said.with_columns(estimate=pl.when(which).then(away).otherwise("probability"), kept=~which)
    return frames | {"commitments": said}


def _no_word(frames: Frames, which: Which) -> Frames:
    parts = ("asks", "calls", "tool_calls", "messages", "reports")
    frames = frames | {name: frames[name].filter(~which) for name in parts}
    return _set("forecasts", probability=0.5)(frames, which)


def _other_day(frames: Frames, which: Which) -> Frames:
    later = pl.col("reading").str.replace(r"\d{4}-\d\d-\d\d", "2031-12-31")
    return _set("asks", reading=later, when=(pl.col("kind") == "estimate") & (pl.col("agent") == 0))(frames, which)


def _copied(frames: Frames, which: Which) -> Frames:
    """The price stands in place of every last estimate, and so in place of the forecast."""
    price = frames["forecasts"].select("forecast_id", "market_price")
    asks = frames["asks"].join(price, on="forecast_id", how="left", maintain_order="left")
    last = (pl.col("kind") == "estimate") & (pl.col("round") == pl.col("round").max().over("forecast_id"))
    value = pl.when(which & last).then("market_price").otherwise("probability")
    frames = frames | {"asks": asks.with_columns(probability=value).drop("market_price")}
    return _set("forecasts", probability=pl.col("market_price"))(frames, which)


def _lost_view(frames: Frames, which: Which) -> Frames:
    lost = (pl.col("from_ask") == 0) & (pl.col("to_ask") == AGENTS + 1)
    return frames | {"messages": frames["messages"].filter(~(which & lost))}


_MISQUOTED: Final = pl.format("Agent 2 says {}, which moves me.", ((pl.col("probability") + 0.5) % 1).round(2))
_DETAILS: Final = pl.col("tool") == "market_details"
_SEARCH: Final = pl.col("tool") == "search_evidence"
_FIRST: Final = pl.col("ask") == 1
_AWAY: Final = pl.col("probability") + 0.25 * (pl.col("first") - pl.col("outcome")).sign()

PLANTS: Final[Mapping[str, Plant]] = {
    "tool fails": Plant(rule="tool_failed", about="every call of a tool fails", put=_set("tool_calls", error=True, items=0)),
    "another market": Plant(
        rule="tool_other_market",
        about="the details are of another market",
        put=_set("tool_calls", question="Will something else happen?", when=_DETAILS),
    ),
    "empty search": Plant(rule="tool_empty", about="every search is empty", put=_set("tool_calls", items=0, when=_SEARCH)),
    "repeated result": Plant(rule="tool_repeated", about="an ask calls its tools twice", put=_repeated),
    "later document": Plant(
        rule="later_facts",
        about="a search gives a document of 2030",
        put=_set("tool_calls", last_date="2030-01-01", when=_SEARCH),
    ),
    "misreading": Plant(rule="misreading", about="one agent reads another deadline into the question", put=_other_day),
    "made-up figure": Plant(
        rule="unsupported_claim",
        about="a report states an amount that nothing holds",
        put=_set("reports", text="The budget is $987.65 million.", when=_FIRST),
        of=(REPORTS,),
    ),
    "nobody shown": Plant(rule="empty_peers", about="a revision sees its own words only", put=_alone, of=(DEBATE,)),
    "herding": Plant(
        rule="early_convergence",
        about="critics all say the group's mean",
        put=_last_round(lambda _: pl.col("first")),
        of=(DEBATE,),
    ),
    "anchoring": Plant(
        rule="first_mover",
        about="critics all say what agent 1 said first",
        put=_last_round(lambda _: pl.col("lead")),
        of=(DEBATE,),
    ),
    "led astray": Plant(
        rule="moves_away", about="talk moves the group 0.25 from the outcome", put=_last_round(lambda _: _AWAY), of=(DEBATE,)
    ),
    "broken commitment": Plant(
        rule="commitment_broken",
        about="an agent agrees to a number and gives another",
        put=_broken,
        of=(DEBATE,),
    ),
    "misquote": Plant(
        rule="drift",
        about="a critic has a peer at a number that it never said",
        put=_set("asks", rationale=_MISQUOTED, when=(pl.col("role") == "critic") & (pl.col("agent") == 0)),
        of=(DEBATE,),
    ),
    "lost view": Plant(rule="drift", about="one critic is not shown what all others were", put=_lost_view, of=(DEBATE,)),
    "cut off": Plant(
        rule="truncated_replies",
        about="a reply ends at the output cap",
        put=_set("calls", stop_reason="max_tokens", when=_FIRST),
    ),
    "price copied": Plant(rule="repeats_price", about="the forecast is the price", put=_copied),
    "stand-in": Plant(rule="silent_fallback", about="nobody spoke, and 0.5 stands", put=_no_word),
    "wrong pool": Plant(
        rule="scores_disagree",
        about="the forecast is not what its last round pools to",
        put=_set("forecasts", probability=(pl.col("probability") + 0.2).clip(0.001, 0.999) - 0.001),
        of=(ENSEMBLE, DEBATE),
    ),
    "never said": Plant(rule="broken_record", about="a message shows what nobody said", put=_unsaid),
}
"""What is planted, by the name that tables use."""
