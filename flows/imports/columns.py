"""Which column holds what: said by the user, else found by its name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from coordeval.flows.imports.wanted import FIELDS, ImportRefused, Wanted
from coordeval.market_data.errors import choose

_NEEDED: Final = ("question_id", "probability")
_PERCENT: Final = re.compile(r"percent|pct|%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What was understood of a header."""

    of: dict[str, str]
    """Field -> column."""
    wide: tuple[str, ...]
    """Columns of one forecaster each, in wide form; then `of` has no probability and no forecaster."""
    unused: tuple[str, ...]
    """Columns that are nothing that is known here; they are not stored."""
    percent: frozenset[str]
    """Fields whose column's name says that it holds percent."""


def plain(name: str) -> str:
    """A column's name as it is compared: "Question ID" and "questionId" are question_id."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[^a-z0-9%]+", "_", words.lower()).strip("_")


def found(header: Sequence[str], wanted: Wanted) -> Columns:
    """The columns of a header. Raises ImportRefused: one that is named is not there or named twice, one that is needed is
    not found, or two are found for one field."""
    of = {field: column for field, column in wanted.columns.items() if column}
    for field, column in of.items():
        if column not in header:
            raise ImportRefused(f"--column {field}={column}: {choose('column', column, list(header))}")
        if twice := [other for other, same in of.items() if same == column and other != field]:
            raise ImportRefused(f"--column: {column!r} is mapped to both {field} and {twice[0]}; a column holds one thing")
    free = [name for name in header if name not in of.values()]
    names = {field: [c for c in free if plain(c) in aliases] for field, aliases in FIELDS.items()}
    for field, there in names.items():
        if field in wanted.columns or not there or (wanted.wide and field in ("probability", "forecaster")):
            continue
        there.sort(key=lambda column: FIELDS[field].index(plain(column)))
        if len(there) > 1 and plain(there[0]) == plain(there[1]):
            raise ImportRefused(
                f"the columns {there[0]!r} and {there[1]!r} both read as {field}; say which: --column {field}={there[0]!r}"
            )
        of[field] = there[0]
    rest = [name for name in free if name not in of.values()]
    wide = _wide(header, rest, wanted)
    if missing := [field for field in _NEEDED if field not in of and not (wide and field == "probability")]:
        raise ImportRefused(_missing(missing[0], header, rest))
    percent = frozenset(field for field, column in of.items() if _PERCENT.search(plain(column)))
    unused = tuple(name for name in rest if name not in wide)
    return Columns(of=of, wide=wide, unused=unused, percent=percent)


def _wide(header: Sequence[str], rest: Sequence[str], wanted: Wanted) -> tuple[str, ...]:
    if wanted.wide != ("*",):
        if absent := [name for name in wanted.wide if name not in header]:
            raise ImportRefused(f"--wide {absent[0]!r}: {choose('column', absent[0], list(header))}")
        return wanted.wide
    if not rest:
        raise ImportRefused(f"--wide '*': no column is left for a forecaster; there are {', '.join(header)}")
    return tuple(rest)


def _missing(field: str, header: Sequence[str], rest: Sequence[str]) -> str:
    there = f"the columns are {', '.join(header)}" if len(header) < 40 else f"there are {len(header)} columns"
    said = f"no column is called as one that holds the {field} ({', '.join(FIELDS[field][:6])}, …); {there}. "
    said += f"Say which one it is: --column {field}=COLUMN"
    if field == "probability" and rest:
        said += f". If each forecaster has a column of its own, say --wide {','.join(rest[:3])} (or --wide '*')"
    return said
