"""The report of a study: one self-contained page for people, one JSON file for programs, the same numbers in both."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined

from analysis import figures, figures_style
from analysis.answers import Answer, answers
from analysis.answers_predictions import rule
from analysis.checks import AnalysisError
from analysis.control import Control
from analysis.coordination import aggregations
from analysis.diagnostics import RESAMPLES, Diagnostics, diagnose
from analysis.figures_matched import matched_curve
from analysis.figures_reliability import CAPTION, reliability
from analysis.figures_style import Look, Picture
from analysis.findings import Findings, draws_for, find
from analysis.frames import Policy, Scored, scored
from analysis.headline import HINDSIGHT, POLICIES, headline, missing, opening, uncontrolled_by
from analysis.leaderboard import REFERENCE, Leaderboard, leaderboard
from analysis.markets_shown import every_market, market_facts, market_means, shown
from analysis.numerals import number, usd
from analysis.predictions import stated
from analysis.record import NOTHING, Record
from analysis.replicates import spread
from analysis.results import results, strict_json

ELEMENTS: Final = ("endpoints", "topology", "authority", "synchronisation", "aggregation", "termination", "failure_handling")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that is shown about one study under one policy, made by `build_report`."""

    study: Mapping[str, Any]
    """name, study_id, model, source, simulated, created_at, elements, content; if known hindsight, forecasts_before."""
    board: Leaderboard
    findings: Findings
    diagnostics: Diagnostics
    control: Control | None
    """What was held fixed; None where nobody looked."""
    opening: str
    answers: tuple[Answer, ...]
    closing: tuple[str, ...]
    """What failed and what is not done yet."""
    headline: tuple[str, ...]
    """The opening, what kind of study this is, all answers and the closing: every sentence once."""
    banner: str | None
    """What must stand over everything: that the study is anchored on hindsight; None where it is not."""
    uncontrolled: str | None
    """That something beside coordination differed, and what; None where nothing is known to."""
    pictures: tuple[Picture, ...]
    reliability: tuple[Picture, ...]
    """One small panel per configuration and one of the market price."""
    look: Mapping[str, Look]
    failures: list[dict[str, Any]]
    """configuration, reason, forecasts; most frequent first."""
    missing: str
    """The sentence about failed and unfinished forecasts, shown under every figure."""
    costs: Mapping[str, float | None]
    """Configuration -> attributed USD of all its forecasts; None where the price of one is not known."""
    markets: list[dict[str, Any]]
    """On the page, see `analysis.markets_shown.shown`: question, event_id, outcome, market_price, failed, forecasts."""
    every_market: pl.DataFrame
    """All of them, see `analysis.markets_shown.every_market`."""
    replicates: int
    pending: int
    simulated: bool

    @property
    def questions(self) -> dict[str, str]:
        """Market id -> question, of the markets that carry a difference."""
        if self.diagnostics.influence is None:
            return {}
        named = self.diagnostics.influence.restated["market_id"].implode()
        return dict(self.every_market.filter(pl.col("market_id").is_in(named)).select("market_id", "question").iter_rows())

    def results(self) -> dict[str, Any]:
        """The JSON values of `results.json`."""
        study = {k: v for k, v in self.study.items() if k != "simulated"}
        found = results(
            self.board,
            self.findings,
            self.diagnostics,
            self.answers,
            study=study,
            headline=self.headline,
            failures=self.failures,
        )
        own = {"simulated": self.simulated, "hindsight": self.study.get("hindsight"), "banner": self.banner}
        own |= {"control": self.control.as_json() if self.control else None, "uncontrolled": self.uncontrolled}
        return found | own | {"pending": self.pending, "attributed_usd": dict(self.costs)}

    def html(self) -> str:
        """The page, complete in itself: styles, scripts and figures are in it and it asks the network for nothing."""
        from plotly.offline import get_plotlyjs

        return (
            _templates()
            .get_template("report.html.j2")
            .render(
                report=self,
                rows=self.board.table.to_dicts(),
                results=self.results(),
                elements=ELEMENTS,
                declared=self.study["elements"],
                policies=POLICIES,
                reference=REFERENCE,
                reliability_caption=CAPTION,
                style=figures_style,
                plotly_js=get_plotlyjs(),
                specs={p.name: json.loads(p.figure.to_json()) for p in (*self.pictures, *self.reliability)},
            )
        )

    def write(self, directory: Path | str) -> Path:
        """Writes `results.json`, `markets.csv` and `report.html` into `directory`, each whole or not at all.

        Returns the page's path.
        """
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        page, data = self.html(), strict_json(self.results())
        _replace(folder / "results.json", data)
        _replace(folder / "markets.csv", self.every_market.write_csv())
        _replace(folder / "report.html", page)
        return folder / "report.html"


