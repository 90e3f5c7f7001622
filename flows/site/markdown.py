"""Text from the code into Markdown, as text: what a docstring says must not become a tag or break a table."""

from collections.abc import Iterable, Sequence


def cell(text: object) -> str:
    """One cell of a table: one line, nothing of it read as a border or a tag."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """The lines of a table, an empty one after it. Cells are Markdown already: see `cell`."""
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(str(value) for value in row)} |" for row in rows]
    return [*lines, ""]


def code(text: object) -> str:
    """Text set as code, or nothing where there is none."""
    return f"`{' '.join(str(text).split()).replace('|', chr(92) + '|')}`" if str(text) else ""
