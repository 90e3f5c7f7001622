"""How far the result can be trusted: single markets, missing forecasts, other pools, and looking again and again."""

from collections.abc import Iterator
from typing import Any

from coordeval.analysis.base.events import EPSILON
from coordeval.analysis.base.grid import PRICE
from coordeval.analysis.base.numerals import number
from coordeval.analysis.study.diagnostics import Diagnostics
from coordeval.analysis.study.stated import better_pools, cells_apart, cells_told, looked_apart
from coordeval.analysis.talk.pooling import LOG_ODDS
from coordeval.analysis.words.phrases import counted, ends, listed


def on_trust(deeper: Diagnostics) -> Iterator[str]:
    """What would change the headline."""
    yield from _markets(deeper)
    yield from _missing(deeper)
    yield from _groups(deeper)
    yield from _bins(deeper)
    yield from _links(deeper)
    yield from _pools(deeper)
    yield from _looks(deeper)


def _markets(deeper: Diagnostics) -> Iterator[str]:
    found = deeper.influence
    if found is None:
        yield f"Which markets carry the result is not known: {deeper.reasons['influence']}."
        return
    yield found.headline
    rows = found.restated.to_dicts()
    clear = [row for row in rows if row["excludes_zero"]]
    lost = [row for row in clear if row["excludes_zero_without"] is False]
    if lost:
        named = "; ".join(f"{row['first']} and {row['second']}" for row in lost[:3])
        more = f"; and {len(lost) - 3} more" if len(lost) > 3 else ""
        yield (
            f"{len(lost)} of {counted(len(clear), 'interval')} that {'excludes' if len(clear) == 1 else 'exclude'} 0 before "
            f"correction would not without one market: {named}{more}."
        )
    elif clear:
        yield "No interval of a difference that excludes 0 depends on one market alone."


def _missing(deeper: Diagnostics) -> Iterator[str]:
    if deeper.bounds is None:
        yield f"What missing forecasts could change is not known: {deeper.reasons['bounds']}."
        return
    rows = deeper.bounds.to_dicts()
    alone = [row for row in rows if row["than"] is None]
    missing = sum(row["missing"] for row in alone)
    total = sum(row["cells"] for row in alone)
    if not missing:
        yield "No forecast of a resolved market is missing, so none could change a score."
        return
    pairs = [row for row in rows if row["than"] is not None and row["estimate"] is not None]
    sure = [row for row in pairs if row["low"] > 0 or row["high"] < 0]
    widest = max(alone, key=lambda row: row["high"] - row["low"])
    whose = "its" if len(sure) == 1 else "their"
    signs = f", and {len(sure)} of {counted(len(pairs), 'difference')} between configurations would keep {whose} sign"
    yield (
        f"{missing:,} of {counted(total, 'forecast')} of resolved markets {'is' if missing == 1 else 'are'} missing. Had "
        f"they been anything, {widest['configuration']} would score {number(widest['low'])} to {number(widest['high'])}"
        f"{signs if pairs else ''}."
    )


def _groups(deeper: Diagnostics) -> Iterator[str]:
    """Where in the markets a configuration differs from the price, after partial pooling."""
    found = deeper.subgroups
    if found is None:
        return
    mine = [row for row in found.table.filter(measure="delta_market").to_dicts() if row["configuration"] != PRICE]
    if not mine:
        return
    told, apart = cells_told(deeper), cells_apart(deeper)
    cells = len({(row["by"], row["cell"]) for row in mine})
    small = cells - len({(row["by"], row["cell"]) for row in mine if row["mean"] is not None})
    unsaid = (
        f" {small} of {counted(cells, 'cell')} {'is' if small == 1 else 'are'} too small or too uniform to say anything."
    )
    if not told:
        yield f"By category and price decile nothing can be said.{unsaid}"
    elif not apart:
        yield (
            f"In no category and no price decile is a configuration shown to differ from the price, after correction for "
            f"{counted(len(told), 'look')}.{unsaid if small else ''}"
        )
    else:
        named = "; ".join(
            f"{row['configuration']} in {row['by']} {row['cell']} by {number(row['estimate'])} {ends(row)}"
            for row in apart[:3]
        )
        more = f"; and {len(apart) - 3} more" if len(apart) > 3 else ""
        yield (
            f"By category and price decile, pooled and after correction for {counted(len(told), 'look')}, Brier scores "
            f"differ from the price's here: {named}{more}.{unsaid if small else ''}"
        )


def _bins(deeper: Diagnostics) -> Iterator[str]:
    found = deeper.binning
    if found is None:
        return
    rows = {row["measure"]: row for row in found.rankings.to_dicts()}
    said = [
        f"{row['changed']} of {row['choices'] - 1} by {measure.upper()}"
        for measure in ("rel", "res")
        if (row := rows.get(measure)) is not None and row["changed"] is not None and len(row["usual"] or []) > 1
    ]
    if said:
        yield f"Other choices of bins rank the configurations differently: {' and '.join(said)}; MCB and DSC need no bins."


def _links(deeper: Diagnostics) -> Iterator[str]:
    found = deeper.coherence
    if found is None:
        return
    used = found.links.filter("used").height
    if not used:
        yield f"{counted(found.links.height, 'link')} between markets, none of which could be used: see the table."
        return
    rows = [row for row in found.table.filter(measure="violated").to_dicts() if row["estimate"] is not None]
    broken = [row for row in rows if row["estimate"] > 0]
    if not broken:
        yield f"On {counted(used, 'link')} between markets every forecast fits the others."
    else:
        named = ", ".join(f"{row['configuration']} {row['estimate']:.0%} of {row['kind']}s" for row in broken[:6])
        yield f"Forecasts of linked markets contradict each other ({counted(used, 'link')} looked at): {named}."


def _pools(deeper: Diagnostics) -> Iterator[str]:
    found = deeper.pooling
    if found is None:
        return
    tried = found.table["delta"].count()
    if better := better_pools(deeper):
        top = better[0]
        span = ends({"low": top["delta_low"], "high": top["delta_high"]})
        yield (
            f"The pool is a choice too: the {top['pool'].replace('_', '-')} pool of {top['configuration']}'s {top['stage']} "
            f"estimates would have scored better than what it concluded, by {number(-top['delta'])} (Δ {span}, the best of "
            f"{counted(tried, 'pool')} tried, after correction for them){_clipped(top['pool'])}."
        )
    else:
        yield "No other pool of the stored estimates is shown to score better than what the configurations concluded."


def _clipped(pool: str) -> str:
    """Of pools of log-odds: that they hold probabilities off 0 and 1."""
    return f", with probabilities held in {EPSILON:g} to {1 - EPSILON:g}" if pool in LOG_ODDS else ""


def _looks(deeper: Diagnostics) -> Iterator[str]:
    found = deeper.sequences
    if found is None:
        return
    rows = found.table.to_dicts()
    if out := looked_apart(deeper):
        yield (
            f"However often one looks while data come in, after correction for {counted(len(rows), 'pair')}, "
            f"{'this one differs' if len(out) == 1 else 'these differ'}: "
            f"{listed([_pair(row) for row in out[:3]])}{f' and {len(out) - 3} more' if len(out) > 3 else ''}."
        )
    elif rows:
        yield (
            f"Looking again and again does not help: no pair's confidence sequence, valid at any time, excludes 0 after "
            f"{counted(max(row['n_events'] for row in rows), 'event')} and correction."
        )


def _pair(row: dict[str, Any]) -> str:
    second = f"the {PRICE}" if row["second"] == PRICE else row["second"]
    return f"{row['first']} from {second} (after {counted(row['excluded_at'], 'event')})"
