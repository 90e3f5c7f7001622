"""What an audit looks at: the stored rows of one study as frames, read once. Rules ask these frames and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

import polars as pl

from coordeval.analysis.control import Control

_TIME: Final = pl.Datetime("us", "UTC")
_TEXT, _WHOLE, _REAL = pl.String, pl.Int64, pl.Float64

FRAMES: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "forecasts": {
            **dict.fromkeys(("forecast_id", "configuration", "market_id", "event_id"), _TEXT),
            "replicate": _WHOLE,
            "status": _TEXT,
            "probability": _REAL,
            "reason": _TEXT,
            "outcome": _WHOLE,
            "market_price": _REAL,
            "as_of": _TIME,
            "model_calls": _WHOLE,
        },
        "asks": {
            "forecast_id": _TEXT,
            **dict.fromkeys(("ask", "agent", "round"), _WHOLE),
            **dict.fromkeys(("role", "kind"), _TEXT),
            "probability": _REAL,
            **dict.fromkeys(("reading", "rationale"), _TEXT),
        },
        "calls": {
            "forecast_id": _TEXT,
            **dict.fromkeys(("ask", "turn"), _WHOLE),
            **dict.fromkeys(("draw_id", "request_id", "stop_reason"), _TEXT),
        },
        "tool_calls": {
            "forecast_id": _TEXT,
            **dict.fromkeys(("ask", "turn", "position"), _WHOLE),
            **dict.fromkeys(("tool", "result_key", "question", "last_date"), _TEXT),
            "items": _WHOLE,
            "error": pl.Boolean,
        },
        "messages": {"forecast_id": _TEXT, "from_ask": _WHOLE, "to_ask": _WHOLE, "statistic": _TEXT},
        "commitments": {
            "forecast_id": _TEXT,
            **dict.fromkeys(("agent", "proposal"), _WHOLE),
            "position": _TEXT,
            **dict.fromkeys(("probability", "within", "estimate"), _REAL),
            "kept": pl.Boolean,
        },
        "markets": {
            **dict.fromkeys(("market_id", "event_id", "question"), _TEXT),
            **dict.fromkeys(("as_of", "scheduled_close", "resolved_at"), _TIME),
        },
        "prompts": {"market_id": _TEXT, "block": _TEXT, "draw_id": _TEXT},
        "reports": {"forecast_id": _TEXT, "ask": _WHOLE, "text": _TEXT, "seen": _TEXT},
        "published": {
            **dict.fromkeys(("configuration", "market_id"), _TEXT),
            "probability": _REAL,
            "failure": _TEXT,
            "outcome": _WHOLE,
        },
        "scores": {"configuration": _TEXT, "measure": _TEXT, "value": _REAL},
    }
)
"""Frame -> column -> type.

