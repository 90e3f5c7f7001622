"""The report of a study: one self-contained page for people, one JSON file for programs, the same numbers in both."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import polars as pl
from markupsafe import Markup

from coordeval.analysis.audit.auditing import Audit
from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.arms import MAIN
from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.base.frames import Policy, price_copies, scored
from coordeval.analysis.control import Control
from coordeval.analysis.cost.compute_matched import LONE
from coordeval.analysis.differences.predictions import Stated, stated
from coordeval.analysis.figures import style
from coordeval.analysis.figures.style import Look, Picture
from coordeval.analysis.report.arms import Arms
from coordeval.analysis.report.drawing import draw
from coordeval.analysis.report.later import Later
from coordeval.analysis.report.markets_shown import every_market, market_facts, market_means, shown
from coordeval.analysis.report.rendering import rendered
from coordeval.analysis.report.results import results, strict_json
from coordeval.analysis.study.agree import agreed
from coordeval.analysis.study.diagnostics import RESAMPLES, Diagnostics, diagnose
from coordeval.analysis.study.findings import Findings, draws_for, find
from coordeval.analysis.study.leaderboard import REFERENCE, Leaderboard, leaderboard
from coordeval.analysis.study.record import NOTHING, Record
from coordeval.analysis.talk.coordination import aggregations
from coordeval.analysis.words.answers import Answer, answers
from coordeval.analysis.words.headline import headline, missing, opening, uncontrolled_by
from coordeval.analysis.words.money import money_kind, money_line, total
from coordeval.analysis.words.standing import HINDSIGHT, Standing, standing
from coordeval.analysis.words.verdicts import Verdict, judge
from coordeval.market_data.files import csv_of, write_whole
from coordeval.market_data.markup import table
from coordeval.market_data.text import shown as plain

NOT_AUDITED: Final = "not looked for here: `coordeval audit` does"


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that is shown about one study under one policy, made by `build_report`."""

    study: Mapping[str, Any]
    """name, study_id, model, source, simulated, created_at, elements, content; if known hindsight, forecasts_before."""
    board: Leaderboard
    findings: Findings
    diagnostics: Diagnostics
    control: Control | None
    """What was held fixed; None where nobody looked."""
    audit: Audit | None
    """What failed in silence, with the first rows of each finding; None where nobody looked."""
    standing: Standing
    """How much of the study is there and what kind it is: its first sentence is the first of everything."""
    money: str
    """What was spent, in one sentence."""
    opening: str
    verdicts: tuple[Verdict, ...]
    """The questions that people ask, each with one answer: what stands first everywhere."""
    answers: tuple[Answer, ...]
    closing: tuple[str, ...]
    """What failed and what is not done yet."""
    headline: tuple[str, ...]
    """The opening, what kind of study this is, all answers and the closing: every sentence once."""
    uncontrolled: str | None
    """That something beside coordination differed, and what; None where nothing is known to."""
    drawn: Later[tuple[tuple[Picture, ...], tuple[Picture, ...]]]
    """`pictures` and `reliability`: half of the time that a small report takes, and many who ask for one look at none."""
    look: Mapping[str, Look]
    failures: list[dict[str, Any]]
    """configuration, reason, forecasts; most frequent first."""
    missing: str
    """The sentence about failed and unfinished forecasts, shown under every figure."""
    costs: Mapping[str, float | None]
    """Configuration -> attributed USD of all its forecasts; None where the price of one is not known."""
    markets: list[dict[str, Any]]
    """On the page, see `report.markets_shown.shown`: question, event_id, outcome, market_price, failed, forecasts."""
    every_market: pl.DataFrame
    """All of them, see `analysis.report.markets_shown.every_market`."""
    replicates: int
    pending: int
    simulated: bool
    arm: str = MAIN
    """The arm in which all of this compares configurations."""
    arms: Arms | None = None
    """All arms beside it; None where the study has one."""
    arm_pictures: tuple[Picture, ...] = ()
    """One small panel for each arm, and the parts of the variance."""

    @property
    def pictures(self) -> tuple[Picture, ...]:
        return self.drawn.value[0]

    @property
    def reliability(self) -> tuple[Picture, ...]:
        """One small panel per configuration and one of the market price."""
        return self.drawn.value[1]

    @property
    def questions(self) -> dict[str, str]:
        """Market id -> question, of the markets that carry a difference."""
        if self.diagnostics.influence is None:
            return {}
        named = self.diagnostics.influence.restated["market_id"].implode()
        return dict(self.every_market.filter(pl.col("market_id").is_in(named)).select("market_id", "question").iter_rows())

    @property
    def banner(self) -> str | None:
        """That the study is anchored on hindsight; None where it is not."""
        return HINDSIGHT if self.study.get("hindsight") is True else None

    @cached_property
    def _results(self) -> dict[str, Any]:
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
        own |= {"verdicts": [asdict(verdict) for verdict in self.verdicts]}
        own |= {"control": self.control.as_json() if self.control else None, "uncontrolled": self.uncontrolled}
        own |= {"audit": self.audit.as_json() if self.audit else None}
        if self.arms is not None:
            own |= {"arms": self.arms.as_json(self.arm)}
        if self.audit is None:
            found["reasons"] = {**found["reasons"], "audit": NOT_AUDITED}
        own |= {"standing": asdict(self.standing), "money": self.money, "opening": self.opening}
        own |= {
            "version": version("coordeval"),
            "command": f"coordeval report {self.study['name']} --policy {self.board.policy}"
            + (f' --arm "{self.arm}"' if self.arms is not None else ""),
        }
        return found | own | {"pending": self.pending, "attributed_usd": dict(self.costs)}

    def _repr_html_(self) -> str:
        """What a notebook shows: the first screen. The whole of it is `write`."""
        rows = [(verdict.question, verdict.answer, verdict.sentence, verdict.needs) for verdict in self.verdicts]
        asked = table(("question", "answer", "why", "what it would take"), rows)
        said = (self.standing.amount, *(mark.sentence for mark in self.standing.marks), self.money)
        top = Markup("").join(Markup("<p>{}</p>").format(plain(sentence)) for sentence in said)
        return Markup("<h3>{}</h3>").format(plain(self.study["name"])) + top + asked + Markup(self.board._repr_html_())

    def results(self) -> dict[str, Any]:
        """The JSON values of `results.json`."""
        return dict(self._results)

    def html(self) -> str:
        """The page, complete in itself: styles, scripts and figures are in it and it asks the network for nothing."""
        return rendered(self)

    def write(self, directory: Path | str) -> Path:
        """Writes `results.json`, `markets.csv` and `report.html` into `directory`, each whole or not at all.

        Returns the page's path.
        """
        folder = Path(directory)
        page, data = self.html(), strict_json(self.results())
        write_whole(folder / "results.json", data)
        write_whole(folder / "markets.csv", csv_of(self.every_market))
        write_whole(folder / "report.html", page)
        return folder / "report.html"


