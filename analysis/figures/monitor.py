"""One signal of the monitor as a small chart: its periods, what they are compared with, and its alarms."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from coordeval.analysis.base.numerals import number
from coordeval.analysis.figures.style import BAND, INK, MUTED, WARN, Look, Picture, canvas, plain
from coordeval.analysis.monitor import BY_NAME, Alarm, label, says
from coordeval.analysis.monitor.watching import Path

_HEIGHT = 250


def signal_over_time(
    path: Path,
    alarms: Sequence[Alarm],
    look: Look,
    *,
    configuration: str,
    signal: str,
    by: str,
    simulated: bool,
    says_now: str,
) -> Picture:
    """The value of each period. Shaded: the baseline. A dotted line: when a change began, a cross: when it was told."""
    own = BY_NAME[signal]
    at = [date(1970, 1, 1) + timedelta(days=int(p)) if by == "day" else int(p) + 1 for p in path.periods]
    unit = f", {own.unit}" if own.unit else ""
    figure = canvas(f"{own.title}{unit}", says_now, simulated=simulated, height=_HEIGHT)
    figure.update_layout(title={"font": {"size": 13}}, showlegend=False, margin={"l": 50, "r": 14, "t": 66, "b": 40})
    figure.update_annotations(named="simulated", xshift=0, yshift=5)  # beside the title
    figure.add_scatter(
        x=at, y=path.values, mode="lines+markers", line={"color": look.color, "width": 1.2}, marker={"size": 3},
        hovertemplate="%{x}: %{y:,.4g}<extra>" + plain(configuration) + "</extra>",
    )  # fmt: skip
    for first, last in _stretches(path.watched == 0):
        figure.add_vrect(x0=at[first], x1=at[last], fillcolor=BAND, opacity=0.45, line={"width": 0}, layer="below")
    places = {int(period): place for place, period in enumerate(path.periods)}
    for alarm in alarms:
        color = WARN if alarm.state == "open" else MUTED
        since, raised = places.get(alarm.since), places.get(alarm.raised)
        if since is None or raised is None:  # told from rows that have been replaced since
            continue
        figure.add_vline(x=at[since], line={"color": color, "width": 1.5, "dash": "dot"})
        figure.add_scatter(
            x=[at[raised]], y=[path.values[raised]], mode="markers",
            marker={"symbol": "x", "size": 10, "color": color, "line": {"width": 1, "color": INK}},
            text=[plain(says(alarm, by))], hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(rangemode="tozero" if np.all(path.values >= 0) else "normal", nticks=4, title=None)
    figure.update_xaxes(nticks=5, title=None)
    alt = (
        f"{own.title} of {configuration} in {len(at)} periods, {label(by, int(path.periods[0]))} to "
        f"{label(by, int(path.periods[-1]))}: between {number(float(path.values.min()), own.digits)} and "
        f"{number(float(path.values.max()), own.digits)}{unit}. {says_now}. " + " ".join(f"{says(a, by)}." for a in alarms)
    )
    caption = " ".join(f"{says(alarm, by)}." for alarm in alarms)
    return Picture(f"monitor-{signal}", own.title, figure.figure(), caption, alt)


def _stretches(mask: np.ndarray) -> list[tuple[int, int]]:
    """First and last position of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return [(int(first), int(last) - 1) for first, last in zip(edges[::2], edges[1::2], strict=True)]
