"""Where axes begin and end, which ticks they carry, and the lines of equal Brier score."""

import math
from collections.abc import Sequence
from typing import Any

Box = tuple[float, float, float, float]
"""x0, x1, y0, y1."""


def padded(values: Sequence[float], fraction: float = 0.12, least: float = 1e-3) -> tuple[float, float]:
    """An axis range around the values, so that no marker touches the frame."""
    low, high = min(values), max(values)
    pad = max((high - low) * fraction, least)
    return low - pad, high + pad


def equal_brier(box: Box, unc: float) -> list[tuple[float, tuple[float, float], tuple[float, float]]]:
    """Lines of equal Brier score in the box (x0, x1, y0, y1): (Brier, start, end), by increasing Brier, 5 to 9 of them.

    On a line y = x + UNC − BS; its end is where it leaves the box, at the top or at the right.
    """
    x0, x1, y0, y1 = box
    best, worst = unc + x0 - y1, unc + x1 - y0
    step = round_step((worst - best) / 6)
    lines = []
    for k in range(math.ceil(best / step + 0.15), math.floor(worst / step - 0.15) + 1):
        level, shift = k * step, unc - k * step
        start, end = max(x0, y0 - shift), min(x1, y1 - shift)
        if start < end:
            lines.append((round(level, 6), (start, start + shift), (end, end + shift)))
    return lines


def round_step(rough: float) -> float:
    """The nearest of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return min((1, 2, 5, 10), key=lambda m: abs(m * power - rough)) * power


def decimals(step: float) -> int:
    """Decimal places that tell multiples of `step` apart."""
    return max(0, -math.floor(math.log10(step) + 1e-9))


def score_ticks(low: float, high: float, *, about: int = 5) -> dict[str, Any]:
    """Plotly settings of an axis for scores: a few round ticks, all with the same number of decimals."""
    step = round_step((high - low) / about)
    return {"range": (low, high), "tick0": 0, "dtick": step, "tickformat": f".{decimals(step)}f"}


def money_axis(costs: Sequence[float]) -> dict[str, Any]:
    """An axis for dollars: linear, or logarithmic where costs span more than a factor of 5; there $0 has its own column.

    Returns axis (Plotly settings), place (cost -> where it is drawn), start and end (of the axis), gap (where the $0 column
    ends, or None).
    """
    paid = [c for c in costs if c > 0]
    if not paid or max(paid) <= 5 * min(paid):
        low, high = padded(costs, 0.15, least=max(costs) * 0.05 or 0.01)
        low = low if low > 0 or 0 in costs else 0.0
        step = round_step((high - low) / 5)
        axis = {"range": (low, high), "tick0": 0, "dtick": step, "tickformat": f"$.{max(2, decimals(step))}f"}
        return {"axis": axis, "place": float, "start": low, "end": high, "gap": None}
    low, high = min(paid) / 1.4, max(paid) * 1.4
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    parts = (1, 2, 5) if high / low < 200 else (1,)
    ticks = [m * 10.0**d for d in decades for m in parts if low <= m * 10.0**d <= high]
    labels = [f"${tick:.{max(2, decimals(tick))}f}" for tick in ticks]
    zero = low / 1.5 if 0 in costs else None
    start = zero / 1.5 if zero else low
    if zero:
        ticks, labels = [zero, *ticks], ["$0", *labels]
    axis = {"type": "log", "range": (math.log10(start), math.log10(high)), "tickvals": ticks, "ticktext": labels}
    return {
        "axis": axis,
        "place": lambda cost: cost if cost > 0 else zero,
        "start": start,
        "end": high,
        "gap": low if zero else None,
    }
