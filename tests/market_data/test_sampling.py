"""A drawn sample: every market accounted for, quotas that add up, and the same draw whatever else changes."""

from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordeval.market_data.errors import DataError
from coordeval.market_data.sampling import NO_PRICE, NOT_DRAWN, SAME_EVENT, draw_sample

TYPES = {
    "market_id": pl.String,
    "event_id": pl.String,
    "category": pl.String,
    "status": pl.String,
    "price": pl.Float64,
    "volume": pl.Float64,
    "reason": pl.String,
}


def market(i, **changed):
    row = {"category": "sport", "status": "resolved", "price": 0.5, "volume": 1.0, "reason": ""}
    return {"market_id": f"m{i}", "event_id": f"e{i}"} | row | changed


def table(*rows):
    return pl.DataFrame(list(rows), schema=TYPES)


def world(n, *, events=None):
    return table(
        *(
            market(i, event_id=f"e{i % (events or n)}", category="abc"[i % 7 % 3], price=(i * 37 % 101) / 101)
            for i in range(n)
        )
    )


@st.composite
def frames(draw):
    n = draw(st.integers(1, 40))
    return table(
        *(
            market(
                i,
                event_id=f"e{draw(st.integers(0, 12))}",
                category=draw(st.sampled_from("ab")),
                price=draw(st.sampled_from([None, 0.0, 0.3, 0.5, 0.99, 1.0])),
                status=draw(st.sampled_from(["resolved", "resolved", "resolved", "voided", "disputed"])),
                reason=draw(st.sampled_from(["", "", "", "its volume is too low"])),
            )
            for i in range(n)
        )
    )


ALLOCATION = st.sampled_from(["proportional", "equal"])
STRATA = st.sampled_from([("category", "price_decile"), ("category",), ("price_decile",), ()])


@pytest.mark.proof
@settings(max_examples=150, deadline=None)
@given(frames(), st.integers(1, 30), st.integers(0, 5), ALLOCATION, STRATA, st.sampled_from([1, 2, None]))
def test_everything_is_accounted_for(frame, size, seed, allocation, strata, limit):
    sample = draw_sample(
        frame, size=size, seed=seed, allocation=allocation, strata=strata, max_per_event=limit, allow_fewer=True
    )
    tally = sample.tally
    assert tally["listed"].sum() == frame.height
    assert tally["drawn"].sum() == len(sample.market_ids) == min(size, tally["candidates"].sum())
    assert tally.filter((pl.col("drawn") > pl.col("candidates")) | (pl.col("candidates") > pl.col("eligible"))).is_empty()
    assert len(sample.market_ids) + sum(sample.left_out.values()) == frame.height
    drawn = frame.filter(pl.col("market_id").is_in(list(sample.market_ids)))
    assert set(drawn["status"]) <= {"resolved"}
    assert set(drawn["reason"]) <= {""}
    if limit is not None:
        assert max(Counter(drawn["event_id"]).values(), default=0) <= limit
    if "price_decile" in strata:
        assert drawn["price"].null_count() == 0


@settings(max_examples=100, deadline=None)
@given(frames(), st.integers(1, 30), ALLOCATION, st.randoms())
def test_the_order_of_the_rows_does_not_matter(frame, size, allocation, random):
    order = list(range(frame.height))
    random.shuffle(order)
    one, other = (
        draw_sample(part, size=size, seed=1, allocation=allocation, allow_fewer=True) for part in (frame, frame[order])
    )
    assert one.market_ids == other.market_ids
    assert one.left_out == other.left_out
    assert one.tally.equals(other.tally)


@settings(max_examples=150, deadline=None)
@given(frames(), st.integers(1, 30), ALLOCATION)
def test_a_market_more_changes_other_strata_only_by_their_quota(frame, size, allocation):
    """Where the newcomer's event and stratum are new, what an old stratum draws is the same but for its last ones."""
    before = draw_sample(frame, size=size, seed=1, allocation=allocation, strata=("category",), allow_fewer=True)
    newcomer = table(market(99, event_id="new", category="z"))
    after = draw_sample(
        pl.concat([frame, newcomer]), size=size, seed=1, allocation=allocation, strata=("category",), allow_fewer=True
    )
    category = dict(frame.select("market_id", "category").iter_rows())
    for name in "ab":
        was, now = ({m for m in s.market_ids if category.get(m) == name} for s in (before, after))
        assert was <= now or now <= was


@pytest.mark.parametrize(
    ("n", "why"), [(1000, "a fifth of each stratum: many remainders are equal, the worst case"), (977, "the usual case")]
)
def test_a_market_more_moves_at_most_four_of_two_hundred(n, why):
    frame = world(n)
    before = set(draw_sample(frame, size=200, seed=3).market_ids)
    for i in range(20):
        more = table(market(5000 + i, event_id=f"new{i}", category="abc"[i % 3], price=i / 20))
        assert len(before - set(draw_sample(pl.concat([frame, more]), size=200, seed=3).market_ids)) <= 4, why


