"""A stratified sample of markets: seeded, the same whatever the order of the rows, and with an account of every market."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import polars as pl

from coordeval.market_data.errors import DataError, choose

Allocation = Literal["proportional", "equal"]

PRICE_DECILE: Final = "price_decile"
NO_PRICE: Final = "no price at as-of"
SAME_EVENT: Final = "another market of its event was drawn"
NOT_DRAWN: Final = "eligible, not drawn"
_NEVER_NULL: Final = ("market_id", "event_id", "status", "reason")
_COUNTS: Final = ("listed", "eligible", "candidates", "drawn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The markets that were drawn, and where every other one went."""

    market_ids: tuple[str, ...]
    """In alphabetical order."""
    tally: pl.DataFrame
    """One row per stratum: its columns, then `listed` ≥ `eligible` ≥ `candidates` (after the limit per event) ≥ `drawn`.

    `listed` adds up to the rows of the frame. A null price decile holds the markets without a price."""
    left_out: Mapping[str, int]
    """Reason -> markets, the most frequent first; with the drawn ones they add up to the rows of the frame."""
    size: int
    """Markets that were asked for; fewer are drawn only where `allow_fewer` was given."""
    seed: int
    max_per_event: int | None
    strata: tuple[str, ...]
    allocation: Allocation


