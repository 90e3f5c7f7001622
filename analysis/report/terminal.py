"""A report in a terminal of 80 columns or more: the same numbers as the page, with no sign that needs colour to be read."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from coordeval.analysis.base.numerals import number, usd, usd_places
from coordeval.analysis.report.arms import Arms
from coordeval.analysis.study.leaderboard import REFERENCE
from coordeval.analysis.words.phrases import counted
from coordeval.analysis.words.predictions import rule

if TYPE_CHECKING:
    from coordeval.analysis.report.page import Report

_SHOWN = 15  # comparisons; the page and results.json have them all
LINES: Final = 40
"""What is printed at most where not everything is asked for."""
WIDTH: Final = 80
_PLAIN: Final = ("simulated", "unfinished")  # marks that the first sentence says already
_COLOURS: Final = {"yes": "bold green", "no": "bold red", "cannot tell yet": "bold yellow", "not asked": "dim"}


def print_report(report: "Report", console: Console, *, full: bool = False, page: str | None = None) -> None:
    """The first screen, of at most LINES lines of WIDTH columns; `full`: then every answer and every table.

    `page` is where the report was written. Text from data is printed as it is, never read as markup.
    """
    last = [Text(f"report: {page}")] if page else []
    if not full:
        last.insert(0, Text("--full prints every answer and table.", style="dim"))
    top = [*_standing(report), *_verdicts(report), *_arms(report)]
    used = sum(_height(console, part) for part in (*top, *last)) + _height(console, _first_table(report, 0))
    console.print(*top, sep="\n")
    console.print(_first_table(report, max(3, LINES - used)))
    if full:
        _print_all(report, console)
    for part in last:
        console.print(part, soft_wrap=True)


def _print_all(report: "Report", console: Console) -> None:
    """What stands below the first screen: by question, then the tables."""
    board = report.board
    console.print(Text(report.opening))
    for answer in report.answers:
        _say(console, answer.question, answer.says)
    _say(console, "What is missing", report.closing)
    if report.arms is not None:
        _say(console, "What is due to coordination, and what to the model and information?", report.arms.says)
        console.print(_every_arm(report.arms))
    console.print()
    console.print(_leaderboard(report))
    results = report.results()
    if results["predictions"]["table"]:
        console.print(_predictions(results["predictions"]))
    pairs = results["comparisons"]
    if pairs:
        console.print(_comparisons(pairs, results["noise"], report.findings.resamples))
        if len(pairs) > _SHOWN:
            console.print(Text(f"{counted(len(pairs) - _SHOWN, 'smaller difference')}: see results.json.", style="dim"))
    if results["intervals"]:
        console.print(_intervals(report, results["intervals"]))
    if results["frontier"]:
        console.print(_frontier(results["frontier"]["table"], report.findings.resamples))
    if results["coordination"] and (gains := _gains(results["coordination"]["gain"])):
        console.print(_coordination(gains, report.diagnostics.resamples))
    if report.failures:
        console.print()
        console.print(_failures(report.failures))
    _say(console, f"Notes (policy {board.policy})", board.notes)
    console.print()


def _height(console: Console, part: RenderableType) -> int:
    options = console.options.update(width=min(WIDTH, console.width))
    return len(console.render_lines(part, options))


def _standing(report: "Report") -> list[RenderableType]:
    """How much is there and of what kind, before any number."""
    arm = "" if report.arms is None else f", arm {report.arm}"
    about = f"{report.study['model']}, policy {report.board.policy}{arm}"
    head = Text.assemble((str(report.study["name"]), "bold"), "  ")
    for mark in report.standing.marks:
        head.append(f"[{mark.label}] ", "bold red")
    head.append(about, "dim")
    said = [Text.assemble((f"{m.label}: ", "bold red"), m.sentence) for m in report.standing.marks if m.name not in _PLAIN]
    return [Padding(head, (1, 0, 0, 0)), Text(report.standing.amount, style="bold"), *said, Text(report.money, style="dim")]


def _verdicts(report: "Report") -> list[RenderableType]:
    told: list[RenderableType] = []
    for verdict in report.verdicts:
        head = Text.assemble((verdict.question, "bold"), "  ", (verdict.answer.upper(), _COLOURS[verdict.answer]))
        told += [
            Padding(head, (1 if not told else 0, 0, 0, 0)),
            Padding(Text(f"{verdict.sentence} {verdict.takes}".rstrip()), (0, 0, 0, 2)),
        ]
    return told


def _arms(report: "Report") -> list[RenderableType]:
    """Of a study with several arms what all of them say, in short: the rest is in the tables and on the page."""
    if report.arms is None:
        return []
    head = Text.assemble((f"And in {counted(report.arms.table.height, 'arm')}?", "bold"))
    return [head, Padding(Text(report.arms.says[0]), (0, 0, 0, 2))]


def _every_arm(arms: Arms) -> Table:
    """Brier scores by arm, configurations in one order."""
    table = plain_table("Brier score by arm", "configuration", *arms.table["arm"].to_list())
    scores = {(row["arm"], row["configuration"]): row["brier"] for row in arms.scores.to_dicts()}
    for name in arms.order:
        table.add_row(Text(name), *(_short(scores.get((arm, name))) for arm in arms.table["arm"].to_list()))
    return table


def _first_table(report: "Report", most: int) -> Table:
    """The leaderboard with what fits into `most` rows; the market price is always one of them."""
    table = plain_table(
        "Best Brier score first (less is better)", "configuration", "Brier", "95%", "vs price", "± SE", "USD", "failed"
    )
    rows = report.board.table.to_dicts()
    shown = rows if len(rows) <= most else [row for row in rows if row["configuration"] != REFERENCE][: max(0, most - 1)]
    if len(shown) < len(rows) and most:
        shown = [row for row in rows if row in shown or row["configuration"] == REFERENCE]
    spans = {row["configuration"]: row for row in report.results()["intervals"] if row["measure"] == "brier"}
    places = usd_places(row["cost_usd_per_market"] for row in rows)
    for row in shown:
        is_market = row["configuration"] == REFERENCE
        span = spans.get(row["configuration"])
        ends = "n/a" if span is None else _span(span["low"], span["high"], 3)
        cost = "–" if is_market else usd(row["cost_usd_per_market"], places).replace("not known", "n/a")
        alpha = ["–", "–"] if is_market else [_short(row[c]) for c in ("alpha", "alpha_sem_clustered")]
        star = "*" if row["on_frontier"] else ""
        failed = "–" if is_market else str(row["failed"])
        style = "italic" if is_market else ""
        table.add_row(Text(row["configuration"] + star), _short(row["brier"]), ends, *alpha, cost, failed, style=style)
    left = len(rows) - len(shown)
    more = f" {left} more: --full." if left and most else ""
    star = "\n*: no other is cheaper and better." if any(row["on_frontier"] for row in shown) else "\n" if more else ""
    table.caption = Text(f"vs price: Brier points better than the market price. USD: per market.{star}{more}")
    table.caption_justify = "left"
    return table


def plain_table(title: str, *columns: str) -> Table:
    """The first column is text, the others are numbers."""
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(columns[0], overflow="fold")
    for column in columns[1:]:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _leaderboard(report: "Report") -> Table:
    table = plain_table(
        "Leaderboard, best first. Alpha: Brier points better than the market price, ± clustered SE",
        *("configuration", "Brier", "spread", "alpha", "± SE", "USD", "failed"),
    )
    places = usd_places(report.board.table["cost_usd_per_market"])
    for row in report.board.table.iter_rows(named=True):
        is_market = row["configuration"] == REFERENCE
        cost = "–" if is_market else usd(row["cost_usd_per_market"], places).replace("not known", "n/a")
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
    table = plain_table(
        "Predictions. Δ: with its interval; toward: share of the resamples in the direction predicted",
        *("prediction", "Δ", "interval", "toward", "p, corr."),
    )
    for row in foretold["table"]:
        toward = "n/a" if row["probability"] is None else f"{row['probability']:.0%}"
        p = "n/a" if row["p_whole"] is None else f"{row['p_whole']:.3f}"
        stands = {True: ", stands", False: ", does not stand", None: ""}[
            row["stands"] if row["verdict"] == "upheld" else None
        ]
        numbers = (_short(row["estimate"]), _span(row["low"], row["high"], 3), toward, p)
        table.add_row(Text(f"{rule(row)}: {row['verdict']}{stands}"), *numbers)
    table.caption = Text(f"{foretold['when']}. REL, RES: corrected for bias. stands: after correction")
    table.caption_justify = "left"
    return table


def _comparisons(pairs: list[dict[str, Any]], noise: dict[str, Any], n: int) -> Table:
    table = plain_table(
        f"Comparisons, the market price first. Δ: first − second, negative if the first is better; 95% intervals of {n:,} "
        f"resamples of events. Noise floor: {number(noise['floor'])}{_within(noise)}; a smaller Δ is not called shown",
        *("first / second", "Δ Brier", "interval", "Δ/floor", "p, corr.", "needed"),
    )
    for pair in pairs[:_SHOWN]:
        ratio = "n/a" if pair["ratio"] is None else f"{pair['ratio']:.1f}"
        p = "n/a" if pair["p_whole"] is None else f"{pair['p_whole']:.3f}"
        needed = "n/a" if pair["n_needed_clustered"] is None else f"{pair['n_needed_clustered']:,}"
        told = f": {pair['verdict']}" if pair["verdict"] not in ("undecided", "not known") else ""
        names = Text(f"{pair['first']} / {pair['second']}{told}")
        table.add_row(names, _short(pair["delta"]), _span(pair["low"], pair["high"], 3), ratio, p, needed)
    table.caption = Text(
        "p: sign flips of events, corrected for all that the report asks. needed: markets for 80% power, if Δ is true"
    )
    table.caption_justify = "left"
    return table


def _within(noise: dict[str, Any]) -> str:
    return "" if noise["low"] is None else f" [{number(noise['low'])}, {number(noise['high'])}]"


def _intervals(report: "Report", rows: list[dict[str, Any]]) -> Table:
    corp = report.findings.resamples_corp
    table = plain_table(
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
    table = plain_table(
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
    table = plain_table(
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
