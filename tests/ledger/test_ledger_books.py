"""What a study's books say, held against rows of which each is told what it counts as."""

import ledger_rows as rows

from coordeval.ledger.books import Books, Unpriced

REAL, STAND_IN = '{"content":[]}', '{"content":[],"stand_in":true}'


def attempt(attempt_id, ended=None, worst=2_000, payer="f1"):
    made = {"attempt_id": attempt_id, "payer": payer, "request_id": "r", "model": "m", "asked_at": rows.T0, "reason": None}
    return made | {"ended": ended, "worst_micro_usd": worst}


def written(ledger):
    """Two cells of the study and one of another; of each kind of draw and attempt one, and one that is not the study's."""
    cells = [rows.cell("f1"), rows.cell("f2", configuration="alone"), rows.cell("f3", study_id="other")]
    cells.append(rows.cell("f4", replicate=1))
    draws = [
        rows.draw("paid", micro_usd=500, reply=REAL, served_model="m-1", attempt_id="answered"),
        rows.draw("free", micro_usd=0, reply=STAND_IN, served_model="m-1"),
        rows.draw("made up", micro_usd=70, payer="f2", reply=STAND_IN, served_model="m-2"),
        rows.draw(
            "of no price",
            micro_usd=None,
            served_model="m-1",
            request='{"max_tokens":400}',
            model="asked",
            attempt_id="of no price",
        ),
        rows.draw("of no sense", micro_usd=-3, served_model="m-1", request="no JSON", model="asked", payer="f2"),
        rows.draw("another's", micro_usd=9_000, payer="f3", reply=STAND_IN, served_model="m-9"),
    ]
    attempts = [
        attempt("answered", "answered"),
        attempt("of no price", "answered", 3_000),
        attempt("under way"),
        attempt("lost", "lost", 100, payer="f2"),
        attempt("lost without a price", "lost", None),
        attempt("refused", "refused", 50_000),
        attempt("another's", None, 70_000, payer="f3"),
    ]
    ledger.write_all({"studies": [rows.study()], "cells": cells, "attempts": attempts, "draws": draws})


def test_each_draw_and_attempt_counts_once_as_what_it_is(ledger):
    assert ledger.books("a1b2c3") == Books(0, (), 0, 0, frozenset())
    assert ledger.made_up_micro_usd("a1b2c3") == 0
    written(ledger)
    made = ledger.books("a1b2c3")
    assert (made.paid_micro_usd, made.uncertain, made.uncertain_micro_usd) == (570, 3, 2_100)
    assert made.served == {"m-1", "m-2"}
    assert set(made.unpriced) == {Unpriced("asked", 18, 400), Unpriced("asked", 7, 0)}
    assert ledger.made_up_micro_usd("a1b2c3") == 70, "what nobody paid"


def test_of_each_cell_what_was_paid_and_the_worst_case_of_what_may_have_been(ledger):
    written(ledger)
    paid, of_no_price, under_way, lost = 500, 3_000, 2_000, 100
    assert ledger.spent_by_cell("a1b2c3") == {"f1": ("debate", paid + of_no_price + under_way), "f2": ("alone", 70 + lost)}
