"""Draws the pictures of `docs/concepts`: `make pictures`. Their figures are computed from the made-up study `example()`."""

from pathlib import Path
from typing import Final

from coordeval.analysis import comparisons, corp, example, scored
from coordeval.flows.site.drawing import STYLE, arrow, box, dot, path, svg, text

HERE: Final = Path(__file__).parent / "concepts"


def drawn() -> dict[str, str]:
    """File name -> SVG."""
    return {
        "seven-elements.svg": seven_elements(),
        "common-draws.svg": common_draws(),
        "noise-floor.svg": noise_floor(),
        "decomposition.svg": decomposition(),
        "point-in-time.svg": point_in_time(),
    }


def seven_elements() -> str:
    parts = [box(70 + i * 130, 60, 100, 40, f"forecaster {i + 1}", size=12) for i in range(3)]
    parts += [box(70 + i * 130, 150, 100, 40, f"critic {i + 1}", size=12) for i in range(3)]
    parts += [arrow(120 + i * 130, 100, 120 + j * 130, 148) for i in range(3) for j in range(3) if i != j]
    parts += [box(150, 240, 200, 40, "median of the last round", size=12)]
    parts += [arrow(120 + i * 130, 190, 200 + i * 50, 238) for i in range(3)]
    parts += [arrow(250, 280, 250, 308), text(250, 326, "forecast", bold=True)]
    notes = [
        (44, "endpoints: who is asked, and for what"),
        (84, "synchronisation: all speak before any revises"),
        (124, "topology: who is shown what whom said"),
        (164, "authority: equal, so no word outweighs another"),
        (204, "termination: after two rounds"),
        (244, "failure handling: the majority goes on"),
        (284, "aggregation: how estimates become one number"),
    ]
    parts += [text(500, y, said, anchor="start") for y, said in notes]
    return svg(820, 340, *parts, style=STYLE)


def common_draws() -> str:
    parts = [text(120, 26, "the same request", bold=True), text(330, 26, "one reply each, paid once", bold=True)]
    parts += [box(20, 40 + i * 62, 200, 44, name) for i, name in enumerate(("ensemble", "debate", "consensus"))]
    parts += [box(270, 40 + k * 62, 120, 44, f"draw {k + 1}", colour="one") for k in range(3)]
    parts += [arrow(220, 62 + i * 62, 268, 62 + k * 62) for i in range(3) for k in range(3)]
    after = ("takes the mean", "goes on: two rounds of critique", "goes on: moves toward the group")
    parts += [text(630, 26, "only here they differ", bold=True)]
    parts += [arrow(390, 62 + i * 62, 488, 62 + i * 62) for i in range(3)]
    parts += [box(490, 40 + i * 62, 280, 44, said, colour="two") for i, said in enumerate(after)]
    parts += [
        text(330, 250, "paid: 3 replies", colour="one"),
        text(630, 250, "attributed: 3 replies to each of them", colour="two"),
    ]
    return svg(800, 266, *parts, style=STYLE)


def noise_floor() -> str:
    found = comparisons(scored(example()))
    rows = list(found.table.iter_rows(named=True))
    floor = found.noise_floor
    assert floor is not None
    middle, unit = 520.0, 2200.0
    parts = [
        f"<rect x='{middle - floor * unit:.1f}' y='30' width='{2 * floor * unit:.1f}' height='{len(rows) * 30 + 14}' "
        "style='fill:var(--fill)'/>",
        text(middle, 22, "what sampling the same configuration again changes", size=12, colour="soft"),
        path([(middle, 30), (middle, len(rows) * 30 + 44)], colour="soft", width=1),
    ]
    for i, row in enumerate(rows):
        y = 56 + i * 30
        parts.append(text(10, y + 4, f"{row['first']} − {row['second']}".replace("_", " "), anchor="start", size=12))
        low, high = (middle + row[key] * unit for key in ("low", "high"))
        parts += [path([(low, y), (high, y)], width=2), dot(middle + row["delta"] * unit, y, r=5)]
    parts.append(text(middle, len(rows) * 30 + 64, "difference in Brier score, with its 95% interval", size=12))
    return svg(800, len(rows) * 30 + 76, *parts, style=STYLE)


