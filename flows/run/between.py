"""The certificate between arms: exactly what an arm declares differs, and anything else is named.

Two sources are held against what the study declares: the identities that forecasts are the hash of (model, settings,
evidence, the configurations themselves), and the bytes of the requests. Within an arm the certificate is `run.control`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from coordeval.analysis.base.arms import FACTORS, arms_table, differing
from coordeval.analysis.control import Between, Control
from coordeval.flows.run.control import control
from coordeval.ledger import Reader

_SETTINGS: Final[Mapping[str, str]] = {
    "model": "model",
    "max_tokens": "model",
    "tools": "tools",
    "tool_specs": "tools",
    "show_price": "show_price",
    "sampling": "sampling",
    "max_turns": "max_turns",
}
"""What of the settings in a forecast's identity belongs to which factor; anything else is held fixed in all arms."""
_BYTES: Final[Mapping[str, tuple[str, ...]]] = {
    "model": ("model",),
    "served model": ("model",),
    "sampling": ("sampling", "model"),
    "output cap": ("model",),
    "tools": ("tools",),
    "market block": ("show_price",),
    "price visibility": ("show_price",),
}
"""Field of the requests -> the factors that may change it."""
_HIDDEN: Final = ("evidence",)
"""What may be declared and change nothing: another search can find the same."""
_IDENTITIES: Final = """
    SELECT arm, configuration, identity->'$.model' AS model, identity->'$.settings' AS settings,
        identity->'$.configuration' AS declared, count(*) AS cells
    FROM cells WHERE study_id = $study AND arm IN ($first, $second) GROUP BY ALL
"""
_VIEWS: Final = """
    SELECT count(*) FROM (SELECT market_id FROM cells WHERE study_id = $study AND arm IN ($first, $second)
        GROUP BY market_id HAVING count(DISTINCT identity->>'$.market.view') > 1)
"""


def between(reader: Reader, study: str) -> tuple[Between, ...]:
    """Each arm of a study held against the first one; empty where there is one arm. Raises LedgerError for no such study."""
    found = reader.study(study)
    table = arms_table(found.content)
    first, *others = table["arm"].to_list()
    return tuple(_pair(reader, found.study_id, first, other, differing(table, first, other)) for other in others)


def between_two(reader: Reader, study: str, first: str, second: str) -> Between:
    """Two arms of a study held against each other. Raises AnalysisError for an arm that it does not have."""
    found = reader.study(study)
    return _pair(reader, found.study_id, first, second, differing(arms_table(found.content), first, second))


def _pair(reader: Reader, study: str, first: str, second: str, declared: tuple[str, ...]) -> Between:
    bound = {"study": study, "first": first, "second": second}
    with reader.moment([first, second]) as held:
        rows = held.query(_IDENTITIES, bound).to_dicts()
        views = held.query(_VIEWS, bound).item()
        both = control(held, study)
    arms = {row["arm"] for row in rows}
    if arms != {first, second}:
        return Between(first=first, second=second, declared=declared, differs=(), problems=(), held=None)
    problems = list(_within(rows))
    differs = dict.fromkeys(_settings(rows, first, problems))
    if views:
        differs["evidence"] = None
    if "model" in differs and "sampling" in differs and "sampling" not in declared:
        del differs["sampling"]  # what a model's own table says of it is the model's
    problems += [f"{name} differs, and the arm does not declare it" for name in differs if name not in declared]
    lacking = [name for name in declared if name not in differs and name not in _HIDDEN]
    problems += [f"{name} is declared to differ, and does not" for name in lacking]
    problems += _of_bytes(both, declared)
    order = [name for name in FACTORS if name in differs] + [name for name in differs if name not in FACTORS]
    return Between(
        first=first, second=second, declared=declared, differs=tuple(order), problems=tuple(problems), held=not problems
    )


def _within(rows: list[dict[str, Any]]) -> Iterator[str]:
    """One model and one set of settings in each arm, and one configuration under each label in both."""
    for arm in sorted({row["arm"] for row in rows}):
        own = [row for row in rows if row["arm"] == arm]
        for part in ("model", "settings"):
            if (many := len({row[part] for row in own})) > 1:
                yield f"{part}: {many} different ones in the arm {arm!r}, which has one"
    for label in sorted({row["configuration"] for row in rows}):
        if len({row["declared"] for row in rows if row["configuration"] == label}) > 1:
            yield f"configuration {label}: its code, roles or parameters differ"


def _settings(rows: list[dict[str, Any]], first: str, problems: list[str]) -> Iterator[str]:
    """The factors in which the identities of two arms differ; a setting that no arm may change is a problem."""
    one = next(row for row in rows if row["arm"] == first)
    other = next(row for row in rows if row["arm"] != first)
    if one["model"] != other["model"]:
        yield "model"
    was, now = orjson.loads(one["settings"] or "{}"), orjson.loads(other["settings"] or "{}")
    for name in sorted(was.keys() | now.keys()):
        if was.get(name) == now.get(name):
            continue
        if name in _SETTINGS:
            yield _SETTINGS[name]
        else:
            problems.append(f"settings.{name} differs, and no arm may change it")


def _of_bytes(both: Control, declared: tuple[str, ...]) -> Iterator[str]:
    """What differs in the requests of two arms without a declared factor that may change it."""
    for field in both.differences:
        if not set(_BYTES.get(field.name, ())) & set(declared):
            yield f"the requests differ in their {field.name}: {field.detail}"
