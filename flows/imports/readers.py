"""Which named form a file is read by: the one asked for, else the one that knows it, else none, and it is a table."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from coordeval.flows.imports.wanted import ImportRefused, Wanted
from coordeval.market_data.errors import choose
from coordeval.market_data.forecasts import load

TABLE: Final = "table"
"""Asked for, no form is looked for."""


def form_of(file: Path, asked: str | None) -> Any:
    """The form, or None. Raises ImportRefused for one that is not installed, or where two know the file."""
    if asked == TABLE:
        return None
    forms = load()
    if asked is not None:
        if asked not in forms.classes:
            broken = "".join(f"; {name} could not be loaded: {why}" for name, why in forms.quarantined.items())
            raise ImportRefused(f"--format: {choose('form', asked, [TABLE, *forms.classes])}{broken}")
        return forms.classes[asked]()
    found = [form for form in (cls() for cls in forms.classes.values()) if form.knows(file)]
    if len(found) > 1:
        names = " and ".join(form.name for form in found)
        raise ImportRefused(f"{file} reads as {names}; say which: --format {found[0].name}")
    return found[0] if found else None


def settled(files: Sequence[Path], wanted: Wanted) -> Wanted:
    """Ids of a published form are the publisher's: imports of one form are about the same questions unless it is said."""
    forms = [form_of(file, wanted.format) for file in files]
    names = {form.name if form else None for form in forms}
    only = names.pop() if len(names) == 1 else None
    return wanted if wanted.questions or only is None else replace(wanted, questions=only)
