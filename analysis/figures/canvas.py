"""A figure while it is drawn: plain dictionaries, handed to Plotly in one piece.

Plotly checks each property each time that one is set, which takes twenty times as long as all the rest. Here nothing is
checked; that every figure is one that Plotly takes is held by tests.
"""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

_NO_TEMPLATE = {"data": {"scatter": [{"type": "scatter"}]}}


class Canvas:
    """Takes what a `plotly.graph_objects.Figure` takes, by the same names, as far as the figures here need it."""

    def __init__(self, **layout: Any) -> None:
        self._data: list[dict[str, Any]] = []
        self._layout: dict[str, Any] = {"template": _NO_TEMPLATE, "annotations": [], "shapes": []}
        self.update_layout(**layout)

    def add_scatter(self, **trace: Any) -> None:
        self._data.append(_made({"type": "scatter", **trace}))

    def add_bar(self, **trace: Any) -> None:
        self._data.append(_made({"type": "bar", **trace}))

    def add_waterfall(self, **trace: Any) -> None:
        self._data.append(_made({"type": "waterfall", **trace}))

    def add_annotation(self, **annotation: Any) -> None:
        self._layout["annotations"].append(_made(annotation))

    def add_shape(self, **shape: Any) -> None:
        self._layout["shapes"].append(_made(shape))

    def add_vline(self, *, x: Any, **shape: Any) -> None:
        """From the foot to the head."""
        self.add_shape(type="line", x0=x, x1=x, y0=0, y1=1, xref="x", yref="y domain", **shape)

    def add_vrect(self, *, x0: Any, x1: Any, **shape: Any) -> None:
        """From the foot to the head."""
        self.add_shape(type="rect", x0=x0, x1=x1, y0=0, y1=1, xref="x", yref="y domain", **shape)

    def update_layout(self, **layout: Any) -> None:
        _merge(self._layout, layout)

    def update_xaxes(self, **axis: Any) -> None:
        _merge(self._layout, {"xaxis": axis})

    def update_yaxes(self, **axis: Any) -> None:
        _merge(self._layout, {"yaxis": axis})

    def update_annotations(self, *, named: str, **annotation: Any) -> None:
        for own in self._layout["annotations"]:
            if own.get("name") == named:
                _merge(own, annotation)

    def figure(self) -> go.Figure:
        return go.Figure(data=self._data, layout=self._layout, _validate=False)


def _merge(into: dict[str, Any], new: Mapping[str, Any]) -> None:
    """Dictionaries part by part, all else in place of what was there, None for nothing; what is handed in stays as it is."""
    for key, value in new.items():
        if isinstance(value, Mapping):
            own = into.get(key)
            into[key] = own if isinstance(own, dict) else {}
            _merge(into[key], value)
        elif value is None:
            into.pop(key, None)
        else:
            into[key] = list(value) if isinstance(value, tuple) else value


def _made(parts: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    _merge(made, parts)
    return made
