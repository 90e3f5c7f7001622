"""A report as bytes and back: what was computed once need not be computed again. Numbers come back to the last bit.

A ZIP of `tree.json` and of each array (.npy) and frame (Arrow IPC). Reading one runs nothing: names are those of dataclasses
and models of `coordeval.analysis`, arrays are read without pickle, and whatever else stands there is refused.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from importlib import import_module
from types import NoneType
from typing import Any

import numpy as np
import polars as pl

from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.report.later import Later

_HOME = "coordeval.analysis."
_ROWS = 65_536
_PLAIN = (NoneType, bool, int, float, str)


def dumps(value: Any) -> bytes:
    """Equal values give equal bytes. Raises AnalysisError for a value of a type that is not known here."""
    parts: dict[str, bytes] = {}
    tree = _tree(value, parts)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in {"tree.json": json.dumps(tree).encode(), **parts}.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # a ZipInfo of its own has no time of writing
    return target.getvalue()


def fingerprint(value: Any) -> bytes:
    """A hash of `value`: of equal length for any, and without holding all of its bytes. Raises as `dumps` does."""
    parts = _Hashed()
    tree = json.dumps(_tree(value, parts)).encode()
    return hashlib.sha256(tree + b"".join(parts.values())).digest()


class _Hashed(dict[str, bytes]):
    """Of each part only its hash, taken while it is written: a frame of millions of rows is not held a second time."""


class _Hash:
    """A file that keeps nothing but a hash of what is written to it."""

    def __init__(self) -> None:
        self._digest, self._written = hashlib.sha256(), 0

    def write(self, content: Any) -> int:
        size = memoryview(content).nbytes
        self._digest.update(content)
        self._written += size
        return size

    def flush(self) -> None:
        """Nothing waits."""

    def tell(self) -> int:
        return self._written

    def seek(self, *_: int) -> int:
        raise OSError("what is hashed is written from the beginning to the end")

    def read(self, *_: int) -> bytes:
        raise OSError("nothing is kept")

    def digest(self) -> bytes:
        return self._digest.digest()


def loads(content: bytes) -> Any:
    """The inverse of `dumps`. Raises AnalysisError, or what ZIP, JSON, NumPy and polars raise, for anything else."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return _value(json.loads(archive.read("tree.json")), archive)


def _tree(value: Any, parts: dict[str, bytes]) -> Any:  # noqa: PLR0911, PLR0912  one kind of value after the other
    """Plain values and lists as JSON has them, everything else as {kind: content}."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list:
        return [_tree(item, parts) for item in value]
    if kind is tuple:
        return {"tuple": [_tree(item, parts) for item in value]}
    if kind is Later:
        return {"later": _tree(value.value, parts)}
    if isinstance(value, Mapping):
        return {"dict": [[_tree(key, parts), _tree(item, parts)] for key, item in value.items()]}
    if kind in (datetime, date):
        return {kind.__name__: value.isoformat()}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"array": _part(parts, ".npy", lambda file: np.lib.format.write_array(file, value, allow_pickle=False))}
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return {"number": [value.dtype.str, value.item()]}
    if kind is pl.DataFrame:
        return {"frame": _part(parts, ".arrow", _pieces(value) if isinstance(parts, _Hashed) else value.rechunk().write_ipc)}
    if kind.__module__.startswith(_HOME) and kind.__qualname__.isidentifier():
        name = f"{kind.__module__}:{kind.__qualname__}"
        if is_dataclass(kind):
            return {name: {field.name: _tree(getattr(value, field.name), parts) for field in fields(value) if field.init}}
        if hasattr(kind, "model_validate"):
            return {name: {"model": value.model_dump_json()}}
    if kind.__module__.startswith("plotly.graph_objs") and kind.__name__ == "Figure":
        return {"figure": value.to_json()}
    raise AnalysisError(f"a value of type {kind.__module__}.{kind.__qualname__} cannot be stored")


def _part(parts: dict[str, bytes], suffix: str, write: Any) -> str:
    name = f"{len(parts)}{suffix}"
    if isinstance(parts, _Hashed):
        hashed = _Hash()
        write(hashed)
        parts[name] = hashed.digest()
        return name
    file = io.BytesIO()
    write(file)
    parts[name] = file.getvalue()
    return name


def _pieces(frame: pl.DataFrame) -> Any:
    """Writes the rows some at a time, always the same ones together: frames in any chunks give the same bytes, uncopied."""

    def write(file: Any) -> None:
        for start in range(0, max(1, frame.height), _ROWS):
            frame.slice(start, _ROWS).rechunk().write_ipc(file)

    return write


def _value(tree: Any, archive: zipfile.ZipFile) -> Any:  # noqa: PLR0911, PLR0912
    if not isinstance(tree, dict):
        return [_value(item, archive) for item in tree] if isinstance(tree, list) else tree
    [(kind, content)] = tree.items()
    match kind:
        case "tuple":
            return tuple(_value(item, archive) for item in content)
        case "dict":
            return {_value(key, archive): _value(item, archive) for key, item in content}
        case "later":
            made = _value(content, archive)
            return Later(lambda: made)
        case "datetime":
            return datetime.fromisoformat(content)
        case "date":
            return date.fromisoformat(content)
        case "array":
            return np.lib.format.read_array(io.BytesIO(archive.read(content)), allow_pickle=False)
        case "number":
            return np.dtype(content[0]).type(content[1])
        case "frame":
            return pl.read_ipc(io.BytesIO(archive.read(content)))
        case "figure":
            import plotly.graph_objects as go

            return go.Figure(json.loads(content), _validate=False)  # it was valid when it was made
    home, _, name = kind.partition(":")
    if home.startswith(_HOME) and name.isidentifier():
        cls = getattr(import_module(home), name)
        if isinstance(cls, type) and cls.__module__ == home:
            if is_dataclass(cls):
                return cls(**{key: _value(item, archive) for key, item in content.items()})
            if hasattr(cls, "model_validate_json"):
                return cls.model_validate_json(content["model"])
    raise AnalysisError(f"{kind!r} is nothing that a report consists of")
