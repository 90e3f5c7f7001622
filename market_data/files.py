"""Files that are there whole or not at all, and tables that a spreadsheet opens without running anything."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from coordeval.market_data.errors import CoordevalError

if TYPE_CHECKING:
    import polars as pl

FORMULA: Final = r"^\s*[=+\-@\t\r]"
"""What makes a spreadsheet take a text for a formula."""


class FileError(CoordevalError, OSError):
    """A file that cannot be written; nothing of it is left behind."""


def write_whole(path: Path, content: bytes | str) -> None:
    """Writes the file, its folder too where there is none; an earlier file of that name stays until the new one is complete.

    Text is UTF-8. A device or pipe is written to as it is. Raises FileError.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    partial = path.with_name(f".coordeval-{os.getpid()}.partial")
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        partial.write_bytes(data)
        partial.replace(path)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise FileError(
            f"{path}: cannot be written ({why}); nothing of it was left there. Free space or mend permissions in "
            f"{path.parent}, or give another path"
        ) from error
    finally:
        with contextlib.suppress(OSError, ValueError):  # it was never made, or what made it fail forbids this too
            partial.unlink(missing_ok=True)


def csv_of(frame: "pl.DataFrame") -> str:
    """A table as CSV. A text that a spreadsheet would run as a formula (it begins with =, +, -, @, a tab or a line's end,
    blanks aside) has an apostrophe before it, as spreadsheets themselves mark text; numbers and times are as they are."""
    import polars as pl

    texts = [name for name, kind in frame.schema.items() if kind in (pl.String, pl.Categorical)]
    safe = [
        pl.when(pl.col(name).cast(pl.String).str.contains(FORMULA))
        .then(pl.format("'{}", pl.col(name).cast(pl.String)))
        .otherwise(pl.col(name).cast(pl.String))
        .alias(name)
        for name in texts
    ]
    return frame.with_columns(safe).write_csv()
