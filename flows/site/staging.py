"""The site's pages in one folder: those of `docs/`, those of the project's root, and the generated ones, links made to fit.

A page keeps the links that work where it stands in the repository. Here each is led to where its target stands in the
site: a module of `analysis/` to its place in the reference, a notebook to its line. One that leads nowhere is refused.
"""

import os
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from posixpath import join, normpath, relpath
from typing import Final

from coordeval.market_data.errors import CoordevalError

ROOT_PAGES: Final = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "project/architecture.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
}
"""Pages that stand beside `docs/`: in the checkout's root, and in the package's folder once it is installed."""
_LINK: Final = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^()\s]+)\)")
_FENCED: Final = re.compile(r"(^ *```.*?^ *```)", re.MULTILINE | re.DOTALL)
_PICTURES: Final = (".png", ".svg")


class SiteError(CoordevalError):
    """A page of the documentation that cannot become one of the site."""


def sources() -> tuple[Path, Path]:
    """(the folder `docs`, the folder that holds the pages of `ROOT_PAGES`)."""
    docs = Path(str(files("coordeval").joinpath("docs"))).resolve()
    if not (docs / "tutorial.md").is_file():
        raise SiteError(f"{docs}: the documentation is not in this installation; install coordeval again")
    return docs, docs.parent


def stage(folder: Path, generated: Mapping[str, str]) -> list[str]:
    """Writes every page and picture into `folder`; `generated`: page -> its Markdown. Returns the pages, sorted."""
    docs, root = sources()
    pages = dict(_pages(docs, root))
    where = {origin: page for origin, (page, _) in pages.items()} | {f"docs/{page}": page for page in generated}
    for origin, (page, path) in pages.items():
        target = folder / page
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in _PICTURES:
            target.write_bytes(path.read_bytes())
        else:
            target.write_text(fitted(path.read_text(encoding="utf-8"), origin, where, path.parent), encoding="utf-8")
    for page, text in generated.items():
        (folder / page).parent.mkdir(parents=True, exist_ok=True)
        (folder / page).write_text(text, encoding="utf-8")
    return sorted(page for page in where.values() if page.endswith(".md"))


def _pages(docs: Path, root: Path) -> Iterator[tuple[str, tuple[str, Path]]]:
    """(path in the repository, (path in the site, file))."""
    for origin, page in ROOT_PAGES.items():
        yield origin, (page, root / origin)
    for path in sorted(docs.rglob("*")):
        if path.suffix in (".md", *_PICTURES):
            name = path.relative_to(docs).as_posix()
            yield f"docs/{name}", (name, path)


def fitted(text: str, origin: str, where: Mapping[str, str], beside: Path) -> str:
    """The page with its links led to the site's pages, its drawings set into it, so that they take the site's colours."""
    parts = _FENCED.split(text)  # text, a block, text, a block, ...
    parts[::2] = [_LINK.sub(lambda found: _led(found, origin, where, beside), part) for part in parts[::2]]
    return "".join(parts)


def _led(found: re.Match[str], origin: str, where: Mapping[str, str], beside: Path) -> str:
    label, target = found[1], found[2]
    if re.match(r"[a-z]+:|#", target):
        return found[0]
    path, _, part = target.partition("#")
    if label.startswith("!") and path.endswith(".svg"):
        return f'<figure class="drawing" role="img" aria-label="{label[2:-1]}">{_drawing(beside / path)}</figure>'
    inside = normpath(join(os.path.dirname(origin), path))
    page = _place(inside, where)
    if page is None:
        raise SiteError(
            f"{origin}: the link to {target!r} leads to no page of the site; link to a page of docs/ or a module"
        )
    page, _, own = page.partition("#")
    part = part or own
    own_page = where[origin]
    return f"{label}({relpath(page, os.path.dirname(own_page) or '.')}{'#' + part if part else ''})"


def _place(inside: str, where: Mapping[str, str]) -> str | None:
    """Where in the site a path of the repository is shown."""
    if inside in where:
        return where[inside]
    if (module := re.fullmatch(r"analysis/(?:(\w+)/)?(\w+)\.py", inside)) is not None:
        room, name = module[1], module[2]
        return f"reference/measures/{room or name}.md#coordeval.analysis.{f'{room}.' if room else ''}{name}"
    if (notebook := re.fullmatch(r"notebooks/(\w+)\.ipynb", inside)) is not None:
        return f"notebooks.md#{notebook[1]}"
    if inside == "docs/design":
        return "design/index.md"
    return None


def _drawing(path: Path) -> str:
    if not path.is_file():
        raise SiteError(f"{path}: this drawing is not there; `make pictures` draws it")
    return re.sub(r"<\?xml[^>]*\?>|\n\s*", " ", path.read_text(encoding="utf-8")).strip()
