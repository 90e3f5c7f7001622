"""What is known of a study's tools, on a terminal: the answer in words first."""

from typing import Any, Final

import polars as pl

from coordeval.analysis.base.numerals import counted, number, usd
from coordeval.analysis.tools import Fitted
from coordeval.flows.terminal import table
from coordeval.flows.tools.looking import Looked

_SHOWN: Final = 10
_AT: Final = (0.25, 0.5, 0.75)


def words(found: Looked) -> list[str]:
    """What it says, in sentences."""
    totals = {row["measure"]: row for row in found.need.totals.to_dicts()}
    said = [f"{found.study}: {counted(found.need.n_cases, 'case')} answered both ways ({found.paired})."]
    gain = totals["utility"]
    if gain["estimate"] is None:
        said.append(f"What a call is worth is not known: {gain['reason']}.")
    else:
        word = "better" if gain["estimate"] > 0 else "worse"
        sure = gain["low"] is not None and (gain["low"] > 0 or gain["high"] < 0)
        said.append(
            f"Where a tool was called the Brier score is {word} by {number(abs(gain['estimate']))}{_ends(gain)}"
            f"{'' if sure else ': not shown to differ'}."
        )
    for measure, text in (
        ("needed", f"of all cases needed tools: without them the squared error is expected over {found.need.good:g}"),
        ("useful", "were better with a call"),
        ("harmful", "were worse with a call"),
        ("used", "of all draws called one when they could choose"),
    ):
        row = totals[measure]
        if row["estimate"] is None:
            said.append(f"What share {text} is not known: {row['reason']}.")
        else:
            said.append(f"{row['estimate']:.0%}{_ends(row, percent=True)} {text}.")
    return said


def _ends(row: dict[str, Any], *, percent: bool = False) -> str:
    if row["low"] is None:
        return ""
    return f" ({row['low']:.0%} to {row['high']:.0%})" if percent else f" ({number(row['low'])} to {number(row['high'])})"


def print_tools(found: Looked, console: Any) -> None:
    for sentence in words(found):
        console.print(sentence, soft_wrap=True, highlight=False, markup=False)
    made = table("the agent", "truly", "draws", "share", "95%", numbers=(2, 3), title="Perceived against true")
    for row in found.need.perceived.to_dicts():
        share = "n/a" if row["share"] is None else f"{row['share']:.0%}"
        made.add_row(row["perceived"], row["true"], f"{row['draws']:,}", share, _ends(row, percent=True).strip(" ()") or "–")
    console.print(made)
    if found.policies is None:
        console.print(f"No rule of calling is judged: {found.why_no_policies}.", soft_wrap=True)
    else:
        _print_policies(found, console)
    if found.wasted.height:
        made = table("configuration", "tool", "calls", "redundant", "empty", "failed", numbers=(2, 3, 4, 5))
        for row in found.wasted.to_dicts():
            made.add_row(*(f"{row[k]:,}" if isinstance(row[k], int) else row[k] for k in _WASTED))
        console.print(made)
    _print_cases(found, console)


_WASTED: Final = ("configuration", "tool", "calls", "redundant", "empty", "failed")


def _print_policies(found: Looked, console: Any) -> None:
    assert found.policies is not None
    names = ("rule", "given tools", "calls", "Brier", "gain over never", "per forecast")
    made = table(*names, numbers=(1, 2, 3, 4, 5), title="Brier score against calls")
    for row in found.policies.points.to_dicts():
        gain = (
            "–"
            if row["gain_low"] is None
            else f"{number(row['gain'])}{_ends({'low': row['gain_low'], 'high': row['gain_high']})}"
        )
        made.add_row(
            row["policy"], f"{row['share']:.0%}", f"{row['calls']:.2f}", number(row["brier"]), gain, usd(row["cost_usd"])
        )
    console.print(made)
    lines = found.policies.curve
    made = table(
        "the best first, by", *(f"{at:.0%} given tools" for at in _AT), numbers=(1, 2, 3), title="Held to fewer calls"
    )
    for name in lines["policy"].unique(maintain_order=True):
        mine = lines.filter(policy=name)
        near = [mine.sort((pl.col("share") - at).abs()).row(0, named=True) for at in _AT]
        made.add_row(name, *(number(row["brier"]) for row in near))
    console.print(made)
    for name, why in found.policies.reasons.items():
        console.print(f"{name}: not known, {why}", soft_wrap=True)


def _print_cases(found: Looked, console: Any) -> None:
    known = found.need.cases.drop_nulls("p_useful").sort("utility", descending=True)
    if known.is_empty():
        return
    title = f"Markets where a call gains and loses most, {_SHOWN // 2} of each; --json has all"
    made = table("market", "case", "utility", "95%", "needed", "useful", "called", numbers=(2, 4, 5, 6), title=title)
    half = min(_SHOWN // 2, known.height // 2 + known.height % 2)
    for row in pl.concat([known.head(half), known.tail(min(half, known.height - half))]).to_dicts():
        ends = f"{number(row['utility_low'], 3)} to {number(row['utility_high'], 3)}"
        made.add_row(
            row["market_id"],
            row["case"],
            number(row["utility"], 3),
            ends,
            *(f"{row[name]:.0%}" for name in ("p_needed", "p_useful", "called")),
        )
    console.print(made)


def print_fitted(found: Fitted, path: str, console: Any) -> None:
    told = {row["measure"]: row for row in found.measures.to_dicts()}
    on = found.file["fitted_on"]
    gain, over = told["gain"], told["gain over always"]
    console.print(
        f"On events that it was not fitted on, the gate gains {number(gain['estimate'])}{_ends(gain)} Brier points over "
        f"never calling, and {number(over['estimate'])}{_ends(over)} over always; "
        f"it opens for {told['share']['estimate']:.0%}.",
        soft_wrap=True,
        highlight=False,
    )
    slope = told["slope"]
    console.print(
        f"Calibrated: what came rises by {number(slope['estimate'], 2)}{_ends(slope)} per point predicted (1 is right).",
        soft_wrap=True,
        highlight=False,
    )
    made = table("predicted", "seen", "rows", numbers=(0, 1, 2))
    for row in found.calibration.to_dicts():
        made.add_row(number(row["predicted"]), number(row["seen"]), f"{row['rows']:,}")
    console.print(made)
    console.print(
        f"wrote {path}: {on['rows']:,} rows, {counted(len(found.file['markets']), 'market')}, {on['events']:,} events; name "
        f'it in a study as {{ name = "tool_gate", gate = "{path}", agents = {found.file["draws"]} }}',
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
