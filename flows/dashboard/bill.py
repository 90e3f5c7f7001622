"""Parts of the Costs page: what cache and batches took off the list price, and what was quoted beside what came."""

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from coordeval.analysis.base.numerals import usd
from coordeval.flows.costs.bill import bill
from coordeval.flows.costs.kept import beside
from coordeval.flows.costs.terminal import COLUMNS, dollars, off_in_words
from coordeval.flows.dashboard import parts
from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.dashboard.tags import Component
from coordeval.flows.study.wiring import stored_prices
from coordeval.ledger.reader import Study

if TYPE_CHECKING:
    from coordeval.flows.dashboard.pages.page import Asked

MOST: Final = 200_000
"""Calls beyond which the bill, which looks at each, is left to `coordeval costs`."""
_TERMS: Final = ("List price", "Off by cache", "Off by batch", "Attributed", "Paid")


def sections(asked: "Asked", study: Study, look: Any, calls: int) -> list[Component]:
    found: list[Component] = []
    if calls > MOST:
        return [parts.note(f"With {calls:,} calls the bill takes long: `coordeval costs {study.study_id[:8]}` makes it.")]
    made, last = _load(asked.facts, study)
    rows = [
        [
            parts.named(row["configuration"], look, dark=asked.dark),
            f"{row['calls']:,}",
            *(_usd(row[name]) for name in COLUMNS),
        ]
        for row in made["by"]["configuration"]
    ]
    total = made["total"]
    rows.append(["All together", f"{total['calls']:,}", *(_usd(total[name]) for name in COLUMNS)])
    for row in made["beside"]:
        amounts = ("", "", "", _usd(row["attributed_micro_usd"]), _usd(row["paid_micro_usd"]))
        rows.append([f"Beside it: {row['purpose']}", f"{row['calls']:,}", *amounts])
    frame = pl.DataFrame(made["by"]["configuration"])
    columns = ("Configuration", "Calls", *_TERMS)
    bill_table = parts.table(parts.Table("bill", columns, rows, frame, frozenset(range(1, 7))))
    found.append(parts.section("The bill", bill_table))
    found += [parts.note(f"{note[0].upper()}{note[1:]}.") for note in made["notes"]]
    if last is not None:
        found.append(parts.section(f"Quoted {last['quoted_at']} (UTC), and what came", _quoted(last, look, dark=asked.dark)))
    return found


def _load(facts: Facts, study: Study) -> tuple[dict[str, Any], dict[str, Any] | None]:
    def make() -> tuple[dict[str, Any], dict[str, Any] | None]:
        with facts.reader().moment() as reader:
            return bill(reader, study.study_id, stored_prices(study.content)), beside(reader, study.study_id)

    return facts.per_state("bill", study.study_id, make)


def _quoted(last: dict[str, Any], look: Any, *, dark: bool) -> Component:
    rows = [
        [parts.named(part["configuration"], look, dark=dark), part["role"], f"{part['calls']['mean']:,.0f}",
         f"{part['calls']['actual']:,}", dollars(part["usd"]), usd(part["usd"]["actual"]), off_in_words(part["usd"]["off"])]
        for part in last["parts"]
    ]  # fmt: skip
    paid = last["paid"]
    rows.append(["Paid in all", "", "", "", dollars(paid), usd(paid["actual"]), off_in_words(paid["off"])])
    frame = pl.DataFrame(
        {
            "configuration": [part["configuration"] for part in last["parts"]],
            "role": [part["role"] for part in last["parts"]],
            "quoted_usd": [part["usd"]["mean"] for part in last["parts"]],
            "usd": [part["usd"]["actual"] for part in last["parts"]],
        }
    )
    columns = ("Configuration", "Role", "Calls quoted", "Calls", "USD quoted", "USD", "Off")
    note = f"Judged by {last['source']}; intervals hold 90%. Dollars of a part are what is charged to it."
    return parts.table(parts.Table("quoted", columns, rows, frame, frozenset(range(2, 7))), note=note)


def _usd(amount: int | None) -> str:
    return usd(None if amount is None else amount / 1e6)
