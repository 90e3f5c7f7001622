"""A configuration drawn as a graph: a box for each role, an arrow from who spoke to whom it was shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final
from urllib.parse import quote

from coordeval.analysis.figures.style import DARK, FONT, INK, MUTED, PAPER

_WIDTH: Final = 204
_HEIGHT: Final = 44
_GAP: Final = 24
_BELOW: Final = 26
_SIDE: Final = 44
"""Room for arrows that go round."""
_DECIDES: Final = "forecast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One role, or the forecast in the end; x and y are of its upper left corner."""

    role: str
    about: str
    """What it answers, or how the forecast is made."""
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Boxes in rows from top to bottom, as roles come after one another, and arrows between them."""

    boxes: tuple[Box, ...]
    arrows: tuple[tuple[str, str], ...]
    """Who spoke, who was shown it; a role that is shown what its own kind said has an arrow to itself."""
    width: float
    height: float
    words: str
    """The same in a sentence, for whoever cannot see it."""


def topology(elements: Mapping[str, Any] | None) -> Drawing | None:
    """The graph of the `elements` that a configuration declares; None where they are not a graph (text, or not declared).

    >>> from coordeval.analysis.figures.topology import topology
    >>> drawn = topology({
    ...     "endpoints": [{"role": "forecaster", "answers": "estimate"}, {"role": "critic", "answers": "estimate"}],
    ...     "topology": [["forecaster", "critic"], ["critic", "critic"]], "aggregation": "median of the last round",
    ... })
    >>> drawn.words
    'forecaster (estimate) is shown to critic; critic (estimate) to critic; then the forecast: median of the last round.'
    """
    roles = _roles(elements)
    if elements is None or roles is None:
        return None
    edges = [(str(a), str(b)) for a, b in elements.get("topology") or () if str(a) in roles and str(b) in roles]
    rows = [*_rows(list(roles), edges), [_DECIDES]]
    how = str(elements.get("aggregation") or "not declared")
    how = "the answer as it is" if how == "none" else how
    widest = max(map(len, rows))
    boxes = tuple(
        Box(
            role=role,
            about=roles.get(role, how),
            x=_SIDE + (k + (widest - len(row)) / 2) * (_WIDTH + _GAP),
            y=place * (_HEIGHT + _BELOW),
        )
        for place, row in enumerate(rows)
        for k, role in enumerate(row)
    )
    speaking = {a for a, b in edges if a != b}
    last = [role for role in roles if role not in speaking]
    return Drawing(
        boxes=boxes,
        arrows=(*edges, *((role, _DECIDES) for role in last)),
        width=2 * _SIDE + widest * (_WIDTH + _GAP) - _GAP,
        height=len(rows) * (_HEIGHT + _BELOW) - _BELOW,
        words=_words(roles, edges, how),
    )


def svg(drawing: Drawing, *, label: str) -> str:
    """The drawing as SVG in the colours of the page it stands in (`--ink`, `--muted`, `--line`); text of data is escaped."""
    of = {box.role: box for box in drawing.boxes}
    key = "arrow"  # every drawing defines the same one
    parts = [
        f'<svg class="topology" viewBox="-2 -2 {drawing.width + 4:g} {drawing.height + 4:g}" '
        f'style="max-width: {drawing.width:g}px" role="img" aria-label="{escape(f"{label}: {drawing.words}")}">',
        f'<defs><marker id="{key}" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0 8 4 0 8z" style="fill: var(--muted)"/></marker></defs>',
    ]
    parts += [_arrow(of[a], of[b], key) for a, b in drawing.arrows]
    parts += [_box(box) for box in drawing.boxes]
    return "".join([*parts, "</svg>"])


def image(drawing: Drawing, *, label: str, dark: bool) -> str:
    """The drawing as a picture of its own, which holds its colours and letters: SVG as an address that begins with data:."""
    text = svg(drawing, label=label)
    for name, color in (("ink", INK), ("muted", MUTED), ("paper", PAPER)):
        text = text.replace(f"var(--{name})", DARK[color] if dark else color)
    own = f'xmlns="http://www.w3.org/2000/svg" width="{drawing.width:g}" height="{drawing.height:g}"'
    letters = f'font-family="{escape(FONT)}" font-size="13" fill="{DARK[INK] if dark else INK}"'
    return "data:image/svg+xml," + quote(text.replace("<svg ", f"<svg {own} {letters} ", 1))


def _roles(elements: Mapping[str, Any] | None) -> dict[str, str] | None:
    """Role -> what it answers, in the order declared; None where endpoints or edges are words."""
    ends = (elements or {}).get("endpoints")
    edges = (elements or {}).get("topology")
    if not isinstance(ends, Sequence) or isinstance(ends, str) or not isinstance(edges, Sequence) or isinstance(edges, str):
        return None
    if not all(isinstance(end, Mapping) and "role" in end for end in ends):
        return None
    return {str(end["role"]): str(end.get("answers", "")) for end in ends}


def _rows(roles: list[str], edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """A role stands below all that speak to it; an arrow back to an earlier role does not move that one."""
    depth: dict[str, int] = {}
    for role in roles:
        earlier = [depth[a] for a, b in edges if b == role and a in depth and a != role]
        depth[role] = max(earlier, default=-1) + 1
    return [[role for role in roles if depth[role] == at] for at in range(max(depth.values(), default=-1) + 1)]


def _words(roles: Mapping[str, str], edges: Sequence[tuple[str, str]], how: str) -> str:
    if not roles:
        return f"nobody is asked; the forecast: {how}."
    if not edges:
        return f"{', '.join(roles)}: nobody is shown what another said; then the forecast: {how}."
    said: list[str] = []
    for role, answers in roles.items():
        if shown := [b for a, b in edges if a == role]:
            verb = "is shown to" if not said else "to"
            said.append(f"{role} ({answers}) {verb} {' and '.join(shown)}")
    return f"{'; '.join(said)}; then the forecast: {how}."


def _box(box: Box) -> str:
    decides = box.role == _DECIDES
    shape = (
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="{22 if decides else 5}" '
        f'style="fill: var(--paper); stroke: var(--{"muted" if decides else "ink"}); stroke-width: 1.4"/>'
    )
    middle = box.x + _WIDTH / 2
    whole = escape(box.about)
    lines = _text(middle, box.y + 18, "font-weight: 600", _cut(box.role, 25)) + _text(
        middle, box.y + 34, "fill: var(--muted)", _cut(box.about, 26)
    )
    return f"<g><title>{escape(box.role)}: {whole}</title>{shape}{lines}</g>"


def _text(x: float, y: float, style: str, text: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="middle" style="{style}">{text}</text>'


def _arrow(a: Box, b: Box, marker: str) -> str:
    style = 'style="fill: none; stroke: var(--muted); stroke-width: 1.6"'
    half, right = _HEIGHT / 2, a.x + _WIDTH
    if a is b:  # out at the right and back: it is shown what others of its role said
        out = right + _SIDE * 0.75
        path = f"M{right:g} {a.y + 10:g} C{out:g} {a.y + 4:g} {out:g} {a.y + 40:g} {right + 1:g} {a.y + 34:g}"
    elif 0 < b.y - a.y < _HEIGHT + _BELOW + 1:
        path = f"M{a.x + _WIDTH / 2:g} {a.y + _HEIGHT:g} L{b.x + _WIDTH / 2:g} {b.y - 1:g}"
    elif b.y > a.y:  # round what stands between, at the left
        out = a.x - _SIDE * 0.9
        path = f"M{a.x:g} {a.y + half:g} C{out:g} {a.y + half:g} {out:g} {b.y + half:g} {b.x - 1:g} {b.y + half:g}"
    else:  # back, at the right
        out = right + _SIDE * 0.9
        path = (
            f"M{right:g} {a.y + half:g} C{out:g} {a.y + half:g} {out:g} {b.y + half:g} {b.x + _WIDTH + 1:g} {b.y + half:g}"
        )
    return f'<path d="{path}" marker-end="url(#{marker})" {style}/>'


def _cut(text: str, most: int) -> str:
    return escape(text if len(text) <= most else f"{text[: most - 1]}…")
