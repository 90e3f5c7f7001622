"""Known secrets, and the door that text from outside goes through before it is stored or shown.

A key leaves the environment when it is first asked for, so code that is loaded later (a plugin, a child process) does not
find it there. It stays readable for code that looks for it in this process: a plugin is code that you run.
"""

import base64
import html
import json
import os
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, unquote

_NAMED = re.compile(r"(API_?KEY|_KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|AUTH_STRING)$", re.IGNORECASE)
_ADDRESS = re.compile(r"PROXY|URL|URI|DSN|CONNECTION|ENDPOINT", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")
_HEADERS = re.compile(r"HEADERS$", re.IGNORECASE)
_IN_HEADER = re.compile(r"(?:auth|key|token|secret|cookie)[\w-]*\s*[:=]\s*(?:\w+(?: |%20))?([^\s,;]+)", re.IGNORECASE)
_SHORTEST, _LONG_WORD = 12, 20
"""Characters. What is shorter stands in ordinary text too; so may a word in small letters, up to the second."""

_known: dict[str, str] = {}
"""Secret, in each way that it may be written -> the name that stands in its place; a longer one before a part of it."""
_taken: dict[str, str] = {}
"""Environment variable -> its value, of those that were taken out."""


def take(name: str) -> str | None:
    """The value of an environment variable that is a secret, and from now on is not there; None where it never was."""
    if value := os.environ.pop(name, "").strip():
        _taken[name] = value
        remember(value, name)
    return _taken.get(name)


def taken() -> dict[str, str]:
    """What `take` took out of the environment, for a process of our own."""
    return dict(_taken)


def remember(value: str, name: str) -> None:
    """From now on `redacted` replaces this value. What looks like an ordinary word is not taken for a secret."""
    word = value.isalpha() and value[1:].islower() and len(value) <= _LONG_WORD
    if len(value) < _SHORTEST or word or value in _known:
        return
    _known.update(dict.fromkeys(_written(value), name))
    longest = sorted(_known, key=len, reverse=True)
    for written in longest:
        _known[written] = _known.pop(written)


def _written(value: str) -> Iterator[str]:
    """The ways in which `value` may come back: as it is, in messages, JSON, pages and addresses, and inside of base64."""
    yield from (value, repr(value)[1:-1], html.escape(value), quote(value), quote(value, safe=""), quote_plus(value))
    in_json = json.dumps(value)[1:-1]
    yield from (in_json, json.dumps(in_json)[1:-1])
    for before in range(
        3
    ):  # base64 writes three bytes as four signs: these depend on the value alone, whatever is around it
        data = bytes(before) + value.encode(errors="replace")
        own = slice(-(-8 * before // 6), 8 * len(data) // 6)
        yield base64.b64encode(data).decode()[own]
        yield base64.urlsafe_b64encode(data).decode()[own]


def remember_environment() -> None:
    """Remembers what environment variables hold whose names say that it is a key, a token, a secret or a password.

    And passwords in addresses (of a proxy, say), and what headers hold that authorise.
    """
    for name, value in os.environ.items():
        if _NAMED.search(name):
            remember(value.strip(), name)
        for password in _IN_ADDRESS.findall(value) if _ADDRESS.search(name) else ():
            remember(unquote(password), name)
        for header in _IN_HEADER.findall(value) if _HEADERS.search(name) else ():
            remember(unquote(header), name)


def forget() -> None:
    """For tests: nothing is known any more."""
    _known.clear()
    _taken.clear()


def redacted(text: str) -> str:
    """`text` with every known secret replaced by its name."""
    for value, name in _known.items():
        if value in text:
            text = text.replace(value, f"[{name}]")
    return text


def excerpt(text: str, most: int) -> str:
    """The first `most` characters of `redacted`, in this order: of a key that is cut nobody knows that it was one."""
    return redacted(text)[:most]
