"""The one terminal of the project: everything that a command prints goes through it, so that no text of others steers one.

What the reader's terminal cannot show is replaced, and a reader who went away (`| head`) ends the words, not the work.
"""

import codecs
import io
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, OverflowMethod, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from coordeval.market_data.text import json_shown, shown

_PLAIN = {
    **dict.fromkeys("–—−", "-"),  # a minus sign that became a question mark would be another number
    **dict.fromkeys("‘’", "'"),
    **dict.fromkeys("“”", '"'),
    **{"•": "*", "…": "...", "×": "x", "Δ": "D", "ε": "e", "α": "a", "±": "+-", "≤": "<=", "≥": ">=", "→": "->"},
}
"""The signs that our own words use, as a terminal without them can show them."""


class Terminal(Console):
    """A rich Console that takes no text for markup and lets no control character through, whatever it is given.

    Styles are given as styles, never inside of text. What rich itself says to the terminal (colours, a progress bar) stays.
    """

    def __init__(self, **options: Any) -> None:
        if os.environ.get("COLUMNS", "").strip("0") == "":  # a terminal that does not know how wide it is
            os.environ.pop("COLUMNS", None)
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or segment.text == "\n" or segment.text.isprintable():
                yield segment
            else:
                yield Segment(shown(segment.text), segment.style)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(shown(text), **options)  # before it is measured, so that a table keeps its lines

    def on_broken_pipe(self) -> None:
        silence(self.file)
        self.quiet = True


def words(text: object, style: str = "", *, overflow: OverflowMethod | None = None) -> Text:
    """Text of whoever it may be, ready for any console: `shown`, and never read as markup."""
    return Text(shown(text), style=style, overflow=overflow)


def table(*columns: str, numbers: Sequence[int] = (), whole: Sequence[int] = (), title: str | None = None) -> Table:
    """A table without a frame; the columns at the places `numbers` stand to the right, those at `whole` are never broken."""
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        made.add_column(column, justify="right" if place in numbers else "left", overflow="fold", no_wrap=place in whole)
    return made


def print_result(value: Any) -> None:
    """A command's result as JSON: times in UTC as ISO text, null for what is not known."""
    import orjson

    print_json(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS, default=str).decode())


def print_json(text: str) -> None:
    """JSON on standard output, the same content as `text`, with nothing in it that a terminal could obey."""
    try:
        sys.stdout.write(json_shown(text if text.endswith("\n") else text + "\n"))
        sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)


def plain_streams() -> None:
    """From here on standard output and error are there, and what their encoding cannot say is replaced."""
    codecs.register_error("coordeval.plain", _replaced)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed before the command began, as some services do
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  to the end of the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="coordeval.plain")


def silence(stream: Any) -> None:
    """Nobody reads `stream` any more: what is still written to it goes nowhere, without an error."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass  # a stream without a file has nobody to lose


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(c, "?") for c in error.object[error.start : error.end]), error.end
