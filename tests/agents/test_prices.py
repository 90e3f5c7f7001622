"""The price book: exact to the micro-dollar, dated, and silent (None) where it does not know."""

import json
from datetime import date
from decimal import Decimal, localcontext

import pytest

from coordeval.agents.messages import Usage
from coordeval.agents.prices import PRICES_FILE, PriceBook, PriceError, _read_all, restored, users_prices

NOV = date(2026, 11, 15)
RATES = {"input": "1", "output": "2", "cache_write_5m": "3", "cache_write_1h": "4", "cache_read": "0.5"}


def usage(**tokens: int) -> Usage:
    return Usage(**{"input_tokens": 0, "output_tokens": 0, **tokens})


@pytest.mark.parametrize(
    ("model", "tokens", "on", "micro_usd", "why"),
    [
        ("claude-opus-4-6", {"input_tokens": 8123, "output_tokens": 456}, NOV, 8123 * 5 + 456 * 25, "the traces' formula"),
        ("claude-haiku-4-5-20251001", {"input_tokens": 7}, NOV, 7, "a snapshot has the price of its base id"),
        ("claude-opus-4-6", {"cache_write_5m_tokens": 4}, NOV, 25, "1.25 times the input price"),
        ("claude-opus-4-6", {"cache_write_1h_tokens": 4}, NOV, 40, "twice the input price"),
        ("claude-opus-4-6", {"cache_read_tokens": 4}, NOV, 2, "a tenth of the input price"),
        ("claude-opus-4-6", {"cache_read_tokens": 1}, NOV, 0, "0.5 rounds to even"),
        ("claude-opus-4-6", {"cache_read_tokens": 3}, NOV, 2, "1.5 rounds to even"),
        ("claude-opus-4-6", {}, NOV, 0, "no token costs nothing, and that is known"),
        ("claude-opus-4-6", {"input_tokens": 1}, date(2026, 2, 4), None, "the day before its price is known"),
        ("claude-opus-9", {"input_tokens": 1}, NOV, None, "an unknown model"),
        ("claude-sonnet-5-5", {"cache_read_tokens": 100}, date(2026, 10, 6), 20, "before the cut of its cache reads"),
        ("claude-sonnet-5-5", {"cache_read_tokens": 100}, date(2026, 10, 7), 10, "from the day of the cut"),
        ("claude-haiku-5-5", {"input_tokens": 100_000}, NOV, 10_000, "the last prompt at the short price"),
        (
            "claude-haiku-5-5",
            {"input_tokens": 60_000, "cache_read_tokens": 40_001},
            NOV,
            32_000,
            "longer with its cache reads",
        ),
    ],
)
def test_the_cost_of_a_reply(model, tokens, on, micro_usd, why):
    assert PriceBook.bundled().micro_usd(model, usage(**tokens), on) == micro_usd, why


def test_a_batch_costs_half():
    tokens = usage(input_tokens=1001, output_tokens=100, cache_read_tokens=10)
    assert PriceBook.bundled().micro_usd("claude-opus-4-6", tokens, NOV, batch=True) == (5005 + 2500 + 5) // 2


def test_cost_is_exact_whatever_the_ambient_decimal_precision():
    with localcontext() as context:
        context.prec = 3
        cost = PriceBook.bundled().micro_usd("claude-opus-4-6", usage(input_tokens=123_456_789), NOV)
    assert cost == 617_283_945


def test_every_bundled_price_has_a_source_and_a_date():
    book = PriceBook.bundled()
    for model, entries in book._prices.items():
        for price in entries:
            assert price.source.startswith("https://"), model
            assert price.valid_from > date(2025, 1, 1), model
            assert price.cache_read < price.input < price.cache_write_5m < price.cache_write_1h < price.output, model
            assert price.batch == Decimal("0.5"), model


@pytest.mark.parametrize("entry", [RATES, [RATES]], ids=["a table", "a list of tables"])
def test_a_study_replaces_the_prices_of_the_models_it_names_and_leaves_the_book_alone(entry):
    book = PriceBook.bundled()
    own = book.with_overrides({"claude-opus-4-6": entry, "local-model": entry})
    everything = usage(
        input_tokens=1, output_tokens=1, cache_write_5m_tokens=1, cache_write_1h_tokens=1, cache_read_tokens=2
    )
    assert own.micro_usd("claude-opus-4-6", everything, date(2020, 1, 1)) == 11
    assert own.micro_usd("local-model", everything, NOV) == 11
    assert own.micro_usd("claude-opus-4-5", usage(input_tokens=1), NOV) == 5
    assert book.micro_usd("claude-opus-4-6", usage(input_tokens=1), NOV) == 5


