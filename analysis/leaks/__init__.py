"""Could the answer have been seen: the probes."""

from coordeval.analysis.leaks.early_closing import EarlyClosing, early_closing
from coordeval.analysis.leaks.memorisation import Memorisation, memorisation
from coordeval.analysis.leaks.price_copying import PriceCopying, price_copying
from coordeval.analysis.leaks.probes import Estimate, Probe
from coordeval.analysis.leaks.sibling_reveals import SiblingReveals, sibling_reveals
from coordeval.analysis.leaks.told import Told, told
from coordeval.analysis.leaks.training_cutoff import Cutoff, Split, TrainingCutoff, cutoff_of, training_cutoff

__all__ = [
    "Cutoff",
    "EarlyClosing",
    "Estimate",
    "Memorisation",
    "PriceCopying",
    "Probe",
    "SiblingReveals",
    "Split",
    "Told",
    "TrainingCutoff",
    "cutoff_of",
    "early_closing",
    "memorisation",
    "price_copying",
    "sibling_reveals",
    "told",
    "training_cutoff",
]
