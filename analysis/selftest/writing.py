"""The self-test as tables for people, as JSON, as a page of the docs, and as what `analysis.COVERAGE` tells."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from coordeval.analysis.quality.bootstrap import MEASURES, METHODS
from coordeval.analysis.selftest.benches import ALPHA, MARGIN, TRIO
from coordeval.analysis.selftest.regimes import MILD, REGIMES
from coordeval.analysis.selftest.running import SelfTest
from coordeval.analysis.selftest.verdicts import ASSUMES, CHANCE, TOLERANCE, Row
from coordeval.analysis.selftest.worlds import FORECASTERS, PRICE, Forecaster

TITLES: Final = {
    "interval": "95% intervals: how often they hold the true value, %",
    "test": "Tests at 5%: how often they reject a true null, %",
    "anytime": "Sequences looked at after every event: how often they are ever wrong, %",
    "power": "Tests of a true difference: how often they find it, %, beside the plan",
}
_SHAPED: Final = REGIMES[len(MILD) :]
_HEADLINE: Final = {
    **{"brier": "Brier", "alpha": "alpha", "Δ Brier": "Δ Brier", "skill_base": "skill", "rel": "REL", "res": "RES"},
    **{"mcb": "MCB", "dsc": "DSC", "sign flip": "sign flip", "clustered t": "clustered t", "TOST": "TOST"},
}
"""Measure -> its column in the table of shapes."""
_ORDER: Final = ("FAILED", "outside its assumption", "withheld", "conservative", "nominal", "as planned", "holds")


_ABOUT: Final = """\
# The statistics against simulated truth

Made by `{command}`, version {version}, {at}, seed {seed}, {resamples} resamples in each interval,
{minutes} minutes on {cores} cores. Do not edit: run the command.

Worlds of {sizes} markets, in events of one to three whose outcomes are correlated, are drawn from known
equations; every interval is held against the true value, every test against a true null. True values are
integrals over the normal variables of the world, not estimates; only those of talking agents are means over
500,000 markets. Shapes of worlds: {regimes}.

Worlds in each: {worlds}. `shapes` are drawn in every shape, `headline` in the first, all else in the first two.

Forecasters (logit = slope · true logit + noise that stays + noise drawn again): {cast}.
Variance components: {trio}. Agents who talk follow the equations of `agents.simulated` with its default
parameters. Tests are at {alpha}; equivalence has the margin {margin}.

A figure is **nominal** for an interval within 95 ± 1.5%, for a test within 5 ± 1.5%; **conservative** beyond
that on the safe side; **holds** where a sequence is wrong in at most 5%; **as planned** within 3 points of the
plan; else **FAILED**, whatever its Monte Carlo error, and never left out. A cell is the lowest coverage of any
forecaster, pair or agent, for tests and sequences the highest rate, ± its Monte Carlo error: the worst of
several lies beyond the true one by chance. The command ends with exit status 1 where a figure is out of
tolerance beyond Monte Carlo error (exact binomial, {chance} over all rows).
"""


def grouped(rows: Iterable[Row]) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Title and table of each kind, its first line the header: a line per measure, a column per world and size.

    A cell tells the lowest figure of any forecaster or pair, of tests and sequences the highest, ± its Monte Carlo error.
    The verdict of a line is the worst of its rows.
    """
    every = list(rows)
    for kind, title in TITLES.items():
        mine = [row for row in every if row.check.kind == kind]
        if not mine:
            continue
        for worlds, about in ((tuple(r.name for r in MILD), ""), *(((r.name,), f" ({r.name}: {r.about})") for r in _SHAPED)):
            here = [row for row in mine if row.check.world in worlds]
            sizes = sorted({(row.check.world, row.check.markets) for row in here})
            lines: dict[tuple[str, str], list[Row]] = {}
            for row in here:
                lines.setdefault((row.check.measure, "" if kind == "interval" else row.check.of), []).append(row)
            header = ("measure", *(f"{world} {markets:,}" for world, markets in sizes), "verdict", "because")
            if here:
                yield title + about, [header, *(_line(key, lines[key], sizes) for key in sorted(lines))]


def shape_by_shape(rows: Iterable[Row]) -> list[tuple[str, ...]]:
    """A line per shape and size, its header first: the lowest coverage of any forecaster or pair, of tests the top rate."""
    every = list(rows)
    lines = [("shape", "markets", *_HEADLINE.values())]
    for where in REGIMES:
        for markets in sorted({row.check.markets for row in every if row.check.world == where.name}):
            mine = [row for row in every if (row.check.world, row.check.markets) == (where.name, markets)]
            cells = [_worst([row for row in mine if row.check.measure == measure]) for measure in _HEADLINE]
            if all(cells):
                lines.append((where.name, f"{markets:,}", *cells))
    return lines


def _worst(rows: list[Row]) -> str:
    """The figure, its Monte Carlo error, and how often it was withheld; empty where there is no row."""
    known = [row for row in rows if row.figure is not None]
    if not known:
        return "withheld" if rows else ""
    sign = -1 if known[0].check.kind == "test" else 1
    row = min(known, key=lambda row: sign * (row.figure or 0.0))
    withheld = sum(r.undefined for r in rows) / max(1, sum(r.undefined + r.worlds for r in rows))
    return f"{_number(row.figure)} ± {_number(row.error)}" + (f" (withheld {withheld:.0%})" if withheld > 0.005 else "")


