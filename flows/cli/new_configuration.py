"""`coordeval configurations new`: an installable package to begin with, which passes its own check as it is written."""

import re
from pathlib import Path

from coordeval.market_data.errors import CoordevalError

_CLASS = '''"""{title}: a configuration for coordeval. `coordeval configurations check` tries it."""

from statistics import median
from typing import ClassVar

from coordeval import Configuration, Elements, Endpoint, Forecast, Panel


class {camel}(Configuration):
    """Agents estimate alone; one more reads them all and gives the forecast. Say here what yours does."""

    name: ClassVar[str] = "{name}"
    elements: ClassVar[Elements] = Elements(
        endpoints=(Endpoint("forecaster", "estimate"), Endpoint("{name}", "estimate")),
        topology=(("forecaster", "{name}"),),  # (who spoke, who was shown it)
        authority="the last one decides",
        synchronisation="two stages; the first all at once",
        aggregation="the last estimate, within the range of the first ones",
        termination="after the second stage",
        failure_handling="exclude",
    )

    agents: int = 3  # parameters are fields; a study sets them: {{ name = "{name}", agents = 5 }}

    async def forecast(self, panel: Panel) -> Forecast:
        first = await panel.ask_each("forecaster", self.agents)
        last = await panel.ask("{name}", shown=first, agents=len(first))
        low, high = min(e.probability for e in first), max(e.probability for e in first)
        return panel.conclude(median([low, last.probability, high]))
'''
_ROLE = """You give the last word after {agents} colleagues, who each estimated alone. Below is what they estimate and why. \
Look for what they missed and for mistakes that they share, and give your own estimate of the probability that the question \
resolves YES.
"""
_TEST = '''"""It loads, forecasts, handles failures and does what it declares."""

from pathlib import Path

import {name}
from coordeval.flows.run.conformance import check


def test_it_conforms():
    findings = check(str(Path({name}.__file__)))
    assert [finding for finding in findings if finding.status == "failed"] == []
'''
_PROJECT = """[project]
name = "{dashed}"
version = "0.1.0"
description = "A configuration for coordeval"
requires-python = ">=3.11"
dependencies = ["coordeval"]

[project.entry-points."coordeval.configurations"]
{name} = "{name}:{camel}"

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
"""


def write(name: str, into: Path) -> list[Path]:
    """The files of a new package, in a folder of its name. Raises CoordevalError for no name, or one that is taken."""
    from coordeval.configurations import load

    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise CoordevalError(f"{name!r} is no name of a configuration: write it in lower case, as in second_opinion")
    registry = load()
    if name in registry.classes or name in registry.quarantined:
        raise CoordevalError(f"a configuration {name!r} is installed already; give yours another name")
    folder = into / name
    if folder.exists():
        raise CoordevalError(f"{folder} exists already, and is not overwritten; choose another name")
    told = {"name": name, "dashed": name.replace("_", "-"), "title": name.replace("_", " ").capitalize()}
    told["camel"] = "".join(word.capitalize() for word in name.split("_"))
    files = {
        folder / "pyproject.toml": _PROJECT.format(**told),
        folder / name / "__init__.py": _CLASS.format(**told),
        folder / name / "roles" / f"{name}.md": _ROLE,
        folder / "tests" / f"test_{name}.py": _TEST.format(**told),
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(files)
