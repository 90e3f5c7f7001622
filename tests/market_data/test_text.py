"""One door for text that others wrote."""

import json
import unicodedata

import pytest

from coordeval.market_data.text import json_shown, one_line, shown

COMMANDS = {
    "a window's title": ("\x1b]0;title of your window\x07Will it?", "\ufffd]0;title of your window\ufffdWill it?"),
    "a colour": ("\x1b[31mred\x1b[0m", "\ufffd[31mred\ufffd[0m"),
    "an 8-bit control sequence": ("\x9b2Jgone", "\ufffd2Jgone"),
    "a backspace over what stood there": ("yes\b\b\bno", "yes\ufffd\ufffd\ufffdno"),
    "a carriage return over the line": ("error\rfine", "error fine"),
    "right to left": ("\u202etxt.exe", "\ufffdtxt.exe"),
    "an isolate": ("a\u2066b\u2069", "a\ufffdb\ufffd"),
    "no width at all": ("pay\u200bpal\ufeff", "pay\ufffdpal\ufffd"),
    "invisible tags": ("a\U000e0041", "a\ufffd"),
    "half an emoji": ("up \ud83d", "up \ufffd"),
    "delete": ("a\x7f", "a\ufffd"),
}


@pytest.mark.parametrize(("hostile", "harmless"), COMMANDS.values(), ids=COMMANDS)
def test_what_a_terminal_could_obey_is_replaced(hostile: str, harmless: str):
    assert shown(hostile) == harmless
    assert json.loads(json_shown(json.dumps(hostile, ensure_ascii=False))) == hostile


@pytest.mark.proof
def test_every_character_that_is_left_is_printable_or_ends_a_line():
    for code in range(0x110000):
        left = shown(chr(code))
        assert left == "\n" or left.isprintable(), hex(code)
        assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs"} for c in left if c != "\n"), hex(code)
        quoted = json_shown('"' + chr(code) + '"')
        assert quoted.replace("\n", "").isprintable(), hex(code)


@pytest.mark.parametrize("text", ["", "Will José win?", "价格 ≥ $5", "two\nlines", "naïve – café", "😀"])
def test_ordinary_text_stays_as_it_is(text: str):
    assert shown(text) == text


def test_lines_of_other_systems_and_other_blanks_are_lines_and_blanks():
    assert shown("a\r\nb\tc\xa0d\u3000e\u2028f") == "a\nb c d e f"


def test_a_cell_has_one_line():
    assert one_line("a\nerror: not ours\r\nb") == "a error: not ours b"