- `forecasts`: one row per forecast that was made; market_price (of YES) as it was shown, null where none was.
- `asks`: what each agent said: kind is estimate, report or failed.
- `calls`: the model's replies, one row per turn of an ask.
- `tool_calls`: result_key is a hash of the result, question the one that it names, last_date the latest day that it is of.
- `messages`: the statement of from_ask was shown in to_ask; as part of a number only, statistic is its text.
- `commitments`: where an agent stands on a proposal in the end; kept is null where nothing bound it or it said no more.
- `prompts`: the distinct texts about a market at the head of its prompts, with one draw that has it.
- `reports`: a text without a probability, and everything that its author was shown.
- `published`, `scores`: what was published beside the rows: forecasts with the failure behind them, and figures.
"""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The frames of `FRAMES`, with all of their columns; `evidence` makes it from whatever there is."""

    study: Mapping[str, Any] = field(default_factory=dict)
    """name, study_id, simulated; what a reader is told it is about."""
    elements: Mapping[str, Any] = field(default_factory=dict)
    """Configuration -> its declared elements."""
    control: Control | None = None
    forecasts: pl.DataFrame
    asks: pl.DataFrame
    calls: pl.DataFrame
    tool_calls: pl.DataFrame
    messages: pl.DataFrame
    commitments: pl.DataFrame
    markets: pl.DataFrame
    prompts: pl.DataFrame
    reports: pl.DataFrame
    published: pl.DataFrame
    scores: pl.DataFrame
    absent: tuple[str, ...] = ()
    """Columns that the stored rows lack, or hold in another type: "tool_calls.question"."""

    @cached_property
    def cells(self) -> pl.DataFrame:
        """forecast_id, configuration, market_id, event_id, replicate: where a forecast stands."""
        names = ("forecast_id", "configuration", "market_id", "event_id", "replicate")
        return self.forecasts.select(names).unique("forecast_id", keep="first", maintain_order=True)

    @cached_property
    def said(self) -> pl.DataFrame:
        """The asks with their cell's columns, each ask once, in the order of asking."""
        once = self.asks.unique(["forecast_id", "ask"], keep="first", maintain_order=True)
        return once.join(self.cells, on="forecast_id").sort("configuration", "market_id", "replicate", "forecast_id", "ask")

    @cached_property
    def used(self) -> pl.DataFrame:
        """The tool calls with their cell's columns, the market's question, and whether each told anything.

        Added: asked (the market's question), other (the result names another one), empty, repeated (the ask had that very
        result before), useful (none of these, and no error).
        """
        asked = self.markets.select("market_id", asked="question").unique("market_id", keep="first")
        rows = self.tool_calls.join(self.cells, on="forecast_id", how="left").join(asked, on="market_id", how="left")
        rows = rows.sort("forecast_id", "ask", "turn", "position")
        error = pl.col("error").fill_null(False)
        other = _same_words("question") != _same_words("asked")
        told = pl.col("items").fill_null(1) > 0
        before = pl.struct("forecast_id", "ask", "tool", "result_key").is_first_distinct().not_()
        rows = rows.with_columns(error=error, other=other.fill_null(False) & ~error, empty=~told & ~error)
        rows = rows.with_columns(repeated=before & pl.col("result_key").is_not_null() & ~pl.col("empty") & ~pl.col("error"))
        return rows.with_columns(useful=~pl.any_horizontal("error", "other", "empty", "repeated"))

    def one(self, forecast_id: str) -> "Evidence":
        """The rows of one forecast, and the facts of its market."""
        from dataclasses import replace

        market = self.forecasts.filter(pl.col("forecast_id") == forecast_id)["market_id"]
        parts = {
            name: getattr(self, name).filter(pl.col("forecast_id") == forecast_id)
            for name, columns in FRAMES.items()
            if "forecast_id" in columns
        }
        parts |= {
            name: getattr(self, name).filter(pl.col("market_id").is_in(market.implode())) for name in ("markets", "prompts")
        }
        return replace(self, **parts)


def evidence(
    frames: Mapping[str, pl.DataFrame],
    *,
    study: Mapping[str, Any] = MappingProxyType({}),
    elements: Mapping[str, Any] = MappingProxyType({}),
    control: Control | None = None,
) -> Evidence:
    """Evidence from frames by name: those that are not there are empty, columns that are not there are null.

    Nothing is refused here: what is absent or of another kind is listed in `absent`, and is a finding.

    >>> import polars as pl
    >>> from coordeval.analysis.audit import evidence
    >>> found = evidence({"messages": pl.DataFrame({"forecast_id": ["f1"], "from_ask": [0]})})
    >>> found.messages.row(0), found.absent
    (('f1', 0, None, None), ('messages.to_ask', 'messages.statistic'))
    """
    absent: list[str] = []
    whole: dict[str, pl.DataFrame] = {}
    for name, columns in FRAMES.items():
        given = frames.get(name)
        if given is None:
            whole[name] = pl.DataFrame(schema=dict(columns))
            continue
        made: list[pl.Expr] = []
        for column, kind in columns.items():
            there = column in given.columns
            wrong = there and given[column].null_count() != given[column].cast(kind, strict=False).null_count()
            if not there or wrong:
                absent.append(f"{name}.{column}")
            made.append((pl.col(column).cast(kind, strict=False) if there else pl.lit(None, kind)).alias(column))
        whole[name] = given.select(made)
    return Evidence(study=study, elements=elements, control=control, absent=tuple(absent), **whole)


def _same_words(column: str) -> pl.Expr:
    """A question without what a page or a prompt does to it: entities, case, blanks and punctuation."""
    plain = pl.col(column).str.replace_all(r"&(amp|lt|gt|quot|#x?[0-9a-fA-F]+);", " ")
    return plain.str.to_lowercase().str.replace_all(r"[\W_]+", "")
