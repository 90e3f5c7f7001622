"""`coordeval configurations`: what can be used, and one of them in full, whatever a plugin's own attributes do."""

from collections.abc import Iterator, Mapping
from typing import Any

from coordeval.configurations import Registry
from coordeval.configurations.described import described as one


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
    for key, value in row["parameters"].items():
        about = f": {value['description']}" if value["description"] else ""
        yield f"parameter {key} ({value['type']}, {value['default'] or 'required'}){about}"
    for role, text in row["roles"].items():
        yield f"role {role}: {text.strip()}"


def _endpoint(endpoint: Mapping[str, Any]) -> str:
    blind = "" if endpoint.get("sees_price", True) else ", and does not see the price"
    return f"{endpoint['role']} answers with its {endpoint['answers']}{blind}"
