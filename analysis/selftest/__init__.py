"""The statistics against simulated truth: every interval and test of `analysis` in worlds whose true values are known.

`worlds` draws them and `truth` integrates over them; `talk` and `talk_truth` are the same for agents who talk. `benches`
says what is tried in one world, `running` runs many, `verdicts` judges the counts, `writing` tells them. `analysis` itself
does not import it.
"""

from coordeval.analysis.selftest.benches import BENCHES, Check, Task
from coordeval.analysis.selftest.running import FULL, QUICK, Plan, SelfTest, selftest
from coordeval.analysis.selftest.verdicts import TOLERANCE, Row, failures, wanted
from coordeval.analysis.selftest.writing import coverage, grouped, page, record

__all__ = [
    "BENCHES",
    "FULL",
    "QUICK",
    "TOLERANCE",
    "Check",
    "Plan",
    "Row",
    "SelfTest",
    "Task",
    "coverage",
    "failures",
    "grouped",
    "page",
    "record",
    "selftest",
    "wanted",
]
