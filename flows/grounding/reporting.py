"""From the ledger to the report of a study of games."""

from pathlib import Path
from typing import Any

from coordeval.analysis.report.games import GamesReport, games_report
from coordeval.analysis.report.games_terminal import print_games
from coordeval.flows.study.stored import SHORT
from coordeval.ledger import Reader, read
from coordeval.ledger.games import games_frame, games_of


def report_of(reader: Reader, study_id: str, *, n: int = 10_000) -> GamesReport:
    """The report of a stored study of games, from nothing but the ledger. Raises AnalysisError where none was played."""
    with reader.moment() as held:  # a run may be writing: what is told must fit together
        study = held.study(study_id)
        rows = games_frame(held, study_id)
        games = games_of(held, rows["forecast_id"].to_list())
    facts = {"name": study.name, "study_id": study.study_id, "model": study.model, "content": study.content}
    return games_report(rows, games, facts, simulated=study.simulated, n=n)


def published(ledger: Path, study_id: str, console: Any, *, full: bool = False, out: Path | None = None) -> Path:
    """Print the report and write it beside the ledger, or to the folder `out`; returns the path of its page."""
    report = report_of(read(ledger), study_id)
    folder = out or ledger.parent / f"{report.study['name']}-{study_id[:SHORT]}"
    page = report.write(folder).absolute()
    print_games(report, console, full=full, page=str(page))
    return page
