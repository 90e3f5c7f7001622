"""A report of games in a terminal: the answers, then what each arm gets."""

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from coordeval.analysis.base.numerals import number, usd
from coordeval.analysis.report.games import GamesReport
from coordeval.analysis.report.terminal import plain_table


def print_games(report: GamesReport, console: Console, *, full: bool = False, page: str | None = None) -> None:
    """The answers in words, and the table of arms; `full`: the losses and failure modes too."""
    results = report.results()
    head = Text.assemble((str(report.study["name"]), "bold"), "  ")
    if report.simulated:
        head.append("[SIMULATED] ", "bold red")
    head.append(str(report.study["model"]), "dim")
    console.print(Padding(head, (1, 0, 0, 0)))
    console.print(Text(report.amount, style="bold"))
    for answer in report.answers:
        console.print(Padding(Text(answer.question, style="bold"), (1, 0, 0, 0)))
        for sentence in answer.says:
            console.print(Padding(Text(sentence), (0, 0, 0, 2)))
    console.print()
    made = plain_table("What each gets, in percent of the joint optimum", "arm", "mean", "95%", "void", "calls", "USD/game")
    costs = {row["arm"]: row for row in results["costs"]}
    measures = {row["arm"]: row for row in results["measures"]}
    ends = {row["arm"]: row for row in results["efficiency"]}
    for row in sorted(measures.values(), key=lambda row: -(row["efficiency"] or 0)):
        arm, cost, end = row["arm"], costs[row["arm"]], ends.get(row["arm"])
        span = "n/a" if end is None or end["low"] is None else f"{100 * end['low']:.0f} to {100 * end['high']:.0f}"
        calls = "–" if not cost["calls_per_game"] else number(cost["calls_per_game"], 0)
        money = usd(cost["usd_per_game"]).replace("not known", "n/a") if cost["calls_per_game"] else "–"
        made.add_row(Text(arm), f"{100 * row['efficiency']:.0f}", span, f"{100 * row['overdraw_rate']:.0f}", calls, money)
    console.print(made)
    if full:
        _print_losses(report, console)
    elif results["modes"]:
        console.print(Text("--full prints what every pair loses to what, and every failure mode.", style="dim"))
    if page is not None:
        console.print(Text(f"report: {page}"), soft_wrap=True)


def _print_losses(report: GamesReport, console: Console) -> None:
    for arm, fall in report.results()["losses"].items():
        made = plain_table(f"{arm}: from {100 * fall['start']:.1f} to {100 * fall['end']:.1f}", "cause", "points", "rounds")
        for step in fall["steps"]:
            if step["loss"]:
                made.add_row(Text(step["about"]), number(-100 * step["loss"], 1), str(step["rounds"]))
        console.print(made)
    made = plain_table("Failure modes, of the times they could show themselves", "arm, mode", "found", "of", "rate")
    for row in report.results()["modes"]:
        if row["chances"]:
            name = f"{row['arm']}: {row['mode'].replace('_', ' ')}" + (f" ({row['source']})" if row["source"] else "")
            made.add_row(Text(name), str(row["found"]), str(row["chances"]), f"{100 * row['rate']:.0f}%")
    console.print(made)
