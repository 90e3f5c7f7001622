"""What the scores are made of: the plane, the stack, paired differences, and each component beside its null."""

from typing import Any

import polars as pl

from coordeval.analysis.base.numerals import number
from coordeval.analysis.figures.components import beside_null, forest, stacked
from coordeval.analysis.figures.plane import READINGS, component_plane, resampled
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.pages.page import Asked, Page
from coordeval.flows.dashboard.standing import Standing, standing
from coordeval.flows.dashboard.tags import Component, html
from coordeval.flows.dashboard.view import KINDS

_TERMS = (
    (
        "UNC, uncertainty",
        "how hard the markets are: the Brier score of who always says the share of YES; the same for everybody",
    ),
    (
        "REL, reliability",
        "miscalibration: how far the share of YES in each of 10 bins is from what was said there; less is better",
    ),
    ("RES, resolution", "discrimination: how far the bins' shares of YES lie apart; more is better"),
    ("WBV, WBC", "what happens inside a bin; with them the sum is exact"),
    ("bias-corrected", "small samples make REL and RES too large by chance; the expected excess is taken off"),
    (
        "MCB, DSC",
        "miscalibration and discrimination without bins (CORP): what the best monotone recalibration would gain and keep",
    ),
    (
        "variance mismatch, correlation deficit, in the large",
        "the Brier score in three terms that are never negative: forecasts vary more or less than outcomes, vary for "
        "nothing, or are too high or too low on the whole",
    ),
    ("smooth CE", "how far forecasts are off, smoothed by just as much: no bins to choose; less is better"),
    ("adjusted score", "the Brier score with the markets' difficulty taken out, for those who answered different ones"),
    ("null", "what a perfectly calibrated forecaster with the same forecasts would show, by chance alone"),
)


def layout(asked: Asked) -> list[Component]:
    view, facts = asked.view, asked.facts
    study = facts.study(view.study)
    known = standing(facts, view)
    look = facts.look(study.study_id)
    reading = READINGS[view.kind]
    data = pl.DataFrame([{k: v for k, v in row.items() if k != "reason"} for row in known.rows], infer_schema_length=None)
    hover = known.hover(view)
    report = known.deeper.report
    plane = component_plane(
        known.rows,
        look,
        kind=view.kind,
        draws=None if report is None else resampled(report.findings, view.kind),
        simulated=study.simulated,
        why_no_draws=known.deeper.note or "nothing could be resampled",
        links={row["configuration"]: view.href("/markets", configuration=row["configuration"]) for row in known.rows},
    )
    bars = stacked(
        known.rows,
        kind=view.kind,
        simulated=study.simulated,
        caption=f"{reading.states} From the end of the grey part to the dashed line: discrimination. The coloured part: "
        f"miscalibration. Mean over replicates; intervals are in the table.",
    )
    found: list[Component] = [html.H1("Components")]
    if known.deeper.note:
        found.append(parts.note(f"{known.deeper.note[0].upper()}{known.deeper.note[1:]}."))
    if plane is None or bars is None:
        return [*found, parts.note("Nothing is scored here yet, so there is nothing to take apart.", kind="warning")]
    found.append(
        parts.section(
            f"Calibration and discrimination: {KINDS[view.kind]}",
            parts.grid(
                parts.figure(plane, dark=asked.dark, data=data, hover=hover),
                parts.figure(bars, dark=asked.dark, data=data, hover=hover),
            ),
            _numbers(known, view.kind, look, dark=asked.dark),
            *_second(known, look, dark=asked.dark),
            parts.terms(_TERMS),
        )
    )
    found.append(parts.section("Paired differences", *_forest(asked, known, simulated=study.simulated)))
    if report is None or report.board.nulls is None:
        found.append(parts.section("Beside chance", parts.note(f"Not shown: {known.deeper.note or 'nothing is scored'}.")))
    else:
        table = report.board.nulls.table
        pictures = [
            beside_null(table, m, look, simulated=study.simulated) for m in (reading.miscalibration, reading.discrimination)
        ]
        cards = [parts.figure(p, dark=asked.dark, data=table, hover=hover) for p in pictures if p]
        found.append(
            parts.section(
                "Beside chance",
                parts.grid(*cards) if cards else parts.note("No null is defined for these forecasts."),
                about="A score of a small study is never 0 by chance: here is how much of it chance alone explains.",
            )
        )
    return found


