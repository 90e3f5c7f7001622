"""A report as other things than a folder: one page, figures for a paper, a summary to paste, JSON on standard output."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.figures.style import Picture
from coordeval.analysis.report.page import Report
from coordeval.analysis.report.results import strict_json
from coordeval.analysis.report.summary import summary
from coordeval.market_data.files import write_whole

_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_SIZE: Final = {"width": 960, "scale": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which files, and whether results.json goes to standard output."""

    html: Path | None = None
    md: Path | None = None
    """`-`: standard output."""
    png: Path | None = None
    svg: Path | None = None
    as_json: bool = False


def export(report: Report, wanted: Wanted, say: Callable[[str], None]) -> None:
    """Writes what is wanted; `say` gets what goes to standard output, and the name of each file if nothing else does.

    Raises:
        FileError: a file cannot be written there.
        AnalysisError: there is no browser to draw figures with, or their folder cannot be made.
    """
    quiet = wanted.as_json or wanted.md == Path("-")
    written: list[Path] = []
    for folder, ending in ((wanted.png, "png"), (wanted.svg, "svg")):
        if folder:
            written += figures(report, folder, ending)
    if wanted.html:
        written.append(_write(wanted.html, report.html()))
    if wanted.md and wanted.md != Path("-"):
        written.append(_write(wanted.md, summary(report)))
    if wanted.as_json:
        say(strict_json(report.results()).rstrip("\n"))
    elif wanted.md == Path("-"):
        say(summary(report).rstrip("\n"))
    if not quiet:
        for path in written:
            say(f"wrote {path}")


class Drawn(Protocol):
    """What can be drawn: the report of a study, of forecasts or of games."""

    @property
    def study(self) -> Mapping[str, Any]: ...
    @property
    def pictures(self) -> Sequence[Picture]: ...


def figures(report: Drawn, folder: Path, ending: str) -> list[Path]:
    """Every figure of the page as an image file, in light colours. Raises AnalysisError where no browser is there."""
    browser = chromium()
    os.environ.setdefault("BROWSER_PATH", browser)  # where choreographer, which Kaleido draws with, looks
    import kaleido  # type: ignore[import-untyped]

    pictures = (*report.pictures, *getattr(report, "reliability", ()))
    if not pictures:
        raise AnalysisError(f"{report.study['name']} has nothing to draw: {getattr(report, 'opening', 'no figure')}")
    _folder(folder)
    paths = [folder / f"{_name(picture.name)}.{ending}" for picture in pictures]
    jobs = [
        {"fig": p.figure, "path": path, "opts": {"format": ending, "height": p.figure.layout.height, **_SIZE}}
        for p, path in zip(pictures, paths, strict=True)
    ]
    kaleido.write_fig_from_object_sync(jobs)
    return paths


def chromium() -> str:
    """The browser that draws figures: BROWSER_PATH, or one on the PATH. Raises AnalysisError where there is none."""
    named = os.environ.get("BROWSER_PATH")
    if named and not Path(named).is_file():
        raise AnalysisError(f"BROWSER_PATH is {named!r}, which is no file: give the path of a Chromium or Chrome")
    found = named or next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        raise AnalysisError(
            "figures are drawn by a Chromium and none is on the PATH: install chromium, or set BROWSER_PATH to one; "
            "the page needs none, and each of its figures can be saved there"
        )
    return found


def _name(name: str) -> str:
    """A name from data as a file name."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)[:100]


def _write(path: Path, text: str) -> Path:
    write_whole(path, text)
    return path


def _folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AnalysisError(f"the folder {path} cannot be made: {error.strerror or error}") from error
