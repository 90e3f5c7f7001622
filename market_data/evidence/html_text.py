"""The visible text of an archived page, in time linear in its length.

The standard library's parser looks again and again at a tag that never ends (120 kB of `<a ` take it over a minute on
Python 3.11.7) and fails on `<![`, so neither reaches it. Scripts, styles and comments are dropped.
"""

import re
from html.parser import HTMLParser

from coordeval.market_data.evidence.passages import clean, clean_line

_SECTION = re.compile(r"<!\[[^<>]{0,500}>")
_OPEN = re.compile(r"<(?=!\[)|<(?![^<>]{0,5000}>)")
_HIDDEN = ("script", "style", "template")
_BLOCK_TAGS = (
    "address article aside blockquote br center dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 "
    "header hr li main nav ol option p pre section table tbody tfoot thead tr ul"
)
_BLOCKS = frozenset(_BLOCK_TAGS.split())
_CHARSET = re.compile(rb"<meta[^<>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_\-]{1,40})", re.IGNORECASE)


def page_text(html: str) -> tuple[str, str]:
    """Title and text."""
    parser = _Visible()
    parser.feed(_OPEN.sub("&lt;", _SECTION.sub("", _without_comments(html))))
    parser.close()
    return clean_line("".join(parser.title)), clean("".join(parser.text))


def decoded(body: bytes, charset: str | None) -> str:
    """By the header's charset, else the page's own, else UTF-8; what cannot be read becomes U+FFFD."""
    own = _CHARSET.search(body, 0, 4096)
    for name in (charset, own.group(1).decode() if own else None):
        if name:
            try:
                return body.decode(name, "replace")
            except (LookupError, UnicodeError):  # an unknown name, or a codec that is not one of text
                continue
    return body.decode("utf-8", "replace")


def _without_comments(html: str) -> str:
    kept, at = [], 0
    while (start := html.find("<!--", at)) >= 0 and (end := html.find("-->", start + 4)) >= 0:
        kept.append(html[at:start])
        at = end + 3
    return "".join(kept) + html[at:].replace("<!--", "&lt;!--")


class _Visible(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title: list[str] = []
        self.text: list[str] = []
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN or (tag == "title" and not self.title):
            self._within = tag
        elif tag in _BLOCKS:
            self.text.append("\n")
        elif tag in ("td", "th"):
            self.text.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.text.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._within:
            self._within = ""
        elif tag in _BLOCKS:
            self.text.append("\n")

    def handle_data(self, data: str) -> None:
        if self._within == "title":
            self.title.append(data)
        elif not self._within:
            self.text.append(data)
