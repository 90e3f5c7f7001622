"""The table of a study: every score of every configuration beside the market price, and the reason of every null."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl
from markupsafe import Markup

from coordeval.analysis.base.arguments import asked
from coordeval.analysis.base.checks import AnalysisError, Floats
from coordeval.analysis.base.few import EVEN, FEW, thin
from coordeval.analysis.base.frames import SCHEMA, Policy, Scored, scored, validated
from coordeval.analysis.base.grid import PRICE
from coordeval.analysis.base.numerals import counted
from coordeval.analysis.cost.pareto import Placement, pareto_frontier
from coordeval.analysis.differences.replicates import compare, spread
from coordeval.analysis.quality.corp import corp
from coordeval.analysis.quality.decomposition import Edges, decompose
from coordeval.analysis.quality.nulls import Nulls, WithinEvents, nulls
from coordeval.analysis.quality.scores import alpha, base_rate, brier, log_score, skill
from coordeval.analysis.quality.second_split import SPLIT, smooth_ce, three_terms
from coordeval.market_data.markup import table
from coordeval.market_data.text import shown

REFERENCE: Final = PRICE
"""The row of the market price itself, on the markets of the table whose price is known."""

_MEANS: Final = (
    *("brier", "log_score", "skill_market", "skill_base", "rel", "res", "unc", "wbv", "wbc"),
    *("rel_corrected", "res_corrected", "unc_corrected", "mcb", "dsc", *SPLIT, "smooth_ce"),
)
"""Computed per replicate, then averaged over replicates, so that every identity still holds."""
_NULL: Final = ("null_rel_mean", "null_rel_low", "null_rel_high", "calibration_p")
_SCORES: Final = ("clipped", *_MEANS, *_NULL, "alpha", "alpha_sem", "alpha_sem_clustered")
_USE: Final = {"cost_usd": "cost_usd_per_market"} | {
    name: f"{name}_per_market"
    for name in ("input_tokens", "output_tokens", "total_tokens", "model_calls", "tool_calls", "seconds")
}

COLUMNS: Final[dict[str, Any]] = {
    "configuration": pl.String,
    **dict.fromkeys(("n_markets", "n_forecasts", "filled", "answered", "failed"), pl.Int64),
    **dict.fromkeys(("brier", "brier_spread", "log_score"), pl.Float64),
    "clipped": pl.Int64,
    **dict.fromkeys(("alpha", "alpha_sem", "alpha_sem_clustered", "skill_market", "skill_base"), pl.Float64),
    **dict.fromkeys(("rel", "res", "unc", "wbv", "wbc", "rel_corrected", "res_corrected", "unc_corrected"), pl.Float64),
    **dict.fromkeys(("null_rel_mean", "null_rel_low", "null_rel_high", "mcb", "dsc", "calibration_p"), pl.Float64),
    **dict.fromkeys((*SPLIT, "smooth_ce"), pl.Float64),
    **dict.fromkeys((*_USE.values(), "paid_usd"), pl.Float64),
    "on_frontier": pl.Boolean,
    "dominated_by": pl.List(pl.String),
    "simulated": pl.Boolean,
}
"""Column -> type of `Leaderboard.table`."""


SHOWN: Final = (
    *("configuration", "n_markets", "failed", "brier", "brier_spread", "alpha", "alpha_sem_clustered"),
    *("rel", "res", "mcb", "dsc", "cost_usd_per_market", "on_frontier"),
)
"""Of COLUMNS, what a notebook shows of a leaderboard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """One row per configuration and one of the market price, best Brier first, and everything that was chosen on the way."""

    table: pl.DataFrame
    """Columns: see COLUMNS.

    `n_forecasts` cells are scored (`filled` of them by a fallback) on `n_markets` markets; `answered` and `failed` count all
    cells, unresolved markets included. `brier_spread` is the expected |Δ Brier| between replicates, `noise` of
    `spread`. Use per market is the mean over all cells, failed ones too; `paid_usd` is the total. `null_rel_*` and
    `calibration_p`, the p-value of MCB, are those of `nulls`. The market price takes no part in the frontier.
    """
    nulls: Nulls | None
    """Every component beside what a calibrated forecaster would show; None where nothing is scored."""
    comparisons: pl.DataFrame
    """Every pair of configurations under the same policy: see `analysis.differences.replicates.compare`."""
    left_out: pl.DataFrame
    """What the policy did not score: see `analysis.base.frames.Scored`."""
    noise_floor: float | None
    policy: Policy
    n_markets: int
    bins: int
    edges: Edges
    epsilon: float
    resamples: int
    seed: int
    simulated: bool
    """At least one forecast is simulated."""
    notes: tuple[str, ...]
    """What the policy left out, and the reason of every null."""

    def _repr_html_(self) -> str:
        """What a notebook shows: the columns that are read first, and the notes."""
        columns = [name for name in SHOWN if not self.table[name].is_null().all()]
        mark = "SIMULATED. " if self.simulated else ""
        caption = f"{mark}{self.n_markets} markets, policy {self.policy!r}; lower brier, rel and mcb are better."
        said = Markup("").join(Markup("<p>{}</p>").format(shown(line)) for line in (caption, *self.notes))
        return table(columns, self.table.select(columns).rows()) + said