_STUDY: Final = ("name", "study_id", "model", "source", "simulated", "created_at", "elements", "content")


@asked
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
    baseline: str | None = None,
    audit: Audit | None = None,
    arm: str = MAIN,
    arms: Arms | None = None,
) -> Report:
    """The report of the cells in `frame`: the columns of `base.frames.SCHEMA` and `question`. `status` may be `pending`.

    `resamples` draws make each null REL and calibration p-value, `n` resamples of events the intervals: if not given, as
    many as the number of markets allows (the diagnostics take fewer). `record`: what the study left behind beside its cells.
    `baseline`: the configuration that the others are asked to beat; else the one that the study's content names, else
    `single_agent`. `audit`: what failed in silence, if somebody looked. `arm`: the one that the cells are of, and `arms`
    what all of the study's hold (`report.arms.arms_of`); not given, the study has one.

    `study` has name, study_id, model, source, simulated, created_at, and elements and content as JSON (text or values).

    Raises:
        AnalysisError: what `leaderboard` raises; there is no column `question`; there is no cell.

    >>> from coordeval.analysis import build_report, example
    >>> study = {"name": "made up", "study_id": "0" * 64, "model": "none", "source": "made up", "simulated": True}
    >>> study |= {"created_at": "2026-03-01T00:00:00Z", "elements": {}, "content": {}}
    >>> report = build_report(example(), study, resamples=100, n=200)
    >>> report.opening.split(" (")[0]
    'peer_critique_debate has the lowest Brier score of 3 configurations: 0.1886 on 39 markets'
    """
    if absent := [name for name in _STUDY if name not in study]:
        raise AnalysisError(f"study lacks {', '.join(absent)}: it needs {', '.join(_STUDY)}")
    if "question" not in frame.columns:
        raise AnalysisError(
            "the frame has no column question, by which the page names markets: give it, or the market_id as it"
        )
    kind = money_kind(_json(study["content"]), simulated=bool(study["simulated"]))
    if kind == "replayed":  # a recorded price is nobody's spending now
        frame = frame.with_columns(paid_usd=pl.lit(0.0))
    if frame.is_empty():
        raise AnalysisError(f"{study['name']} has no cell yet: nothing was planned of it, so there is nothing to report on")
    every, copies = frame, price_copies(frame)
    frame = frame.filter(~pl.col("configuration").is_in(copies))
    made = frame.filter(pl.col("status") != "pending")
    if nothing := made.is_empty():  # to a score a cell that is not made is missing, as a failed one is
        made = frame.with_columns(status=pl.lit("failed"), reason=pl.lit("not made yet"))
    draws = draws_for(made["market_id"].n_unique()) if resamples is None else resamples
    board = leaderboard(made, policy=policy, bins=bins, resamples=draws, seed=seed)
    if nothing:
        board = replace(board, table=board.table.with_columns(failed=pl.lit(0, pl.Int64)))
    kept = scored(made, policy=policy)
    study = {**study, **{key: _json(study[key]) for key in ("elements", "content")}}
    simulated = board.simulated or bool(study["simulated"])
    look = style.looks(frame["configuration"].unique())
    look |= dict.fromkeys(copies, look[REFERENCE])
    if baseline is None and isinstance(study["content"], Mapping):
        baseline = study["content"].get("baseline")
    record = replace(record, aggregation={**aggregations(study["elements"]), **record.aggregation})
    how: dict[str, Any] = {"bins": bins, "n": n, "seed": seed}
    found = find(made, kept, record=record, stated=_of_the_price(stated(study), copies), baseline=baseline, **how)
    behind = diagnose(made, kept, record, baseline=found.baseline or LONE, n=min(RESAMPLES, found.resamples), seed=seed)
    found, deeper = agreed(found, behind, board)
    said = answers(found, deeper, board)
    board = replace(board, notes=(*board.notes, *map(_named_price, copies)))
    pending = every.filter(status="pending").height
    control = record.control
    uncontrolled = uncontrolled_by(control) if control is not None and control.held is False else None
    drawn = Later(lambda: draw(frame, board, kept, found, look, simulated) if board.n_markets else ((), ()))
    verdicts = judge(found, pending=pending)
    costs = _costs(made)
    stands = standing(
        made=every.height - pending,
        failed=every.filter(status="failed").height,
        planned=every.height,
        markets_scored=board.n_markets,
        markets=frame["market_id"].n_unique(),
        study=study,
        simulated=simulated,
        uncontrolled=uncontrolled,
        substituted=control.substituted if control else None,
        looked=deeper.sequences,
    )
    means = market_means(made)
    facts = market_facts(made, means)
    beside = () if arms is None else arms.pictures(look, simulated=simulated, missing=style.failures(frame))
    return Report(
        arm=arm,
        arms=arms,
        arm_pictures=beside,
        study=study,
        board=board,
        findings=found,
        diagnostics=deeper,
        control=control,
        audit=audit,
        standing=stands,
        money=money_line(kind, paid=_sum(made["paid_usd"]), attributed=total(costs)),
        opening=opening(board, unfinished=pending > 0),
        verdicts=verdicts,
        answers=said,
        closing=tuple(missing(board, pending)),
        headline=headline(stands, verdicts, board, said),
        uncontrolled=uncontrolled,
        drawn=drawn,
        look=look,
        failures=_failures(every),
        missing=style.failures(frame),
        costs=costs,
        markets=shown(facts, means),
        every_market=every_market(facts, means),
        replicates=made["replicate"].n_unique(),
        pending=pending,
        simulated=simulated,
    )


