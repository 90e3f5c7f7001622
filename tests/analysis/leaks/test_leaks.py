"""Leak probes find the leaks that are there, and say why where they cannot look."""

import tomllib
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from coordeval.analysis import (
    AnalysisError,
    cutoff_of,
    early_closing,
    memorisation,
    price_copying,
    sibling_reveals,
    training_cutoff,
)
from tests.analysis.reference import CONFIGURATIONS, _lines, cell, failed, recorded, recorded_frame, table

DAY = timedelta(days=1)
T0 = datetime(2026, 1, 31, 12, tzinfo=UTC)
CUTOFF = date(2026, 1, 31)
MARKET_TYPES = {
    "market_id": pl.String,
    "event_id": pl.String,
    "question": pl.String,
    "outcome": pl.Int64,
    "scheduled_close": pl.Datetime("us", "UTC"),
    "closed_at": pl.Datetime("us", "UTC"),
    "resolved_at": pl.Datetime("us", "UTC"),
    "as_of": pl.Datetime("us", "UTC"),
    "exclusive": pl.Boolean,
}


def markets(*rows):
    filled = [{"event_id": f"event of {row['market_id']}"} | dict.fromkeys(MARKET_TYPES) | row for row in rows]
    for row, given_row in zip(filled, rows, strict=True):
        row["event_id"] = given_row.get("event_id", f"event of {row['market_id']}")
    return pl.DataFrame(filled, schema=MARKET_TYPES)


def recorded_markets():
    return markets(
        *(
            {
                "market_id": row["marketId"],
                "event_id": row["eventGroupId"],
                "question": row["question"],
                "outcome": row["resolutionOutcome"],
                "resolved_at": datetime.fromisoformat(row["resolvedAt"]),
                "as_of": datetime.fromisoformat(row["baselineDate"]),
            }
            for row in _lines("markets.jsonl")
        )
    )


# Early closing


def closings(*, n, yes_if_early, yes_else, seed=0, early=0.4):
    rng = np.random.default_rng(seed)
    is_early = rng.random(n) < early
    outcome = rng.random(n) < np.where(is_early, yes_if_early, yes_else)
    return markets(
        *(
            {
                "market_id": f"m{i:04}",
                "event_id": f"e{i // 2}",
                "outcome": int(outcome[i]),
                "scheduled_close": T0,
                "closed_at": T0 - 5 * DAY if is_early[i] else T0,
                "resolved_at": T0 + DAY,
            }
            for i in range(n)
        )
    )


def test_the_share_that_early_closing_explains_is_recovered():
    """Truth: 0.4 · 0.6 · (0.9 − 0.2)²/(0.48 · 0.52) = 0.471 of the variance."""
    found = early_closing(closings(n=2000, yes_if_early=0.9, yes_else=0.2))
    truth = 0.4 * 0.6 * 0.49 / (0.48 * 0.52)
    assert found.value == pytest.approx(truth, abs=0.05)
    assert found.low < truth < found.high
    assert found.rate_early.value == pytest.approx(0.9, abs=0.03)
    assert found.rate_on_time.value == pytest.approx(0.2, abs=0.03)
    assert found.correlation.value == pytest.approx(found.value**0.5)
    assert found.gain.value == pytest.approx(found.brier_base.value - found.brier.value)
    assert found.gain.value == pytest.approx(0.48 * 0.52 * truth, abs=0.02)
    assert found.gain.low > 0
    assert (found.n, found.n_events, found.reason) == (2000, 1000, None)
    assert "of the early" not in found.says
    assert "early ones resolved YES" in found.says


def test_it_agrees_with_other_implementations():
    frame = closings(n=300, yes_if_early=0.7, yes_else=0.4)
    found = early_closing(frame, resamples=100)
    early = (frame["closed_at"] < T0).to_numpy()
    assert found.auc.value == pytest.approx(roc_auc_score(frame["outcome"], early))
    assert found.correlation.value == pytest.approx(np.corrcoef(frame["outcome"], early)[0, 1])


