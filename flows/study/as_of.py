"""The rule for as-of: the moment that each market's forecasts are made for. A sample and a study use the same ones.

A rule looks at what was known at opening; `hours_before_resolution` alone looks at when the market in fact resolved, so a
study under it is marked as anchored on hindsight.
"""

import ast
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from coordeval.flows.study.ways import WAYS
from coordeval.market_data.errors import CoordevalError


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HoursBeforeClose(_Rule):
    """As of so many hours before the scheduled close, which is known at opening."""

    hours_before_close: float = Field(gt=0, allow_inf_nan=False)
    """Hours."""


class FractionOfLife(_Rule):
    """As of a fraction of the way from opening to the scheduled close, both known at opening."""

    fraction_of_life: float = Field(gt=0, lt=1)
    """Of the way from opening to the scheduled close."""


class HoursBeforeResolution(_Rule):
    """As of so many hours before the market in fact resolved: anchored on hindsight, and marked so in every result."""

    hours_before_resolution: float = Field(gt=0, allow_inf_nan=False)
    """Hours."""


Rule = AwareDatetime | HoursBeforeClose | FractionOfLife | HoursBeforeResolution
AsOf = Literal["source"] | Rule
"""A rule, or "source": the moment that the markets' source proposes; for a sample, the rule it was drawn by."""

_RULE: TypeAdapter[AsOf] = TypeAdapter(AsOf)


def moment(
    rule: AsOf,
    *,
    opened_at: datetime | None,
    scheduled_close: datetime | None,
    resolved_at: datetime | None,
    reference_time: datetime | None,
) -> tuple[datetime | None, str]:
    """(as-of, ""), or (None, what of the market is not known that the rule needs)."""
    match rule:
        case "source":
            return reference_time, "" if reference_time else "as-of time of its source's own"
        case datetime():
            return rule.astimezone(UTC), ""
        case HoursBeforeResolution(hours_before_resolution=hours):
            end, what = resolved_at, "resolution time"
        case HoursBeforeClose(hours_before_close=hours):
            end, what = scheduled_close, "scheduled close"
        case FractionOfLife(fraction_of_life=fraction):
            if opened_at is None or scheduled_close is None:
                return None, "opening time" if opened_at is None else "scheduled close"
            return opened_at + fraction * (scheduled_close - opened_at), ""
    try:
        return (None, what) if end is None else (end - timedelta(hours=hours), "")
    except OverflowError:
        return None, f"calendar so many hours before its {what}"


def plain(rule: AsOf) -> Any:
    """As a study file or a sample says it: a mapping of one key, or a date as text."""
    return rule.model_dump() if isinstance(rule, BaseModel) else rule.isoformat() if isinstance(rule, datetime) else rule


def restored(said: Any) -> AsOf:
    """The inverse of `plain`. Raises ValueError."""
    if not isinstance(said, (str, dict)):
        raise ValueError(f"{said!r} is neither a date nor a mapping")
    rule = _RULE.validate_python(said if isinstance(said, dict) or said == "source" else datetime.fromisoformat(said))
    return _on_the_calendar(rule) if isinstance(rule, datetime) else rule


_KEYS = {next(iter(rule.model_fields)): rule for rule in (HoursBeforeClose, FractionOfLife, HoursBeforeResolution)}
STUDY_WAYS = (
    '"source", a date such as 2026-01-31 (midnight in UTC) or 2026-01-31T12:00:00Z, { hours_before_close = 24 }, '
    "{ fraction_of_life = 0.5 } or { hours_before_resolution = 24 } (hindsight)"
)


def stated(said: object) -> Any:
    """The rule as a study file states it; a date without a time is its midnight in UTC. Raises ValueError, one sentence."""
    problem = "it is no rule"
    try:
        if said == "source" or isinstance(said, _Rule):
            return said
        if isinstance(said, (str, date)):
            return _dated(said)
        if isinstance(said, dict):
            if unknown := [key for key in said if key not in _KEYS]:
                problem = f"there is no rule {unknown[0]!r}"
            elif len(said) == 1:
                return _KEYS[next(iter(said))].model_validate(said)
            else:
                problem = f"it states {len(said)} rules"
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
    except ValueError as error:
        problem = str(error)
    raise ValueError(f"{problem}; write {STUDY_WAYS}")


def _dated(said: str | date) -> datetime:
    if isinstance(said, str):
        said = date.fromisoformat(said) if len(said) == len("2026-01-31") else datetime.fromisoformat(said)
    if not isinstance(said, datetime):
        return datetime.combine(said, time(), UTC)
    if said.tzinfo is None:
        raise ValueError(f"it has no timezone: {said.isoformat()}Z would be UTC")
    return _on_the_calendar(said)


def _on_the_calendar(at: datetime) -> datetime:
    try:
        at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("in UTC it lies outside of the calendar, which goes from year 1 to year 9999") from error
    return at


def rule_of(text: str) -> AsOf:
    """The rule as the command line gives it; a date without an offset is UTC. Raises CoordevalError with the ways."""
    key, equals, value = (part.strip() for part in text.strip().strip("{}").partition("="))
    try:
        if equals:
            return _RULE.validate_python({key: ast.literal_eval(value)})
        if key == "source":
            return "source"
        at = datetime.fromisoformat(key)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else _on_the_calendar(at).astimezone(UTC)
    except (ValidationError, ValueError, SyntaxError, MemoryError, RecursionError) as error:  # the last two: of literal_eval
        problem = _problem(error, key) if isinstance(error, ValidationError) else "it is no rule"
        raise CoordevalError(f"--as-of {text!r}: {problem}; give one of {WAYS}") from error


def _problem(error: ValidationError, key: str) -> str:
    own = [e for e in error.errors() if key in e["loc"] and e["type"] != "extra_forbidden"]
    return own[0]["msg"] if own else f"there is no rule {key!r}"


def hindsight(rule: AsOf) -> bool:
    """True where the moment depends on when the market resolved."""
    return isinstance(rule, HoursBeforeResolution)


def differences(study: Mapping[str, Any], sample: Mapping[str, Any]) -> list[str]:
    """In words, where a study says otherwise than the sample it uses: what was eligible then may not be so here."""
    return [
        f"{name} = {study[name]}, but the sample was drawn for {name} = {sample[name]}: what was eligible, and the price "
        "deciles it was drawn by, are those of the sample"
        for name in sample
        if None not in (study[name], sample[name]) and study[name] != sample[name]
    ]
