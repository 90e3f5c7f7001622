"""Has a configuration degraded in silence? A chart per signal with baseline and alarms, and the rows behind each alarm."""

from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from coordeval.analysis.figures.monitor import signal_over_time
from coordeval.analysis.monitor import BY_NAME, SIGNALS, label, says
from coordeval.analysis.monitor.signals import KINDS
from coordeval.analysis.monitor.watching import PER_FALSE_ALARM
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.facts import MOST_CELLS
from coordeval.flows.dashboard.pages.page import Asked, Page
from coordeval.flows.dashboard.tags import Component, dcc, html
from coordeval.flows.dashboard.view import View
from coordeval.flows.monitor import Kept, Watched, look
from coordeval.flows.monitor.terminal import weight
from coordeval.flows.monitor.watching import joint_words, summary
from coordeval.flows.study.stored import SHORT

_LINKS: Final = 3
_TERMS = (
    (
        "period",
        "a UTC day where forecasts are made before outcomes exist, else a block of markets in the order of the study",
    ),
    ("baseline", "periods that are only compared with (grey): nothing is judged before it is complete"),
    (
        "evidence",
        "what bets on the rank of each new period among all before it have won, in orders of magnitude, as a share of what "
        f"an alarm takes; while nothing changes, {PER_FALSE_ALARM:,} periods bring at most one false alarm over all signals",
    ),
    *KINDS.items(),
)


def layout(asked: Asked) -> list[Component]:
    view, facts = asked.view, asked.facts
    study = facts.study(view.study)
    found: list[Component] = [html.H1("Monitor")]
    if facts.cells(study.study_id).height > MOST_CELLS:
        return [*found, parts.note(f"With more than {MOST_CELLS:,} forecasts a look takes longer than a page may: "
                                   "`coordeval monitor` takes it.")]  # fmt: skip
    now = datetime.now(UTC)
    seen = facts.per_state("monitor", study.study_id, lambda: look(facts.reader(), study.study_id, now=now), now.date())
    found.append(html.P(f"{summary(seen)}."))
    if (joint := joint_words(seen)) is not None:
        found.append(html.P(html.Strong(joint)))
    if seen.alarms:
        found.append(parts.section("Alarms", _alarms(seen, view)))
    names = seen.found.streams["configuration"].unique().sort().to_list()
    if not names:
        return [*found, parts.note("No forecast that a model was asked for is stored yet, so there is nothing to watch.")]
    shown = next((name for name in view.chosen if name in names), None) or _first(seen, names)
    every = facts.look(study.study_id)
    found.append(
        html.Ul(
            [
                html.Li(
                    parts.named(name, every, view.href("/monitor", configuration=name), dark=asked.dark),
                    className="on" if name == shown else "",
                    **({"aria-current": "true"} if name == shown else {}),
                )
                for name in names
            ],
            className="pills",
        )
    )
    for kind, meaning in KINDS.items():
        own = [signal.name for signal in SIGNALS if signal.kind == kind and (shown, signal.name) in seen.found.paths]
        cards = [_card(asked, seen, shown, signal, every) for signal in own]
        rows = seen.found.streams.filter(pl.col("reason").is_not_null(), configuration=shown, kind=kind)
        why = [parts.note(f"{BY_NAME[r['signal']].title}: not watched, {r['reason']}.") for r in rows.to_dicts()[:3]]
        title = meaning[0].upper() + meaning[1:]
        found.append(parts.section(title, html.Div(cards, className="panels") if cards else None, *why))
    found.append(parts.terms(_TERMS))
    return found


def _first(seen: Watched, names: list[str]) -> str:
    """The configuration with most open alarms, else the first."""
    count = {name: sum(kept.alarm.configuration == name for kept in seen.open) for name in names}
    return max(names, key=lambda name: (count[name], -names.index(name)))


def _alarms(seen: Watched, view: View) -> Component:
    rows: list[list[Any]] = []
    for kept in reversed(seen.alarms):
        alarm = kept.alarm
        state = {"open": "open", "over": "over", "acknowledged": f"known: {kept.note}" if kept.note else "known"}[
            alarm.state
        ]
        chart = dcc.Link(BY_NAME[alarm.signal].title, href=view.href("/monitor", configuration=alarm.configuration))
        told = label(kept.by, alarm.raised)
        rows.append([kept.finding_id[:SHORT], state, chart, says(alarm, kept.by), told, _links(kept, view)])
    fields = ("state", "configuration", "signal", "kind", "before", "after")
    data = pl.DataFrame(
        [
            {"finding": kept.finding_id, **{name: getattr(kept.alarm, name) for name in fields}}
            | {name: label(kept.by, getattr(kept.alarm, name)) for name in ("since", "raised")}
            | {"forecasts": list(kept.alarm.forecasts)}
            for kept in seen.alarms
        ]
    )
    columns = ("Alarm", "State", "Signal", "What changed", "Told with", "Forecasts behind it")
    note = "coordeval monitor --acknowledge ALARM says that one is known"
    return parts.table(parts.Table("alarms", columns, rows, data), note=note)


def _links(kept: Kept, view: View) -> Component:
    found: list[Any] = []
    for forecast in kept.alarm.forecasts[:_LINKS]:
        found += [dcc.Link(forecast[:SHORT], href=view.href("/forecast", forecast=forecast)), " "]
    more = len(kept.alarm.forecasts) - _LINKS
    return html.Span([*found, f"and {more} more" if more > 0 else ""])


def _card(asked: Asked, seen: Watched, configuration: str, signal: str, every: Any) -> Component:
    path = seen.found.paths[configuration, signal]
    row = seen.found.streams.row(
        by_predicate=(pl.col("configuration") == configuration) & (pl.col("signal") == signal), named=True
    )
    state = {"alarm": "ALARM", "quiet": f"quiet; evidence {weight(row['evidence'] or 0, row['needed']):.0%} of an alarm"}
    picture = signal_over_time(
        path,
        [k.alarm for k in seen.alarms if (k.alarm.configuration, k.alarm.signal) == (configuration, signal)],
        every[configuration], configuration=configuration, signal=signal, by=seen.found.by, simulated=seen.study.simulated,
        says_now=state.get(row["state"], "not watched yet"),
    )  # fmt: skip
    data = pl.DataFrame(
        {"period": [label(seen.found.by, int(p)) for p in path.periods], "value": path.values, "evidence": path.evidence}
    )
    return parts.figure(
        picture, dark=asked.dark, data=data, hover=f"{row['forecasts']:,} forecasts, in {row['periods']} periods"
    )


PAGE = Page(path="/monitor", title="Monitor", layout=layout, filters=())
