"""Silent failures: rules that look for them in the stored rows of a study, and what they found."""

from coordeval.analysis.audit.auditing import Audit, Looked, audit, together
from coordeval.analysis.audit.diagnosing import Cause, Diagnosis, diagnose, suspects
from coordeval.analysis.audit.evidence import FRAMES, Evidence, evidence
from coordeval.analysis.audit.rule import ROWS, SEVERITIES, STAGES, Finding, Rule
from coordeval.analysis.audit.taxonomy import MAST

__all__ = [
    "FRAMES",
    "MAST",
    "ROWS",
    "SEVERITIES",
    "STAGES",
    "Audit",
    "Cause",
    "Diagnosis",
    "Evidence",
    "Finding",
    "Looked",
    "Rule",
    "audit",
    "diagnose",
    "evidence",
    "suspects",
    "together",
]
