"""What is looked at. All of it stands in the address, so that a shared address shows the same and Back goes back."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, cast, get_args
from urllib.parse import parse_qsl, urlencode

from coordeval.analysis.base.frames import Policy

Kind = Literal["binned", "corrected", "corp"]
KINDS: Final[Mapping[str, str]] = {"binned": "10 bins", "corrected": "10 bins, bias-corrected", "corp": "bin-free (CORP)"}
_LONGEST: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that the address says. What it does not say has its default, and defaults are not written."""

    study: str = ""
    """A study's name or the start of its id; empty: the one used last."""
    arm: str = ""
    """The arm of that study; empty: its first."""
    policy: Policy = "common"
    category: str = ""
    decile: int | None = None
    """0 to 9: only markets whose price was in [decile/10, (decile + 1)/10)."""
    replicate: int | None = None
    kind: Kind = "binned"
    configuration: str = ""
    """Chosen ones, separated by commas; empty: all."""
    other: str = ""
    """The study that is set beside this one."""
    first: str = ""
    second: str = ""
    market: str = ""
    forecast: str = ""
    q: str = ""
    """Words that a question must have."""

    @property
    def scope(self) -> tuple[str, int | None, int | None]:
        """The filters that choose cells."""
        return self.category, self.decile, self.replicate

    @property
    def chosen(self) -> tuple[str, ...]:
        return tuple(name for name in self.configuration.split(",") if name)

    def href(self, path: str, **changes: Any) -> str:
        """The address of `path` with this view, but for the changes."""
        changed = replace(self, **changes)
        said = {f.name: getattr(changed, f.name) for f in fields(changed) if getattr(changed, f.name) != f.default}
        return f"{path}?{urlencode(said)}" if said else path


def parsed(search: str | None) -> tuple[View, tuple[str, ...]]:
    """The view of an address's part from "?" on, and what in it was not understood, which is left at its default.

    >>> parsed("?study=embedded&decile=3&policy=guess")
    (View(study='embedded', ..., decile=3, ...), ('policy',))  # doctest: +SKIP
    """
    known = {field.name for field in fields(View)}
    values: dict[str, Any] = {}
    odd: list[str] = []
    try:
        given = parse_qsl((search or "").removeprefix("?"), max_num_fields=50)
    except ValueError:  # no address of ours has so many parts
        return View(), ("(more than 50 parts)",)
    for name, text in given:
        if name not in known or len(text) > _LONGEST or "\x00" in text:
            odd.append(name[:40])
            continue
        try:
            values[name] = _READ.get(name, str)(text)
        except ValueError:
            odd.append(name)
    return View(**values), tuple(odd)


def _one_of(allowed: tuple[str, ...]) -> Any:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(text)
        return text

    return read


def _whole(least: int, most: int) -> Any:
    def read(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise ValueError(text)
        return value

    return read


_READ: Final[Mapping[str, Any]] = {
    "policy": _one_of(cast("tuple[str, ...]", get_args(Policy))),
    "kind": _one_of(tuple(KINDS)),
    "decile": _whole(0, 9),
    "replicate": _whole(0, 2**31 - 1),
}
