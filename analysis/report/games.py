"""The report of a study of games: in words first, then tables and figures; the same numbers on the page and in JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson
import polars as pl

from coordeval.analysis.figures import games as figures
from coordeval.analysis.figures import style
from coordeval.analysis.figures.style import Look, Picture, looks
from coordeval.analysis.games import GamesFound, explained, facts_of
from coordeval.analysis.report.rendering import specs, templates
from coordeval.analysis.report.results import strict_json
from coordeval.analysis.words.answers import Answer
from coordeval.analysis.words.games import answers, described, repair_rows
from coordeval.grounding.game import Game
from coordeval.grounding.waterfall import CAUSES, Waterfall
from coordeval.market_data.files import csv_of, write_whole

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, kw_only=True)
class GamesReport:
    """Everything that is shown about one study of games, made by `games_report`."""

    study: Mapping[str, Any]
    """name, study_id, model."""
    found: GamesFound
    answers: tuple[Answer, ...]
    amount: str
    """How much of the study is there, in a sentence."""
    failures: list[dict[str, Any]]
    """arm, reason, games: those that failed."""
    pictures: tuple[Picture, ...]
    look: Mapping[str, Look]
    simulated: bool

    def results(self) -> dict[str, Any]:
        """The JSON values of `results.json`. What is null has its reason beside it in the same row, or in `reasons`."""
        found = self.found
        compared = found.compared
        return {
            "schema_version": SCHEMA_VERSION,
            "version": version("coordeval"),
            "study": dict(self.study),
            "simulated": self.simulated,
            "amount": self.amount,
            "baseline": found.baseline,
            "answers": [asdict(answer) for answer in self.answers],
            "arms": [asdict(arm) | {"about": described(arm)} for arm in found.arms.values()],
            "efficiency": [] if compared is None else compared.means.to_dicts(),
            "differences": [] if compared is None else compared.differences.to_dicts(),
            "noise_floor": None if compared is None else compared.noise_floor,
            "repairs": repair_rows(found),
            "measures": found.measures.to_dicts(),
            "rounds": found.rounds.to_dicts(),
            "costs": found.costs.to_dicts(),
            "modes": mode_rows(found),
            "losses": {arm: fall_of(fall) for arm, fall in found.waterfalls.items()},
            "failures": self.failures,
            "reasons": _reasons(found),
        }

    def html(self) -> str:
        """The page, complete in itself: styles, scripts and figures are in it and it asks the network for nothing."""
        from plotly.offline import get_plotlyjs

        template = templates().get_template("games.html.j2")
        return template.render(
            report=self,
            results=self.results(),
            causes=CAUSES,
            style=style,
            plotly_js=get_plotlyjs(),
            specs=specs(self.pictures),
        )

    def write(self, directory: Path | str) -> Path:
        """Writes `results.json`, `games.csv` and `report.html` into `directory`; returns the page's path."""
        folder = Path(directory)
        page, data = self.html(), strict_json(self.results())
        write_whole(folder / "results.json", data)
        write_whole(folder / "games.csv", csv_of(self.found.games))
        write_whole(folder / "report.html", page)
        return folder / "report.html"


def games_report(
    rows: pl.DataFrame, games: Mapping[str, Game], study: Mapping[str, Any], *, simulated: bool, n: int = 10_000
) -> GamesReport:
    """`rows`: `ledger.games.games_frame`; `games`: forecast_id -> game; `study` has name, study_id, model and content.

    Raises AnalysisError where no game was played.
    """
    content = study["content"]
    content = orjson.loads(content) if isinstance(content, str | bytes) else content
    found = explained(rows, games, facts_of(content), baseline=content.get("baseline"), n=n)
    look = looks(found.arms)
    pictures = [figures.efficiency(found, look, simulated=simulated)]
    if found.baseline is not None:
        pictures.append(figures.lost(found.baseline, found.waterfalls[found.baseline], simulated=simulated))
    pairs = found.rounds.filter(pl.col("arm").is_in(list(found.waterfalls)))
    for measure in ("overdraw_rate", "recovery"):
        if (picture := figures.rounds(pairs, look, measure, simulated=simulated)) is not None:
            pictures.append(picture)
    return GamesReport(
        study={key: study[key] for key in ("name", "study_id", "model")},
        found=found,
        answers=answers(found),
        amount=_amount(rows, simulated=simulated),
        failures=_failures(rows),
        pictures=tuple(pictures),
        look=look,
        simulated=simulated,
    )


def mode_rows(found: GamesFound) -> list[dict[str, Any]]:
    """A row for each arm and failure mode: chances, found, rate, reason, and the first rows that show it."""
    return [
        {
            "arm": arm,
            "mode": one.mode,
            "source": one.source,
            "chances": one.chances,
            "found": len(one.found),
            "rate": one.rate,
            "reason": one.reason if one.source is not None or one.reason is None else f"source: it is none; {one.reason}",
            "rows": [asdict(finding) for finding in one.found[:20]],
        }
        for arm, modes in found.modes.items()
        for one in modes
    ]


def fall_of(fall: Waterfall) -> dict[str, Any]:
    """A waterfall as JSON: shares of the optimum, and each also as an exact fraction."""
    return {
        "start": float(fall.start),
        "end": float(fall.end),
        "solo_games": fall.solo_games,
        "games": fall.games,
        "steps": [
            {
                "cause": step.cause,
                "about": CAUSES[step.cause],
                "loss": float(step.loss),
                "exactly": str(Fraction(step.loss)),
                "rounds": step.rounds,
            }
            for step in fall.steps
        ],
    }


def _amount(rows: pl.DataFrame, *, simulated: bool) -> str:
    counts = dict(rows["status"].value_counts().iter_rows())
    made, planned = counts.get("answered", 0), rows.height
    parts = [f"{made:,} of {planned:,} games played, on {rows['instance_id'].n_unique():,} instances"]
    if counts.get("failed"):
        parts.append(f"{counts['failed']:,} failed")
    said = f"{', '.join(parts)}."
    return f"{said} The players are simulated: nothing here is about a real model." if simulated else said


def _failures(rows: pl.DataFrame) -> list[dict[str, Any]]:
    failed = rows.filter(pl.col("status") == "failed")
    return failed.group_by("arm", "reason").agg(games=pl.len()).sort("games", "arm", descending=[True, False]).to_dicts()


def _reasons(found: GamesFound) -> dict[str, str]:
    reasons = {"costs": "usd_per_game and usd are null where the price of a game is not known"}
    reasons["measures"] = "recovery is null where no round but the last was void; repeat_rate where games have one round"
    if found.compared is None:
        reasons["baseline"] = "no pair was played, so nothing is held against one"
    if found.compared is None or found.compared.noise_floor is None:
        reasons["noise_floor"] = "no game was played twice"
    return reasons
