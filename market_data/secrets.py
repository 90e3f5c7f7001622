"""Known secrets, and the door that text from outside goes through before it is stored or shown.

A key leaves the environment when it is first asked for, so code that is loaded later (a plugin, a child process) does not
find it there. It stays readable for code that looks for it in this process: a plugin is code that you run.
"""

import json
import os
import re
from urllib.parse import quote

_NAMED = re.compile(r"(API_?KEY|_KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
_SHORTEST = 12
"""Characters. What is shorter stands in ordinary text too."""

_known: dict[str, str] = {}
"""Secret, as it is and as it is written in messages, JSON and addresses -> the name that stands in its place."""
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
    if len(value) >= _SHORTEST and not value.isalpha():
        for written in (value, repr(value)[1:-1], json.dumps(value)[1:-1], quote(value, safe="")):
            _known[written] = name


def remember_environment() -> None:
    """Remembers every environment variable whose name says that it is a key, a token, a secret or a password."""
    for name, value in os.environ.items():
        if _NAMED.search(name):
            remember(value.strip(), name)


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
