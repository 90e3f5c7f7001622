"""The examples of the documentation that are run: what `<!-- runs -->` and `<!-- prints -->` stand above.

Used by the tests, which run them in one process, and by `python -m docs.newcomer`, which runs them as a newcomer does.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MARKED: Final = re.compile(r"<!-- (runs|prints) -->\n```(\w+)\n(.*?)```", re.DOTALL)
_FILE: Final = re.compile(r"# ([\w.-]+\.(?:py|toml|csv))\n")


@dataclass(frozen=True, slots=True)
class Example:
    """One marked block."""

    language: str
    text: str
    shown: bool
    """True: it is what the example before it says, in part. False: it is run."""

    @property
    def file(self) -> str:
        """The name of the file that it is, or nothing: such a block's first line is a comment with that name."""
        named = _FILE.match(self.text)
        return named[1] if named else ""

    def commands(self) -> Iterator[list[str]]:
        """The words of each command line of a block of sh."""
        for line in self.text.replace("\\\n", " ").splitlines():
            if command := shlex.split(line, comments=True):
                yield command

    def not_said(self, said: str) -> list[str]:
        """Of a shown block the lines that do not stand in `said`, however that is broken into lines."""
        heard = " ".join(said.split())
        lines = (" ".join(line.split()) for line in self.text.splitlines())
        return [line for line in lines if line not in heard]


def examples(page: str) -> list[Example]:
    """The marked blocks of a page's Markdown, from top to bottom."""
    return [Example(language, text, mark == "prints") for mark, language, text in MARKED.findall(page)]
