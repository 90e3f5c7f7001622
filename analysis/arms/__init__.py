"""What is separable: how much is due to the configuration, to the model, to information, and does a ranking hold?"""

from coordeval.analysis.arms.agreement import concordance
from coordeval.analysis.arms.crossing import Crossing, crossing
from coordeval.analysis.arms.separable import Separable, separable

__all__ = ["Crossing", "Separable", "concordance", "crossing", "separable"]
