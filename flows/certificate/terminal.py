"""Both certificates in a terminal of 80 columns or more. Text from data is printed as it is, never read as markup."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from coordeval.analysis.control import Between, Control, Field
from coordeval.flows.terminal import words

if TYPE_CHECKING:  # who prints the other one need not load all that makes this one
    from coordeval.flows.certificate.certificate import Certificate, Item

_STYLE = {
    "passed": "green",
    "same": "green",
    "failed": "bold red",
    "differs": "bold red",
    "not checkable": "yellow",
    "not shown to be known at as-of": "bold yellow",
    "not recorded": "yellow",
}


def print_certificate(certificate: "Certificate", console: Console) -> None:
    """Whose it is, the checks, what could be seen, what was held back. A verdict stands in words, not in colour alone."""
    failed = [check.name for check in certificate.checks if check.status == "failed"]
    console.print()
    _title(console, "Forecast certificate", certificate.verdict, certificate.simulated)
    answer = "failed" if certificate.probability is None else f"{certificate.probability:.4g}"
    about = {
        "forecast": certificate.forecast_id,
        "market": f"{certificate.market_id}  {certificate.question}",
        "as of": _when(certificate.as_of) + _hindsight(certificate),
        "configuration": f"{certificate.configuration}, replicate {certificate.replicate}, study {certificate.study}",
        "code ran in": certificate.isolation or "the run's own process",
        "answer": answer,
    }
    if certificate.imported:
        del about["code ran in"]
    if (committed := certificate.commitment) is not None:
        at = "not yet" if committed.committed_at is None else _when(committed.committed_at)
        about["prospective"] = (
            f"forecast on {committed.day}, before its outcome; committed to {at}, root {committed.root or '–'}"
        )
    _pairs(console, {**about, "failed checks": ", ".join(failed) or "none"})
    checks = _table("Re-checked from stored bytes", "check", "result", "detail")
    for check in certificate.checks:
        checks.add_row(words(check.name), words(check.status, style=_STYLE[check.status]), words(check.detail))
    console.print(checks)
    console.print(_seen(certificate.seen))
    if certificate.searches:
        searches = _table("Evidence searches", "provider", "documents", "choice of documents")
        for search in certificate.searches:
            choice = "ranks by today's index" if search.ranks_by_todays_index else "as of the date"
            searches.add_row(words(search.provider), str(search.documents), words(f"{choice}; query {search.query!r}"))
        console.print(searches)
    console.print(_refusals(certificate))


def print_control(control: Control, console: Console, *, arm: str = "") -> None:
    """The fields, then for each that differs its values and who carries them; of one arm where it is named."""
    verdict = {True: "held", False: "not held", None: "not fully recorded"}[control.held]
    console.print()
    _title(console, "Information control", verdict, control.simulated)
    asked = ", ".join(f"{name} ({draws})" for name, draws in control.draws.items())
    about = {
        "study": f"{control.study} ({control.study_id[:12]})",
        **({"arm": arm} if arm else {}),
        "requests": asked or "none",
    }
    if control.baselines:
        about["ask no model"] = ", ".join(control.baselines)
    if control.probes:
        about["a probe, not compared"] = ", ".join(control.probes)
    if control.unasked:
        about["nothing stored"] = ", ".join(control.unasked)
    _pairs(console, about)
    if control.substituted:
        console.print(words(control.substituted, style="bold red"))
    fields = _table("The same in every request of every configuration", "field", "result", "what is compared")
    for field in control.fields:
        fields.add_row(words(field.name), words(field.status, style=_STYLE[field.status]), words(field.detail))
    console.print(fields)
    for field in control.differences:
        console.print(_difference(field))


def print_between(arms: Sequence[Between], console: Console) -> None:
    """Each arm against the first: what it declares, what differs, and what is wrong with that."""
    if not arms:
        return
    rows = _table("Between arms: exactly what is declared differs", "arm", "result", "declared", "found")
    for one in arms:
        verdict = {True: "as declared", False: "differs", None: "not recorded"}[one.held]
        style = {True: "green", False: "bold red", None: "yellow"}[one.held]
        found = "; ".join(one.problems) or ", ".join(one.differs) or "nothing is planned of it yet"
        rows.add_row(words(one.second), words(verdict, style=style), words(", ".join(one.declared)), words(found))
    console.print(rows)


def _title(console: Console, title: str, verdict: str, simulated: bool) -> None:
    style = {"passed": "green", "held": "green", "failed": "bold red", "not held": "bold red"}.get(verdict, "yellow")
    label = words("[SIMULATED]", style="bold red") if simulated else Text("")
    console.print(words(f"{title}:", style="bold"), words(verdict, style=style), label)


def _hindsight(certificate: "Certificate") -> str:
    return " (hindsight-anchored)" if certificate.hindsight else ""


def _pairs(console: Console, pairs: Mapping[str, str]) -> None:
    grid = Table.grid(padding=(0, 1))
    for name, value in pairs.items():
        grid.add_row(words(name, style="dim"), words(value, overflow="fold"))
    console.print(grid)
    console.print()


def _table(title: str, *columns: str) -> Table:
    """The last column takes what is left of the line."""
    table = Table(title=words(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns[:-1]:
        table.add_column(column, overflow="fold")
    table.add_column(columns[-1], overflow="fold", ratio=1)
    return table


def _seen(items: "Sequence[Item]") -> Table:
    """Facts and documents one by one; of what there are many, a line per kind and source, with the earliest time."""
    table = _table("What its agents could see", "what", "hash", "knowable at", "shown", "value and source")
    alike: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in items:
        one_by_one = item.kind.startswith("fact") or item.kind == "document"
        alike[(item.kind, item.source) if not one_by_one else (item.kind, item.hash)].append(item)
    for (kind, _), group in alike.items():
        item, times = group[-1], [i.knowable_at for i in group if i.knowable_at is not None]
        shown = sum(i.shown for i in group)
        what = kind if len(group) == 1 else f"{len(group)} × {kind}"
        count = ("yes" if shown else "no") if len(group) == 1 else str(shown)
        at = _when(min(times)) if times else "not recorded"
        last = "" if len(group) == 1 else "last: "
        text = f"{last}{item.text[:100]} ({item.source})"
        table.add_row(words(what), words(item.hash[:8] if len(group) == 1 else ""), words(at), count, words(text))
    return table


def _refusals(certificate: "Certificate") -> Table | Text:
    if not certificate.refusals:
        note = "not recorded for an imported forecast" if certificate.imported else "nothing"
        return Text(f"Held back: {note}", style="dim")
    counts = Counter((r.by, r.kind, r.reason) for r in certificate.refusals)
    table = _table("Held back", "by", "what", "reason")
    for (by, kind, reason), count in counts.items():
        table.add_row(words(by), words(f"{count} × {kind}"), words(reason))
    return table


def _difference(field: Field) -> Table:
    table = _table(f"{field.name} differs", "requests", "value")
    for value in field.values:
        who = "\n".join(f"{draws} × {name}" for name, draws in value.draws.items())
        table.add_row(words(who), words(f"{value.value}\n(such as draw {value.example[:12]})"))
    return table


def _when(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M")
