"""The page of the command line, read from the command line."""

import inspect
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Final, get_args

from coordeval.flows.site.markdown import cell, code, table

_WORDS: Final = {str: "text", int: "whole number", float: "number", Path: "path", bool: ""}


def commands_page(command: Any) -> str:
    """Every command with its arguments and options. `command`: the click command that `coordeval` is."""
    lines = [
        "# Commands",
        "",
        cell(command.help),
        "",
        "`coordeval COMMAND --help` says the same. A study is named by its file, its name or the start of its hash.",
        "",
    ]
    for name, one in _leaves("coordeval", command):
        lines += [f"## {name}", "", *_told(one), *_usage(name, one)]
    return "\n".join(lines)


def _leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
        return
    if name == "coordeval":
        yield name, command
    for part, below in sorted(command.commands.items()):
        yield from _leaves(f"{name} {part}", below)


def _told(command: Any) -> list[str]:
    if hasattr(command, "commands"):
        return ["What stands before any command.", ""]
    text = inspect.cleandoc(command.help or "").split("\n\n")
    return [line for part in text for line in (cell(part), "")]


def _usage(name: str, command: Any) -> list[str]:
    words = [name, *(_argument(p) for p in command.params if p.param_type_name == "argument")]
    rows = [(_named(p), _takes(p), _default(p), cell(getattr(p, "help", "") or "")) for p in command.params]
    lines = ["```text", " ".join([*words, "[OPTIONS]"]), "```", ""]
    return lines + (table(["", "takes", "if not given", "what it is"], rows) if rows else [])


def _argument(p: Any) -> str:
    word = f"{p.name.upper()}{'...' if p.nargs == -1 else ''}"
    return word if p.required else f"[{word}]"


def _named(p: Any) -> str:
    if p.param_type_name == "argument":
        return code(p.name.upper())
    return ", ".join(code(word) for word in (*p.opts, *p.secondary_opts))


def _takes(p: Any) -> str:
    kind: Any = p.type_descriptor.annotation
    while kind not in _WORDS and (parts := [part for part in get_args(kind) if part is not type(None)]):
        kind = parts[0]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(code(one.value) for one in kind)
    bounds = (f" from {p.min:g}" if p.min is not None else "") + (f" to {p.max:g}" if p.max is not None else "")
    return f"{_WORDS.get(kind, 'text')}{bounds}{', again and again' if getattr(p, 'multiple', False) else ''}"


def _default(p: Any) -> str:
    if p.required:
        return "needed"
    by_name = f" ({code('$' + p.envvar)})" if isinstance(getattr(p, "envvar", None), str) else ""
    value = getattr(p.default, "value", p.default)
    if value is None or value == [] or callable(value) or getattr(p, "is_flag", False):
        return by_name.strip()
    return code(value) + by_name
