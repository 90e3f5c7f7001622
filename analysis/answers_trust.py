"""How far the result can be trusted: single markets, missing forecasts, other pools, and looking again and again."""

from collections.abc import Iterator
from typing import Any

from analysis.diagnostics import Diagnostics
from analysis.grid import PRICE
from analysis.numerals import number
from analysis.phrases import counted, ends, listed


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
    told = [row for row in mine if row["low"] is not None]
    apart = sorted((row for row in told if row["low"] > 0 or row["high"] < 0), key=lambda row: -abs(row["estimate"]))
    small = len({(row["by"], row["cell"]) for row in mine if row["mean"] is None})
    cells = len({(row["by"], row["cell"]) for row in mine})
    unsaid = (
        f" {small} of {counted(cells, 'cell')} {'is' if small == 1 else 'are'} too small or too uniform to say anything."
    )
    if not told:
        yield f"By category and price decile nothing can be said.{unsaid}"
    elif not apart:
        yield f"In no category and no price decile does a configuration differ from the price.{unsaid if small else ''}"
    else:
        named = "; ".join(
            f"{row['configuration']} in {row['by']} {row['cell']} by {number(row['estimate'])} {ends(row)}"
            for row in apart[:3]
        )
        more = f"; and {len(apart) - 3} more" if len(apart) > 3 else ""
        yield (
            f"By category and price decile, pooled but not corrected for {len(told)} looks, Brier scores differ "
            f"from the price's here: {named}{more}.{unsaid if small else ''}"
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
    better = [row for row in found.table.to_dicts() if row["delta_high"] is not None and row["delta_high"] < 0]
    if better:
        top = min(better, key=lambda row: row["delta"])
        span = ends({"low": top["delta_low"], "high": top["delta_high"]})
        yield (
            f"The pool is a choice too: the {top['pool'].replace('_', '-')} pool of {top['configuration']}'s {top['stage']} "
            f"estimates would have scored better than what it concluded, by {number(-top['delta'])} (Δ {span}, the best of "
            f"{counted(found.table.drop_nulls('delta').height, 'pool')} tried, not corrected)."
        )
    else:
        yield "No other pool of the stored estimates is shown to score better than what the configurations concluded."


def _looks(deeper: Diagnostics) -> Iterator[str]:
    found = deeper.sequences
    if found is None:
        return
    rows = found.table.to_dicts()
    out = [row for row in rows if row["excluded_at"] is not None]
    if out:
        yield (
            f"However often one looks while data come in, each pair at {found.alpha:.0%}: these differ: "
            f"{listed([_pair(row) for row in out[:3]])}{f' and {len(out) - 3} more' if len(out) > 3 else ''}."
        )
    elif rows:
        yield (
            f"Looking again and again does not help: no pair's confidence sequence, valid at any time, excludes 0 after "
            f"{counted(max(row['n_events'] for row in rows), 'event')}."
        )


def _pair(row: dict[str, Any]) -> str:
    second = f"the {PRICE}" if row["second"] == PRICE else row["second"]
    return f"{row['first']} from {second} (after {counted(row['excluded_at'], 'event')})"