def build_report(
    frame: pl.DataFrame,
    study: Mapping[str, Any],
    *,
    policy: Policy = "common",
    bins: int = 10,
    resamples: int | None = None,
    seed: int = 0,
    n: int | None = None,
    record: Record = NOTHING,
) -> Report:
    """The report of the cells in `frame`: the columns of `analysis.frames.SCHEMA` and `question`. `status` may be `pending`.

    `resamples` draws make each null REL and calibration p-value, `n` resamples of events the intervals: if not given, as
    many as the number of markets allows (the diagnostics take fewer). `record`: what the study left behind beside its cells.

    `study` has name, study_id, model, source, simulated, created_at, and elements and content as JSON (text or values).

    Raises:
        AnalysisError: what `leaderboard` raises; there is no column `question`; nothing but pending cells is an empty frame.

    >>> from analysis import build_report, example
    >>> study = {"name": "made up", "study_id": "0" * 64, "model": "none", "source": "made up", "simulated": True}
    >>> study |= {"created_at": "2026-03-01T00:00:00Z", "elements": {}, "content": {}}
    >>> report = build_report(example(), study, resamples=100, n=200)
    >>> report.opening.split(" (")[0]
    'In this simulation, peer_critique_debate has the lowest Brier score of 3 configurations: 0.1886 on 39 markets'
    """
    if "question" not in frame.columns:
        raise AnalysisError(
            "the frame has no column question, by which the page names markets: give it, or the market_id as it"
        )
    made = frame.filter(pl.col("status") != "pending")
    draws = draws_for(made["market_id"].n_unique()) if resamples is None else resamples
    board = leaderboard(made, policy=policy, bins=bins, resamples=draws, seed=seed)
    kept = scored(made, policy=policy)
    study = {**study, **{key: _json(study[key]) for key in ("elements", "content")}}
    simulated = board.simulated or bool(study["simulated"])
    hindsight = study.get("hindsight") is True
    look = figures_style.looks(made["configuration"].unique())
    record = replace(record, aggregation={**aggregations(study["elements"]), **record.aggregation})
    found = find(made, kept, record=record, stated=stated(study), bins=bins, n=n, seed=seed)
    deeper = diagnose(made, kept, record, n=min(RESAMPLES, found.resamples), seed=seed)
    said = answers(found, deeper, board)
    control = record.control
    uncontrolled = uncontrolled_by(control) if control is not None and control.held is False else None
    pictures, panels = _draw(frame, board, kept, found, look, simulated) if board.n_markets else ((), ())
    pending = frame.height - made.height
    means = market_means(made)
    facts = market_facts(made, means)
    return Report(
        study=study,
        board=board,
        findings=found,
        diagnostics=deeper,
        control=control,
        opening=opening(board, simulated=simulated),
        answers=said,
        closing=tuple(missing(board, pending)),
        headline=headline(board, said, simulated=simulated, hindsight=hindsight, uncontrolled=uncontrolled, pending=pending),
        banner=HINDSIGHT if hindsight else None,
        uncontrolled=uncontrolled,
        pictures=pictures,
        reliability=panels,
        look=look,
        failures=_failures(made),
        missing=figures_style.failures(frame),
        costs=_costs(made),
        markets=shown(facts, means),
        every_market=every_market(facts, means),
        replicates=made["replicate"].n_unique(),
        pending=pending,
        simulated=simulated,
    )


def _draw(
    frame: pl.DataFrame, board: Leaderboard, kept: Scored, found: Findings, look: Mapping[str, Look], simulated: bool
) -> tuple[tuple[Picture, ...], tuple[Picture, ...]]:
    absent = figures_style.failures(frame)
    scores = dict(spread(kept).table.select("configuration", "brier").iter_rows())
    curve = matched_curve(found.matched, look, simulated=simulated, missing=absent) if found.matched else None
    pictures: tuple[Picture, ...] = (
        figures.plane(board.table, look, simulated=simulated, missing=absent),
        figures.cost_quality(board.table, look, simulated=simulated, missing=absent),
        *([curve] if curve else []),
        figures.replicates(board.table, scores, look, simulated=simulated, missing=absent),
    )
    prices = kept.frame.unique("market_id", maintain_order=True).filter(pl.col("market_price").is_not_null())
    prices = prices.with_columns(configuration=pl.lit(REFERENCE), probability="market_price", replicate=pl.lit(0, pl.Int64))
    parts = pl.concat([kept.frame, prices]).partition_by("configuration", as_dict=True)
    panels = tuple(
        reliability(
            parts[(row["configuration"],)],
            row,
            look[row["configuration"]],
            simulated=simulated,
            resamples=board.resamples,
            seed=board.seed,
        )
        for row in board.table.iter_rows(named=True)
        if (row["configuration"],) in parts
    )
    return pictures, panels


def _failures(made: pl.DataFrame) -> list[dict[str, Any]]:
    failed = made.filter(pl.col("status") == "failed").with_columns(pl.col("reason").fill_null("no reason was stored"))
    counted = failed.group_by("configuration", "reason").agg(forecasts=pl.len())
    return counted.sort("forecasts", "configuration", "reason", descending=[True, False, False]).to_dicts()


def _costs(made: pl.DataFrame) -> dict[str, float | None]:
    """Totals over all cells, failed ones too. A sum with an unknown part is unknown."""
    known = pl.col("cost_usd").null_count() == 0
    total = made.group_by("configuration").agg(pl.when(known).then(pl.col("cost_usd").cast(pl.Float64).sum()))
    return dict(total.sort("configuration").iter_rows())


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str | bytes) else value


def _replace(path: Path, text: str) -> None:
    """Writes beside the file and renames: a reader sees the old file or the new one, never a part."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@cache
def _templates() -> Environment:
    """Everything is escaped: market questions, reasons and names come from elsewhere."""
    found = Environment(
        loader=PackageLoader("analysis"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    found.filters |= {"number": number, "usd": usd}
    found.filters |= {"rule": rule, "pretty": _pretty, "indented": _indented, "table": _keyed, "pairs": _pairs}
    return found


def _keyed(rows: Sequence[Mapping[str, Any]], *keys: str) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    """Rows by the values of their keys."""
    return {tuple(row[key] for key in keys): row for row in rows}


def _pairs(rows: Sequence[Mapping[str, Any]], *keys: str) -> list[tuple[Any, ...]]:
    """The distinct values of the keys, in the order in which they come."""
    return list(dict.fromkeys(tuple(row[key] for key in keys) for row in rows))


def _pretty(value: Any) -> str:
    """A declared element as a reader wants it: text as it is, lists with commas, anything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return ", ".join(map(_pretty, value))
    return json.dumps(value, ensure_ascii=False)


def _indented(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)
