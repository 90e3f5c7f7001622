"""A study of games out of the ledger and into a folder, from which every number can be computed again elsewhere."""

from pathlib import Path

import orjson

from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.games.telemetry import TELEMETRY
from coordeval.analysis.report.exports import figures
from coordeval.analysis.report.games import GamesReport
from coordeval.analysis.report.results import strict_json
from coordeval.flows.exports.bundle import Begun, Bundle, parquet, versions, write_table
from coordeval.flows.grounding.reporting import report_of
from coordeval.flows.grounding.told import telemetry_of_games
from coordeval.flows.study.names import GAMES
from coordeval.ledger import read
from coordeval.ledger.games import games_frame
from coordeval.market_data.files import csv_of


def export_games(ledger: Path, study_id: str, folder: Path, *, with_figures: bool = True) -> Bundle:
    """Writes the study of games with that id into `folder`, which must be empty or not there.

    Raises FileError, BundleError for a folder that holds something, and AnalysisError where no game was played. Figures need
    a Chromium; without one there are none, and the answer says why.
    """
    report_of(read(ledger), study_id, n=100)  # where there is nothing to tell, nothing is written
    begun = Begun(ledger, study_id, folder)
    with begun.ledger() as path:  # of what was written, and of nothing else
        reader = read(path)
        found, together = report_of(reader, study_id), telemetry_of_games(reader, study_id)
        content = reader.study(study_id).content
    begun.write("results.json", strict_json(found.results()))
    begun.write("games.csv", csv_of(found.found.games))
    begun.write("coordination.csv", csv_of(together))
    begun.write("coordination.parquet", parquet(together))
    begun.write("report.html", found.html())
    begun.write("study.json", orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")
    begun.write("versions.txt", versions())
    drawn, reason = _figures(found, begun) if with_figures else (0, "they were not asked for")
    begun.write("README.md", _about(found, begun.rows, drawn, reason))
    begun.end(name := str(found.study["name"]), kind=GAMES)
    return Bundle(folder=folder, study=name, study_id=study_id, rows=begun.rows, figures=drawn, no_figures=reason)


def export_table_of_games(ledger: Path, study_id: str, file: Path) -> int:
    """Writes a row for each game as .csv, .parquet or .json; returns how many. Raises BundleError for another ending."""
    table = games_frame(read(ledger), study_id)
    write_table(table, file)
    return table.height


def _figures(found: GamesReport, begun: Begun) -> tuple[int, str]:
    try:
        paths = [path for ending in ("png", "svg") for path in figures(found, begun.folder / "figures", ending)]
    except AnalysisError as error:
        return 0, str(error)
    for path in paths:
        begun.keep(f"figures/{path.name}")
    return len(paths), ""


def _about(found: GamesReport, rows: dict[str, int], drawn: int, reason: str) -> str:
    held = ", ".join(f"{table} ({n:,})" for table, n in rows.items() if n)
    said = [
        f"# {found.study['name']}",
        found.amount,
        "`coordeval grounding report --from .` computes every number again from `tables/`, without the ledger.",
        "| file | what |\n|---|---|\n"
        "| `results.json` | every number of the report; a null has its reason |\n"
        "| `games.csv` | one row per game |\n"
        f"| `coordination.csv`, `.parquet` | one row per game and round: {', '.join(list(TELEMETRY)[5:9])} and more |\n"
        f"| `tables/*.parquet` | the rows of the ledger: {held} |\n"
        "| `dictionary.csv` | every column of them: type, and what it means |\n"
        f"| `figures/` | {f'{drawn} files, PNG and SVG' if drawn else f'none: {reason}'} |\n"
        "| `report.html` | the page, complete in itself |\n"
        "| `study.json` | the study, as its hash is taken of it |\n"
        "| `versions.txt` | what was installed when this was written |\n"
        "| `manifest.json` | the sha256 of every file |",
    ]
    return "\n\n".join(said) + "\n"