def record(found: SelfTest, command: str) -> dict[str, Any]:
    """Everything, for JSON."""
    return {
        **origin(found, command),
        "seconds": round(found.seconds, 1),
        "cores": found.cores,
        "plan": {bench: {str(markets): worlds for markets, worlds in sizes.items()} for bench, sizes in found.plan.items()},
        "tolerance": {kind: list(range_) for kind, range_ in TOLERANCE.items()},
        "failed": len(found.failures),
        "rows": [
            {
                **{"kind": row.check.kind, "measure": row.check.measure, "of": row.check.of, "world": row.check.world},
                **{"markets": row.check.markets, "worlds": row.worlds, "right": row.right, "undefined": row.undefined},
                **{"figure": row.figure, "error": row.error, "planned": row.planned},
                **{"verdict": row.verdict, "reason": row.reason},
            }
            for row in found.rows
        ],
    }


def origin(found: SelfTest, command: str) -> dict[str, Any]:
    """What made the figures."""
    return {
        **{"command": command, "version": found.version, "at": found.at, "seed": found.seed, "resamples": found.resamples},
        "worlds": {str(markets): worlds for markets, worlds in found.plan.get("forecasts", {}).items()},
    }


def coverage(found: SelfTest, command: str) -> dict[str, Any]:
    """The file behind `analysis.COVERAGE`: measure -> markets -> the lowest coverage of any forecaster in any world, %."""
    names = [measure for family in MEASURES.values() for measure in family]
    lowest: dict[str, dict[str, float]] = {}
    for row in found.rows:
        if row.check.kind == "interval" and row.check.measure in names and row.figure is not None:
            mine = lowest.setdefault(row.check.measure, {})
            size = str(row.check.markets)
            mine[size] = min(mine.get(size, 100.0), round(row.figure, 2))
    return {
        **origin(found, command),
        "methods": {name: METHODS[name] for name in names},
        "coverage": {name: dict(sorted(lowest.get(name, {}).items(), key=lambda item: int(item[0]))) for name in names},
    }


def page(found: SelfTest, command: str) -> str:
    """The page of the docs, in Markdown."""
    text = [
        _ABOUT.format(
            command=command,
            version=found.version,
            at=found.at,
            seed=found.seed,
            resamples=found.resamples,
            minutes=f"{found.seconds / 60:.0f}",
            cores=found.cores,
            sizes=", ".join(f"{markets:,}" for markets in sorted({m for sizes in found.plan.values() for m in sizes})),
            regimes="; ".join(f"**{r.name}**, {r.about}" for r in REGIMES),
            worlds="; ".join(
                f"{bench} {', '.join(f'{n:,} of {markets:,} markets' for markets, n in sizes.items())}"
                for bench, sizes in found.plan.items()
            ),
            cast="; ".join(map(_equation, (*FORECASTERS, PRICE))),
            trio="; ".join(map(_equation, TRIO)),
            alpha=f"{ALPHA:.0%}",
            margin=f"{MARGIN:g}",
            chance=f"{CHANCE:.0%}",
        ),
        *_summary(found),
    ]
    header, *lines = shape_by_shape(found.rows)
    if lines:
        text += ["", "## Shape by shape: intervals hold the truth, and tests reject a true null, in %", ""]
        text += _table(header, lines)
    for title, (header, *lines) in grouped(found.rows):
        text += ["", f"## {title}", "", *_table(header, lines)]
    text += ["", "## Assumptions that these worlds break on purpose", ""]
    text += [f"- {measure}, {of}: {why}." for (measure, of), why in ASSUMES.items()]
    return "\n".join(text) + "\n"


def _summary(found: SelfTest) -> Iterator[str]:
    counts = {verdict: sum(row.verdict == verdict for row in found.rows) for verdict in _ORDER}
    yield "Of " + f"{len(found.rows):,} rows: " + ", ".join(f"{n:,} {verdict}" for verdict, n in counts.items() if n) + "."
    failed = [row for row in found.rows if row.verdict == "FAILED"]
    if failed:
        beyond = set(map(id, found.failures))
        failed.sort(key=lambda row: (id(row) not in beyond, row.check))
        yield ""
        yield f"Outside tolerance, {len(beyond)} of them beyond Monte Carlo error, which come first:"
        yield ""
        header = ("measure", "of", "world", "markets", "figure", "MC error", "beyond Monte Carlo error")
        lines = [
            (
                *(row.check.measure, row.check.of, row.check.world, f"{row.check.markets:,}"),
                *(_number(row.figure), _number(row.error), "yes" if id(row) in beyond else "no"),
            )
            for row in failed
        ]
        yield from _table(header, lines)


def _line(key: tuple[str, str], rows: list[Row], sizes: Sequence[tuple[str, int]]) -> tuple[str, ...]:
    cells = []
    for size in sizes:
        mine = [row for row in rows if (row.check.world, row.check.markets) == size and row.figure is not None]
        worst = sorted(mine, key=lambda row: row.figure or 0.0, reverse=rows[0].check.kind in ("test", "anytime"))[:1]
        told = [f"{_number(row.figure)} ± {_number(row.error)}" for row in worst]
        told += [f"of {_number(row.planned)}" for row in worst if row.planned is not None]
        cells.append(" ".join(told) or "–")
    verdict = min((row.verdict for row in rows), key=_ORDER.index)
    reasons = sorted({row.reason for row in rows if row.reason})
    undefined = sum(row.undefined for row in rows)
    reasons += [f"nothing to judge in {undefined:,} of {undefined + sum(row.worlds for row in rows):,}"] if undefined else []
    return (f"{key[0]}: {key[1]}" if key[1] else key[0], *cells, verdict, "; ".join(reasons))


def _equation(who: Forecaster) -> str:
    again = f" ({who.replicates} replicates)" if who.replicates > 1 else ""
    return f"{who.name} {who.slope:g}, {who.kept:g}, {who.own:g}{again}"


def _number(x: float | None) -> str:
    return "–" if x is None else f"{x:.1f}"


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    yield from ("| " + " | ".join(line) + " |" for line in lines)
