"""The page of a report, from its templates: complete in itself, and with everything from elsewhere escaped."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from coordeval.analysis.base.frames import nothing_scored
from coordeval.analysis.base.numerals import counted, number, usd, usd_places
from coordeval.analysis.figures import style
from coordeval.analysis.figures.reliability import CAPTION
from coordeval.analysis.figures.style import Picture
from coordeval.analysis.figures.topology import svg, topology
from coordeval.analysis.report.compiled import compiled_templates
from coordeval.analysis.report.sections import GROUPS
from coordeval.analysis.study.leaderboard import REFERENCE
from coordeval.analysis.words.headline import POLICIES
from coordeval.analysis.words.predictions import rule

if TYPE_CHECKING:
    from coordeval.analysis.report.page import Report

ELEMENTS: Final = ("endpoints", "topology", "authority", "synchronisation", "aggregation", "termination", "failure_handling")


def rendered(report: "Report") -> str:
    """The whole page as text."""
    from plotly.offline import get_plotlyjs

    return (
        templates()
        .get_template("report.html.j2")
        .render(
            report=report,
            rows=report.board.table.to_dicts(),
            results=report.results(),
            elements=ELEMENTS,
            declared=report.study["elements"],
            policies=POLICIES,
            nothing_scored=nothing_scored(report.board.policy),
            reference=REFERENCE,
            reliability_caption=CAPTION,
            style=style,
            groups=GROUPS,
            graphs={name: _graph(name, report.study["elements"].get(name)) for name in report.look},
            plotly_js=get_plotlyjs(),
            specs=specs((*report.pictures, *report.reliability, *report.arm_pictures)),
        )
    )


@cache
def templates() -> Environment:
    """Everything is escaped: market questions, reasons and names come from elsewhere."""
    found = Environment(
        loader=PackageLoader("coordeval.analysis.report"),
        bytecode_cache=compiled_templates(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"number": number, "usd": usd, "usd_places": usd_places}
    found.filters |= {
        "rule": rule,
        "pretty": _pretty,
        "indented": _indented,
        "table": _keyed,
        "named": _named,
        "counted": counted,
        "pairs": _pairs,
    }
    return found


def specs(pictures: Sequence[Picture]) -> str:
    """Name -> figure, as JSON that may stand in a script element: nothing in it ends one."""
    figures = {p.name: orjson.loads(p.figure.to_json(engine="orjson")) for p in pictures}
    # Sorted: the order in which a figure was put together is not kept with it, and says nothing.
    return (
        orjson.dumps(figures, option=orjson.OPT_SORT_KEYS)
        .decode()
        .replace("<", "\\u003c")
        .replace("\u2028", "\\u2028")
        .replace("\u2029", "\\u2029")
    )


def _graph(name: str, elements: Any) -> Markup | None:
    drawn = topology(elements if isinstance(elements, Mapping) else None)
    return None if drawn is None else Markup(svg(drawn, label=name))  # escaped where it is made


def _named(values: Sequence[Any]) -> dict[str, Any]:
    return {value.name: value for value in values}


def _keyed(rows: Sequence[Mapping[str, Any]], *keys: str) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    """Rows by the values of their keys."""
    return {tuple(row[key] for key in keys): row for row in rows}


def _pairs(rows: Sequence[Mapping[str, Any]], *keys: str) -> list[tuple[Any, ...]]:
    """The distinct values of the keys, in the order in which they come."""
    return list(dict.fromkeys(tuple(row[key] for key in keys) for row in rows))


def _pretty(value: Any) -> str:
    """A declared element as a reader wants it: text as it is, lists with commas, anything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return ", ".join(map(_pretty, value))
    return json.dumps(value, ensure_ascii=False)


def _indented(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)