def draw_sample(
    frame: pl.DataFrame,
    *,
    size: int,
    seed: int,
    max_per_event: int | None = 1,
    strata: Sequence[str] = ("category", PRICE_DECILE),
    allocation: Allocation = "proportional",
    allow_fewer: bool = False,
) -> Sample:
    """`size` eligible markets, by stratum, at most `max_per_event` of one event (None: no limit).

    `frame` has one row per market: market_id, event_id, status (of the outcome), reason (why it is not eligible, "" where
    it is), price (of YES at as-of, null where none is known) and the columns of `strata`. `price_decile` is computed:
    k for a price in [k/10, (k + 1)/10), 9 for 1. Eligible is what is resolved, has no reason and, where price_decile is a
    stratum, has a price.

    Every market has a place in one order, by the sha256 of seed and market id, and the first come first: the first
    `max_per_event` of each event are candidates, then the first of each stratum are drawn. So rows may come in any order,
    and a market more changes its event, its stratum, and otherwise only the quotas. With N candidates, n_s in stratum s:

    - `proportional`: size · n_s/N, by largest remainder (Hamilton's method: whole parts first, then one each to the
      largest remainders).
    - `equal`: the same number for each stratum; what a small stratum cannot give, the others share.

    Equal claims are decided by the seed.

    Raises:
        DataError: a column is absent or a value breaks its rule, a market is listed twice, an option is unknown, or there
            are fewer candidates than `size`, unless `allow_fewer`.
    """
    strata = tuple(strata)
    if allocation not in get_args(Allocation):
        raise DataError(choose("allocation", allocation, get_args(Allocation)))
    for name, value in (("size", size), ("max_per_event", max_per_event)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise DataError(f"{name} is {value!r}: it must be a whole number, 1 or more")
    rows = _marked(_checked(frame, strata), seed=seed, max_per_event=max_per_event, priced=PRICE_DECILE in strata)
    candidates = rows.filter("candidate")
    if candidates.height < size and not allow_fewer:
        raise DataError(_too_few(rows, size=size, max_per_event=max_per_event))

    sizes = (
        {tuple(key): part.height for key, part in candidates.partition_by(strata, as_dict=True).items()} if strata else {}
    )
    quotas = _quotas(sizes or {(): candidates.height}, size=min(size, candidates.height), seed=seed, allocation=allocation)
    drawn = set[str]()
    for *stratum, market in candidates.select(*strata, "market_id").iter_rows():
        if quotas[tuple(stratum)] > 0:
            quotas[tuple(stratum)] -= 1
            drawn.add(market)
    rows = rows.with_columns(drawn=pl.col("market_id").is_in(list(drawn)))
    return Sample(
        market_ids=tuple(sorted(drawn)),
        tally=_tally(rows, strata),
        left_out=_left_out(rows),
        size=size,
        seed=seed,
        max_per_event=max_per_event,
        strata=strata,
        allocation=allocation,
    )


def _checked(frame: pl.DataFrame, strata: tuple[str, ...]) -> pl.DataFrame:
    """The columns that are needed, with the price decile, one row per market."""
    needed = tuple(dict.fromkeys((*_NEVER_NULL, "price", *(name for name in strata if name != PRICE_DECILE))))
    if absent := [name for name in needed if name not in frame.columns]:
        raise DataError(f"the frame of markets lacks {', '.join(absent)}: it needs the columns {', '.join(needed)}")
    rows = frame.select(needed).with_columns(pl.col("price").cast(pl.Float64))
    for name in _NEVER_NULL:
        if (wrong := rows.filter(pl.col(name).is_null())).height:
            raise DataError(f"market {wrong['market_id'][0]}: {name} is null; it must be known for every listed market")
    if (wrong := rows.filter(~pl.col("price").is_between(0, 1))).height:
        raise DataError(
            f"market {wrong['market_id'][0]}: price {wrong['price'][0]!r} is outside [0, 1]; "
            "give null where none is known, and divide percentages by 100"
        )
    if (twice := rows.filter(pl.col("market_id").is_duplicated())).height:
        raise DataError(f"market {twice['market_id'][0]} is listed more than once; give one row per market")
    return rows.with_columns((pl.col("price") * 10).floor().clip(0, 9).cast(pl.Int64).alias(PRICE_DECILE))


def _marked(rows: pl.DataFrame, *, seed: int, max_per_event: int | None, priced: bool) -> pl.DataFrame:
    """The rows in drawing order, each with `barred` (why it is not eligible, else null) and `candidate`."""
    place = [_place(seed, market) for market in rows["market_id"]]
    barred = (
        pl.when(pl.col("status") != "resolved")
        .then(pl.format("outcome: {}", "status"))
        .when(pl.col("reason") != "")
        .then("reason")
        .when(pl.col("price").is_null() & priced)
        .then(pl.lit(NO_PRICE))
    )
    eligible = pl.col("barred").is_null()
    within = eligible.cum_sum().over("event_id") <= max_per_event if max_per_event is not None else pl.lit(True)
    return (
        rows.with_columns(place=pl.Series(place, dtype=pl.String), barred=barred)
        .sort("place")
        .with_columns(candidate=eligible & within)
    )


def _quotas(
    sizes: Mapping[tuple[object, ...], int], *, size: int, seed: int, allocation: Allocation
) -> dict[tuple[object, ...], int]:
    """Stratum -> how many to draw; they add up to `size`, and none is more than the stratum has."""
    order = sorted(sizes, key=lambda stratum: _place(seed, *stratum))
    total = sum(sizes.values())
    if allocation == "proportional":
        whole = {stratum: divmod(size * sizes[stratum], max(total, 1)) for stratum in order}
        quotas = {stratum: seats for stratum, (seats, _) in whole.items()}
        claims = sorted(order, key=lambda stratum: -whole[stratum][1])  # stable: ties stay in the seeded order
        for stratum in claims[: size - sum(quotas.values())]:
            quotas[stratum] += 1
        return quotas
    quotas = dict.fromkeys(order, 0)
    while left := size - sum(quotas.values()):
        room = [stratum for stratum in order if quotas[stratum] < sizes[stratum]]
        each = left // len(room)
        for stratum in room if each else room[:left]:
            quotas[stratum] += min(sizes[stratum] - quotas[stratum], each or 1)
    return quotas


def _tally(rows: pl.DataFrame, strata: tuple[str, ...]) -> pl.DataFrame:
    counts = (pl.len(), pl.col("barred").is_null().sum(), pl.col("candidate").sum(), pl.col("drawn").sum())
    named = [count.cast(pl.Int64).alias(name) for name, count in zip(_COUNTS, counts, strict=True)]
    return rows.group_by(strata).agg(named).sort(strata) if strata else rows.select(named)


def _left_out(rows: pl.DataFrame) -> dict[str, int]:
    reason = (
        pl.when(pl.col("barred").is_not_null())
        .then("barred")
        .when(~pl.col("candidate") & pl.col("drawn").any().over("event_id"))
        .then(pl.lit(SAME_EVENT))
        .otherwise(pl.lit(NOT_DRAWN))
    )
    counted = (
        rows.with_columns(why=reason)
        .filter(~pl.col("drawn"))
        .group_by("why")
        .len()
        .sort("len", "why", descending=[True, False])
    )
    return dict(counted.iter_rows())


def _too_few(rows: pl.DataFrame, *, size: int, max_per_event: int | None) -> str:
    eligible = rows.filter(pl.col("barred").is_null())
    found = f"{size} markets were asked for, {eligible.height} of the {rows.height} listed are eligible"
    fix = "ask for fewer, list more markets, or allow fewer"
    if (candidates := int(rows["candidate"].sum())) < eligible.height:
        found += f", and {candidates} with at most {max_per_event} per event ({eligible['event_id'].n_unique()} events)"
        fix = "ask for fewer, list more markets, allow more per event, or allow fewer"
    barred = rows["barred"].drop_nulls().value_counts(sort=True).head(3)
    why = "; ".join(f"{count} × {reason}" for reason, count in barred.iter_rows())
    return f"{found}{f' (left out: {why})' if why else ''}: {fix}"


def _place(seed: int, *parts: object) -> str:
    return hashlib.sha256("\x1f".join(map(str, (seed, *parts))).encode()).hexdigest()
