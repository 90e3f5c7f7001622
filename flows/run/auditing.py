"""The audit of a stored study: its evidence, held against every installed rule."""

from typing import Final

from coordeval.analysis.audit import Audit, Evidence, audit, together
from coordeval.analysis.audit.registry import GROUP, load
from coordeval.analysis.control import Control
from coordeval.flows.run.computed import kept
from coordeval.flows.run.evidence import study_evidence
from coordeval.flows.study.in_arms import arms_of
from coordeval.ledger import Reader
from coordeval.market_data.plugins import offered

MOST: Final = 20_000
"""Forecasts of a study up to which a report and the dashboard audit it by themselves; beyond, `coordeval audit` does."""


_PARTS: Final = ("forecasts", "estimates", "calls", "tool_calls", "messages")
_STATE = (
    " UNION ALL ".join(
        f"SELECT '{name}' AS part, CAST(sum(CAST(hash(t) AS HUGEINT)) AS VARCHAR) AS state FROM {name} t "
        "SEMI JOIN (FROM cells WHERE study_id = $study) c USING (forecast_id)"
        for name in _PARTS
    )
    + """
    UNION ALL SELECT 'cells', CAST(sum(CAST(hash(t) AS HUGEINT)) AS VARCHAR) FROM cells t WHERE study_id = $study
    UNION ALL SELECT 'facts', CAST(sum(CAST(hash(m, o.value, o.resolved_at) AS HUGEINT)) AS VARCHAR)
        FROM markets m LEFT JOIN current_outcomes o USING (market_id)
        SEMI JOIN (FROM cells WHERE study_id = $study) c USING (market_id)
    ORDER BY ALL
"""
)


def audited(found: Evidence) -> Audit:
    """What all installed rules find in this evidence."""
    rules = load()
    return audit(found, rules.made(), quarantined=rules.quarantined)


def audit_study(reader: Reader, study: str, compared: Control | None = None, *, arm: str | None = None) -> Audit:
    """The audit of a stored study (name or id), as of one moment: of every arm that there is to `reader`, or of `arm`.

    Each arm is held against the rules by itself, because arms differ on purpose; each finding says its arms.
    Raises LedgerError where there is no such study, CoordevalError for no such arm.
    `compared`: the certificate of its control, where there is one arm and that was taken already.
    """
    with reader.moment() as held:
        names = arms_of(held, study, arm)
        alone = compared if len(names) == 1 else None
        return together({name: audited(study_evidence(held, study, alone, arm=name)) for name in names})


def audit_kept(reader: Reader, study_id: str, compared: Control | None) -> Audit | None:
    """The audit with the first rows of each finding, taken from beside the ledger where nothing of the study has changed.

    None for a study of more than MOST forecasts, which is not read for every report.
    """
    if reader.query("SELECT count(*) FROM cells WHERE study_id = ?", [study_id]).item() > MOST:
        return None
    state = reader.query(_STATE, {"study": study_id}).rows()
    rules = [(point.name, point.value, point.dist.version if point.dist else "") for point in offered(GROUP)]
    given = ("audit/2", study_id, [list(row) for row in state], sorted(rules), compared)
    return kept(reader.path, given, lambda: audit_study(reader, study_id, compared).shortened())
