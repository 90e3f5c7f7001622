"""An audit, for the terminal: one line per finding, and the rows behind one where they are asked for."""

from rich.console import Console
from rich.text import Text

from coordeval.analysis.audit import Audit
from coordeval.analysis.base.numerals import counted
from coordeval.flows.terminal import table
from coordeval.market_data.errors import CoordevalError, choose
from coordeval.market_data.text import shown

_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}
_OPENS = {
    "forecasts": "coordeval certificate {}",
    "estimates": "coordeval certificate {}",
    "calls": "coordeval certificate {}",
    "tool_calls": "coordeval certificate {}",
    "messages": "coordeval certificate {}",
    "games": "coordeval grounding replay {}",
    "markets": "coordeval forecasts STUDY --market {}",
}
"""Table of a row -> the command that shows it, given the forecast's or the market's id."""


def print_audit(found: Audit, console: Console, *, several: bool = False) -> None:
    """The sentence, the findings, what could not look and why, and how to see the rows behind a finding.

    `several`: the study has several arms, so each finding says its own.
    """
    console.print(f"{found.study.get('name', '')}: {found.says}", soft_wrap=True, markup=False)
    if found.study.get("simulated"):
        console.print("SIMULATED: nothing here is about a real model or a real market.", soft_wrap=True)
    if found.findings:
        made = table("rule", "severity", *["arms"] * several, "found", "finding", numbers=(2 + several,))
        for finding in found.findings:
            severity = Text(finding.severity, style=_STYLES[finding.severity])
            where = [Text(", ".join(finding.arms))] * several
            made.add_row(finding.rule, severity, *where, f"{finding.count:,} of {finding.of:,}", Text(shown(finding.says)))
        console.print(made)
        console.print("the rows behind one: --rows RULE", style="dim")
    for one in found.looked:
        if one.why is not None:
            console.print(f"could not look, {one.rule}: {one.why}", style="dim", soft_wrap=True, markup=False)
    for name, why in found.quarantined.items():
        console.print(f"rule {name} could not be loaded: {why}", style="bold red", soft_wrap=True, markup=False)


def print_rows(found: Audit, rule: str, console: Console) -> None:
    """Every row behind a rule's findings, and the command that shows one. Raises CoordevalError for an unknown rule."""
    known = [one.rule for one in found.looked]
    if rule not in known:
        raise CoordevalError(choose("rule", rule, known))
    mine = [finding for finding in found.findings if finding.rule == rule]
    if not mine:
        why = next(one.why for one in found.looked if one.rule == rule)
        console.print(f"{rule} found nothing{'' if why is None else f': {why}'}", soft_wrap=True, markup=False)
    for finding in mine:
        where = f"{', '.join(finding.arms)}: " if len({other.arms for other in mine}) > 1 else ""
        console.print(f"{where}{finding.says} ({counted(finding.rows.height, 'row')})", soft_wrap=True, markup=False)
        for row in finding.rows.iter_rows(named=True):
            where = " ".join(str(row[name]) for name in ("configuration", "market_id") if row[name] is not None)
            line = f"  {row['table'] or ''} {row['id']}  {where}  {shown(row['says'] or '')}"
            console.print(line.rstrip(), soft_wrap=True, markup=False, highlight=False)
        if finding.rows.height and (opens := _OPENS.get(finding.rows["table"][0] or "")):
            first = finding.rows.row(0, named=True)
            known_as = first["market_id"] if first["table"] == "markets" else (first["forecast_id"] or "ID")[:12]
            command = opens.format(known_as).replace("STUDY", str(found.study.get("name", "STUDY")))
            console.print(f"to look at one: {command}", style="dim", soft_wrap=True, markup=False)
