"""What stands around every page: the menu, the filters, what kind of study this is, and the version and command."""

import os
from typing import Any

from coordeval.analysis.base.numerals import counted
from coordeval.analysis.words.headline import POLICIES
from coordeval.analysis.words.standing import HINDSIGHT
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.dashboard.menu import PAGES
from coordeval.flows.dashboard.pages.page import Page
from coordeval.flows.dashboard.tags import Component, dcc, html
from coordeval.flows.dashboard.view import KINDS, View
from coordeval.flows.study.evaluation import version

_POLICY_NAMES = {
    "common": "answered by all",
    "available": "whatever was answered",
    "fallback_half": "failed counts as 0.5",
    "fallback_market": "failed counts as the price",
}


def menu(shown: Page | None, view: View) -> list[Component]:
    kept = View(
        study=view.study,
        arm=view.arm,
        policy=view.policy,
        category=view.category,
        decile=view.decile,
        replicate=view.replicate,
    )
    links = []
    for page in PAGES:
        if page.in_menu:
            here = {"aria-current": "page"} if page is shown else {}
            links.append(html.Li(dcc.Link(page.title, href=kept.href(page.path)), **here))
    return [html.Ul(links)]


def filters(page: Page, view: View, facts: Facts) -> list[Component]:
    studies = facts.game_studies() if page.games else facts.studies()
    if not studies:
        return []
    own = (facts.game_study(view.study) if page.games else facts.study(view.study).study_id) or ""
    same = [row["name"] for row in studies]
    chosen = "" if own == studies[0]["study_id"] else own
    options = [
        (
            "" if i == 0 else row["study_id"],
            row["name"]
            + (f" ({row['study_id'][:8]})" if same.count(row["name"]) > 1 else "")
            + (" (newest)" if i == 0 else ""),
        )
        for i, row in enumerate(studies)
    ]
    found: list[Component] = [parts.choice("Study", "study", options, chosen)]
    if page.games:
        return found
    study = facts.study(view.study)
    if len(arms := facts.arms(view)) > 1:
        shown = [("" if i == 0 else name, name) for i, name in enumerate(arms)]
        found.append(parts.choice("Arm", "arm", shown, "" if view.arm == arms[0] else view.arm))
    cells = facts.cells(study.study_id)
    if "policy" in page.filters:
        names = [("" if key == "common" else key, name) for key, name in _POLICY_NAMES.items()]
        found.append(parts.choice("Missing forecasts", "policy", names, "" if view.policy == "common" else view.policy))
    if "category" in page.filters:
        known = facts.per_state("categories", study.study_id, lambda: sorted(set(map(str, cells["category"].unique()))))
        found.append(parts.choice("Category", "category", [("", "all"), *((c, c) for c in known if c)], view.category))
    if "decile" in page.filters:
        deciles = [("", "all"), *((str(k), f"{k / 10:.1f} to {(k + 1) / 10:.1f}") for k in range(10))]
        found.append(parts.choice("Market price", "decile", deciles, "" if view.decile is None else str(view.decile)))
    if "replicate" in page.filters:
        numbers = facts.per_state("replicates", study.study_id, lambda: sorted(cells["replicate"].unique().to_list()))
        found.append(
            parts.choice(
                "Replicate",
                "replicate",
                [("", "all"), *((str(r), str(r)) for r in numbers)],
                "" if view.replicate is None else str(view.replicate),
            )
        )
    if "kind" in page.filters:
        kinds = [("" if key == "binned" else key, name) for key, name in KINDS.items()]
        found.append(parts.choice("Components", "kind", kinds, "" if view.kind == "binned" else view.kind))
    return found


def labels(page: Page, view: View, facts: Facts) -> list[Component]:
    """What must not be overlooked: simulated, hindsight, unfinished, failed. A page of games says it itself."""
    if page.games:
        return []
    study = facts.study(view.study)
    row = next(r for r in facts.studies() if r["study_id"] == study.study_id)
    found: list[Any] = []
    if study.simulated:
        found.append(parts.note("SIMULATED: nothing here is about a real model or a real market.", kind="banner"))
    if study.source == "imported":
        found.append(parts.note("IMPORTED: made elsewhere; what their makers could see is not in the file.", kind="note"))
    if study.source == "open":
        found.append(parts.note("PROSPECTIVE: forecast before the outcomes, and committed to day by day.", kind="note"))
    if study.hindsight:
        found.append(parts.note(f"{HINDSIGHT}.", kind="banner"))
    pending = row["cells"] - row["answered"] - row["failed"]
    words = []
    if not row["cells"]:
        words.append("This study has no cell yet: nothing was planned.")
    elif pending:
        words.append(f"Not finished: {pending:,} of {row['cells']:,} forecasts are still to be made.")
    if row["failed"]:
        words.append(f"{counted(row['failed'], 'forecast')} failed ({POLICIES[view.policy]}).")
    if words:
        found.append(parts.note(" ".join(words), kind="warning"))
    return found


def footer(facts: Facts, command: str) -> list[Component]:
    return [
        html.P(
            [
                f"coordeval {version()} · ",
                html.Code(command),
                f" · ledger {os.path.relpath(facts.ledger)} · read only, nothing leaves this machine",
            ]
        )
    ]
