"""A quote, a bill and an examination as a person reads them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from coordeval.analysis.base.arms import MAIN
from coordeval.analysis.base.numerals import counted, usd
from coordeval.flows.costs.amounts import LEVEL
from coordeval.flows.study.names import PROBE
from coordeval.flows.terminal import table

_MONEY = {"simulated": "simulated dollars, which nobody pays", "not paid": "replies are replayed, so nothing is paid"}


def print_quote(quote: Mapping[str, Any], console: Console) -> None:
    """`quote`: as `Quote.as_json`, so that a stored one prints the same way."""
    what = _MONEY.get(quote["money"], f"at prices of {quote['priced_on']}")
    days = "" if quote.get("days") is None else f" in {counted(quote['days'], 'day')}"
    console.print(
        f"{quote['study']}: {quote['open']:,} of {quote['cells']:,} forecasts are to be made, on {quote['markets']:,} "
        f"markets{days}. "
        f"Judged by {quote['source']}; priced as {quote['priced_as']} ({what}); intervals hold {LEVEL:.0%}.",
        soft_wrap=True,
    )
    if quote["open"]:
        rows = table("configuration", "role", "calls", "tokens in", "tokens out", "USD charged to it", numbers=(2, 3, 4, 5))
        for part in quote["parts"]:
            counts = [_count(part[name]) for name in ("calls", "input_tokens", "output_tokens")]
            rows.add_row(in_arm(part), part["role"], *counts, dollars(part["usd"]))
        console.print(rows)
        sums = table("all together", "USD", "of the first", numbers=(1, 2))
        first = quote["naive"]["mean"]
        how = "batch" if quote["batched"] else "cached" if quote["caching"] else "shared"
        live = " (this is how it is set to run)"
        for name, words in (
            ("naive", "live, every configuration buying its own replies, no cache"),
            ("shared", "live, a reply that several draw bought once" + live * (how == "shared")),
            ("cached", "live, shared, with prompt caching" + live * (how == "cached")),
            ("batch", "in batches, shared" + live * (how == "batch")),
        ):
            amount = quote[name]
            share = "" if not first or amount["mean"] is None else f"{amount['mean'] / first:.0%}"
            sums.add_row(words, dollars(amount), share)
        console.print(sums)
        console.print(
            f"{_count(quote['calls'])} calls, {_count(quote['input_tokens'])} tokens in, "
            f"{_count(quote['output_tokens'])} out; live about {_time(quote['seconds_live'])}, in batches {quote['waves']} "
            "that follow one another, mostly under an hour each.",
            soft_wrap=True,
        )
    for note in quote["notes"]:
        console.print(f"note: {note}", style="yellow", soft_wrap=True)


def in_arm(row: Mapping[str, Any]) -> str:
    """The configuration, and its arm where that is another than the study's own."""
    arm = row.get("arm", MAIN)
    return str(row["configuration"]) + ("" if arm in (MAIN, PROBE) else f" ({arm})")


def print_beside(found: Mapping[str, Any], console: Console) -> None:
    """A stored quote beside what its run came to."""
    console.print(f"quoted {found['quoted_at']} (UTC), by {found['source']}; beside it what came:", soft_wrap=True)
    rows = table("configuration", "role", "calls", "came", "USD quoted", "came", "off", numbers=(2, 3, 4, 5, 6))
    for part in found["parts"]:
        rows.add_row(
            in_arm(part),
            part["role"],
            _count(part["calls"]),
            f"{part['calls']['actual']:,}",
            dollars(part["usd"]),
            usd(part["usd"]["actual"]),
            off_in_words(part["usd"]["off"]),
        )
    console.print(rows)
    total = found["paid"]
    console.print(
        f"in all: quoted {dollars(total)}, came to {usd(total['actual'])}, {off_in_words(total['off'])}", soft_wrap=True
    )


def dollars(amount: Mapping[str, float | None]) -> str:
    if amount["mean"] is None:
        return "not known"
    if amount["low"] is None or amount["high"] is None:
        return usd(amount["mean"])
    return f"{usd(amount['mean'])} ({usd(amount['low'])} to {usd(amount['high'])})"


def _count(amount: Mapping[str, float | None]) -> str:
    return "not known" if amount["mean"] is None else f"{amount['mean']:,.0f}"


def off_in_words(share: float | None) -> str:
    if share is None:
        return "cannot be told"
    return "as quoted" if abs(share) < 0.0005 else f"quote {abs(share):.1%} too {'high' if share > 0 else 'low'}"


def _time(amount: Mapping[str, float | None]) -> str:
    seconds = amount["mean"] or 0.0
    return (
        f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
    )


def print_bill(bill: Mapping[str, Any], console: Console) -> None:
    """`bill`: as `coordeval.flows.costs.bill.bill` makes it."""
    total = bill["total"]
    idle = [name for name in ("cached_micro_usd", "batch_micro_usd") if _nothing(bill, name)]
    columns = [name for name in COLUMNS if name not in idle]
    for part, rows in bill["by"].items():
        amounts = range(1, 2 + len(columns))
        shown = table(part, "calls", *(_HEADINGS[name] for name in columns), numbers=amounts, whole=amounts)
        for row in rows:
            shown.add_row(str(row[part]), f"{row['calls']:,}", *(_micro(row[name]) for name in columns))
        console.print(shown)
    if idle:
        what = " and ".join(_HEADINGS[name].removeprefix("off by ") for name in idle)
        console.print(f"nothing was taken off by {what}", soft_wrap=True)
    words = ", ".join(f"{name} {_micro(total[f'{name}_micro_usd'])}" for name in ("list", "attributed", "paid"))
    console.print(f"in all {total['calls']:,} calls: {words}", soft_wrap=True)
    for row in bill["beside"]:
        console.print(f"beside it, {row['purpose']}: {row['calls']:,} calls, {_bought(row)}", soft_wrap=True)
    if bill["beside"]:
        both = bill["with_beside"]
        console.print(f"with that {both['calls']:,} calls, {_bought(both)}", soft_wrap=True)
    for note in bill["notes"]:
        console.print(f"note: {note}", style="yellow", soft_wrap=True)