def decomposition() -> str:
    frame = scored(example()).frame
    one = frame.filter(frame["configuration"] == "single_agent")
    found = corp(one["probability"].to_numpy(), one["outcome"].to_numpy())
    left, low, size = 60.0, 330.0, 290.0

    def at(x: float, y: float) -> tuple[float, float]:
        return left + x * size, low - y * size

    parts = [
        f"<rect x='{left:g}' y='{low - size:g}' width='{size:g}' height='{size:g}' fill='none' style='stroke:var(--soft)'/>"
    ]
    parts += [path([at(0, 0), at(1, 1)], colour="soft", width=1, dashed=True)]
    parts += [path([at(float(x), float(y)) for x, y in zip(found.x, found.recalibrated, strict=True)], width=3)]
    parts += [
        text(left + size / 2, low + 34, "what it said"),
        text(left + size / 2, 26, "single agent: what came true of it", bold=True),
    ]
    for value in (0, 0.5, 1):
        parts += [text(at(value, 0)[0], low + 16, f"{value:g}", size=11, colour="soft")]
        parts += [text(left - 6, at(0, value)[1] + 4, f"{value:g}", size=11, colour="soft", anchor="end")]
    bars = [
        ("uncertainty: how hard the questions are", 0.0, found.unc, "soft"),
        ("− discrimination: tells YES from NO", found.unc - found.dsc, found.unc, "three"),
        ("+ miscalibration: 70% is not 70%", found.unc - found.dsc, found.unc - found.dsc + found.mcb, "two"),
        ("= Brier score", 0.0, found.brier, "one"),
    ]
    start, unit = 410.0, 1300.0
    for i, (said, low_end, high_end, colour) in enumerate(bars):
        y = 70 + i * 66
        parts += [text(start, y, f"{said}: {high_end - low_end:.3f}", anchor="start")]
        parts += [
            f"<rect x='{start + low_end * unit:.1f}' y='{y + 8}' width='{(high_end - low_end) * unit:.1f}' height='22' "
            f"style='fill:var(--{colour})'/>"
        ]
    return svg(800, 380, *parts, style=STYLE)


def point_in_time() -> str:
    axis, gate = 150, 430
    parts = [arrow(20, axis, 768, axis), text(788, axis + 5, "time", size=12, colour="soft")]
    seen = [(60, "opened", "question, deadline"), (190, "Monday", "price 0.40"), (320, "Tuesday", "a page, dated")]
    later = [(500, "Friday", "price 0.90"), (610, "resolved", "YES"), (715, "no date", "a page")]
    for x, when, what in seen:
        parts += [
            dot(x, axis, colour="three", r=6),
            text(x, axis + 22, when, size=12, colour="soft"),
            text(x, axis - 16, what, size=12),
        ]
        parts += [arrow(x, axis - 32, 250, 62, colour="three")]
    for x, when, what in later:
        parts += [
            dot(x, axis, colour="two", r=6),
            text(x, axis + 22, when, size=12, colour="soft"),
            text(x, axis - 16, what, size=12),
        ]
    parts += [
        path([(gate, 30), (gate, axis + 40)], colour="one", width=3),
        text(gate, axis + 60, "as-of: the gate", colour="one", bold=True),
    ]
    parts += [box(170, 16, 160, 44, "what agents can see"), text(620, 44, "refused, counted, stored", colour="two")]
    parts += [text(620, 64, "the outcome: a table of its own", colour="two", size=12)]
    return svg(800, 226, *parts, style=STYLE)


def main() -> None:
    for name, picture in drawn().items():
        (HERE / name).write_text(f"{picture}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
