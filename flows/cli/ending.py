"""How a command ends: an exit status, and for everything that can go wrong one message on standard error, never a traceback.

0: done. 1: what was asked for could not be had. 2: the command line was not understood. 130: interrupted. 143: ended by a
service manager. A fault of coordeval itself is called one, and its traceback goes to a file to report it with.
"""

import errno
import os
from collections.abc import Callable, Iterator
from typing import Any

import typer

from coordeval.flows.terminal import Terminal
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.secrets import redacted
from coordeval.market_data.text import one_line

DEBUG = "COORDEVAL_DEBUG"
"""Environment variable: not empty, a fault prints its traceback too (so does `coordeval --debug`)."""

errors = Terminal(stderr=True)

_FIXES = {
    errno.ENOSPC: "free space there, or give another path",
    errno.EFBIG: "a limit on the size of files stops it: raise the limit, or give another path",
    errno.EDQUOT: "your share of the disk is used up: free space there, or give another path",
    errno.EACCES: "you have no permission for that: mend it, or give another path",
    errno.EPERM: "it is protected: mend its permissions, or give another path",
    errno.EROFS: "the disk is mounted read-only: give another path",
    errno.ENOENT: "it does not exist: make it first, or give another path",
    errno.ENOTDIR: "a part of the path is a file, not a folder: give another path",
    errno.EISDIR: "it is a folder: give the path of a file",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
    errno.ELOOP: "its symbolic links go round in a circle: give another path",
    errno.EMFILE: "too many files are open: raise the limit (`ulimit -n 4096`)",
}


def status_of(command: Callable[[], Any]) -> int:
    """Runs `command` and says how it ended. Only what must stop the process at once (SystemExit, GeneratorExit) passes."""
    try:
        status = command()
    except typer.TyperException as error:
        message = error.format_message()
        if message:
            _say(message)
            _hint(error)
        return int(getattr(error, "exit_code", 2))
    except (KeyboardInterrupt, typer.Abort):
        errors.print("interrupted")
        return 130
    except Exception as error:
        for message in dict.fromkeys(map(_sentence, _leaves(error))):
            _say(message)
        return 1
    return status if isinstance(status, int) else 0


def _say(message: str) -> None:
    errors.print(f"error: {message}", style="red", soft_wrap=True)


def _hint(error: typer.TyperException) -> None:
    context = getattr(error, "ctx", None)
    if context is not None:
        errors.print(f"`{context.command_path} --help` says what it takes", soft_wrap=True)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """What is inside of a group of errors, in order: a task group's own words say nothing."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _sentence(error: BaseException) -> str:
    if isinstance(error, CoordevalError):
        return str(error)
    if isinstance(error, OSError) and error.errno in _FIXES and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}; {_FIXES[error.errno]}"
    if isinstance(error, OSError) and error.errno in _FIXES:
        return f"{error.strerror}; {_FIXES[error.errno]}"
    if isinstance(error, MemoryError):
        return "this machine has not enough memory for it: give it fewer markets at once, or a machine with more"
    return f"this is a fault of coordeval: {type(error).__name__}: {one_line(error) or 'no more is known'} ({_kept(error)})"


def _kept(error: BaseException) -> str:
    """The traceback, printed or put into a file; where to find it, in words."""
    import tempfile
    import traceback

    whole = redacted("".join(traceback.format_exception(error)))
    if os.environ.get(DEBUG):
        errors.print(whole, soft_wrap=True)
        return "its traceback stands above"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="coordeval-fault-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(whole)
    except OSError:
        return f"{DEBUG}=1 prints its traceback"
    return f"details in {file.name}; please report it with them"