def _named_price(name: str) -> str:
    return f"{name}: it repeats the market price and asks no model, so it is shown once, as {REFERENCE}"


def _of_the_price(foretold: Stated, copies: Sequence[str]) -> Stated:
    """Predictions on a configuration that repeats the price are predictions on the price."""
    other = dict.fromkeys(copies, REFERENCE)
    renamed = (
        p.model_copy(update={"of": other.get(p.of, p.of), "than": other.get(p.than or "", p.than)})
        for p in foretold.predictions
    )
    return replace(foretold, predictions=tuple(renamed))


def _failures(made: pl.DataFrame) -> list[dict[str, Any]]:
    failed = made.filter(pl.col("status") == "failed").with_columns(pl.col("reason").fill_null("no reason was stored"))
    counted = failed.group_by("configuration", "reason").agg(forecasts=pl.len())
    return counted.sort("forecasts", "configuration", "reason", descending=[True, False, False]).to_dicts()


def _costs(made: pl.DataFrame) -> dict[str, float | None]:
    """Totals over all cells, failed ones too. A sum with an unknown part is unknown."""
    known = pl.col("cost_usd").null_count() == 0
    total = made.group_by("configuration").agg(pl.when(known).then(pl.col("cost_usd").cast(pl.Float64).sum()))
    return dict(total.sort("configuration").iter_rows())


def _sum(amounts: pl.Series) -> float | None:
    return None if amounts.null_count() else float(amounts.cast(pl.Float64).sum())


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str | bytes) else value
