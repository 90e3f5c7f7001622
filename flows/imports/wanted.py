"""What a user says about forecasts that come in: every rule that could change a number is stated, none is guessed."""

import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from coordeval.flows.study.names import RULE, allowed
from coordeval.market_data.errors import CoordevalError, choose

Scale = Literal["fraction", "percent"]
Duplicates = Literal["refuse", "first", "last", "replicates"]
OnePrice = Literal["refuse", "first", "last"]


class ImportRefused(CoordevalError, ValueError):
    """Forecasts that break a rule; the message says which rows, and what would let them in. Nothing was stored."""


FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "question_id": ("question_id", "market_id", "market", "post_id", "task_id", "id"),
    "forecaster": ("forecaster", "configuration", "model", "model_name", "bot", "bot_name", "agent", "user", "username"),
    "probability": (
        *("probability", "forecast", "prediction", "p", "prob", "p_yes", "probability_yes", "predicted_probability"),
        *("probability_percent", "forecast_percent", "percent", "probability_pct", "forecast_pct"),
    ),
    "outcome": ("outcome", "resolved_to", "resolution", "y"),
    "date": (
        *("date", "forecast_date", "forecast_at", "forecasted_at", "as_of", "timestamp", "time", "created_at"),
        *("forecast_time", "submitted_at", "forecast_due_date"),
    ),
    "market_price": ("market_price", "price", "market_probability", "community_prediction", "crowd", "market_price_percent"),
    "event": ("event", "event_id", "group", "group_id", "cluster", "event_ticker"),
    "category": ("category", "topic", "domain", "tag"),
    "replicate": ("replicate", "run", "run_id", "epoch", "sample", "seed", "trial"),
    "cost_usd": ("cost_usd", "cost", "usd", "price_usd", "total_cost"),
    "input_tokens": ("input_tokens", "prompt_tokens", "tokens_in"),
    "output_tokens": ("output_tokens", "completion_tokens", "tokens_out"),
    "total_tokens": ("total_tokens", "tokens"),
    "seconds": ("seconds", "duration", "duration_seconds", "elapsed", "latency", "time_seconds"),
    "rationale": ("rationale", "reasoning", "explanation", "comment"),
    "reason": ("reason", "error", "failure"),
    "question": ("question", "question_text", "question_title", "title"),
    "description": ("description", "background", "resolution_criteria"),
    "url": ("url", "page_url", "link"),
    "opened_at": ("opened_at", "open_time", "opens_at", "open_date"),
    "closes_at": ("closes_at", "close_time", "close_date", "scheduled_close", "scheduled_close_time"),
    "resolved_at": (
        "resolved_at",
        "resolution_date",
        "resolve_time",
        "resolution_time",
        "actual_resolve_time",
        "resolved_time",
    ),
}
"""What a column can hold -> the names under which it is found: the first of them that is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How files or a frame are to be read. Raises ImportRefused for a choice that there is not."""

    name: str
    """Of the study."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Field -> the column that holds it, "" for none; what is not named is found by `FIELDS`."""
    format: str | None = None
    """A named reader; None: by what the file is."""
    wide: tuple[str, ...] = ()
    """Columns that hold one forecaster's probabilities each; ("*",): every column that is nothing else."""
    scale: Scale | None = None
    """Of probabilities and prices. None: percent where the column's name or every value says so, else a fraction."""
    timezone: str | None = None
    """Of times without a zone, such as Europe/Berlin. None: such a time is refused."""
    duplicates: Duplicates = "refuse"
    by_date: bool = False
    """Each date of a question is a market of its own; all of them are one event."""
    one_price: OnePrice = "refuse"
    """Which price is the question's where its rows have several."""
    decimal_comma: bool = False
    encoding: str | None = None
    questions: str | None = None
    """What the ids are ids of; imports that share it share their questions. None: the study's name."""
    forecaster: str | None = None
    """Who made all of them, where no column says."""
    skip_refused: bool = False
    """Set rows that are refused aside, and take the others."""
    simulated: bool = False

    def __post_init__(self) -> None:
        if not allowed(self.name):
            raise ImportRefused(f"--name {self.name!r}: {RULE}")
        for option, value, known in (
            ("scale", self.scale, (*get_args(Scale), None)),
            ("duplicates", self.duplicates, get_args(Duplicates)),
            ("price", self.one_price, get_args(OnePrice)),
        ):
            if value not in known:
                raise ImportRefused(f"--{option}: {choose('rule', str(value), [k for k in known if k])}")
        if unknown := [name for name in self.columns if name not in FIELDS]:
            raise ImportRefused(
                f"--column {unknown[0]}={self.columns[unknown[0]]}: {choose('field', unknown[0], list(FIELDS))}"
            )
        if self.timezone is not None:
            try:
                zoneinfo.ZoneInfo(self.timezone)
            except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
                raise ImportRefused(
                    f"--timezone {self.timezone!r}: there is no such zone; write UTC, or one such as Europe/Berlin"
                ) from error
        if self.questions is not None and not allowed(self.questions):
            raise ImportRefused(f"--questions {self.questions!r}: {RULE.replace('a study', 'a set of questions')}")

    @property
    def ids_of(self) -> str:
        return self.questions or self.name

    def rules(self) -> dict[str, object]:
        """What the study's hash is taken of beside the bytes."""
        chosen = {
            "columns": dict(self.columns),
            "wide": list(self.wide),
            "scale": self.scale,
            "timezone": self.timezone,
            "duplicates": self.duplicates,
            "by_date": self.by_date,
            "price": self.one_price,
            "decimal_comma": self.decimal_comma,
            "encoding": self.encoding,
            "questions": self.ids_of,
            "forecaster": self.forecaster,
            "skip_refused": self.skip_refused,
            "simulated": self.simulated,
        }
        return {name: value for name, value in chosen.items() if value not in (None, False, [], {}, "refuse")}


def mapped(pairs: list[str]) -> dict[str, str]:
    """`--column FIELD=COLUMN`, any number of times; a field may be called as a column that holds it is usually called.

    Raises ImportRefused for a field that is mapped twice or not a pair.
    """
    found: dict[str, str] = {}
    meant = {alias: field_ for field_, aliases in FIELDS.items() for alias in (*aliases, field_)}
    for pair in pairs:
        field_, equals, column = pair.partition("=")
        field_ = meant.get(field_, field_)
        if not equals:
            raise ImportRefused(
                f"--column {pair!r}: write FIELD=COLUMN, such as probability=p_yes; the fields: {', '.join(FIELDS)}"
            )
        if field_ in found:
            raise ImportRefused(
                f"--column: {field_} is mapped twice, to {found[field_]!r} and to {column!r}; a field has one column"
            )
        found[field_] = column
    return found
