"""Dash's elements, untyped: their declared arguments leave no room for aria- and data- attributes."""

from typing import Any, TypeAlias

import dash

html: Any = dash.html
dcc: Any = dash.dcc
Component: TypeAlias = Any
"""An element of a page."""
