"""An audit: every rule on the evidence of one study, what each found, and why one could not look."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from coordeval.analysis.audit.evidence import Evidence
from coordeval.analysis.audit.rule import SEVERITIES, Finding, Rule, Severity

_FELL: Final = "it fell over"
SHOWN: Final = 20
"""Rows of a finding in results and reports; `coordeval audit --rows` lists all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What became of one rule: `silent` looked and found nothing; `why` it did not look, or fell over."""

    rule: str
    severity: Severity
    stage: str
    looks_for: str
    findings: int
    why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The findings of all rules, the gravest first."""

    study: Mapping[str, Any]
    findings: tuple[Finding, ...]
    looked: tuple[Looked, ...]
    quarantined: Mapping[str, str]
    """Rules that could not be loaded, with the reason."""
    forecasts: int

    @property
    def worst(self) -> Severity | None:
        """The gravest severity found; None where nothing was."""
        return max((finding.severity for finding in self.findings), key=SEVERITIES.index, default=None)

    def reaches(self, severity: Severity) -> bool:
        """Whether something of that severity or a graver one was found."""
        return self.worst is not None and SEVERITIES.index(self.worst) >= SEVERITIES.index(severity)

    @property
    def says(self) -> str:
        """The audit in one sentence."""
        n = {severity: sum(f.severity == severity for f in self.findings) for severity in reversed(SEVERITIES)}
        noun = self.study.get("noun", "forecast")
        silent = sum(one.why is None and not one.findings for one in self.looked)
        counts = ", ".join(f"{count} {severity}{'s' * (count != 1)}" for severity, count in n.items() if count)
        blind = sum(one.why is not None for one in self.looked)
        more = f", {blind} could not look" if blind else ""
        looked = f"{len(self.looked)} rules looked at {self.forecasts:,} {noun}s"
        return f"{looked}: {counts or 'nothing found'}; {silent} silent{more}"

    def shortened(self, rows: int = SHOWN) -> "Audit":
        """With the first `rows` rows of each finding only, for what is kept and shown."""
        return replace(self, findings=tuple(finding.shortened(rows) for finding in self.findings))

    def as_json(self, *, rows: int | None = SHOWN) -> dict[str, Any]:
        """Plain JSON values; of each finding the first `rows` rows, all where it is None."""
        return {
            "study": dict(self.study),
            "says": self.says,
            "worst": self.worst,
            "findings": [finding.as_json(rows=rows) for finding in self.findings],
            "looked": [asdict(one) for one in self.looked],
            "quarantined": dict(self.quarantined),
        }


def audit(evidence: Evidence, rules: Iterable[Rule], *, quarantined: Mapping[str, str] | None = None) -> Audit:
    """All that the rules find. A rule that falls over is listed with what it said; the others go on.

    >>> from coordeval.analysis.audit import audit, evidence
    >>> from coordeval.analysis.audit.registry import load
    >>> audit(evidence({}), load().made()).findings
    ()
    """
    findings: list[Finding] = []
    looked: list[Looked] = []
    for rule in rules:
        mine: Sequence[Finding] = ()
        why = blind(evidence, rule)
        if why is None:
            try:
                mine = tuple(rule.find(evidence))
            except Exception as error:  # a plugin may raise anything; what fell over is said, and is no finding
                why = f"{_FELL}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        findings += mine
        about = {name: getattr(rule, name) for name in ("severity", "stage", "looks_for")}
        looked.append(Looked(rule=rule.name, findings=len(mine), why=why, **about))
    findings.sort(key=lambda finding: -SEVERITIES.index(finding.severity))
    return Audit(
        study=evidence.study,
        findings=tuple(findings),
        looked=tuple(looked),
        quarantined=dict(quarantined or {}),
        forecasts=evidence.forecasts.height,
    )


def together(audits: Mapping[str, Audit]) -> Audit:
    """The audits of the arms of one study as one: arm -> its audit. Each finding says its arms; one in several stands once.

    A rule could not look where it could in no arm, or fell over in one.
    """
    names = list(audits)
    found: list[Finding] = []
    for arm, one in audits.items():
        for finding in one.findings:
            same = next((i for i, other in enumerate(found) if _same(finding, other)), None)
            if same is None:
                found.append(replace(finding, arms=(arm,)))
            else:
                found[same] = replace(found[same], arms=(*found[same].arms, arm))
    found.sort(key=lambda finding: -SEVERITIES.index(finding.severity))
    first = audits[names[0]]
    looked = []
    for row in first.looked:
        own = {arm: next(other for other in one.looked if other.rule == row.rule) for arm, one in audits.items()}
        whys = {arm: other.why for arm, other in own.items() if other.why is not None}
        fell = [f"in the arm {arm!r}: {why}" for arm, why in whys.items() if why.startswith(_FELL)]
        why = row.why if len(names) == 1 else "; ".join(fell) or (row.why if len(whys) == len(names) else None)
        looked.append(replace(row, findings=sum(finding.rule == row.rule for finding in found), why=why))
    return replace(
        first, findings=tuple(found), looked=tuple(looked), forecasts=sum(one.forecasts for one in audits.values())
    )


def _same(one: Finding, other: Finding) -> bool:
    return (one.rule, one.severity, one.says, one.count) == (other.rule, other.severity, other.says, other.count) and (
        one.rows.equals(other.rows)
    )


def blind(evidence: Evidence, rule: Rule) -> str | None:
    """Why a rule cannot look; None where it can."""
    empty = [name for name in rule.needs if getattr(evidence, name).is_empty()]
    if rule.name == "unequal_conditions" and evidence.control is None:
        return "nobody compared the stored requests"
    return f"nothing is stored of {', '.join(empty)}" if empty else None
