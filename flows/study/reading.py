"""Reading a study file: from bytes to plain values that can be hashed and stored, or a sentence that says what is wrong."""

import codecs
import math
import tomllib
from collections.abc import Iterator
from datetime import date, time
from pathlib import Path
from typing import Any

from coordeval.market_data.errors import CoordevalError

_LARGEST = 2**63 - 1
_OTHER_UNICODE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


class StudyError(CoordevalError, ValueError):
    """A study file that breaks a rule; the message names the file, the key, the value and the rule."""


def toml(path: Path) -> dict[str, Any]:
    """The file's content. Every number in it is finite and below 2^63, and dates stand only where dates belong.

    A byte order mark, which some editors put before UTF-8, is not part of it. Raises StudyError.
    """
    text = _text(path)
    if not text.strip():
        raise StudyError(f"{path}: the file is empty; `coordeval study new` writes a commented one, under a name of its own")
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{path}: this is not TOML: {error}") from error
    except RecursionError as error:
        raise StudyError(f"{path}: its lists or tables are nested too deeply to be a study") from error
    except ValueError as error:  # Python's own limit on the digits of an integer
        raise StudyError(f"{path}: a number in it is longer than any that a study can hold") from error
    problems = [f"  {key} = {_short(value)}: {rule}" for key, value in _leaves(raw) if (rule := _rule(key, value))]
    if problems:
        raise StudyError(f"{path}:\n" + "\n".join(problems))
    return raw


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise StudyError(f"{path}: there is no such file; `coordeval study new {path}` writes a commented one") from error
    except IsADirectoryError as error:
        raise StudyError(f"{path}: this is a folder; give the study file that is in it") from error
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise StudyError(f"{path}: cannot be read ({why}); mend that, or give another file") from error
    try:
        if content.startswith(_OTHER_UNICODE):
            raise UnicodeDecodeError("utf-8", content, 0, 2, "it is UTF-16 or UTF-32")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise StudyError(
            f"{path}: line {line} is not UTF-8 (byte 0x{content[error.start]:02x}), as TOML must be: save the file as UTF-8"
        ) from error


def _leaves(content: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict):
        for name, value in content.items():
            yield from _leaves(value, f"{key}.{name}" if key else str(name))
    elif isinstance(content, list):
        for i, value in enumerate(content):
            yield from _leaves(value, f"{key}.{i}")
    else:
        yield key, content


def _rule(key: str, value: Any) -> str:
    """The rule that a value breaks, or nothing."""
    section = key.partition(".")[0]
    if isinstance(value, float) and not math.isfinite(value):
        return "it must be a finite number (a float holds at most 1.8e308)"
    if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        return f"it must be a whole number of at most {_LARGEST}"
    if isinstance(value, time) or (isinstance(value, date) and section not in ("as_of", "prices")):
        return "a date or time has no place here; text stands in quotes"
    if isinstance(value, str) and "\0" in value:
        return "a text must not hold a null character"
    return ""


def _short(value: Any) -> str:
    said = str(value) if isinstance(value, (date, time)) else repr(value)
    return said if len(said) <= 60 else f"{said[:40]}… ({len(said)} characters)"
