"""Wikitext to plain text, conservatively: what is not understood stays as text, and no template is expanded.

Expanding would use today's templates; here a template shows the values that the revision itself gives it, and a table its
cells. One pass with a stack of bounded depth, so the time is linear in the length, whatever the page holds. The public
parser mwparserfromhell 0.7.2 was tried: it keeps image options in captions, drops templates' values, and needs 13 s for
36 kB of tables that never end.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import unescape

from coordeval.market_data.evidence.passages import clean, clean_line

_DEPTH = 40
_TOKEN = re.compile(
    r"(?P<comment><!--)|(?P<ref><ref\b[^<>]{0,500}>)|(?P<endref></ref\s{0,9}>)|(?P<template>\{\{)|(?P<endtemplate>\}\})"
    r"|(?P<link>\[\[)|(?P<endlink>\]\])|(?P<table>^[ \t:*]{0,20}\{\|)|(?P<endtable>^[ \t]{0,20}\|\}(?!\}))|(?P<bar>\|)",
    re.MULTILINE | re.IGNORECASE,
)
_BARRIER = ("ref", "table")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,500}>")
_EXTERNAL = re.compile(r"\[(?:https?:|ftp:)?//[^\s\[\]]{1,2000}(?: +([^\[\]\n]{0,500}))?\]")
_SWITCH = re.compile(r"__[A-Z]{3,30}__")
_REDIRECT = re.compile(r"\s*#redirect\b", re.IGNORECASE)
_BOLD = re.compile(r"'''(?!')([^\n]{1,200}?)'''")
_SIGNS = {"!": "|", "snd": " – ", "spnd": " – ", "ndash": "–", "mdash": "—", "nbsp": " ", "=": "="}
_NO_TEXT = (
    "#", "authority control", "cite", "citation", "clear", "cn", "defaultsort", "dead link", "efn", "notelist", "pp", "r|",
    "refbegin", "refend", "refn", "reflist", "rp", "sfn", "short description", "use ", "webarchive",
)  # fmt: skip
_IMAGE_OPTION = re.compile(
    r"(?:thumb|thumbnail|frame|frameless|border|left|right|center|centre|none|upright|baseline|sub|super|top|text-top|middle|"
    r"bottom|\d{0,5}x?\d{1,5} ?px|(?:upright|alt|link|page|lang|class|thumbtime|start|end)\s*=.*)",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(slots=True)
class _Frame:
    kind: str
    opening: str
    fields: list[list[str]] = field(default_factory=lambda: [[]])

    def add(self, text: str) -> None:
        self.fields[-1].append(text)

    def values(self) -> list[str]:
        return ["".join(parts) for parts in self.fields]


def plain(wikitext: str) -> str:
    """The text that a reader of the revision would have seen, without its references."""
    text = _TAG.sub("", re.sub(r"<br\s*/?>", "\n", _flattened(wikitext), flags=re.IGNORECASE))
    text = _EXTERNAL.sub(lambda m: m.group(1) or "", text)
    text = _SWITCH.sub("", re.sub(r"'{2,5}", "", text))
    lines = (line.strip().lstrip("*#:;").strip() for line in text.split("\n"))
    return clean(unescape("\n".join(line.strip("= ") if line.startswith("=") else line for line in lines)))


def is_redirect(wikitext: str) -> bool:
    return bool(_REDIRECT.match(wikitext))


def subject(wikitext: str) -> str:
    """The first bold words: what the revision itself calls its subject. "" where there are none."""
    found = _BOLD.search(_flattened(wikitext[:20_000]))
    return clean_line(plain(found.group(1))) if found else ""


def _flattened(text: str) -> str:
    """Links, templates, tables, comments and references resolved; other markup still in place."""
    stack, at = [_Frame("page", "")], 0
    while token := _TOKEN.search(text, at):
        stack[-1].add(text[at : token.start()])
        at, kind, literal = token.end(), str(token.lastgroup), token.group()
        if kind == "comment":
            end = text.find("-->", at)
            at = end + 3 if end >= 0 else len(text)
        elif kind == "bar" and stack[-1].kind in ("template", "link"):
            stack[-1].fields.append([])
        elif kind.startswith("end"):
            _close(stack, kind.removeprefix("end"), literal)
        elif kind == "bar" or len(stack) >= _DEPTH:
            stack[-1].add(literal)
        elif not literal.endswith("/>"):  # a reference in one tag holds nothing
            stack.append(_Frame(kind, literal))
    stack[-1].add(text[at:])
    while len(stack) > 1:
        _unwind(stack)
    return "".join(stack[0].values())


def _close(stack: list[_Frame], kind: str, literal: str) -> None:
    """End the nearest open `kind`; what is open within it never ended and is text. A stray end is dropped."""
    for depth in range(len(stack) - 1, 0, -1):
        if stack[depth].kind == kind:
            while len(stack) - 1 > depth:
                _unwind(stack)
            frame = stack.pop()
            stack[-1].add(_RENDER[kind](frame.values()))
            return
        if stack[depth].kind in _BARRIER and kind not in _BARRIER:
            return


def _unwind(stack: list[_Frame]) -> None:
    frame = stack.pop()
    stack[-1].add(" " + "|".join(frame.values()))


def _link(values: list[str]) -> str:
    target, space = values[0].strip(), values[0].strip().partition(":")[0].strip().lower()
    if space == "category":
        return ""
    if space in ("file", "image", "media"):
        caption = values[-1].strip()
        return "" if len(values) == 1 or _IMAGE_OPTION.fullmatch(caption) else f"\n{caption}\n"
    return values[-1] if len(values) > 1 and values[-1].strip() else target.lstrip(":")


def _template(values: list[str]) -> str:
    """In a sentence its unnamed values; where it is a box of several lines, all of them, with their names."""
    name = values[0].strip().lower()
    if name in _SIGNS:
        return _SIGNS[name]
    if name.startswith(_NO_TEXT):
        return ""
    unnamed, named = [], []
    for value in values[1:]:
        key, equals, own = (part.strip() for part in value.partition("="))
        if equals and 0 < len(key) <= 60 and not set(key) & set("<>[]\n"):
            named += [f"{key}: {' '.join(own.split())}"] if own else []
        elif value.strip():
            unnamed.append(" ".join(value.split()))
    if any("\n" in value for value in values):
        return "\n" + "; ".join(unnamed + named) + "\n"
    return " ".join(unnamed) or "; ".join(named)


def _table(values: list[str]) -> str:
    """A line per row, ` | ` between cells; attributes go."""
    rows: list[list[str]] = [[]]
    for line in "".join(values).split("\n")[1:]:
        text = line.strip()
        if text.startswith("|-"):
            rows.append([])
        elif text.startswith("|+"):
            rows += [[text[2:].strip()], []]
        elif text.startswith(("|", "!")):
            marker, text = text[0], text[1:]
            cells = text.replace("!!", "||").split("||") if marker == "!" else text.split("||")
            rows[-1] += [_cell(cell) for cell in cells]
        elif text:
            rows[-1].append(text)
    return "\n" + "\n".join(" | ".join(filter(None, row)) for row in rows if row) + "\n"


def _cell(cell: str) -> str:
    attributes, bar, value = cell.partition("|")
    return (value if bar and "=" in attributes else cell).strip()


_RENDER: dict[str, Callable[[list[str]], str]] = {
    "template": _template,
    "link": _link,
    "table": _table,
    "ref": lambda values: "",
}
