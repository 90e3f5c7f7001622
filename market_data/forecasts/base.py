"""What a reader of forecasts is: it knows its files when it sees them, and says each forecast as a row of plain names."""

import json
import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from coordeval.market_data.errors import CoordevalError, DataError
from coordeval.market_data.plugins import Plugins, installed

GROUP: Final = "coordeval.forecasts"
SOURCE: Final = "imported"
"""Of a market that is known from a file of forecasts alone: no venue was asked, and nothing of it was checked."""
LARGEST: Final = 500_000_000
"""Bytes of one JSON file that is read at once."""
Row = dict[str, Any]
"""Field -> value, by the names of `coordeval import forecasts`: question_id, forecaster, probability, outcome, date, ..."""


class FormError(DataError):
    """A file that is not of the form that it was taken for; the message says where it departs from it."""


class Form(Protocol):
    """One published form. `name` is what `--format` takes."""

    name: str
    reads: str
    """Which files, in a few words."""
    checked_against: str
    """What the reader was held against: recordings of the real thing, or documentation only."""

    def knows(self, file: Path) -> bool:
        """Whether the file is of this form, by its name and its beginning; it raises nothing."""

    def rows(self, file: Path, passed_over: Counter[str]) -> Iterator[Row]:
        """One row per forecast of a yes-or-no question. What is none is counted in `passed_over` under its reason.

        Raises FormError where the file is damaged or of another form.
        """


def load() -> Plugins[Any]:
    """Every form that is installed, by name, and why one that is offered cannot be used."""
    return Plugins("form", *installed(GROUP, check))


def check(cls: Any, name: str) -> None:
    """Raises CoordevalError for a class that is no `Form`, with everything that is wrong."""
    problems = [f"{word} is missing" for word in ("name", "reads", "checked_against") if not getattr(cls, word, "")]
    problems += [f"{method} is missing" for method in ("knows", "rows") if not callable(getattr(cls, method, None))]
    if not problems and cls.name != name:
        problems.append(f"name is {cls.name!r}, but it is registered as {name!r}; they must be equal")
    if problems:
        raise CoordevalError(f"{getattr(cls, '__name__', cls)!s}: {'; '.join(problems)}; see docs/forecasts-of-your-own.md")


def start(file: Path, size: int = 4096) -> str:
    """The first characters of a file, "" where it cannot be read."""
    try:
        with file.open("rb") as raw:
            return raw.read(size).decode("utf-8-sig", "replace")
    except OSError:
        return ""


def json_of(file: Path) -> Any:
    """A whole JSON file. Raises FormError: it is too large, or no JSON."""
    try:
        if file.stat().st_size > LARGEST:
            raise FormError(f"{file} is larger than {LARGEST / 1e6:.0f} MB, too much for one JSON value: give it in parts")
        return json.loads(file.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, FormError):
            raise
        raise FormError(f"{file} is no JSON ({error}); download or write it again") from error


_UNREADABLE: Final = (KeyError, EOFError, zipfile.BadZipFile, NotImplementedError, zlib.error, lzma.LZMAError)
"""What zipfile raises of an entry that is not there, is cut, or is not as it was packed."""


def entry(archive: zipfile.ZipFile, name: str, file: Path) -> bytes:
    """One entry of a ZIP archive. Raises FormError: it is damaged, too large, or packed as this Python cannot unpack."""
    try:
        info = archive.getinfo(name)
        if info.file_size > LARGEST:
            raise FormError(f"{file}: its {name} unpacks to more than {LARGEST / 1e6:.0f} MB")
        return archive.read(name)
    except (*_UNREADABLE, OSError, ValueError, RuntimeError) as error:
        if isinstance(error, FormError):
            raise
        raise FormError(f"{file}: its {name} cannot be read ({error}); write the log again") from error


def object_in(value: Any, where: str) -> dict[str, Any]:
    """A JSON object. Raises FormError."""
    if not isinstance(value, dict):
        raise FormError(f"{where} is {str(value)[:40]!r}, and it should be a JSON object")
    return value
