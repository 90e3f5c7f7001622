"""A page for each room of `analysis/`: the docstrings of its public modules."""

import inspect
import re
from importlib import import_module

from coordeval.analysis import ROOMS
from coordeval.flows.site.staging import sources


def measures_pages() -> dict[str, str]:
    """Room -> its page: the modules that give the room a name, and those that docs/analysis.md leads to."""
    docs, _ = sources()
    led = set(re.findall(r"\.\./analysis/(\w+)/(\w+)\.py", (docs / "analysis.md").read_text(encoding="utf-8")))
    return {room: _page(room, sorted(name for place, name in led if place == room)) for room in ROOMS}


def _page(room: str, led: list[str]) -> str:
    package = import_module(f"coordeval.analysis.{room}")
    given: dict[str, list[str]] = {}
    for name in package.__all__:
        home = getattr(getattr(package, name), "__module__", None) or package.__name__
        given.setdefault(home if str(home).startswith("coordeval.analysis") else package.__name__, []).append(name)
    for module in (f"{package.__name__}.{name}" for name in led):
        given.setdefault(module, [])
    about = inspect.cleandoc(package.__doc__ or "")
    lines = [f"# {room.replace('_', ' ')}", "", about, ""]
    for module, names in sorted(given.items()):
        members = f"members: [{', '.join(sorted(names))}], " if names else ""
        lines += [f"::: {module}", f"    options: {{{members}show_root_full_path: true}}", ""]
    return "\n".join(lines)
