"""Were tools needed, useful and used, and what would an estimator that decides about them have gained?"""

from coordeval.analysis.tools.answers import ANSWERS, Paired, paired_answers
from coordeval.analysis.tools.gate import Fitted, fit_gate
from coordeval.analysis.tools.need import Need, need
from coordeval.analysis.tools.policies import Policies, policies
from coordeval.analysis.tools.wasted import wasted

__all__ = ["ANSWERS", "Fitted", "Need", "Paired", "Policies", "fit_gate", "need", "paired_answers", "policies", "wasted"]