def test_early_closing_that_is_the_outcome_explains_all_of_it():
    found = early_closing(closings(n=200, yes_if_early=1, yes_else=0), resamples=500)
    assert (found.value, found.auc.value, found.brier.value) == (pytest.approx(1), 1, 0)
    assert found.low is None
    assert found.reason == "the same in every resample"


def test_no_leak_is_seldom_called_one():
    """A share of variance is never negative, so plain percentiles would call a leak in every world."""
    found = [early_closing(closings(n=200, yes_if_early=0.4, yes_else=0.4, seed=s), resamples=500) for s in range(60)]
    assert np.mean([f.low > 0 for f in found]) <= 0.1
    assert np.mean([f.gain.low > 0 for f in found]) <= 0.1
    assert np.mean([f.gain.value for f in found]) < 0  # out of sample, knowing nothing costs a little


def test_resolution_time_stands_in_for_an_unknown_closing_time_and_a_few_hours_are_not_early():
    rows = [
        {"market_id": "a", "outcome": 1, "scheduled_close": T0, "resolved_at": T0 - 2 * DAY},
        {"market_id": "b", "outcome": 0, "scheduled_close": T0, "closed_at": T0 - DAY / 2, "resolved_at": T0 - 2 * DAY},
        {"market_id": "c", "outcome": 0, "scheduled_close": T0},
        {"market_id": "d", "outcome": None, "scheduled_close": T0},
    ]
    found = early_closing(markets(*rows), resamples=10)
    assert (found.n, found.n_early) == (2, 1)
    assert found.left_out == {"unresolved": 1, "when it closed is not known": 1}
    assert early_closing(markets(*rows), by=DAY / 4, resamples=10).n_early == 2


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (closings(n=20, yes_if_early=0.5, yes_else=0.5, early=0), "none of the 20 markets closed early"),
        (closings(n=20, yes_if_early=0.5, yes_else=0.5, early=1), "all 20 markets closed early"),
        (closings(n=20, yes_if_early=1, yes_else=1), "all 20 markets resolved YES"),
        (markets(), "there are no markets"),
    ],
)
def test_undefined_is_none_with_a_reason(frame, reason):
    found = early_closing(frame, resamples=20)
    assert (found.value, found.low, found.reason) == (None, None, reason)
    assert reason in found.says


@recorded
def test_the_recorded_study_gives_no_scheduled_close():
    found = early_closing(recorded_markets())
    assert found.value is None
    assert found.reason == "no scheduled close is known (100 of 100 markets)"


# Siblings


def sibling(question, *, event="e", outcome=1, as_of=T0, **more):
    return {"market_id": "sibling", "question": question, "event_id": event, "outcome": outcome, "as_of": as_of} | more