def test_cache_rates_that_are_not_given_never_understate_a_cost():
    own = PriceBook.bundled().with_overrides({"m": {"input": 4, "output": "8"}})
    for tokens, cost in (("cache_write_5m_tokens", 5), ("cache_write_1h_tokens", 8), ("cache_read_tokens", 4)):
        assert own.micro_usd("m", usage(**{tokens: 1}), NOV) == cost
    mixed = PriceBook.bundled().with_overrides({"m": {"input": 4, "output": 8, "cache_read": "0.4"}})
    assert mixed.micro_usd("m", usage(cache_read_tokens=10), NOV) == 4, "one that is given stands"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({**RATES, "input": "-1"}, r"prices\.m\.input = '-1': it must be a decimal number, at least 0"),
        ({**RATES, "output": "free"}, r"prices\.m\.output = 'free': it must be a decimal number"),
        ({**RATES, "output": float("inf")}, r"prices\.m\.output = inf: it must be a decimal number"),
        ({**RATES, "input": True}, r"prices\.m\.input = True: it must be a decimal number"),
        ({"input": "1"}, r"prices\.m\.output is missing: .* input and output are needed"),
        ({**RATES, "input": "1e9"}, r"prices\.m\.input = '1e9': .* at most 1000000"),
        ([], r"prices\.m: it holds no table"),
        ([RATES, RATES], r"prices\.m: two of its tables are for the same date"),
        (5, r"prices\.m = 5: it must be a table with input, output"),
        ({**RATES, "inptu": "1"}, r"prices\.m\.inptu is not known: a price has batch, cache_read"),
        ({**RATES, "valid_from": "2026"}, r"prices\.m\.valid_from = '2026': it must be a date"),
        ({**RATES, "prompt_up_to": 0}, r"prices\.m\.prompt_up_to = 0: it must be a whole number"),
        ("5", r"prices\.m = '5': it must be a table with input, output"),
    ],
)
def test_a_price_that_cannot_be_read_is_named(entry, message):
    with pytest.raises(PriceError, match=message):
        PriceBook.bundled().with_overrides({"m": entry})


@pytest.mark.parametrize(
    ("model", "input_tokens", "micro_usd", "why"),
    [
        ("claude-opus-4-6", 1000, 1000 * 10 + 100 * 25, "all of the prompt written to the dearest cache"),
        ("claude-haiku-5-5", 1000, 200 + 50, "a prompt that must be short has the short price"),
        ("claude-haiku-5-5", 100_001, 100_001 + 250, "one that may be long has the long price"),
        ("claude-opus-9", 1, None, "unknown"),
    ],
)
def test_the_worst_case(model, input_tokens, micro_usd, why):
    worst = PriceBook.bundled().worst_case(model, NOV, input_tokens=input_tokens, output_tokens=100)
    assert worst == micro_usd, why


def test_a_users_own_file_of_prices_stands_over_the_list_and_under_the_study(tmp_path, monkeypatch):
    own = tmp_path / "prices.toml"
    monkeypatch.setenv(PRICES_FILE, str(own))
    with pytest.raises(PriceError, match=r"COORDEVAL_PRICES names .*prices.toml, and there is no such file"):
        users_prices()
    own.write_text('[mine]\nvalid_from = 2026-01-01\ninput = 0.1\noutput = 2\n[claude-opus-4-6]\ninput = "1"\noutput = "1"')
    book = PriceBook.bundled().with_overrides(users_prices())
    assert book.price("mine", NOV, 1).input == Decimal("0.1"), "as it was written, not as a float has it"
    assert book.price("claude-opus-4-6", NOV, 1).output == 1
    assert book.with_overrides({"mine": {"input": "3", "output": "4"}}).price("mine", NOV, 1).input == 3
    own.write_text("[mine]\ninput = 1")
    with pytest.raises(PriceError, match=r"prices.toml: prices\.mine\.output is missing"):
        users_prices()


def test_prices_that_a_study_stored_are_read_as_they_were_given():
    given = {"m": [{"input": "1", "output": "2", "valid_from": date(2026, 2, 1)}, {"input": "3", "output": "4"}]}
    stored = json.loads(json.dumps(given, default=str))
    assert PriceBook(_read_all(restored(stored))).as_json("m") == PriceBook(_read_all(given)).as_json("m")
