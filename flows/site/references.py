"""The page of the configurations that come with the project, read from their declared elements."""

from collections.abc import Mapping
from typing import Any

from coordeval.configurations import load
from coordeval.configurations.described import described
from coordeval.flows.site.drawing import topology
from coordeval.flows.site.markdown import cell, code, table

WHAT: Mapping[str, str] = {
    "authority": "whose word decides",
    "synchronisation": "in which order agents act",
    "aggregation": "how estimates become the forecast",
    "termination": "when the exchange ends",
    "failure_handling": "what becomes of an agent without an answer",
}


def configurations_page() -> str:
    lines = [
        "# Configurations",
        "",
        "What each of the seven elements means: [Seven elements](../concepts/seven-elements.md).",
        "`coordeval configurations show NAME` prints one in full, with its role texts.",
        "",
    ]
    for name, cls in sorted(load().classes.items()):
        if cls.__module__.startswith("coordeval."):
            lines += _one(name, described(cls))
    return "\n".join(lines)


def _one(name: str, row: Mapping[str, Any]) -> list[str]:
    elements = row["elements"]
    lines = [f"## {name}", "", cell(row["about"]), ""]
    if elements["endpoints"]:
        lines += [f'<figure class="drawing">{topology(elements["endpoints"], elements["topology"])}</figure>', ""]
    told = [
        (
            "endpoints",
            "; ".join(
                f"{code(e['role'])} answers with its {e['answers']}"
                + ("" if e.get("sees_price", True) else " and does not see the price")
                + {"withheld": ", without tools", "optional": ", in some asks without tools"}.get(e.get("tools", ""), "")
                for e in elements["endpoints"]
            )
            or "none",
        )
    ]
    told += [
        ("topology", "; ".join(f"{b} is shown what {a} said" for a, b in elements["topology"]) or "nobody is shown anything")
    ]
    told += [(f"{key.replace('_', ' ')}", cell(elements[key])) for key in WHAT]
    lines += table(["element", "here"], told)
    if row["parameters"]:
        taken = [
            [code(key), cell(value["type"]), code(value["default"] or "needed"), cell(value["description"])]
            for key, value in row["parameters"].items()
        ]
        columns = ["parameter", "type", "if not given", "what it is"]
        last = 4 if any(one[3] for one in taken) else 3  # the names say it mostly
        lines += table(columns[:last], [one[:last] for one in taken])
    return lines