@pytest.mark.parametrize(
    ("question", "other", "why", "implies"),
    [
        # a ladder of deadlines: YES by the earlier is YES by the later, NO by the later is NO by the earlier
        ("Ceasefire by June 30?", sibling("Ceasefire by March 31?"), "an earlier deadline had resolved YES", 1),
        ("Ceasefire by June 30?", sibling("Ceasefire by March 31?", outcome=0), "an earlier deadline had resolved NO", None),
        ("Ceasefire by March 31?", sibling("Ceasefire by June 30?", outcome=0), "a later deadline had resolved NO", 0),
        ("Ceasefire by March 31?", sibling("Ceasefire by June 30?"), "a later deadline had resolved YES", 1),
        # it resolved after our deadline, so it may have happened after it
        ("Ceasefire by January 25?", sibling("Ceasefire by June 30?"), "a later deadline had resolved YES", None),
        # in another event too; with years, in ISO, by month, by year
        ("X in office by 2027?", sibling("X in office by 2026?", event="f"), "an earlier deadline had resolved YES", 1),
        ("Deal before 2026-06-01?", sibling("Deal before 2026-03-01?"), "an earlier deadline had resolved YES", 1),
        ("Deal by end of May 2026?", sibling("Deal by March 5th, 2026?"), "an earlier deadline had resolved YES", 1),
        # without a year: the first date after as-of, so January comes after December
        (
            "Deal by January 31?",
            sibling("Deal by December 31?", as_of=T0 - 60 * DAY),
            "an earlier deadline had resolved YES",
            1,
        ),
        # legs of one event
        ("Will A win?", sibling("Will B win?"), "another market of its event had resolved YES", None),
        ("Will A win?", sibling("Will B win?", outcome=0), None, None),
        ("Will A win?", sibling("Will B win?", exclusive=True), "another market of its exclusive event had resolved YES", 0),
        # nearly the same words
        ("Will A win the match?", sibling("Will A win the match?", outcome=0), "the same question had resolved NO", 0),
        ("Will A win the match?", sibling("Will A win the match?", event="f"), "the same question had resolved YES", None),
        ("Will A win the final match", sibling("Will A win the match?", event="f"), "an almost identical question", None),
        ("BTC above 100k on May 5?", sibling("BTC above 100k on May 6?", event="f"), None, None),  # another day
        ("Will A win the match?", sibling("Is it going to rain?", event="f"), None, None),
        # it had not resolved, or it is not known when or how
        ("Ceasefire by June 30?", sibling("Ceasefire by March 31?", resolved_at=T0 + DAY), None, None),
        ("Ceasefire by June 30?", sibling("Ceasefire by March 31?", resolved_at=None), None, None),
        ("Ceasefire by June 30?", sibling("Ceasefire by March 31?", outcome=None), None, None),
        ("Lift off by marketing?", sibling("Lift off by March 31?", event="f"), None, None),  # no month
    ],
)
def test_siblings_that_reveal(question, other, why, implies):
    market = {"market_id": "m", "question": question, "event_id": "e", "as_of": T0, "exclusive": True}
    found = sibling_reveals(markets(market, {"resolved_at": T0 - DAY} | other), resamples=10)
    rows = found.pairs.filter(pl.col("market_id") == "m").rows(named=True)
    if why is None:
        assert rows == []
        return
    assert len(rows) == 1
    assert why.removeprefix("an earlier").removeprefix("a later") in rows[0]["why"]
    assert why.split(" deadline")[0] in rows[0]["why"]
    assert rows[0]["implies"] == implies
    assert (rows[0]["sibling_id"], rows[0]["sibling_resolved_at"], rows[0]["as_of"]) == ("sibling", T0 - DAY, T0)
    assert found.n_implied == (implies is not None)
    assert found.value == 0.5
    assert "1 of 2 markets" in found.says


def test_the_search_for_similar_questions_misses_none():
    rng = np.random.default_rng(0)
    words = [f"w{c}" for c in "abcdefghijkl"]
    texts = [" ".join(rng.choice(words, size=rng.integers(3, 10), replace=False)) for _ in range(120)]
    frame = markets(
        *(
            {"market_id": f"m{i:03}", "question": text, "outcome": 0, "resolved_at": T0 - DAY, "as_of": T0}
            for i, text in enumerate(texts)
        )
    )
    found = sibling_reveals(frame, similarity=0.7, resamples=10).pairs
    sets = [set(text.split()) for text in texts]
    expected = {
        (f"m{i:03}", f"m{j:03}")
        for i, a in enumerate(sets)
        for j, b in enumerate(sets)
        if i != j and len(a & b) / len(a | b) >= 0.7
    }
    assert set(found.select("market_id", "sibling_id").iter_rows()) == expected
    assert expected


@recorded
def test_siblings_in_the_recorded_study():
    found = sibling_reveals(recorded_markets())
    assert (found.n, found.n_events, found.pairs.height) == (100, 90, 1)
    assert found.value == 0.01


def test_markets_without_as_of_are_counted():
    found = sibling_reveals(markets({"market_id": "a", "question": "A?"}), resamples=10)
    assert (found.value, found.reason) == (None, "no as-of time (1 of 1 markets)")


# Training cutoff


