"""Diversity, flips by cause, ends and the metrics of scaling, on groups small enough to be worked out by hand."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from coordeval.analysis import (
    Record,
    diagnose,
    diversity,
    ends,
    ends_of,
    example,
    example_estimates,
    flips,
    scaling,
    scored,
    similarity,
)
from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.base.estimates import ESTIMATES
from coordeval.analysis.talk.groups import apart, groups_of

N = 100


def said(rounds: dict[str, list[np.ndarray]], y: np.ndarray, forecast: np.ndarray | None = None) -> pl.DataFrame:
    """Estimates of configurations: for each a list of rounds, (markets, agents); every market an event of its own."""
    rows = []
    for name, each in rounds.items():
        final = each[-1].mean(axis=1) if forecast is None else forecast
        for k, p in enumerate(each):
            for (m, agent), value in np.ndenumerate(p):
                rows.append(
                    {"configuration": name, "market_id": f"m{m:03}", "event_id": f"e{m:03}", "replicate": 0}
                    | {"ask": k * p.shape[1] + agent, "agent": agent, "round": k, "role": "r", "probability": float(value)}
                    | {"outcome": int(y[m]), "market_price": 0.5, "forecast": float(final[m])}
                )
    return pl.DataFrame(rows, schema=ESTIMATES)


def value(table: pl.DataFrame, **where: Any) -> Any:
    return table.filter(**where)["estimate"].item()


def test_the_correlation_of_errors_is_numpys_and_agents_who_say_the_same_are_one():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 60)
    p = rng.uniform(0.1, 0.9, (60, 3))
    same = np.repeat(p[:, :1], 3, axis=1)
    found = diversity(said({"a": [p, same]}, y), n=N)
    e = p - y[:, None]
    grand = e - e.mean()
    pairs = np.mean([grand[:, a] @ grand[:, b] / 60 for a, b in ((0, 1), (0, 2), (1, 2))])
    rho = pairs / grand.var()
    assert value(found, round=0, measure="error_correlation") == pytest.approx(rho)
    assert value(found, round=0, measure="effective_agents") == pytest.approx(3 / (1 + 2 * rho))
    assert value(found, round=1, measure="error_correlation") == pytest.approx(1.0)
    assert value(found, round=1, measure="effective_agents") == pytest.approx(1.0)


def test_one_agent_has_no_diversity_and_the_reason_says_so():
    found = diversity(said({"a": [np.full((8, 1), 0.4)]}, np.arange(8) % 2), n=N)
    assert found["estimate"].to_list() == [None, None]
    assert set(found["reason"]) == {"no two agents estimate in one round"}


def test_flips_add_up_by_cause_and_are_paired_by_market():
    y = np.ones(10, int)
    first = np.full((10, 2), 0.4)
    to = {"self_revision": 1, "stance_only": 3, "peer_critique_debate": 7}  # markets in which both agents go to 0.6
    arms = {name: [first, np.where(np.arange(10)[:, None] < k, 0.6, 0.4) * np.ones((10, 2))] for name, k in to.items()}
    found = flips(said(arms, y), n=N).table
    told = {part: value(found, part=part, measure="flips") for part in ("second_thoughts", "stance", "reasons", "in_all")}
    assert told == pytest.approx({"second_thoughts": 0.1, "stance": 0.2, "reasons": 0.4, "in_all": 0.7})
    assert value(found, part="in_all", measure="movement") == pytest.approx(0.7 * 0.2)
    assert value(found, part="in_all", measure="harm") == pytest.approx(0.7 * (0.4**2 - 0.6**2)), "for the better: below 0"
    empty = found.filter(part="empty_reasons")
    assert empty["estimate"].to_list() == [None] * 3
    assert set(empty["reason"]) == {"the study has no arm empty: empty_reasons"}


def test_an_arm_may_have_another_name_and_one_that_is_absent_withholds_its_parts_only():
    first, y = np.full((8, 2), 0.4), np.arange(8) % 2
    frame = said({"again": [first, first], "debate": [first, 1 - first]}, y)
    found = flips(frame, arms={"alone": "again", "reasons": "debate"}, n=N).table.filter(measure="flips")
    assert dict(found.select("part", "estimate").rows()) == {
        "in_all": 1.0, "second_thoughts": 0.0, "stance": None, "reasons": None, "empty_reasons": None,
    }  # fmt: skip
    assert found.filter(part="stance")["reason"].item() == "the study has no arm stance: none is named"
    with pytest.raises(AnalysisError, match="arms has mood: an arm is one of alone, stance, reasons, empty"):
        flips(frame, arms={"mood": "again"}, n=N)


def test_even_odds_are_no_side():
    half, y = np.full((6, 2), 0.5), np.zeros(6, int)
    frame = said({"peer_critique_debate": [half, half + 0.2]}, y)
    assert value(flips(frame, n=N).table, part="in_all", measure="flips") == 0.0


GROUPS = [
    # round 0, last round, forecast, end, valid
    ((0.2, 0.6), (0.40, 0.44), 0.42, "agreement", True),
    ((0.5, 0.6), (0.70, 0.74), 0.72, "agreement", False),  # nobody held such a view before they spoke
    ((0.2, 0.6), (0.60, 0.80), 0.70, "verdict", None),
    ((0.2, 0.6), (0.30, 0.70), 0.50, "divided", None),
    ((0.2, 0.6), (0.30, 0.70), None, "abort", None),
]


def ended() -> tuple[pl.DataFrame, pl.DataFrame]:
    first, last = (np.array([row[k] for row in GROUPS]) for k in (0, 1))
    y = np.ones(len(GROUPS), int)
    frame = said({"group": [first, last], "alone": [first[:, :1]]}, y)
    rows = []
    for name in ("group", "alone"):
        for m, (_, _, p, _, _) in enumerate(GROUPS):
            at = {"configuration": name, "market_id": f"m{m:03}", "event_id": f"e{m:03}", "replicate": 0, "outcome": 1}
            reason = "the budget was spent" if p is None else None
            rows.append(at | {"status": "answered" if p is not None else "failed", "probability": p, "reason": reason})
    pending = rows[0] | {"market_id": "m999", "status": "pending", "probability": None}
    return frame, pl.DataFrame([*rows, pending])


def test_ends_are_typed_and_an_abort_has_its_reason():
    found = ends_of(*ended()).filter(configuration="group")
    assert found["end"].to_list() == [row[3] for row in GROUPS]
    assert found["valid"].to_list() == [row[4] for row in GROUPS]
    assert found["reason"].to_list() == [None] * 4 + ["the budget was spent"]
    assert found["wrong"].to_list() == [1.0, 0.0, None, None, None]
    assert set(ends_of(*ended()).filter(configuration="alone")["end"]) == {"alone", "abort"}


def test_liveness_and_validity_are_two_numbers():
    found = ends(*ended(), n=N)
    group = {m: value(found, configuration="group", measure=m) for m in ("liveness", "validity", "wrong_together", "abort")}
    assert group == pytest.approx({"liveness": 0.4, "validity": 0.5, "wrong_together": 0.5, "abort": 0.2})
    lone = found.filter(configuration="alone", measure="validity")
    assert (lone["estimate"].item(), lone["reason"].item()) == (None, "no cell ends in agreement")


def talked(texts: list[str] | None = None, turns: int = 6) -> pl.DataFrame:
    """One agent is right in 6 of 8 markets, a debate in 7, at `turns` calls to 2."""
    rows = []
    for m in range(8):
        at = {"market_id": f"m{m}", "event_id": f"e{m}", "replicate": 0, "outcome": 1}
        rows.append({"configuration": "single_agent", "forecast": 0.7 if m < 6 else 0.3, "turns": 2, "messages": 0} | at)
        rows.append({"configuration": "debate", "forecast": 0.8 if m < 7 else 0.2, "turns": turns, "messages": 12} | at)
    return pl.DataFrame([row | {"texts": texts} for row in rows], schema_overrides={"texts": pl.List(pl.String)})


@pytest.mark.parametrize(
    ("measure", "estimate"),
    [
        ("efficiency", (7 / 8) / 3),
        ("overhead", 2.0),
        ("error_amplification", (1 / 8) / (2 / 8)),
        ("brier_amplification", (7 * 0.04 + 0.64) / (6 * 0.09 + 2 * 0.49)),
        ("message_density", 2.0),
        ("redundancy", 0.5),
    ],
)
def test_scaling_by_hand(measure: str, estimate: float):
    found = scaling(talked(["the poll", "the rain"]), n=N)
    assert value(found, configuration="debate", measure=measure) == pytest.approx(estimate)


def test_a_study_s_own_baseline_is_what_its_groups_are_set_against():
    record = Record(estimates=example_estimates(), talked=talked())
    found = diagnose(example(), scored(example()), record, baseline="debate", n=N).groups.scaling
    assert value(found, configuration="single_agent", measure="overhead") == pytest.approx(-2 / 3)
    [why] = found.filter(configuration="debate", measure="overhead")["reason"]
    assert why == "it is the baseline"


def test_scaling_says_what_it_cannot():
    found = scaling(talked(), n=N, baseline="one_conversation").filter(configuration="debate")
    why = dict(found.select("measure", "reason").rows())
    assert why["efficiency"] == "no market that one_conversation and it both answered"
    assert why["redundancy"] == "no two agents write in a last round"
    own = scaling(talked(), n=N).filter(configuration="single_agent", measure="overhead")
    assert own["reason"].item() == "it is the baseline"
    with pytest.raises(AnalysisError, match="the frame lacks texts"):
        scaling(talked().drop("texts"))


@pytest.mark.parametrize(
    ("texts", "alike"), [(["a b", "a b"], 1.0), (["a b", "c d"], 0.0), (["a", "!!"], None), (["a"], None), ([], None)]
)
def test_similarity_is_of_words(texts: list[str], alike: float | None):
    assert similarity(texts) == (None if alike is None else pytest.approx(alike))


def test_groups_are_not_set_against_each_other_where_something_else_differed():
    first, y = np.full((8, 2), 0.4), np.arange(8) % 2
    frame = said({"single_agent": [first[:, :1]], "debate": [first, 1 - first]}, y)
    cells = frame.filter(ask=0).select(
        "configuration", "market_id", "event_id", "replicate", "outcome",
        status=pl.lit("answered"), probability="forecast", reason=pl.lit(None, pl.String),
    )  # fmt: skip
    found = groups_of(frame, cells, talked(), baseline="single_agent", n=N, seed=0)
    assert found.scaling is not None
    kept = apart(found, "the output caps differ")
    assert (kept.flips, kept.scaling, kept.withheld) == (None, None, "the output caps differ")
    assert kept.diversity.equals(found.diversity), "each configuration on its own stays"


def test_of_two_markets_there_is_a_correlation_and_no_interval():
    """Leaving out one event of two leaves errors that do not vary."""
    found = diversity(said({"a": [np.array([[0.2, 0.4], [0.3, 0.9]])]}, np.array([0, 1])), n=N)
    assert found["estimate"].null_count() == 0
    assert found["low"].null_count() == 2
