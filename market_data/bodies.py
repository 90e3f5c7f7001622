"""Bodies within limits: what a server sends is counted as it comes, packed and unpacked, and read as JSON as far as it goes.

A body may be endless, or small and unpack to gigabytes, so it is never asked to be whole before it is counted. One bad
character or one row nested too deep must not cost the rows beside it: they come through, and whoever reads that row
refuses it by its name.
"""

import json
import re
import zlib
from collections.abc import AsyncIterator
from typing import Any

import orjson

PACKED = "gzip"
"""What is asked for: it can be unpacked piece by piece, each piece no larger than was allowed."""
TOO_DEEP = "(nested too deep to be read)"
_DEEPEST = 100
_WHOLE_NUMBER = 19
"""Digits that certainly fit 64 bits."""
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class TooManyBytes(Exception):
    """More than was allowed; the text says of what."""


class Unreadable(Exception):
    """A body that is not what its headers say, or ends in the middle."""


async def whole(chunks: AsyncIterator[bytes], packing: str, most: int) -> bytes:
    """The unpacked body. Raises TooManyBytes beyond `most` bytes, sent or unpacked, and Unreadable."""
    unpackers = [_Unpacker(name, most) for name in reversed(_names(packing))]
    received, parts, size = 0, list[bytes](), 0
    async for chunk in chunks:
        received += len(chunk)
        if received > most:
            raise TooManyBytes(f"its body is longer than the limit of {most:,} bytes")
        piece = chunk
        for unpacker in unpackers:
            piece = unpacker.feed(piece)
        size += len(piece)
        if size > most:
            raise TooManyBytes(f"its body unpacks to more than the limit of {most:,} bytes")
        parts.append(piece)
    if received and not all(unpacker.ended for unpacker in unpackers):
        raise Unreadable(f"its {packing} body ends in the middle")
    return b"".join(parts)


def _names(packing: str) -> list[str]:
    names = [name for part in packing.split(",") if (name := part.strip().lower()) not in ("", "identity")]
    if unknown := [name for name in names if name not in ("gzip", "x-gzip", "deflate")]:
        raise Unreadable(f"its body is packed with {unknown[0]!r:.40}, which was not asked for ({PACKED} was)")
    if len(names) > 2:
        raise Unreadable(f"its body is packed {len(names)} times over")
    return names


class _Unpacker:
    """One gzip or deflate stream, perhaps of several members; never unpacks more than `most` + 1 bytes in all."""

    def __init__(self, name: str, most: int) -> None:
        self._bits = zlib.MAX_WBITS if name == "deflate" else zlib.MAX_WBITS | 16
        self._stream, self._left = zlib.decompressobj(self._bits), most + 1

    @property
    def ended(self) -> bool:
        return self._stream.eof

    def feed(self, data: bytes) -> bytes:
        parts = []
        while data and self._left > 0:
            if self._stream.eof:  # another member follows
                self._stream = zlib.decompressobj(self._bits)
            try:
                parts.append(self._stream.decompress(data, self._left))
            except zlib.error as error:
                raise Unreadable(f"its body is not what its content-encoding says ({error})") from error
            self._left -= len(parts[-1])
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        return b"".join(parts)


def json_value(content: bytes) -> Any:
    """The JSON value. Raises ValueError for what is none, such as a body that was cut.

    What strict JSON does not allow, or no file can hold, comes through as itself: half an emoji as a lone surrogate, bytes
    that are not UTF-8 likewise, NaN and endless numbers as floats that are not finite. What is nested deeper than anything a
    venue serves becomes a text that says so. Readers refuse each of them in the field that they read, and nowhere else.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        text = content.decode("utf-8-sig", "surrogateescape")
        try:
            return json.loads(_shallow(text), strict=False, parse_int=_integer)
        except RecursionError as error:  # pragma: no cover  _shallow leaves nothing so deep
            raise ValueError("it is nested too deep") from error


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _WHOLE_NUMBER else float(digits)


def _shallow(text: str) -> str:
    """The text with everything below the deepest level replaced. Strings are stepped over: brackets in them do not count."""
    parts, depth, kept_to = list[str](), 0, 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "[{":
            depth += 1
            if depth == _DEEPEST:
                parts += [text[kept_to : token.start()], f'"{TOO_DEEP}"']
        elif mark in "]}":
            if depth == _DEEPEST:
                kept_to = token.end()
            depth -= 1
    if depth >= _DEEPEST:  # it ends inside what was left out
        raise ValueError("it ends in the middle")
    return "".join([*parts, text[kept_to:]]) if parts else text


def storable(payload: Any) -> bytes:
    """Any value as JSON that a file can hold: what is nested too deep is cut, half characters are escaped."""
    try:
        return orjson.dumps(payload, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    except TypeError:
        return json.dumps(_pruned(payload, _DEEPEST), indent=2, default=str).encode()


def _pruned(value: Any, depth: int) -> Any:
    if depth == 0:
        return TOO_DEEP
    if isinstance(value, dict):
        return {str(key): _pruned(inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_pruned(inner, depth - 1) for inner in value]
    return value