@dataclass(slots=True)
class _Notes:
    """Reasons, each once, with whom it concerns; nobody is named where it concerns every configuration."""

    concerned: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def add(self, columns: str, reason: str, configuration: str) -> None:
        names = self.concerned.setdefault((columns, reason), [])
        if configuration not in names:
            names.append(configuration)

    def lines(self, everyone: set[str]) -> Iterable[str]:
        for (columns, reason), names in self.concerned.items():
            yield f"{columns}: {reason}" + ("" if everyone <= set(names) else f" ({', '.join(names)})")


@asked
def leaderboard(
    frame: pl.DataFrame,
    *,
    policy: Policy = "common",
    bins: int = 10,
    edges: Edges = "decimal",
    epsilon: float = 1e-3,
    within_events: WithinEvents = "together",
    resamples: int = 1000,
    seed: int = 0,
) -> Leaderboard:
    """Scores, decompositions, costs, frontier and comparisons of every configuration of `frame` (`base.frames.SCHEMA`).

    `epsilon` clips the log score; `resamples` draws from `seed` make the nulls: see `analysis.quality.nulls`,
    also for `within_events`. The
    result does not depend on the order of the rows.

    Raises:
        AnalysisError: the frame breaks a rule, an option is unknown, or a configuration has the name of the reference row.

    >>> import polars as pl
    >>> from coordeval.analysis import example, leaderboard
    >>> board = leaderboard(example(), resamples=100)
    >>> board.table.select("configuration", "n_markets", pl.col("brier", "alpha", "cost_usd_per_market").round(3)).row(0)
    ('peer_critique_debate', 39, 0.189, 0.035, 0.061)
    >>> board.notes[0].split(";")[0]
    'policy common: 39 of 40 markets'
    """
    cells = validated(frame)
    if (cells["configuration"] == REFERENCE).any():
        raise AnalysisError(
            f"a configuration is called {REFERENCE!r}: that is the reference row; name it otherwise, such as market_price"
        )
    kept = scored(cells, policy=policy)
    between = spread(kept)
    spreads = dict(between.table.select("configuration", "noise").iter_rows())
    reasons = dict(between.table.select("configuration", "reason").iter_rows())
    notes = _Notes()
    null = None
    if kept.n_markets:
        null = nulls(kept, bins=bins, edges=edges, within_events=within_events, n=resamples, seed=seed)

    def measured(name: str, mine: pl.DataFrame) -> dict[str, Any]:
        if mine.is_empty():
            notes.add("scores", f"no forecast is scored under the policy {policy}", name)
            return {}

        def one(replicate: pl.DataFrame) -> tuple[dict[str, float | None], dict[str, str]]:
            return _measures(replicate, bins=bins, edges=edges, epsilon=epsilon)

        return _averaged(name, mine, measure=one, notes=notes) | _beside_null(name, null, notes)

    rows = []
    for name, mine in _groups(cells):
        part = kept.frame.filter(configuration=name)
        row = {
            "configuration": name,
            **_counts(part, mine),
            **measured(name, part),
            **_use(name, mine, notes),
            "brier_spread": spreads.get(name),
        }
        if reason := reasons.get(name):
            notes.add("brier_spread", reason, name)
        rows.append(row)
    for row, place in zip(rows, _placements(rows), strict=True):
        row.update(on_frontier=place.on_frontier, dominated_by=place.dominated_by)
        if place.reason:
            notes.add("on_frontier", place.reason, place.configuration)
    market = _market_rows(kept)
    rows.append(
        {
            "configuration": REFERENCE,
            **_counts(market.drop_nulls("probability"), market),
            **measured(REFERENCE, market.drop_nulls("probability")),
        }
        | dict.fromkeys(("alpha", "alpha_sem", "alpha_sem_clustered", "skill_market", "simulated"))
    )
    own = "alpha, skill_market, brier_spread, cost, use, frontier and simulated"
    notes.add(own, "the market price is the reference, not a configuration that ran", REFERENCE)
    table = pl.DataFrame([{name: row.get(name) for name in COLUMNS} for row in rows], schema=COLUMNS)
    return Leaderboard(
        table=table.with_columns(pl.col("dominated_by").fill_null([])).sort(
            pl.col("brier").round(9), "configuration", nulls_last=True
        ),
        nulls=null,
        comparisons=compare(kept),
        left_out=kept.left_out,
        noise_floor=between.noise_floor,
        policy=policy,
        n_markets=kept.n_markets,
        bins=bins,
        edges=edges,
        epsilon=epsilon,
        resamples=resamples,
        seed=seed,
        simulated=bool(cells["simulated"].any()),
        notes=(
            _coverage(cells, kept),
            *([few] if (few := few_of_a_kind(kept)) else []),
            *([f"noise_floor: {between.reason}"] if between.reason else []),
            *notes.lines(set(cells["configuration"].unique())),
        ),
    )


