"""What a study of games tells, in sentences: what is got of the optimum, what is lost to what, which repair helps."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from coordeval.analysis.base.numerals import counted, number, usd
from coordeval.analysis.games import ArmFacts, GamesFound
from coordeval.analysis.words.answers import Answer
from coordeval.grounding.waterfall import CAUSES

ALPHA: Final = 0.05
WHO: Final[Mapping[str, str]] = {
    "oracle": "one agent who sees both sides",
    "solo": "agents alone, the other's part given",
    "fair_split": "half of everything each, asking no model",
    "chance": "players at random",
}


def answers(found: GamesFound) -> tuple[Answer, ...]:
    """The questions of a study of games, each with its sentences."""
    asked = (
        ("optimum", "How much of the optimum do they get?", _optimum),
        ("losses", "What is lost, and to what?", _losses),
        ("repairs", "Which repair helps?", _repairs),
        ("trust", "How sure is that?", _trust),
    )
    return tuple(Answer(name=name, question=question, says=tuple(says(found))) for name, question, says in asked)


def share(value: float | None) -> str:
    """A share of the optimum, as people say it."""
    return "not defined" if value is None else f"{value:.0%}"


def points(value: float) -> str:
    """A difference of shares: "+8 points"."""
    said = number(100 * value, 0)
    return f"{'+' if value > 0 and said != '0' else ''}{said} point{'s' * (said not in ('1', '−1'))}"


def _interval(row: Mapping[str, Any]) -> str:
    return "" if row["low"] is None else f" ({number(100 * row['low'], 0)} to {number(100 * row['high'], 0)})"


def _optimum(found: GamesFound) -> Iterator[str]:
    rows = _means(found)
    alone = [arm for arm in rows if found.arms[arm].seat in ("oracle", "solo")]
    if alone:
        parts = (f"{arm} ({WHO[found.arms[arm].seat]}) {share(rows[arm]['mean'])}{_interval(rows[arm])}" for arm in alone)
        yield f"Of the joint optimum get, in percent with 95% intervals: {'; '.join(parts)}."
    plain = [arm for arm in rows if found.arms[arm].seat == "pair" and not found.arms[arm].repaired]
    if plain:
        parts = (f"{arm} {share(rows[arm]['mean'])}{_interval(rows[arm])}" for arm in plain)
        yield f"Pairs without a repair get: {'; '.join(parts)}."
    for kind, what in (
        (lambda arm: not arm.talk, "Not talking"),
        (lambda arm: arm.disclosed, "Disclosing all projects"),
        (lambda arm: arm.history == "shifting", "Wiping the history"),
    ):
        yield from _against(found, (arm for arm in plain if kind(found.arms[arm])), what)
    computed = [arm for arm in rows if found.arms[arm].seat in ("fair_split", "chance")]
    if computed:
        parts = (f"{arm} ({WHO[found.arms[arm].seat]}) {share(rows[arm]['mean'])}" for arm in computed)
        yield f"To compare with: {'; '.join(parts)}."


def _against(found: GamesFound, arms: Iterable[str], what: str) -> Iterator[str]:
    rows = _differences(found)
    for arm in arms:
        row = rows.get(arm)
        if row is None or row["delta"] is None:
            continue
        told = f"{points(row['delta'])}{_interval(row)} against {found.baseline}, {_p(row)}"
        apart = told_apart(found, row)
        yield (
            f"{what} changes it by {told} ({arm})." if apart else f"{what} changes nothing that can be told: {told} ({arm})."
        )


def told_apart(found: GamesFound, row: Mapping[str, Any]) -> bool:
    """Whether a difference passes its corrected test and exceeds the noise floor."""
    floor = None if found.compared is None else found.compared.noise_floor
    return row["p_holm"] is not None and row["p_holm"] < ALPHA and abs(row["delta"]) > (floor or 0.0)


def _p(row: Mapping[str, Any]) -> str:
    p = row["p_holm"]
    return "no test" if p is None else "p < 0.001 corrected" if p < 0.001 else f"p = {p:.3f} corrected"


def _losses(found: GamesFound) -> Iterator[str]:
    if found.baseline is None:
        yield "No pair was played, so nothing was lost together."
        return
    fall = found.waterfalls[found.baseline]
    loss = float(fall.start - fall.end)
    first = "of solo agents" if fall.solo_games else "of the optimum, since no solo agents played"
    yield (
        f"From the {float(fall.start):.0%} {first} to the {float(fall.end):.0%} of {found.baseline}, "
        f"{points(loss).lstrip('+')} are lost."
    )
    steps = sorted((s for s in fall.steps if s.loss), key=lambda s: -s.loss)
    if steps:
        parts = (f"{points(float(s.loss)).lstrip('+')} to {CAUSES[s.cause]}" for s in steps)
        yield f"By cause: {'; '.join(parts)}."
    shown = [
        f"{_mode(one)} in {one.rate:.0%} of {counted(one.chances, 'chance')}"
        for one in found.modes[found.baseline]
        if one.rate
    ]
    yield f"Counted where it could show itself: {'; '.join(shown)}." if shown else "No failure mode showed itself."


def _mode(one: Any) -> str:
    name = one.mode.replace("_", " ")
    return name if one.source is None else f"{name} (read by {one.source})"


def repair_rows(found: GamesFound) -> list[dict[str, Any]]:
    """A row for each arm with a repair, the best first: its difference and what it costs more a game."""
    costs = {row["arm"]: row for row in found.costs.to_dicts()}
    base = costs.get(found.baseline or "", {})
    rows = []
    for arm, row in _differences(found).items():
        if not found.arms[arm].repaired:
            continue
        own, before = costs[arm]["usd_per_game"], base.get("usd_per_game")
        more = None if own is None or before is None else own - before
        told = row["delta"] is not None and told_apart(found, row)
        verdict = "cannot tell" if not told else "helps" if row["delta"] > 0 else "harms"
        rows.append(row | {"repair": found.arms[arm].repair, "usd_more": more, "usd_before": before, "verdict": verdict})
    return sorted(rows, key=lambda row: -(row["delta"] if row["delta"] is not None else -2))


def _repairs(found: GamesFound) -> Iterator[str]:
    rows = repair_rows(found)
    if not rows:
        yield "No pair with a repair was played beside one without."
        return
    helping = [row["arm"] for row in rows if row["verdict"] == "helps"]
    yield (
        f"{counted(len(helping), 'repair')} of {len(rows)} {'helps' if len(helping) == 1 else 'help'}, told apart from "
        f"{found.baseline} after correction and beyond the noise of sampling again: {', '.join(helping)}."
        if helping
        else f"None of {counted(len(rows), 'repair')} is told apart from {found.baseline}."
    )
    for row in rows:
        if row["delta"] is None:
            yield f"{row['arm']}: {row['reason']}."
            continue
        yield (
            f"{row['arm']} ({row['verdict']}): {points(row['delta'])}{_interval(row)}, better with probability "
            f"{row['probability']:.2f}, {_p(row)}; {_more(row)}."
        )


def _more(row: Mapping[str, Any]) -> str:
    more, before = row["usd_more"], row["usd_before"]
    if more is None:
        return "what it costs more is not known"
    relative = f" ({more / before:+.0%})" if before else ""
    return f"{usd(abs(more))} {'more' if more >= 0 else 'less'} a game{relative}"


def _trust(found: GamesFound) -> Iterator[str]:
    if found.compared is None:
        yield "No pair was played, so nothing was compared."
        return
    floor, rows = found.compared.noise_floor, found.compared.differences
    instances = found.games["instance_id"].n_unique()
    yield f"The unit is the instance: {instances}, the same for all arms, replicates averaged."
    yield (
        "No game was played twice, so the noise of sampling again is not known."
        if floor is None
        else f"Two runs of one arm lie {points(floor).lstrip('+')} apart on average; a smaller difference is no finding."
    )
    known = rows["detectable"].drop_nulls()
    if known.len():
        low, high = min(known.to_list()), max(known.to_list())
        yield (
            f"So many instances show a true difference of {100 * low:.0f} to {100 * high:.0f} points, by arm, with "
            "probability 0.8; four times as many would show half of it."
        )


def _means(found: GamesFound) -> dict[str, dict[str, Any]]:
    """Arm -> its mean efficiency, in the order of the study's file."""
    if found.compared is None:
        plain = found.games.group_by("arm").mean()
        rows = {r["arm"]: {"mean": r["efficiency"], "low": None, "high": None} for r in plain.to_dicts()}
    else:
        rows = {row["arm"]: row for row in found.compared.means.to_dicts()}
    return {arm: rows[arm] for arm in found.arms if arm in rows}


def _differences(found: GamesFound) -> dict[str, dict[str, Any]]:
    return {} if found.compared is None else {row["arm"]: row for row in found.compared.differences.to_dicts()}


def described(arm: ArmFacts) -> str:
    """An arm in a few words."""
    if arm.seat != "pair":
        return WHO[arm.seat]
    parts = [arm.history == "shifting" and "no history", not arm.talk and "no talk", arm.disclosed and "all disclosed"]
    parts += [arm.structured and "structured messages", arm.repaired and f"repair: {arm.repair}"]
    return "a pair" + (", " if any(parts) else "") + ", ".join(part for part in parts if part)
