"""A small invented past for the stand-in: pages with revisions, captures and headlines before and after a moment.

Every text says that it is generated. What stands after the moment gives the outcome away, as the real web does,
so a provider that looks ahead can be seen to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from coordeval.market_data.evidence.cdx import stamp
from coordeval.market_data.evidence.query import key_words

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SUBJECTS = (
    "Bank of Morgard key rate decision",
    "Valdoria parliament budget vote",
    "Kelmere Rovers league season",
    "Sulport sea cable project",
)
LATER = "the matter was settled after all"
"""Stands in every text that is later than the moment, and in no other."""


@dataclass(frozen=True, slots=True)
class Edit:
    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class WikiPage:
    """`edits` oldest first; `was` are names that redirect to `title` today."""

    id: int
    title: str
    edits: tuple[Edit, ...]
    was: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shot:
    """A capture of `url`, served with the status it had."""

    url: str
    timestamp: str
    html: str
    status: int = 200
    mimetype: str = "text/html"


@dataclass(frozen=True, slots=True)
class Article:
    url: str
    title: str
    seendate: str


@dataclass(frozen=True, slots=True)
class Past:
    pages: tuple[WikiPage, ...] = ()
    shots: tuple[Shot, ...] = ()
    articles: tuple[Article, ...] = ()


def generated_past(subjects: Sequence[str] = SUBJECTS, moment: datetime = MOMENT, steps: int = 3) -> Past:
    """For each subject `steps` revisions, captures and headlines a week apart on both sides of `moment`."""
    pages, shots, articles = [], [], []
    for number, subject in enumerate(subjects, 1):
        slug = "-".join(key_words(subject)).lower()
        times = [moment + timedelta(weeks=step, hours=number) for step in range(-steps, steps)]
        told = [f"Generated report {i} on {subject}" + (f": {LATER}." if at > moment else ".") for i, at in enumerate(times)]
        edits = (
            Edit(at, f"'''{subject}''' is a generated subject.<ref>no source</ref>\n\n{text}\n\n[[Category:Generated]]")
            for at, text in zip(times, told, strict=True)
        )
        pages.append(WikiPage(1000 + number, subject, tuple(edits), was=(f"{subject} (draft)",)))
        url = f"https://{slug}.example/latest"
        for at, text in zip(times, told, strict=True):
            html = f"<html><head><title>{subject}</title></head><body><h1>Generated page</h1><p>{text}</p></body></html>"
            shots.append(Shot(url, stamp(at), html))
            articles.append(Article(f"https://wire.example/{slug}/{stamp(at)}", text, f"{at:%Y%m%dT%H%M%SZ}"))
    return Past(tuple(pages), tuple(shots), tuple(articles))
