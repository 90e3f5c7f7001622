"""The pictures of a study of games: what arms get, what pairs lose to what, and how rounds go."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from coordeval.analysis.figures.style import INK, MUTED, WARN, Look, Picture, canvas, marker, plain, short
from coordeval.analysis.games import GamesFound
from coordeval.analysis.words.games import described, points, share
from coordeval.grounding.waterfall import CAUSES, Waterfall

_SHORT: Final = {
    "no_shared_history": "no shared history",
    "stubborn_anchoring": "stubborn anchoring",
    "perfunctory_fairness": "perfunctory fairness",
    "agreed_too_much": "agreed on too much",
    "referential_binding": "referential binding",
    "overdrawn": "overdrawn, no agreement",
    "forfeited": "forfeited",
    "short_plan": "a short plan else",
}


def efficiency(found: GamesFound, look: Mapping[str, Look], *, simulated: bool) -> Picture:
    """Each arm's mean share of the optimum with its interval, the best at the top."""
    means = {} if found.compared is None else {row["arm"]: row for row in found.compared.means.to_dicts()}
    plain_means = dict(found.measures.select("arm", "efficiency").iter_rows())
    rows = sorted(((arm, value) for arm, value in plain_means.items() if value is not None), key=lambda row: row[1])
    figure = canvas(
        "What each gets of the joint optimum",
        "mean over instances, bar: 95% interval",
        simulated=simulated,
        height=150 + 34 * len(rows),
    )
    figure.update_layout(showlegend=False)
    for at, (arm, value) in enumerate(rows):
        ends = means.get(arm, {})
        if ends.get("low") is not None:
            line = {"color": look[arm].color, "width": 3}
            figure.add_scatter(x=[ends["low"], ends["high"]], y=[at, at], mode="lines", line=line, hoverinfo="skip")
        text = f"<b>{plain(arm)}</b>, {plain(described(found.arms[arm]))}: {share(value)}"
        figure.add_scatter(
            x=[value], y=[at], mode="markers", marker=marker(look[arm]), text=[text], hovertemplate="%{text}<extra></extra>"
        )
    figure.update_xaxes(range=(-0.02, 1.04), tickformat=".0%", title={"text": "share of the joint optimum"})
    figure.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=[short(arm) for arm, _ in rows], range=(-0.7, len(rows) - 0.3), ticks=""
    )
    said = "; ".join(f"{arm} {share(value)}" for arm, value in reversed(rows))
    alt = f"Dot plot of the share of the joint optimum, best first: {said}."
    caption = "Instances are the unit: an interval says how far the mean would lie with other instances of the same kind."
    return Picture("efficiency", "What each gets of the joint optimum", figure.figure(), caption, alt)


def lost(arm: str, fall: Waterfall, *, simulated: bool) -> Picture:
    """From what solo agents get down to what an arm got, a step for each cause; the steps add up exactly."""
    steps = [step for step in fall.steps if step.loss]
    steps.sort(key=lambda step: -step.loss)
    start = "solo agents" if fall.solo_games else "the optimum"
    names = [start, *(_SHORT[step.cause] for step in steps), arm]
    heights = [float(fall.start), *(-float(step.loss) for step in steps), float(fall.end)]
    figure = canvas(
        f"What {short(arm)} loses, and to what",
        f"from {start} down to what was got",
        simulated=simulated,
        height=460,
    )
    figure.add_waterfall(
        x=[short(name) for name in names],
        y=heights,
        measure=["absolute", *["relative"] * len(steps), "total"],
        text=[share(heights[0]), *(points(h) for h in heights[1:-1]), share(heights[-1])],
        textposition="outside",
        connector={"line": {"color": MUTED, "width": 1}},
        decreasing={"marker": {"color": WARN}},
        increasing={"marker": {"color": MUTED}},
        totals={"marker": {"color": INK}},
        hovertemplate="%{x}: %{text}<extra></extra>",
    )
    figure.update_layout(showlegend=False)
    figure.update_yaxes(range=(0, 1.12), tickformat=".0%", title={"text": "share of the joint optimum"})
    told = (
        "; ".join(f"{points(float(step.loss)).lstrip('+')} to {CAUSES[step.cause]}" for step in steps) or "nothing is lost"
    )
    alt = f"Waterfall from {share(heights[0])} ({start}) to {share(heights[-1])} ({arm}): {told}."
    caption = (
        "The steps add up to the whole loss exactly; a step upwards is a gain, such as a submission above the agreed one."
    )
    return Picture("lost", f"What {arm} loses, and to what", figure.figure(), caption, alt)


def rounds(table: pl.DataFrame, look: Mapping[str, Look], measure: str, *, simulated: bool) -> Picture | None:
    """One measure round by round, a line for each arm; None where it is defined nowhere."""
    titles = {"overdraw_rate": "Rounds that were void", "recovery": "Recovery after a void round"}
    under = {
        "overdraw_rate": "share of games in which more was wanted than there is",
        "recovery": "share of rounds right after a void one that were carried out",
    }
    known = table.filter(pl.col(measure).is_not_null())
    if known.is_empty():
        return None
    figure = canvas(titles[measure], under[measure], simulated=simulated, height=420)
    for (arm,), own in known.group_by("arm", maintain_order=True):
        name = str(arm)
        figure.add_scatter(
            x=own["round"].to_list(),
            y=own[measure].to_list(),
            mode="lines+markers",
            name=short(name),
            line={"color": look[name].color, "width": 1.5},
            marker=marker(look[name], size=9),
            hovertemplate=f"{plain(name)}, round %{{x}}: %{{y:.0%}}<extra></extra>",
        )
    figure.update_xaxes(dtick=1, title={"text": "round"})
    figure.update_yaxes(range=(-0.03, 1.05), tickformat=".0%")
    means = known.group_by("arm", maintain_order=True).agg(pl.col(measure).mean())
    alt = f"{titles[measure]} by round, mean over rounds: " + "; ".join(f"{a} {share(v)}" for a, v in means.iter_rows())
    return Picture(
        measure, titles[measure], figure.figure(), "Rounds of one game are not independent of each other.", f"{alt}."
    )
