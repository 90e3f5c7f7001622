"""`coordeval configurations`: what can be used, and one of them in full, whatever a plugin's own attributes do."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from coordeval.analysis.figures.topology import topology
from coordeval.configurations import Registry
from coordeval.configurations.described import described as one
from coordeval.flows.terminal import Terminal, print_result
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.text import one_line, shown


def described(registry: Registry) -> dict[str, Any]:
    """{"configurations": [...], "quarantined": {name: reason}}, as JSON values. What cannot be read is quarantined."""
    rows, broken = [], dict(registry.quarantined)
    for name, cls in sorted(registry.classes.items()):
        try:
            rows.append(one(cls))
        except Exception as error:  # an attribute of a plugin may do anything
            broken[name] = f"it cannot be described: {type(error).__name__}: {error}"
    return {"configurations": rows, "quarantined": broken}


def summary(row: dict[str, Any]) -> tuple[str, str]:
    """(parameters, first line of what it is)."""
    parameters = ", ".join(f"{key}={value['default'] or '(required)'}" for key, value in row["parameters"].items())
    isolated = " (isolated)" if row["isolated"] is not None else ""
    return parameters + isolated, row["about"].partition("\n")[0] or "(it does not say what it is)"


def in_full(row: dict[str, Any]) -> Iterator[str]:
    """The seven elements, the parameters, the topology in words and the role texts, a line each."""
    yield row["about"] or "(it does not say what it is)"
    if row["isolated"] is not None:
        closed = ", ".join(row["isolated"]) or "nothing, on this system"
        yield f"isolated: runs in worker processes; closed to them: {closed}"
    elements = row["elements"]
    yield "endpoints: " + ("; ".join(_endpoint(e) for e in elements["endpoints"]) or "none")
    yield "topology: " + (
        "; ".join(f"{b} is shown what {a} said" for a, b in elements["topology"]) or "nobody is shown anything"
    )
    for name in ("authority", "synchronisation", "aggregation", "termination"):
        yield f"{name}: {elements[name]}"
    does = {"exclude": "go on with those who answered, while they are the majority", "abort": "one failure is the cell's"}
    yield f"failure handling: {elements['failure_handling']} ({does[elements['failure_handling']]})"
    yield from _drawing(elements)
    for key, value in row["parameters"].items():
        about = f": {value['description']}" if value["description"] else ""
        yield f"parameter {key} ({value['type']}, {value['default'] or 'required'}){about}"
    for role, text in row["roles"].items():
        yield f"role {role}: {text.strip()}"


def _drawing(elements: Mapping[str, Any]) -> Iterator[str]:
    """Boxes from top to bottom as roles come after one another; ⟲ marks a role that is shown what its own kind said."""
    drawn = topology(elements)
    if drawn is None:
        return
    rows: dict[float, list[str]] = {}
    depth = {box.role: box.y for box in drawn.boxes}
    for box in drawn.boxes:
        again = " ⟲" if (box.role, box.role) in drawn.arrows else ""
        rows.setdefault(box.y, []).append(f"[ {box.role}: {box.about} ]{again}")
    levels = sorted(rows)
    for place, y in enumerate(levels):
        if place:
            yield "    │"
            yield "    ▼"
        yield "  ".join(rows[y])
    round_about = [f"{a} → {b}" for a, b in drawn.arrows if a != b and levels.index(depth[b]) - levels.index(depth[a]) != 1]
    if round_about:
        yield f"and past what stands between: {', '.join(round_about)}"


def why_not(registry: Registry, name: str, console: Terminal, *, as_json: bool) -> None:
    """Why a quarantined one could not be loaded, with the whole traceback of what it raised, where it raised anything."""
    reason, traceback = registry.quarantined[name], registry.tracebacks.get(name)
    if as_json:
        print_result({"name": name, "quarantined": reason, "traceback": traceback})
        return
    console.print(
        f"{one_line(name)} could not be loaded: {one_line(reason)}", style="bold red", soft_wrap=True, markup=False
    )
    for line in (traceback or "").splitlines():
        console.print(f"    {shown(line)}", soft_wrap=True, markup=False, highlight=False)


def new_one(name: str, console: Terminal, *, as_json: bool) -> bool:
    """Writes a package into the folder that one is in, and says what to do with it."""
    from coordeval.flows.cli.new_configuration import write

    files = write(name, Path.cwd())
    if as_json:
        print_result([str(path) for path in files])
        return True
    for path in files:
        console.print(f"wrote {path}", soft_wrap=True, markup=False)
    console.print(
        f"next: coordeval configurations check {name}/{name}/__init__.py; pip install -e {name} puts it among the others",
        soft_wrap=True,
        markup=False,
    )
    return True


def tried(target: str, console: Terminal, *, as_json: bool) -> bool:
    """Tries one and says what fails and how to mend it; returns whether nothing does."""
    from coordeval.flows.run.conformance import check

    if target.endswith(".py") and not Path(target).is_file():
        raise CoordevalError(f"there is no file {target}")
    findings = check(target)
    good = not any(finding.status == "failed" for finding in findings)
    if as_json:
        print_result({"passed": good, "findings": [asdict(finding) for finding in findings]})
        return good
    for finding in findings:
        line = f"{finding.status:6}  {finding.configuration}: {finding.rule}: {finding.says}"
        console.print(line, soft_wrap=True, markup=False)
        if finding.mend:
            console.print(f"        mend: {finding.mend}", soft_wrap=True, markup=False)
    return good


def _endpoint(endpoint: Mapping[str, Any]) -> str:
    blind = "" if endpoint.get("sees_price", True) else ", and does not see the price"
    tools = {"withheld": ", without tools", "optional": ", in some asks without tools"}.get(endpoint.get("tools", ""), "")
    return f"{endpoint['role']} answers with its {endpoint['answers']}{blind}{tools}"
