"""Figures are drawn in light colours; on a dark page each colour becomes its dark one, in one pass over the figure."""

import json
import re
from typing import Any, Final

import plotly.graph_objects as go

from coordeval.analysis.figures.style import DARK

_LIGHT: Final = re.compile("|".join(f'"{color}"' for color in DARK))


def drawn(figure: go.Figure, *, dark: bool) -> dict[str, Any]:
    """The figure as Plotly's JSON in the colours of the page."""
    text = figure.to_json()
    if dark:
        text = _LIGHT.sub(lambda found: f'"{DARK[found[0][1:-1]]}"', text)
    made: dict[str, Any] = json.loads(text)
    return made
