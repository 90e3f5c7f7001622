"""Drawings as SVG whose colours are names: a page sets them for light and dark, and a file of its own carries both."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any, Final

STYLE: Final = (
    "<style>svg{--ink:#1c2733;--soft:#5b6b7b;--paper:#fff;--fill:#e8eef5;--one:#1f5f9f;--two:#b4531a;--three:#2f7d4f}"
    "@media(prefers-color-scheme:dark){svg{--ink:#e4ebf3;--soft:#a3b2c2;--paper:#1e2129;--fill:#2c3645;--one:#8fc1f2;"
    "--two:#f0a878;--three:#8fd3a8}}</style>"
)
"""For a file that stands for itself. A page of the site names the same colours with more weight."""
FONT: Final = "font-family='system-ui,sans-serif'"


def svg(width: int, height: int, *parts: str, style: str = "") -> str:
    """A drawing of that many units; it takes the width that it is given, and no more than its own."""
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' {FONT}>{style}"
        f"<defs><marker id='head' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' markerHeight='7' orient='auto'>"
        f"<path d='M0 0 8 4 0 8z' style='fill:var(--soft)'/></marker></defs>{''.join(parts)}</svg>"
    )


def text(
    x: float, y: float, said: str, *, size: int = 13, colour: str = "ink", anchor: str = "middle", bold: bool = False
) -> str:
    weight = " font-weight='600'" if bold else ""
    set_as = f"font-size='{size}' text-anchor='{anchor}'{weight} style='fill:var(--{colour})'"
    return f"<text x='{x:g}' y='{y:g}' {set_as}>{escape(said)}</text>"


def box(
    x: float, y: float, width: float, height: float, *said: str, colour: str = "ink", fill: str = "fill", size: int = 13
) -> str:
    """A rectangle with lines of text in its middle; the corner is at (x, y)."""
    top = y + height / 2 - (len(said) - 1) * (size + 3) / 2 + size * 0.36
    lines = "".join(text(x + width / 2, top + i * (size + 3), line, size=size, colour=colour) for i, line in enumerate(said))
    return (
        f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' rx='6' "
        f"style='fill:var(--{fill});stroke:var(--{colour if colour != 'ink' else 'soft'})'/>{lines}"
    )


def arrow(x1: float, y1: float, x2: float, y2: float, *, colour: str = "soft", dashed: bool = False) -> str:
    dash = " stroke-dasharray='4 4'" if dashed else ""
    ends = f"x1='{x1:g}' y1='{y1:g}' x2='{x2:g}' y2='{y2:g}'"
    return f"<line {ends} marker-end='url(#head)' style='stroke:var(--{colour});stroke-width:1.5'{dash}/>"


def path(points: Sequence[tuple[float, float]], *, colour: str = "one", width: float = 2, dashed: bool = False) -> str:
    dash = " stroke-dasharray='4 4'" if dashed else ""
    at = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f"<polyline points='{at}' fill='none' style='stroke:var(--{colour});stroke-width:{width:g}'{dash}/>"


def dot(x: float, y: float, *, colour: str = "one", r: float = 4) -> str:
    return f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{r:g}' style='fill:var(--{colour})'/>"


def topology(endpoints: Sequence[dict[str, Any]], edges: Sequence[Sequence[str]]) -> str:
    """Who is shown what whom said: a box for each role, an arrow for each edge, a loop where it is shown its like."""
    wide, high, gap = 130, 44, 60
    roles = [e["role"] for e in endpoints]
    at = {role: 10 + i * (wide + gap) for i, role in enumerate(roles)}
    deepest = max((abs(roles.index(b) - roles.index(a)) for a, b in edges), default=0)
    top = 24 + 18 * max(deepest, 1)
    parts = [box(at[e["role"]], top, wide, high, e["role"], e["answers"], size=12) for e in endpoints]
    for a, b in edges:
        apart = roles.index(b) - roles.index(a)
        if apart == 1:
            parts.append(arrow(at[a] + wide, top + high / 2, at[b] - 2, top + high / 2))
            continue
        x1, x2 = at[a] + wide / 2 + (14 if apart >= 0 else -14), at[b] + wide / 2 - (14 if apart >= 0 else -14)
        lift = 26 if apart == 0 else 18 + 20 * math.sqrt(abs(apart))
        low = top + high if apart < 0 else top
        peak = low + lift if apart < 0 else low - lift
        parts.append(
            f"<path d='M{x1:g} {low:g} C{x1:g} {peak:g} {x2:g} {peak:g} {x2:g} {low:g}' fill='none' marker-end='url(#head)' "
            "style='stroke:var(--soft);stroke-width:1.5'/>"
        )
    return svg(20 + len(roles) * (wide + gap) - gap, round(top + high + 34), *parts)
