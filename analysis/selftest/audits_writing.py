"""What the audit's self-test measured, as tables of its page."""

from typing import Final

from coordeval.analysis.selftest.audits import RATES, Audits

_BEGIN: Final = "<!-- measured: begin -->"
_END: Final = "<!-- measured: end -->"


def detection_rows(found: Audits) -> list[tuple[str, ...]]:
    """Header and a row for each fault: what, the rule, studies in which it fires by rate, and forecasts named then."""
    header = ("planted", "rule", *(f"found at {rate:.0%}" for rate in RATES), f"forecasts named at {max(RATES):.0%}")
    rows = [
        (f"{one.plant}: {one.about}", f"`{one.rule}`", *(f"{one.detected[rate]:.0%}" for rate in RATES), _share(one.rows))
        for one in found.found
    ]
    return [header, *rows]


def cause_rows(found: Audits) -> list[tuple[str, ...]]:
    """Header and a row for each fault: how often the diagnosis named it."""
    rows = [(cause, f"{hits:,} of {of:,}", f"{hits / of:.0%}") for cause, (hits, of) in found.named.items()]
    return [("first cause", "named", "share"), *rows]


def way_rows(found: Audits) -> list[tuple[str, ...]]:
    """Header and a row for each way of looking for the first cause."""
    header = ("who looks", "first cause named", "share", "sound forecasts accused", "asks a forecast", "tokens a forecast")
    rows = [
        (one.way, f"{one.named:,} of {one.of:,}", f"{one.right:.1%}", f"{one.accused:,} of {one.sound:,}",
         *("–" if n is None else f"{n:,.0f}" for n in (one.asks, one.tokens)))
        for one in found.ways
    ]  # fmt: skip
    return [header, *rows]


def measured(found: Audits, command: str) -> str:
    """All of it as Markdown."""
    size = found.size
    alarms = {rule: n for rule, n in found.alarms.items() if n}
    worst = "; ".join(f"`{rule}` in {n} ({n / size.clean:.1%})" for rule, n in sorted(alarms.items())) or "none"
    accused, free = found.accused
    return "\n".join(
        [
            f"`{command}`: simulated studies of 60 markets and three configurations, 180 forecasts each.",
            "",
            f"False alarms in {size.clean:,} studies without a fault, of every rule: {worst}. At most 2% is promised.",
            "",
            f"Found, in {size.planted:,} studies for each rate at which forecasts have the fault:",
            "",
            markdown(detection_rows(found)),
            "",
            f"`coordeval diagnose`, its rules alone, on {size.caused:,} studies in which half of the forecasts have a first",
            f"cause, and many of those a consequence besides: the first cause is named in {found.right:.1%}.",
            f"Of {free:,} forecasts without a fault {accused:,} are said to have one that a row proves.",
            "",
            markdown(cause_rows(found)),
            "",
            f"The rules beside the simulated model, on the same forecasts of {size.searched:,} such studies; one pass is",
            "asked anew until it has used at least as many tokens as the search, and the majority counts:",
            "",
            markdown(way_rows(found)),
        ]
    )


def into(page: str, text: str) -> str:
    """The page with the measured part replaced. Raises ValueError where it has no such part."""
    head, begin, rest = page.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"it has no part between {_BEGIN} and {_END}")
    return f"{head}{begin}\n{text}\n{end}{tail}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def markdown(rows: list[tuple[str, ...]]) -> str:
    """Rows as a table: the first column is text, and so is one of rules; all others are numbers."""
    header, *lines = rows
    marks = "|".join("---" if k < 1 or header[k] == "rule" else "--:" for k in range(len(header)))
    return "\n".join([f"| {' | '.join(header)} |", f"|{marks}|", *(f"| {' | '.join(line)} |" for line in lines)])
