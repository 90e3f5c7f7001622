"""Two studies side by side, on the markets that both forecast as of the same moment, and on nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from coordeval.analysis.base.arms import arms_table, comparable, content_in, differing
from coordeval.analysis.base.frames import Policy, Scored, scored
from coordeval.analysis.differences.comparisons import Comparisons, comparisons
from coordeval.analysis.differences.replicates import spread
from coordeval.analysis.study.stated import is_shown, passes
from coordeval.analysis.words.answers import verdict
from coordeval.analysis.words.phrases import counted, listed, size, twins
from coordeval.flows.compare.settings import different_parameters, different_settings
from coordeval.flows.run.between import between_two
from coordeval.flows.study.in_arms import Looked, in_arm, one_of
from coordeval.flows.study.names import PROBE
from coordeval.ledger import Reader
from coordeval.ledger.reader import Study
from coordeval.market_data.errors import CoordevalError

_LEVEL: Final = 0.05
_NOT_CONDITIONS: Final = ("name", "predictions", "replicates", "markets", "configurations")  # said elsewhere, or compared
_OF_BOTH: Final = """
    SELECT count(DISTINCT f.forecast_id) FILTER (a.forecast_id = b.forecast_id) AS same,
        count(DISTINCT a.market_id) FILTER (
            json_extract_string(a.identity, '$.market.view') <> json_extract_string(b.identity, '$.market.view')
        ) AS seen
    FROM cells a JOIN cells b USING (market_id, as_of, replicate) JOIN forecasts f ON f.forecast_id = a.forecast_id
    WHERE a.study_id = ? AND b.study_id = ? AND a.arm = ? AND b.arm = ? AND a.configuration <> ? AND b.configuration <> ?
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What was compared, and on what."""

    names: tuple[str, str]
    """Of the studies; their short ids where both have one name, and the arm where a study has several."""
    study_ids: tuple[str, str]
    arms: tuple[Looked, Looked]
    """The arm of each that is compared, and its others."""
    policy: Policy
    answer: str
    """Whether any two are told apart, in one sentence."""
    overlap: str
    """In words: how many markets each study has, how many both, and what was left out."""
    differs: tuple[str, ...]
    """What else differs between the studies, so what a difference may come from."""
    notes: tuple[str, ...]
    """What else must be known to read the numbers."""
    labels: tuple[str, ...]
    """What must be said beside every number: SIMULATED, HINDSIGHT-ANCHORED."""
    n_markets: int
    n_events: int
    replicates: int
    table: pl.DataFrame
    """Of `analysis.differences.comparisons`, with a verdict: pairs named study:configuration, `first` of the first study.

    p-values are adjusted over these pairs.
    """
    found: Comparisons

    def as_json(self) -> dict[str, Any]:
        """JSON values; a null has its reason in its row."""
        simple = ("names", "study_ids", "policy", "answer", "overlap", "differs", "notes", "labels")
        own: dict[str, Any] = {name: getattr(self, name) for name in (*simple, "n_markets", "n_events", "replicates")}
        own["arms"] = [one.arm for one in self.arms]
        settings = {
            name: getattr(self.found, name)
            for name in ("noise_floor", "noise_low", "noise_high", "margin", "alpha", "level", "n", "seed")
        }
        return own | settings | {"table": self.table.to_dicts()}


def compare(
    reader: Reader,
    first: str,
    second: str,
    *,
    arms: tuple[str | None, str | None] = (None, None),
    policy: Policy = "common",
    resamples: int = 10_000,
) -> Compared:
    """Every configuration of the first study against every one of the second, on their overlap; each in one of its arms.

    `arms`: which, of the first and of the second; None: `in_arms.one_of`. Both may be arms of one study where exactly one
    factor tells them apart, and the certificate between them holds.

    The overlap is the market, the moment and the replicate: where one study has more replicates the others are left out,
    but may still tell what noise is. Where both have one market price for a market it is that, else none.

    Raises CoordevalError where they share no market that was forecast as of the same moment, or none of these is scored.
    """
    with reader.moment() as held:
        studies = [held.study(name) for name in (first, second)]
        looked = [one_of(held, study.study_id, arm) for study, arm in zip(studies, arms, strict=True)]
        if studies[0].study_id == studies[1].study_id:
            _one_apart(held, studies[0], looked[0].arm, looked[1].arm)
        names = list(_names(studies, looked))
        cells = [_cells(held, study, one, name) for study, one, name in zip(studies, looked, names, strict=True)]
    made = [frame.filter(pl.col("status") != "pending") for frame in cells]
    moments = [set(frame.select("market_id", "as_of").unique().iter_rows()) for frame in made]
    shared = moments[0] & moments[1]
    markets = [{market for market, _ in found} for found in moments]
    both = len(markets[0] & markets[1])
    if not shared:
        raise CoordevalError(
            f"{names[0]} and {names[1]} share {counted(both, 'market')}, none as of the same moment: "
            "there is nothing to compare"
        )
    on_shared = pl.col("market_id").is_in(sorted(market for market, _ in shared))
    numbers = [set(frame["replicate"]) for frame in made]
    common = sorted(numbers[0] & numbers[1])
    frame, repriced = _joined([f.filter(on_shared) for f in made], policy)
    kept = scored(frame.filter(pl.col("replicate").is_in(common)), policy=policy)
    overlap = (
        f"{names[0]} has {counted(len(markets[0]), 'market')}, {names[1]} {len(markets[1]):,}; both have {both:,}, "
        f"{len(shared):,} of them as of the same moment. {_scored(kept, frame, len(shared), common)}"
    )
    if kept.frame.is_empty():
        raise CoordevalError(
            f"{overlap} Nothing is left to compare: go on with the runs, wait until markets resolve, or try another --policy"
        )
    replicated = spread(scored(frame, policy=policy))
    found = comparisons(
        kept,
        n=resamples,
        control=replicated.noise_floor,
        groups={name: name[0] for name in kept.frame["configuration"].unique()},
    )
    rows = [_named(row, names) | {"verdict": verdict(row, margin=found.margin)} for row in found.table.to_dicts()]
    return Compared(
        names=(names[0], names[1]),
        study_ids=(studies[0].study_id, studies[1].study_id),
        arms=(looked[0], looked[1]),
        policy=policy,
        answer=_answer(rows, found.margin),
        overlap=overlap,
        differs=tuple(_differs(studies, looked)),
        notes=tuple(_notes(reader, studies, looked, names, cells, numbers, common, on_shared, repriced)),
        labels=tuple(_labels(studies, names)),
        n_markets=kept.n_markets,
        n_events=kept.frame["event_id"].n_unique(),
        replicates=len(common),
        table=pl.DataFrame(rows, schema=found.table.schema | {"verdict": pl.String()}).sort("first", "second"),
        found=found,
    )


def _answer(rows: Sequence[dict[str, Any]], margin: float) -> str:
    """Yes only where a difference passes its test and exceeds the noise; what is not known is not called no."""
    known = [row for row in rows if row["delta"] is not None]
    passing = [row for row in known if passes(row)]
    clear = [row for row in passing if is_shown(row)]
    pairs = counted(len(known), "pair")
    if not known:
        return "Nothing can be told: no market was scored for both sides of any pair."
    if all(twins(row) for row in known):
        return f"No difference: on every market both sides of all {pairs} score the same."
    top = max(clear or passing or known, key=lambda row: abs(row["delta"]))
    better, worse = (top["first"], top["second"]) if top["delta"] < 0 else (top["second"], top["first"])
    lead = f"{better} is ahead of {worse} by {size(top)}"
    if clear:
        return f"Yes: {len(clear)} of {pairs} {'is' if len(clear) == 1 else 'are'} told apart; the furthest: {lead}."
    if all(row["p_tost"] is not None and row["p_tost"] < _LEVEL for row in known):
        return f"No: all {pairs} are within {margin:g} of each other; at the most, {lead}."
    why = "which chance alone could do"
    if passing:
        why = "but sampling again changes as much"
    takes = (
        f" To tell takes about {top['n_needed_clustered']:,} markets." if top["n_needed_clustered"] and not passing else ""
    )
    return f"Cannot tell yet: at the most, {lead}, {why}.{takes}"


def _names(studies: Sequence[Study], looked: Sequence[Looked]) -> Iterator[str]:
    alike = studies[0].name == studies[1].name
    for study, one in zip(studies, looked, strict=True):
        if studies[0].study_id == studies[1].study_id:
            yield one.arm
        else:
            own = study.study_id[:8] if alike else study.name
            yield f"{own} ({one.arm})" if one.others else own


def _one_apart(reader: Reader, study: Study, first: str, second: str) -> None:
    """Raises CoordevalError for arms that not exactly one factor tells apart, or of which more differs than they declare."""
    table = arms_table(study.content)
    if first == second:
        more = " --arms names two of its arms" if table.height > 1 else ""
        raise CoordevalError(f"{study.name} and {study.name} are one study in one arm; give two.{more}")
    factors = differing(table, first, second)
    if len(factors) != 1:
        pairs = "; ".join(f"{a} and {b} ({factor})" for a, b, factor in comparable(table))
        raise CoordevalError(
            f"the arms {first!r} and {second!r} of {study.name} differ in {listed(factors)}: a difference could come of any "
            f"of these. One factor tells apart: {pairs or 'no two of its arms'}"
        )
    found = between_two(reader, study.study_id, first, second)
    if found.held is False:
        raise CoordevalError(
            f"the arms {first!r} and {second!r} of {study.name} are not compared, because more differs than they declare: "
            f"{'; '.join(found.problems)}"
        )


def _cells(reader: Reader, study: Study, looked: Looked, name: str) -> pl.DataFrame:
    with in_arm(reader, study.study_id, looked.arm) as held:
        frame = held.forecast_frame(study.study_id).filter(pl.col("configuration") != PROBE)
    if (frame["status"] == "pending").all():
        raise CoordevalError(f"{name} has no forecast yet; run it before it is compared")
    return frame


def _joined(frames: Sequence[pl.DataFrame], policy: Policy) -> tuple[pl.DataFrame, int]:
    """Both studies as one frame, and for how many markets their market prices differ.

    Configurations are marked 0: or 1:, so that they sort by study, whatever the studies are called.
    Such a market has no price in the joined frame; under `fallback_market` a failed forecast is its own study's price all
    the same.
    """
    prices = [f.group_by("market_id").agg(pl.col("market_price").first()) for f in frames]
    pairs = prices[0].join(prices[1], on="market_id", suffix="_other")
    apart = pairs.filter(~pl.col("market_price").eq_missing(pl.col("market_price_other")))["market_id"].to_list()
    if policy == "fallback_market":
        stands_in = (pl.col("status") == "failed") & pl.col("market_price").is_not_null()
        frames = [
            f.with_columns(
                probability=pl.when(stands_in).then("market_price").otherwise("probability"),
                status=pl.when(stands_in).then(pl.lit("answered")).otherwise("status"),
            )
            for f in frames
        ]
    joined = pl.concat(f.with_columns(configuration=pl.lit(f"{i}:") + pl.col("configuration")) for i, f in enumerate(frames))
    price = pl.when(~pl.col("market_id").is_in(apart)).then("market_price")
    return joined.with_columns(market_price=price), len(apart)


def _scored(kept: Scored, frame: pl.DataFrame, shared: int, replicates: Sequence[int]) -> str:
    open_ = frame.filter(pl.col("outcome").is_null())["market_id"].n_unique()
    rest = shared - open_ - kept.n_markets
    out = [f"{open_:,} {'has' if open_ == 1 else 'have'} no outcome"] * (open_ > 0)
    if rest:
        reason = "every configuration of both in every replicate" if kept.policy == "common" else "any configuration"
        out.append(f"{rest:,} {'was' if rest == 1 else 'were'} not answered by {reason}")
    left = f"Of these {' and '.join(out)}; " if out else "Of these "
    events = counted(kept.frame["event_id"].n_unique(), "event")
    each = "" if kept.policy == "common" else ", every pair on those that both sides have"
    return (
        f"{left}{kept.n_markets:,} in {events} are compared{each}, policy {kept.policy}, with "
        f"{counted(len(replicates), 'replicate')} each."
    )


def _differs(studies: Sequence[Study], looked: Sequence[Looked]) -> Iterator[str]:
    contents = [content_in(study.content, one.arm) for study, one in zip(studies, looked, strict=True)]
    models = [_model(study, content) for study, content in zip(studies, contents, strict=True)]
    if models[0] != models[1]:
        yield f"model: {models[0]} → {models[1]}"
    if imported := [study.name for study in studies if "published" in study.content]:
        yield f"settings: those of {listed(imported)} are not stored key by key, so how they differ is not known"
        return
    said = different_settings(*contents, but=_NOT_CONDITIONS)
    yield from (each for each in said if not each.startswith("model's id:"))


def _model(study: Study, content: Mapping[str, Any]) -> str:
    """The id of the model that is asked in this arm."""
    own = content.get("model") or {}
    return str(own.get("id") or study.model) if "models" in study.content else study.model


def _notes(
    reader: Reader,
    studies: Sequence[Study],
    looked: Sequence[Looked],
    names: Sequence[str],
    cells: Sequence[pl.DataFrame],
    numbers: Sequence[set[int]],
    common: Sequence[int],
    on_shared: pl.Expr,
    repriced: int,
) -> Iterator[str]:
    yield from different_parameters(studies[0].content, studies[1].content, (names[0], names[1]))
    for frame, name, own in zip(cells, names, numbers, strict=True):
        if more := len(own) - len(common):
            said = "they only tell what noise is" if len(common) == 1 else "noise is that of the common ones"
            yield f"{counted(more, 'replicate')} of {name} {'is' if more == 1 else 'are'} not compared; {said}"
        if waiting := frame.filter(on_shared & (pl.col("status") == "pending")).height:
            yield f"{counted(waiting, 'forecast')} of {name} on these markets still to be made"
    bound = [*(study.study_id for study in studies), *(one.arm for one in looked), PROBE, PROBE]
    [row] = reader.query(_OF_BOTH, bound).to_dicts()
    if row["same"]:
        yield f"{counted(row['same'], 'forecast')} the same in both by their hash: no difference can come of them"
    if row["seen"]:
        seen = counted(row["seen"], "market")
        yield f"on {seen} agents of one study could see other facts, prices or documents than those of the other"
    if repriced:
        yield f"on {counted(repriced, 'market')} the two studies hold different market prices"


def _labels(studies: Sequence[Study], names: Sequence[str]) -> Iterator[str]:
    yield from (f"{name}: SIMULATED" for study, name in zip(studies, names, strict=True) if study.simulated)
    for study, name in zip(studies, names, strict=True):
        if study.hindsight:
            yield f"{name}: HINDSIGHT-ANCHORED as-of times"


def _named(row: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return row | {side: f"{names[int(row[side][0])]}:{row[side][2:]}" for side in ("first", "second")}