def _beside_null(name: str, found: Nulls | None, notes: _Notes) -> dict[str, float | None]:
    """The columns _NULL of one configuration."""
    if found is None:
        return {}
    rows = {row["measure"]: row for row in found.table.filter(configuration=name).iter_rows(named=True)}
    if not rows:
        return {}
    if reason := rows["mcb"]["reason"]:
        notes.add("calibration_p", reason.removeprefix("p_below, p_above, p_value: "), name)
    ends = {f"null_rel_{end}": rows["rel"][end] for end in ("mean", "low", "high")}
    return ends | {"calibration_p": rows["mcb"]["p_value"]}


def _measures(
    cells: pl.DataFrame, *, bins: int, edges: Edges, epsilon: float
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Every measure of one replicate but alpha, and column -> why it is None."""
    p, y, price = (_array(cells, name) for name in ("probability", "outcome", "market_price"))
    log = log_score(p, y, epsilon=epsilon)
    over_market, over_base = skill(p, y, reference=price), skill(p, y, reference=base_rate(y))
    binned = decompose(p, y, bins=bins, edges=edges)
    bin_free = corp(p, y)
    values: dict[str, float | None] = {
        "brier": brier(p, y),
        "log_score": log.nats,
        "clipped": log.clipped,
        "skill_market": over_market.value,
        "skill_base": over_base.value,
        **{name: getattr(binned, name) for name in ("rel", "res", "unc", "wbv", "wbc")},
        **{name: getattr(binned, name) for name in ("rel_corrected", "res_corrected", "unc_corrected")},
        "mcb": bin_free.mcb,
        "dsc": bin_free.dsc,
        **asdict(three_terms(p, y)),
        "smooth_ce": smooth_ce(p, y),
    }
    skills = {"skill_market": over_market.reason, "skill_base": over_base.reason}
    return values, {**binned.reasons, **{name: reason for name, reason in skills.items() if reason}}


def _averaged(
    name: str,
    cells: pl.DataFrame,
    *,
    measure: Callable[[pl.DataFrame], tuple[dict[str, float | None], dict[str, str]]],
    notes: _Notes,
) -> dict[str, Any]:
    """Every score of one configuration over its replicates; one that is None in a replicate is None."""
    replicates = [measure(part) for _, part in cells.group_by("replicate", maintain_order=True)]
    columns = {column: [values[column] for values, _ in replicates] for column in replicates[0][0]}
    row = {column: _mean(values) for column, values in columns.items()}
    row["clipped"] = sum(v for v in columns["clipped"] if v is not None)
    for _, reasons in replicates:
        for column, reason in reasons.items():
            notes.add(column, reason, name)
    # as numbers: sorting names again and again takes most of the time
    ids = (cells[column].rank("dense").to_numpy() for column in ("market_id", "event_id", "replicate"))
    excess = alpha(
        *(_array(cells, column) for column in ("probability", "outcome", "market_price")),
        **dict(zip(("markets", "events", "replicates"), ids, strict=True)),
    )
    columns_of = {"mean": "alpha", "sem": "alpha_sem", "sem_clustered": "alpha_sem_clustered"}
    if name != REFERENCE:
        for part, reason in excess.reasons.items():
            notes.add(columns_of[part], reason, name)
        if 0 < excess.n < cells.height:
            unpriced = cells.height - excess.n
            notes.add(
                "alpha, skill_market",
                f"over {counted(excess.n, 'forecast')} whose market price is known, without {unpriced}",
                name,
            )
    return row | {column: getattr(excess, part) for part, column in columns_of.items()}


def _counts(kept: pl.DataFrame, cells: pl.DataFrame) -> dict[str, Any]:
    return {
        "n_markets": kept["market_id"].n_unique(),
        "n_forecasts": kept.height,
        "filled": int(kept["filled"].sum()),
        "answered": int((cells["status"] == "answered").sum()),
        "failed": int((cells["status"] == "failed").sum()),
        "simulated": bool(cells["simulated"].any()),
    }


def _use(name: str, cells: pl.DataFrame, notes: _Notes) -> dict[str, float | None]:
    """Mean per market of one replicate of what the cells used, and the total paid; None where one cell's is unknown."""
    use: dict[str, float | None] = {}
    for source, column in (*_USE.items(), ("paid_usd", "paid_usd")):
        amounts = cells[source].cast(pl.Float64)
        if unknown := amounts.null_count():
            notes.add(column, f"unknown for {unknown} of {counted(cells.height, 'cell')}", name)
        use[column] = None if unknown else float(np.sum(amounts.to_numpy()) / (1 if column == "paid_usd" else cells.height))
    return use


def _placements(rows: list[dict[str, Any]]) -> tuple[Placement, ...]:
    return pareto_frontier(
        [row["configuration"] for row in rows],
        cost=[row["cost_usd_per_market"] for row in rows],
        brier=[row.get("brier") for row in rows],
    )


def _market_rows(kept: Scored) -> pl.DataFrame:
    """The market price of every market of the table, as if it were a configuration with one replicate."""
    priced = pl.col("market_price").is_not_null()
    return kept.frame.unique("market_id", maintain_order=True).with_columns(
        configuration=pl.lit(REFERENCE),
        replicate=pl.lit(0, SCHEMA["replicate"]),
        probability="market_price",
        status=pl.when(priced).then(pl.lit("answered")).otherwise(pl.lit("failed")),
        filled=pl.lit(False),
    )


def few_of_a_kind(kept: Scored) -> str | None:
    """What a thin study means for its intervals, in words; None where it is not `base.few.thin`."""
    markets = kept.frame.unique("market_id")
    if markets.is_empty():
        return None
    event = markets["event_id"].rank("dense").cast(pl.Int64).to_numpy()
    if (why := thin(markets["outcome"].to_numpy(), event)) is None:
        return None
    return (
        f"few of a kind: {why}, in {counted(markets.height, 'market')}; under {FEW} of a kind, or with events that weigh as "
        f"few as {EVEN}, 95% intervals also allow for events that turn out otherwise, so they are wide and hold the truth "
        "in more than 95%"
    )


def _coverage(cells: pl.DataFrame, kept: Scored) -> str:
    sums = kept.left_out.select("unresolved", "unanswered", "not_common", "filled").sum().row(0, named=True)
    return (
        f"policy {kept.policy}: {kept.n_markets} of {counted(cells['market_id'].n_unique(), 'market')}; cells left out: "
        f"{sums['unresolved']} unresolved, {sums['unanswered']} unanswered, {sums['not_common']} answered but not by "
        f"every configuration in every replicate; cells filled by a fallback: {sums['filled']}"
    )


def _groups(cells: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    return [(str(key[0]), part) for key, part in cells.group_by("configuration", maintain_order=True)]


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _array(cells: pl.DataFrame, column: str) -> Floats:
    """A column as floats; NaN stands for null, for the measures that leave those out."""
    return cells[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()