def _nothing(bill: Mapping[str, Any], name: str) -> bool:
    """Whether no part of any split has an amount there, so that a column of it would be of zeros."""
    return all(row[name] == 0 for rows in bill["by"].values() for row in rows)


def print_exam(found: Mapping[str, Any], console: Console) -> None:
    """`found`: as `coordeval.flows.costs.exam.examine` makes it."""
    rows = table("role", "asks", "answered", "calls", "tool calls", "first failure", numbers=(1, 2, 3, 4))
    for role in found["roles"]:
        counts = (str(role[name]) for name in ("asks", "answered", "calls", "tool_calls"))
        rows.add_row(role["role"], *counts, role["first_failure"] or "")
    console.print(rows)
    words = {True: "yes", False: "NO", None: "cannot be told"}
    for finding in found["findings"]:
        minor = "" if finding["fatal"] or finding["held"] is not False else " (no reason to refuse it)"
        console.print(f"{finding['what']}: {words[finding['held']]}{minor}; {finding['says']}", soft_wrap=True)
    free = f"not paid: {usd(found['usd'])} (stand-in)" if found["money"] == "stand-in" else "nothing was paid"
    spent = f"it cost {usd(found['usd'])}" if found["money"] == "paid" else free
    verdict = "passes" if found["passed"] else "FAILS"
    style = "green" if found["passed"] else "red"
    left = f"; {found['not_asked']} asks no longer fit --max-usd" if found["not_asked"] else ""
    console.print(f"{found['model']} {verdict}; {found['calls']} calls, {spent}{left}", style=style, soft_wrap=True)


def print_would_ask(found: Mapping[str, Any], console: Console, most: int = 40) -> None:
    """`found`: as `coordeval.flows.costs.why.would_ask` makes it."""
    cells = found["cells"]
    reasons = Counter(cell["why"].partition(":")[0].partition(" as ")[0] for cell in cells)
    quiet = found["planned"] - found["made"] - len(cells)
    without = f"; {quiet:,} need no model" if quiet else ""
    console.print(
        f"{found['study']}: of {found['planned']:,} forecasts {found['made']:,} are made; a run would ask for "
        f"{len(cells):,}{without}",
        soft_wrap=True,
    )
    for reason, count in reasons.most_common():
        console.print(f"  {count:,} {reason}", soft_wrap=True)
    if cells:
        rows = table("market", "configuration", "replicate", "id", "why", numbers=(2,))
        for cell in cells[:most]:
            names = (cell["market"], in_arm(cell), str(cell["replicate"]), cell["forecast_id"][:8])
            rows.add_row(*names, cell["why"])
        console.print(rows)
    if len(cells) > most:
        console.print(f"{most} of {len(cells):,}; --json has all")


def print_explained(found: Mapping[str, Any], console: Console) -> None:
    """`found`: as `coordeval.flows.costs.why.explain` makes it."""
    where = f"market {found['market_id']}, {in_arm(found)}, replicate {found['replicate']}"
    status = found["status"] or "open"
    console.print(f"{found['forecast_id'][:12]}: {where}; {status}; in {', '.join(found['studies'])}", soft_wrap=True)
    if not found["others"]:
        console.print("nothing else was asked for this cell: it was asked under this identity only", soft_wrap=True)
    for other in found["others"]:
        cost = "" if other["attributed_micro_usd"] is None else f", charged {_micro(other['attributed_micro_usd'])}"
        console.print(
            f"{other['forecast_id'][:12]} ({other['study']}, {other['status'] or 'open'}{cost}) differs in", soft_wrap=True
        )
        for one in other["differs"]:
            console.print(f"    {one['field']}: {one['this']} here, {one['other']} there", soft_wrap=True)


def print_bills(rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Every study's calls, attributed and paid, by what they were for."""
    shown = table("study", "hash", "for", "calls", "attributed", "paid", numbers=(3, 4, 5))
    for row in rows:
        amounts = (_micro(row["attributed_micro_usd"]), _micro(row["paid_micro_usd"]))
        shown.add_row(row["study"], row["study_id"][:8], row["purpose"], f"{row['calls']:,}", *amounts)
    console.print(shown)
    console.print("`coordeval costs STUDY` splits one by configuration, role, round and tool.", soft_wrap=True)


_HEADINGS = {
    "list_micro_usd": "list",
    "cached_micro_usd": "off by cache",
    "batch_micro_usd": "off by batch",
    "attributed_micro_usd": "attributed",
    "paid_micro_usd": "paid",
}
COLUMNS: Sequence[str] = (
    "list_micro_usd", "cached_micro_usd", "batch_micro_usd", "attributed_micro_usd", "paid_micro_usd",
)  # fmt: skip


def _bought(row: Mapping[str, Any]) -> str:
    return f"attributed {_micro(row['attributed_micro_usd'])}, paid {_micro(row['paid_micro_usd'])}"


def _micro(amount: int | None) -> str:
    return "not known" if amount is None else f"${amount / 1e6:,.6f}"
