"""An audit: every rule on the evidence of one study, what each found, and why one could not look."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from coordeval.analysis.audit.evidence import Evidence
from coordeval.analysis.audit.rule import SEVERITIES, Finding, Rule, Severity

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
                why = f"it fell over: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
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


def blind(evidence: Evidence, rule: Rule) -> str | None:
    """Why a rule cannot look; None where it can."""
    empty = [name for name in rule.needs if getattr(evidence, name).is_empty()]
    if rule.name == "unequal_conditions" and evidence.control is None:
        return "nobody compared the stored requests"
    return f"nothing is stored of {', '.join(empty)}" if empty else None
