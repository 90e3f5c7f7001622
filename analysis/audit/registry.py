"""The rules of an audit: every one, built-in or not, comes through the entry-point group `coordeval.audit_rules`.

A rule that cannot be loaded is quarantined: its name is listed with the reason, and the audit goes on with the others.
"""

import inspect
import re
from collections.abc import Sequence
from typing import Final

from coordeval.analysis.audit.evidence import FRAMES
from coordeval.analysis.audit.rule import SEVERITIES, STAGES, Rule
from coordeval.analysis.audit.taxonomy import MAST
from coordeval.market_data.plugins import PluginError, Plugins, installed

GROUP: Final = "coordeval.audit_rules"


class Rules(Plugins[type[Rule]]):
    """The rules that can be used, and those that could not be loaded, with the reason."""

    def made(self) -> Sequence[Rule]:
        """One of each, by where in the making of a forecast it looks."""
        return sorted((cls() for cls in self.classes.values()), key=lambda rule: (STAGES.index(rule.stage), rule.name))


def load() -> Rules:
    """Every installed rule."""
    return Rules("audit rule", *installed(GROUP, check))


def check(cls: object, name: str) -> None:
    """The contract, at the door. Raises PluginError with everything that is wrong."""
    if not (inspect.isclass(cls) and issubclass(cls, Rule)):
        raise PluginError(f"{cls!r} is not a subclass of analysis.audit.Rule")
    problems = []
    if inspect.isabstract(cls):
        problems.append("find is missing; write `def find(self, evidence)`")
    if getattr(cls, "name", None) != name or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        problems.append(
            f"name is {getattr(cls, 'name', None)!r}, but it is registered as {name!r}; lower_case_words, and equal"
        )
    if getattr(cls, "severity", None) not in SEVERITIES:
        problems.append(f"severity is {getattr(cls, 'severity', None)!r}; it must be one of {', '.join(SEVERITIES)}")
    if getattr(cls, "stage", None) not in STAGES:
        problems.append(f"stage is {getattr(cls, 'stage', None)!r}; it must be one of {', '.join(STAGES)}")
    if not isinstance(getattr(cls, "looks_for", None), str):
        problems.append("looks_for is missing; say in one line what is wrong where it finds something")
    if strange := [mode for mode in getattr(cls, "modes", ()) if mode not in MAST]:
        problems.append(f"modes has {', '.join(map(str, strange))}; MAST has {', '.join(MAST)}")
    if strange := [frame for frame in getattr(cls, "needs", ()) if frame not in FRAMES]:
        problems.append(f"needs has {', '.join(map(str, strange))}; there are {', '.join(FRAMES)}")
    if problems:
        raise PluginError(f"{cls.__name__}: " + "; ".join(problems))
