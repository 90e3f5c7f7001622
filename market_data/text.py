"""One door for text that others wrote: what a terminal, or a program that reads our output, could take for a command.

Questions, categories, names, rationales, file names and error messages come from venues, models, plugins and users. A
terminal obeys escape sequences, control characters and marks that turn the direction of writing; none may pass. What is
stored stays as it came: these functions are for showing. Known secrets are replaced by their names.
"""

from typing import Final

from coordeval.market_data.secrets import redacted

REPLACEMENT: Final = "\ufffd"
"""Stands for a character that is not shown: somebody sees that there was one."""


def shown(text: object) -> str:
    """`text` as it may be shown: its lines and words, with U+FFFD for every control, direction, zero-width or unknown sign.

    Every character of the result is printable or a line's end; other blanks become spaces.
    """
    whole = redacted(str(text))
    if whole.isprintable():
        return whole
    return "".join(c if c == "\n" or c.isprintable() else _harmless(c) for c in whole.replace("\r\n", "\n"))


def one_line(text: object) -> str:
    """As `shown`, on one line: for a title, a table's cell or a message, where a second line could pass for one of ours."""
    whole = redacted(str(text))
    return whole if whole.isprintable() else " ".join(shown(whole).split())


def json_shown(text: str) -> str:
    """A JSON text of the same content, in which every sign that `shown` would replace is written as an escape.

    JSON itself escapes only what is below a space, so an 8-bit control sequence or a direction mark would reach a terminal.
    """
    text = redacted(text)
    if text.isprintable():
        return text
    return "".join(c if c == "\n" or c.isprintable() else _escaped(c) for c in text)


def _harmless(character: str) -> str:
    return " " if character.isspace() and character not in "\x1c\x1d\x1e\x1f\x85" else REPLACEMENT


def _escaped(character: str) -> str:
    if character in "\t\r":  # only between values; inside of one JSON has escaped it already
        return " "
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))