def test_another_seed_is_another_sample_and_every_market_has_its_chance():
    frame = world(60, events=30)
    count = Counter(m for seed in range(400) for m in draw_sample(frame, size=10, seed=seed, strata=()).market_ids)
    assert len(count) == 60
    assert min(count.values()) > 66.7 - 4 * 7.7  # 400 draws, each market in 1/6 of them; four standard errors
    assert max(count.values()) < 66.7 + 4 * 7.7


@pytest.mark.parametrize(
    ("allocation", "size", "expected"),
    [
        ("proportional", 10, {"a": 6, "b": 3, "c": 1}),  # 6, 3, 1 exactly
        ("proportional", 4, {"a": 3, "b": 1, "c": 0}),  # 2.4, 1.2, 0.4: one seat is left, and a and c claim it
        ("equal", 9, {"a": 3, "b": 3, "c": 3}),
        ("equal", 24, {"a": 11, "b": 10, "c": 3}),  # c has only 5
        ("equal", 50, {"a": 30, "b": 15, "c": 5}),  # all there is
    ],
)
def test_quotas(allocation, size, expected):
    rows = [market(f"{name}{i}", category=name) for name, n in (("a", 30), ("b", 15), ("c", 5)) for i in range(n)]
    sample = draw_sample(table(*rows), size=size, seed=0, strata=("category",), allocation=allocation)
    drawn = dict(sample.tally.select("category", "drawn").iter_rows())
    if allocation == "proportional" and size == 4:
        assert drawn in ({"a": 3, "b": 1, "c": 0}, {"a": 2, "b": 1, "c": 1})  # equal remainders: the seed decides
    elif size == 24:
        assert drawn["c"] == 5
        assert {drawn["a"], drawn["b"]} in ({9, 10}, {10, 9})
    else:
        assert drawn == expected


@pytest.mark.parametrize(
    ("price", "decile"), [(0.0, 0), (0.0999, 0), (0.1, 1), (0.3, 3), (0.6, 6), (0.7, 7), (0.8999, 8), (0.9, 9), (1.0, 9)]
)
def test_price_deciles_are_cut_at_decimal_edges(price, decile):
    assert draw_sample(table(market(0, price=price)), size=1, seed=0).tally["price_decile"].to_list() == [decile]


def test_what_was_left_out_says_why():
    frame = table(
        market(0, event_id="e"),
        market(1, event_id="e"),
        market(2, price=None),
        market(3, status="disputed", price=None, reason="disputed twice"),
        market(4, status="fifty_fifty"),
        market(5, reason="its price is too old"),
        market(6, status="fifty_fifty"),
    )
    sample = draw_sample(frame, size=1, seed=0)
    assert sample.left_out == {
        "outcome: fifty_fifty": 2,
        SAME_EVENT: 1,
        NO_PRICE: 1,
        "its price is too old": 1,
        "outcome: disputed": 1,
    }
    assert sample.tally.filter(pl.col("price_decile").is_null())["listed"].to_list() == [2]
    assert draw_sample(frame, size=2, seed=0, strata=("category",)).left_out.keys().isdisjoint({NO_PRICE})


def test_a_market_whose_event_was_not_drawn_was_just_not_drawn():
    left = draw_sample(world(20, events=10), size=4, seed=0, strata=()).left_out
    assert left == {NOT_DRAWN: 12, SAME_EVENT: 4}


def test_too_few_names_both_numbers_and_the_fix():
    frame = pl.concat([world(20, events=10), table(market(99, status="voided"))])
    with pytest.raises(
        DataError, match=r"11 markets were asked for, 20 of the 21 listed are eligible, and 10 with at most 1"
    ):
        draw_sample(frame, size=11, seed=0)
    with pytest.raises(DataError, match=r"1 × outcome: voided.*allow fewer"):
        draw_sample(frame, size=21, seed=0, max_per_event=None)
    assert len(draw_sample(frame, size=11, seed=0, max_per_event=2).market_ids) == 11
    assert len(draw_sample(frame, size=11, seed=0, allow_fewer=True).market_ids) == 10


def test_nothing_eligible_is_an_empty_sample_only_where_fewer_are_allowed():
    for frame in (table(), table(market(0, status="voided"))):
        with pytest.raises(DataError, match="1 markets were asked for, 0 of"):
            draw_sample(frame, size=1, seed=0)
        for allocation in ("proportional", "equal"):
            assert draw_sample(frame, size=1, seed=0, allow_fewer=True, allocation=allocation).market_ids == ()


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda f: f.drop("price"), {}, "lacks price"),
        (lambda f: f, {"strata": ("country",)}, "lacks country"),
        (lambda f: pl.concat([f, f[:1]]), {}, "m0 is listed more than once"),
        (lambda f: f.with_columns(price=pl.lit(40.0)), {}, "divide percentages by 100"),
        (lambda f: f.with_columns(event_id=pl.lit(None, pl.String)), {}, "event_id is null"),
        (lambda f: f, {"allocation": "optimal"}, "equal, proportional"),
        (lambda f: f, {"size": 0}, "size is 0"),
        (lambda f: f, {"max_per_event": 0}, "max_per_event is 0"),
    ],
)
def test_what_breaks_a_rule_is_named(change, options, message):
    with pytest.raises(DataError, match=message):
        draw_sample(change(world(5)), **({"size": 1, "seed": 0} | options))
