"""An error is the same error when it is copied or comes from another process."""

import pickle
from copy import copy

import pytest

from coordeval.agents.budget import BudgetExhausted
from coordeval.agents.failures import ModelAccessError, PatienceExhausted, RequestRefused, Unavailable
from coordeval.agents.messages import ModelError
from coordeval.ledger.errors import LedgerDamaged
from coordeval.market_data.errors import CoordevalError, DataError

ERRORS = [
    CoordevalError("a: b"),
    DataError("a: b"),
    LedgerDamaged("a: b"),
    ModelAccessError("a: b"),
    PatienceExhausted("a: b"),
    ModelError("a: b", retryable=False),
    Unavailable("a: b", wait=3.0, own=True),
    RequestRefused("a: b", charged=True),
    BudgetExhausted("a: b"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("sent", [copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copied", "pickled"])
def test_an_error_keeps_its_kind_its_words_and_all_that_it_holds(error, sent):
    again = sent(error)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
