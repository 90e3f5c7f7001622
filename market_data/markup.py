"""Small pieces of HTML for a notebook's cell: what came from elsewhere is escaped, nothing in it runs."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from markupsafe import Markup

from coordeval.market_data.text import shown


def text(value: object, *, digits: int = 4) -> str:
    """How a value stands in a table: nothing for null, floats with `digits` decimals, times to the minute in UTC."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.{digits}f}"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M} UTC"
        case _:
            return shown(str(value))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, digits: int = 4) -> Markup:
    """A table with a heading; numbers stand to the right."""
    head = Markup("").join(Markup("<th scope='col'>{}</th>").format(name) for name in columns)
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(_cell(value, digits) for value in row)) for row in rows
    )
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, body)


def _cell(value: object, digits: int) -> Markup:
    side = "right" if isinstance(value, int | float) and not isinstance(value, bool) else "left"
    return Markup("<td style='text-align: {}'>{}</td>").format(side, text(value, digits=digits))


def listed(title: object, facts: Iterable[tuple[str, object]]) -> Markup:
    """A heading and its facts, one a line."""
    lines = Markup("").join(Markup("<li>{}: {}</li>").format(name, text(value)) for name, value in facts)
    return Markup("<strong>{}</strong><ul>{}</ul>").format(text(title), lines)
