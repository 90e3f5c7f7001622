"""Markdown into a site, with every warning an error: a dead link, a page that no menu leads to, a name that is not there."""

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path

from coordeval.flows.site.generated import menu
from coordeval.flows.site.staging import SiteError, sources, stage
from coordeval.market_data.home import own_folder

EXTRA = "the documentation is built by what the extra `docs` brings: "
_INSTALLED, _CHECKOUT = (
    "pip install 'coordeval[docs]'",
    "this is a checkout, so `make setup-dev` brings it, and `make docs` builds it",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What was built, or was there."""

    folder: Path
    pages: int
    built: bool
    """False: it was there, made of the same sources."""

    @property
    def first(self) -> Path:
        return self.folder / "index.html"


def kept(generated: Mapping[str, str]) -> Site:
    """The site in the user's cache; built where none of these sources is there."""
    folder = _cache() / _digest(generated)
    if (folder / "index.html").is_file():
        return Site(folder=folder, pages=len([*folder.rglob("*.html")]) - 1, built=False)
    return build(folder, generated)


def build(folder: Path, generated: Mapping[str, str]) -> Site:
    """Builds the site of docs/ and `generated` (page -> Markdown) into `folder`, which comes whole or not at all.

    Raises SiteError where the extra is missing, where `folder` holds something else, and for what is wrong in a page.
    """
    if find_spec("material") is None or find_spec("mkdocstrings") is None:
        raise SiteError(EXTRA + (_CHECKOUT if (sources()[1] / "Makefile").is_file() else _INSTALLED))
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / "search").is_dir())):
        raise SiteError(f"{folder}: is there already and holds no site; give a folder that is empty or new")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".site-") as aside:
            pages = stage(Path(aside) / "docs", generated)
            _make(Path(aside), generated)
            if folder.exists():
                shutil.rmtree(folder)
            (Path(aside) / "site").rename(folder)
    except OSError as error:
        raise SiteError(f"{folder}: cannot hold the site ({error.strerror}); give another folder") from error
    return Site(folder=folder, pages=len(pages), built=True)


def _make(aside: Path, generated: Mapping[str, str]) -> None:
    """aside/docs -> aside/site. Raises SiteError with the first thing that is wrong."""
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "1")
    from mkdocs.commands.build import build as made
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort, ConfigurationError

    said = _Said()
    log = logging.getLogger("mkdocs")
    log.addHandler(said)
    try:
        with as_file(files("coordeval.flows").joinpath("site")) as own:
            for asset in (own / "assets").iterdir():
                (aside / "docs" / "assets").mkdir(exist_ok=True)
                (aside / "docs" / "assets" / asset.name).write_bytes(asset.read_bytes())
            text = (own / "mkdocs.yml").read_text(encoding="utf-8")
            (aside / "mkdocs.yml").write_text(menu(text, generated), encoding="utf-8")
            config = load_config(str(aside / "mkdocs.yml"), strict=True)
            config.plugins.on_startup(command="build", dirty=False)
            try:
                made(config)
            finally:
                config.plugins.on_shutdown()
    except (Abort, ConfigurationError) as error:
        raise SiteError(f"the site cannot be built: {'; '.join(said.lines) or error}") from error
    finally:
        log.removeHandler(said)


class _Said(logging.Handler):
    """Collects what is wrong, for the message."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _cache() -> Path:
    cache = own_folder("XDG_CACHE_HOME", ".cache")
    if cache is None:
        raise SiteError("this user has no home that can be used: set XDG_CACHE_HOME to a folder, or give --build FOLDER")
    return cache / "coordeval" / "docs"


def _digest(generated: Mapping[str, str]) -> str:
    """Of all that a site is made of: other sources are another folder."""
    docs, _ = sources()
    found = hashlib.sha256()
    own = Path(str(files("coordeval.flows").joinpath("site")))
    for path in [*sorted(docs.rglob("*.md")), *sorted(docs.rglob("*.svg")), *sorted(own.rglob("*.*"))]:
        if path.suffix != ".pyc":
            found.update(path.name.encode() + path.read_bytes())
    for page, text in sorted(generated.items()):
        found.update(f"{page}\n{text}".encode())
    return found.hexdigest()[:16]
