"""What is known for a secret is shown by its name, in whatever way it is written, and what is not is left alone."""

import base64
import html
import json
from urllib.parse import quote

import pytest

from coordeval.market_data.secrets import excerpt, redacted, remember, remember_environment

KEY = "sk-ant-Qx7&r/t+8'Zé=0123456789"
NO_PART = 9
"""Characters of a secret in a row, none of which may be left."""


def left_of(value: str, text: str) -> list[str]:
    return [value[i : i + NO_PART] for i in range(len(value) - NO_PART + 1) if value[i : i + NO_PART] in text]


@pytest.mark.parametrize(
    "written",
    [
        KEY,
        json.dumps({"x-api-key": KEY}),
        json.dumps({"x-api-key": KEY}, ensure_ascii=False),
        json.dumps(json.dumps({"x-api-key": KEY})),
        repr({"x-api-key": KEY}),
        f"https://host/?key={quote(KEY)}&x=1",
        f"https://host/?key={quote(KEY, safe='')}&x=1",
        f"<a title='{html.escape(KEY)}'>",
    ],
)
def test_a_secret_is_replaced_in_each_way_that_it_is_written(written: str):
    remember(KEY, "MY_KEY")
    shown = redacted(f"before {written} after")
    assert "[MY_KEY]" in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    for form in (KEY, quote(KEY, safe=""), json.dumps(KEY)[1:-1]):
        assert not left_of(form, shown)


@pytest.mark.parametrize("before", ["", "u", "us", "user:", "Bearer "])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_is_replaced_inside_of_base64(before: str, encode):
    remember(KEY, "MY_KEY")
    whole = encode(f"{before}{KEY} and more".encode()).decode()
    shown = redacted(f"Authorization: Basic {whole}")
    assert "[MY_KEY]" in shown
    start = whole.index(encode(b"\0" * len(before) + KEY.encode()).decode()[4 * (len(before) // 3 + 1) :][:NO_PART])
    assert not left_of(whole[start : start + 30], shown)


def test_of_two_secrets_of_which_one_is_the_start_of_the_other_nothing_is_left():
    remember("key-0123456789", "SHORT")
    remember("key-0123456789-and-the-rest", "LONG")
    assert redacted("key-0123456789-and-the-rest, key-0123456789") == "[LONG], [SHORT]"


@pytest.mark.parametrize("at", range(0, 60, 7))
def test_a_secret_that_would_be_cut_leaves_no_part(at: int):
    remember(KEY, "MY_KEY")
    shown = excerpt("x" * at + KEY + "y" * 50, 40)
    assert len(shown) <= 40
    assert not left_of(KEY, shown)


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("METACULUS_TOKEN", "0123456789abcdef0123", "0123456789abcdef0123"),
        ("DB_PASSWD", "Sommerregen-2031", "Sommerregen-2031"),
        ("PREFECT_API_AUTH_STRING", "admin:Sommerregen-2031", "admin:Sommerregen-2031"),
        ("HTTPS_PROXY", "http://me:Sommer%2Fregen31@proxy:3128", "Sommer/regen31"),
        ("ANTHROPIC_CUSTOM_HEADERS", "anthropic-beta: a-2026-01-01\nAuthorization: Bearer Sommer-2031-x", "Sommer-2031-x"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x=1,authorization=Bearer%20Sommer-2031-x", "Sommer-2031-x"),
        ("ANTHROPIC_CUSTOM_HEADERS", "anthropic-beta: prompt-caching-2024-07-31", None),
        ("SOME_API_KEY", "OnlyLettersInTwoCases", "OnlyLettersInTwoCases"),
        ("SOME_API_KEY", "onlysmalllettersandverymanyofthem", "onlysmalllettersandverymanyofthem"),
        ("SOME_API_KEY", "notneededhere", None),  # a word: it stands in ordinary text too
        ("SOME_API_KEY", "sk-1234", None),
        ("MONKEY_BUSINESS", "0123456789abcdef0123", None),
    ],
)
def test_what_of_the_environment_is_taken_for_a_secret(monkeypatch, name, value, secret):
    monkeypatch.setenv(name, value)
    remember_environment()
    said = f"it says {secret or value}!"
    assert redacted(said) == (said if secret is None else f"it says [{name}]!")