def forecasts(*, n=400, error_before=0.1, error_after=0.1, seed=0):
    """Half of the markets resolve on the cutoff day or earlier. Errors are in probability, of forecasts and price alike."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        outcome, before = int(rng.random() < 0.5), i % 2 == 0
        off = np.clip((error_before if before else error_after) + rng.normal(0, 0.02), 0, 1)
        resolved = T0 - (i % 50) * DAY if before else T0 + (i % 50) * DAY
        times = {"resolved_at": resolved, "as_of": resolved - DAY}
        p, m = float(abs(outcome - off)), float(abs(outcome - 0.3))
        rows += [
            cell(market_id=f"m{i}", event_id=f"e{i}", replicate=r, probability=p, market_price=m, outcome=outcome) | times
            for r in range(2)
        ]
    return pl.DataFrame(rows)


def test_a_model_that_remembers_is_worse_after_its_cutoff():
    found = training_cutoff(forecasts(error_before=0.1, error_after=0.4), CUTOFF)
    assert found.value == pytest.approx(0.16 - 0.01, abs=0.01)
    assert found.low > 0.1
    assert (found.n, found.n_before, found.n_after) == (400, 200, 200)
    assert found.before.value == pytest.approx(0.01, abs=0.005)
    assert found.against_price.value == pytest.approx(found.value)  # the price is equally good on both sides
    assert "200 markets that resolved until 2026-01-31" in found.says


def test_the_cutoff_day_itself_is_before_and_as_of_is_another_split():
    found = training_cutoff(forecasts(), CUTOFF, resamples=50)
    assert found.low < 0 < found.high
    assert found.by_as_of.n_before == 200 + 8  # resolved the day after, forecast on the cutoff day
    assert training_cutoff(forecasts(), CUTOFF - DAY, resamples=50).n_before == 200 - 8


@pytest.mark.parametrize(
    ("cutoff", "reason"),
    [
        (None, "the training cutoff is not known"),
        (date(2020, 1, 1), "resolved_at is later than 2020-01-01 for every market"),
        (date(2030, 1, 1), "resolved_at is not later than 2030-01-01 for any market"),
    ],
)
def test_a_split_with_one_side_is_none(cutoff, reason):
    found = training_cutoff(forecasts(n=20), cutoff, resamples=20)
    assert (found.value, found.reason) == (None, reason)
    assert reason in found.says


def test_the_table_of_cutoffs_has_a_date_with_its_source_or_a_reason():
    entries = tomllib.loads(files("coordeval.analysis").joinpath("data/cutoffs.toml").read_text(encoding="utf-8"))
    assert len(entries) > 15
    for model, entry in entries.items():
        found = cutoff_of(model)
        if found.cutoff is None:
            assert found.reason, model
        else:
            assert found.source, model
            assert (found.cutoff + DAY).day == 1, f"{model}: a published month stands as its last day"
            assert set(entry) == {"cutoff", "source"}


def test_a_snapshot_has_the_cutoff_of_its_model_and_an_unlisted_one_has_a_reason():
    assert cutoff_of("claude-haiku-4-5-20251001").cutoff == date(2025, 7, 31)
    assert cutoff_of("claude-opus-4-6").cutoff == date(2025, 8, 31)
    assert cutoff_of("gpt-x").cutoff is None
    assert "gpt-x is not in the table" in cutoff_of("gpt-x").reason


# Price copying


def test_copies_of_the_price_are_counted():
    frame = table(
        cell(market_id="a", probability=0.4),
        cell(market_id="b", probability=0.405),  # at the edge, whatever floating point says
        cell(market_id="c", probability=0.406),
        cell(market_id="d", market_price=None),
        failed(market_id="e"),
    )
    found = price_copying(frame, resamples=50)
    assert found.value == pytest.approx(2 / 3)
    assert found.left_out == {"no forecast": 1, "no price was shown": 1}
    assert (found.n, found.low, found.reason) == (3, None, "3 events: an interval needs 6")


def test_no_price_no_share():
    found = price_copying(table(cell(market_price=None)))
    assert (found.value, found.reason) == (None, "no price was shown (1 of 1 forecasts)")


@recorded
def test_a_third_to_two_fifths_of_the_recorded_forecasts_repeat_the_price():
    found = price_copying(recorded_frame())
    assert (found.n, found.n_events) == (494, 90)
    assert found.value == pytest.approx(194 / 494)
    assert found.low < found.value < found.high
    shares = {name: round(found.by_configuration[name].value, 3) for name in CONFIGURATIONS}
    assert shares == {
        "independent_ensemble": 0.44,
        "peer_critique_debate": 0.388,
        "orchestrator_specialist": 0.388,
        "sequential_pipeline": 0.327,
        "consensus_alignment": 0.42,
    }
    assert found.says.startswith("39% [")


# Memorisation


def probe(frame, *, remembers, seed=0):
    """Forecasts without information: 0.5 with noise, and the outcome where it is remembered."""
    rng = np.random.default_rng(seed)
    rows = frame.unique("market_id", maintain_order=True).sort("market_id")
    known = (rows["resolved_at"] <= T0).to_numpy() & (rng.random(rows.height) < remembers)
    p = np.where(known, rows["outcome"].to_numpy(), np.clip(0.5 + rng.normal(0, 0.1, rows.height), 0, 1))
    return rows.select("market_id", probability=pl.Series(p))


def test_remembered_outcomes_are_found():
    frame = forecasts()
    found = memorisation(probe(frame, remembers=0.6), frame, cutoff=CUTOFF)
    assert found.value == pytest.approx(0.6 * 0.25, abs=0.03)
    assert found.low > 0.1
    assert found.after.value == pytest.approx(-0.01, abs=0.01)  # noise around 0.5, and nothing else
    assert found.beyond_control.low > 0.1
    assert found.over_chance.value == pytest.approx(0.25 - found.brier.value)
    assert (found.n, found.n_events) == (200, 200)


def test_a_probe_that_knows_nothing_is_no_better_than_the_base_rate():
    frame = forecasts()
    found = [memorisation(probe(frame, remembers=0, seed=s), frame, cutoff=CUTOFF, resamples=500) for s in range(20)]
    assert np.mean([f.low > 0 for f in found]) <= 0.05


@pytest.mark.parametrize(
    ("cutoff", "reason"),
    [(None, "the training cutoff is not known"), (date(2020, 1, 1), "no market that the probe answered resolved until")],
)
def test_memorisation_needs_markets_before_the_cutoff(cutoff, reason):
    frame = forecasts(n=40)
    found = memorisation(probe(frame, remembers=1), frame, cutoff=cutoff, resamples=50)
    assert found.value is None
    assert reason in found.reason
    assert found.brier.value is None
    assert found.n == 0


def test_a_probe_of_another_study_is_refused():
    frame = forecasts(n=4)
    stray = pl.DataFrame({"market_id": ["elsewhere"], "probability": [0.5]})
    with pytest.raises(AnalysisError, match="market elsewhere: the probe answered it"):
        memorisation(stray, frame, cutoff=CUTOFF)


# All of them


PROBES = {
    "early closing": early_closing,
    "siblings": sibling_reveals,
    "cutoff": lambda frame, **k: training_cutoff(frame, CUTOFF, **k),
    "copying": price_copying,
    "memorisation": lambda frame, **k: memorisation(frame.select("market_id", "probability"), frame, cutoff=CUTOFF, **k),
}


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(random):
    frame = forecasts(n=30).with_columns(
        question=pl.format("Will it rain by March {}?", pl.col("market_id").str.slice(1)),
        scheduled_close=pl.col("resolved_at") + pl.col("outcome") * 2 * DAY,
        closed_at=None,
    )
    order = list(range(frame.height))
    random.shuffle(order)
    for name, measure in PROBES.items():
        one, other = (measure(f, resamples=50) for f in (frame, frame[order]))
        assert one.value == pytest.approx(other.value), name
        assert one.low == pytest.approx(other.low), name
        assert one.says == other.says


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop("event_id"), "lacks event_id"),
        (lambda f: f.with_columns(pl.col("closed_at").dt.replace_time_zone(None)), "times with a time zone"),
        (lambda f: f.with_columns(event_id=pl.lit(None, pl.String)), "event_id is null in row 0"),
        (lambda f: pl.concat([f, f[:1].with_columns(outcome=1 - pl.col("outcome"))]), "m0000: outcome is"),
        (lambda f: f.with_columns(outcome=pl.lit(2)), "must be 0 or 1"),
    ],
)
def test_what_breaks_a_rule_is_named(change, message):
    with pytest.raises(AnalysisError, match=message):
        early_closing(change(closings(n=10, yes_if_early=0.5, yes_else=0.5)), resamples=10)
