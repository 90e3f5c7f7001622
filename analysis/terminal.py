"""A report in a terminal of 80 columns or more: the same numbers as the page, with no sign that needs colour to be read."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.answers_predictions import rule
from analysis.leaderboard import REFERENCE
from analysis.numerals import number, usd

if TYPE_CHECKING:
    from analysis.report import Report

_SHOWN = 15  # comparisons; the page and results.json have them all


def print_report(report: "Report", console: Console) -> None:
    """Answers and tables. Text from data is printed as it is, never read as markup."""
    board = report.board
    console.print()
    console.print(Text(str(report.study["name"]), style="bold"), _label(report), sep="  ")
    console.print(Text(f"{report.study['model']}, {board.n_markets} markets, policy {board.policy}", style="dim"))
    console.print()
    if report.banner:
        console.print(Text(report.banner, style="bold red"))
        console.print()
    if report.uncontrolled:
        console.print(Text(report.uncontrolled, style="bold red"))
        console.print()
    console.print(Text(report.opening))
    for answer in report.answers:
        _say(console, answer.question, answer.says)
    _say(console, "What is missing", report.closing)
    console.print()
    console.print(_leaderboard(report))
    results = report.results()
    if results["predictions"]["table"]:
        console.print(_predictions(results["predictions"]))
    pairs = results["comparisons"]
    if pairs:
        console.print(_comparisons(pairs, results["noise_floor"], report.findings.resamples))
        if len(pairs) > _SHOWN:
            console.print(Text(f"{len(pairs) - _SHOWN} smaller differences are in results.json.", style="dim"))
    if results["intervals"]:
        console.print(_intervals(report, results["intervals"]))
    if results["frontier"]:
        console.print(_frontier(results["frontier"]["table"], report.findings.resamples))
    if results["coordination"] and (gains := _gains(results["coordination"]["gain"])):
        console.print(_coordination(gains, report.diagnostics.resamples))
    if report.failures:
        console.print()
        console.print(_failures(report.failures))
    if report.simulated:
        console.print(_label(report))


def _label(report: "Report") -> Text:
    return Text("[SIMULATED]", style="bold red") if report.simulated else Text("")


def _table(title: str, *columns: str) -> Table:
    """The first column is text, the others are numbers."""
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(columns[0], overflow="fold")
    for column in columns[1:]:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _leaderboard(report: "Report") -> Table:
    table = _table(
        "Leaderboard, best first. Alpha: Brier points better than the market price, ± clustered SE",
        *("configuration", "Brier", "spread", "alpha", "± SE", "USD", "failed"),
    )
    for row in report.board.table.iter_rows(named=True):
        is_market = row["configuration"] == REFERENCE
        cost = "–" if is_market else usd(row["cost_usd_per_market"]).replace("not known", "n/a")
        numbers = [_short(row[c]) for c in ("brier", "brier_spread", "alpha", "alpha_sem_clustered")]
        star = "*" if row["on_frontier"] else ""
        failed = "–" if is_market else str(row["failed"])
        table.add_row(Text(row["configuration"] + star), *numbers, cost, failed, style="italic" if is_market else "")
    table.caption = Text(
        "* on the frontier of cost and Brier score. spread: between replicates. USD: per market. n/a: see the notes"
    )
    table.caption_justify = "left"
    return table


def _predictions(foretold: dict[str, Any]) -> Table:
    table = _table(
        "Predictions. Δ: with its interval; toward: share of the resamples in the direction predicted",
        *("prediction", "Δ", "interval", "toward", "p, Holm"),
    )
    for row in foretold["table"]:
        toward = "n/a" if row["probability"] is None else f"{row['probability']:.0%}"
        p = "n/a" if row["p_holm"] is None else f"{row['p_holm']:.3f}"
        stands = {True: ", stands", False: ", does not stand", None: ""}[
            row["stands"] if row["verdict"] == "upheld" else None
        ]
        numbers = (_short(row["estimate"]), _span(row["low"], row["high"], 3), toward, p)
        table.add_row(Text(f"{rule(row)}: {row['verdict']}{stands}"), *numbers)
    table.caption = Text(f"{foretold['when']}. REL, RES: corrected for bias. stands: after correction")
    table.caption_justify = "left"
    return table


def _comparisons(pairs: list[dict[str, Any]], floor: float | None, n: int) -> Table:
    table = _table(
        f"Comparisons, the market price first. Δ: first − second, negative if the first is better; 95% intervals of {n:,} "
        f"resamples of events. Noise floor: {number(floor)}",
        *("first / second", "Δ Brier", "interval", "Δ/floor", "p, Holm", "needed"),
    )
    for pair in pairs[:_SHOWN]:
        ratio = "n/a" if pair["ratio"] is None else f"{pair['ratio']:.1f}"
        p = "n/a" if pair["p_holm"] is None else f"{pair['p_holm']:.3f}"
        needed = "n/a" if pair["n_needed_clustered"] is None else f"{pair['n_needed_clustered']:,}"
        told = f": {pair['verdict']}" if pair["verdict"] not in ("undecided", "not known") else ""
        names = Text(f"{pair['first']} / {pair['second']}{told}")
        table.add_row(names, _short(pair["delta"]), _span(pair["low"], pair["high"], 3), ratio, p, needed)
    table.caption = Text("p: sign flips of events. needed: markets for 80% power after correction, if Δ is true")
    table.caption_justify = "left"
    return table


def _intervals(report: "Report", rows: list[dict[str, Any]]) -> Table:
    corp = report.findings.resamples_corp
    table = _table(
        f"Intervals of 95% ({report.findings.resamples:,} resamples; MCB, DSC: {corp:,}). REL null: of the calibrated",
        *("configuration", "REL", "REL null", "RES", "MCB", "DSC"),
    )
    of = {(row["configuration"], row["measure"]): row for row in rows}
    for row in report.board.table.iter_rows(named=True):
        name = row["configuration"]
        if (name, "rel") in of:
            spans = [_span(of[name, m]["low"], of[name, m]["high"], 3) for m in ("rel", "res", "mcb", "dsc")]
            null = _span(row["null_rel_low"], row["null_rel_high"], 3)
            table.add_row(Text(name), spans[0], null, *spans[1:], style="italic" if name == REFERENCE else "")
    return table


def _frontier(rows: list[dict[str, Any]], n: int) -> Table:
    table = _table(
        f"Frontier of cost and Brier score. on: probability, by {n:,} resamples. ε: under the noise floor",
        *("configuration", "USD", "Brier", "on", "strict", "ε"),
    )
    words = {True: "yes", False: "no", None: "n/a"}
    for row in rows:
        chance = "n/a" if row["probability"] is None else f"{row['probability']:.0%}"
        cost = usd(row["cost"]).replace("not known", "n/a")
        places = (words[row["on_frontier"]], words[row["on_epsilon_frontier"]])
        table.add_row(Text(row["configuration"]), cost, _short(row["brier"]), chance, *places)
    return table


def _gains(rows: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Configuration -> measure -> row, of those that begin with independent estimates."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["configuration"], {})[row["measure"]] = row
    return {name: own for name, own in found.items() if own["individual"]["estimate"] is not None}


def _coordination(gains: dict[str, dict[str, dict[str, Any]]], n: int) -> Table:
    table = _table(
        f"What talking did ({n:,} resamples). one: Brier of a single first estimate; pool: of all; final: in the end",
        *("configuration", "one", "pool", "final", "gain", "interval"),
    )
    for name, own in gains.items():
        scores = [_short(own[measure]["estimate"]) for measure in ("individual", "pool", "final", "gain")]
        table.add_row(Text(name), *scores, _span(own["gain"]["low"], own["gain"]["high"], 4))
    table.caption = Text("gain: pool − final; positive: talking helped beyond pooling")
    table.caption_justify = "left"
    return table


def _say(console: Console, question: str, sentences: Sequence[str]) -> None:
    if not sentences:
        return
    said = Table.grid(padding=(0, 1))
    for sentence in sentences:
        said.add_row("•", Text(sentence))
    console.print()
    console.print(Text(question, style="bold"))
    console.print(said)


def _span(low: float | None, high: float | None, digits: int) -> str:
    """An interval with room for no more than it needs: 0.012 as .012."""
    if low is None or high is None:
        return "n/a"
    return " ".join(number(end, digits).replace("0.", ".", 1) for end in (low, high))


def _failures(failures: list[dict[str, Any]]) -> Table:
    table = Table(
        title=Text("Failed forecasts"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    table.add_column("configuration", overflow="fold")
    table.add_column("reason", overflow="fold", ratio=1)
    table.add_column("forecasts", justify="right", no_wrap=True)
    for row in failures:
        table.add_row(Text(row["configuration"]), Text(row["reason"]), str(row["forecasts"]))
    return table


def _short(value: float | None) -> str:
    return "n/a" if value is None else number(value)