def _numbers(known: Standing, kind: str, look: Any, *, dark: bool) -> Component:
    reading, report = READINGS[kind], known.deeper.report
    names = ("brier", reading.miscalibration, reading.discrimination, reading.uncertainty)
    ends: dict[tuple[str, str], dict[str, Any]] = {}
    if report is not None:
        for part in (report.findings.measures, report.findings.corp):
            if part is not None:
                ends |= {(row["configuration"], row["measure"]): row for row in part.table.to_dicts()}
    rows: list[list[Any]] = []
    plain = []
    for row in known.rows:
        cells: list[Any] = [parts.named(row["configuration"], look, dark=dark)]
        for name in names:
            own = ends.get((row["configuration"], name), {})
            if name == "brier" and not own:
                own = row
            why = own.get("reason") or (None if own else known.deeper.why_no_interval)
            cells.append(parts.interval(row.get(name), own.get("low"), own.get("high"), reason=why))
            plain.append(
                {"configuration": row["configuration"], "measure": name, "estimate": row.get(name)}
                | {k: own.get(k) for k in ("low", "high")}
            )
        rows.append(cells)
    titles = [name.replace("_corrected", ", corrected").upper().replace("CORRECTED", "corrected") for name in names]
    data = pl.DataFrame(plain, infer_schema_length=None)
    columns = ("Configuration", "Brier", *titles[1:])
    return parts.table(parts.Table("components", columns, rows, data, frozenset(range(1, 5))), note=known.method)


def _second(known: Standing, look: Any, *, dark: bool) -> list[Component]:
    """Three terms that are never negative, smooth calibration error, the score adjusted for the markets' difficulty."""
    report = known.deeper.report
    if report is None or report.diagnostics.second_split is None:
        return []
    found, fair = report.diagnostics.second_split, report.diagnostics.adjusted
    rows = {(row["configuration"], row["measure"]): row for row in found.table.to_dicts()}
    rows |= {(row["configuration"], "adjusted"): row for row in (fair.table.to_dicts() if fair else [])}
    names = ("variance_mismatch", "correlation_deficit", "in_the_large", "smooth_ce", "adjusted")
    cells = []
    for each in known.rows:
        of = [rows.get((each["configuration"], name), {"reason": "not scored"}) for name in names]
        told = [parts.interval(row.get("estimate"), row.get("low"), row.get("high"), reason=row.get("reason")) for row in of]
        cells.append([parts.named(each["configuration"], look, dark=dark), *told])
    columns = ("Configuration", "Variance mismatch", "Correlation deficit", "In the large", "Smooth CE", "Adjusted score")
    note = f"The first three add up to the Brier score. 95% intervals from {found.n:,} resamples of events."
    return [parts.table(parts.Table("second-split", columns, cells, found.table, frozenset(range(1, 6))), note=note)]


def _forest(asked: Asked, known: Standing, *, simulated: bool) -> list[Component]:
    report = known.deeper.report
    compared = None if report is None else report.findings.comparisons
    floor = None if compared is None else compared.noise_floor
    ends = ""
    if compared is not None and compared.noise_low is not None:
        ends = f" (95%: {number(compared.noise_low)} to {number(compared.noise_high)})"
    pairs = known.pairs()
    made: list[Component] = []
    for family, title in (("market", "Against the market price"), ("configurations", "Between configurations")):
        mine = sorted((p for p in pairs if p["family"] == family and p.get("delta") is not None), key=lambda p: p["delta"])
        noise = (
            f" Grey: the noise floor, ±{number(floor)}{ends}, what sampling the same configuration again changes; a "
            "difference counts as shown only beyond it."
            if floor
            else ""
        )
        picture = forest(
            mine[:40],
            noise_floor=floor if family == "configurations" else None,
            simulated=simulated,
            title=title,
            caption=f"Differences on the same markets. {known.method}.{noise if family == 'configurations' else ''}",
            name=f"forest-{family}",
        )
        if picture is not None:
            table = pl.DataFrame(mine, infer_schema_length=None).select(
                "first", "second", "delta", "low", "high", "n_markets"
            )
            made.append(parts.figure(picture, dark=asked.dark, data=table, hover=known.hover(asked.view)))
    if report is not None and (why := report.findings.reasons.get("differences")):
        made.append(parts.note(f"Configurations are not compared: {why}.", kind="warning"))
    return [parts.grid(*made)] if made else [parts.note("There is nothing to compare.")]


PAGE = Page(
    path="/components", title="Components", layout=layout, filters=("policy", "category", "decile", "replicate", "kind")
)
