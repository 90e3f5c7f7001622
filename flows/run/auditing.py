"""The audit of a stored study: its evidence, held against every installed rule."""

from coordeval.analysis.audit import Audit, Evidence, audit
from coordeval.analysis.audit.registry import load
from coordeval.flows.run.evidence import study_evidence
from coordeval.ledger import Reader


def audited(found: Evidence) -> Audit:
    """What all installed rules find in this evidence."""
    rules = load()
    return audit(found, rules.made(), quarantined=rules.quarantined)


def audit_study(reader: Reader, study: str) -> Audit:
    """The audit of a stored study (name or id), as of one moment. Raises LedgerError where there is none."""
    return audited(study_evidence(reader, study))
