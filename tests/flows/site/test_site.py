"""The site is built as a reader gets it, once, and looked at; what would be wrong in it is refused by name."""

import json
import os
import re
from importlib.resources import files
from pathlib import Path

import pytest
import typer.main

import coordeval
from coordeval.flows.cli.main import app
from coordeval.flows.site import building
from coordeval.flows.site.building import Site, build, kept
from coordeval.flows.site.fences import fenced
from coordeval.flows.site.generated import generated_pages, menu
from coordeval.flows.site.python_api import KINDS
from coordeval.flows.site.staging import SiteError, fitted
from coordeval.flows.site.study_keys import SECTIONS, SELECTS, meanings
from docs.drawings import HERE, drawn
from tests.flows.cli.conftest import run

OUTSIDE = re.compile(r"""<(?:script|link|img|iframe|source)[^>]+(?:src|href)=["']?(?:https?:)?//[^"' >]+""")


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return generated_pages(typer.main.get_command(app))


@pytest.fixture(scope="module")
def site(pages, tmp_path_factory) -> Site:
    """In a cache of its own; every warning of the build is an error."""
    home = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home))
        return kept(pages)


def test_the_site_asks_no_other_host(site: Site):
    for page in site.folder.rglob("*.html"):
        assert OUTSIDE.findall(page.read_text()) == [], page
    for sheet in (site.folder / "assets").rglob("*.css"):
        assert re.findall(r"url\([\"']?https?://[^)]+\)|@import[^;]*//[^;]+;", sheet.read_text()) == [], sheet


def test_search_needs_no_server_and_finds_what_code_and_pages_say(site: Site):
    index = json.loads((site.folder / "search" / "search_index.js").read_text().removeprefix("var __index = "))
    texts = " ".join(entry["title"] for entry in index["docs"])
    assert [word for word in ("coordeval report", "Common draws", "decompose", "forecasts") if word not in texts] == []
    assert "iframe-worker.js" in site.first.read_text()


def test_a_site_of_the_same_sources_is_built_once(site: Site, pages, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(site.folder.parents[2]))
    again = kept(pages)
    assert (site.built, again.built, again.folder) == (True, False, site.folder)
    other = pages | {"reference/commands.md": "# other"}
    assert building._digest(other) != site.folder.name


def test_the_command_says_where_it_is(site: Site, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(site.folder.parents[2]))
    assert run("docs", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"page": str(site.first), "pages": site.pages, "built": False}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("[x](nowhere.md)", "docs/page.md: the link to 'nowhere.md' leads to no page", id="no such page"),
        pytest.param("[x](../flows/run/run.py)", "leads to no page", id="code that no page shows"),
        pytest.param("![x](nowhere.svg)", "nowhere.svg: this drawing is not there", id="no such drawing"),
    ],
)
def test_a_dead_link_is_refused_with_its_page(text: str, words: str, tmp_path: Path):
    with pytest.raises(SiteError, match=re.escape(words)):
        fitted(text, "docs/page.md", {"docs/page.md": "page.md"}, tmp_path)


@pytest.mark.parametrize(
    ("text", "as_site"),
    [
        pytest.param("[x](../README.md#top)", "[x](index.md#top)", id="the root's pages have other names"),
        pytest.param(
            "[x](../analysis/quality/scores.py)",
            "[x](reference/measures/quality.md#coordeval.analysis.quality.scores)",
            id="a module is shown in the reference",
        ),
        pytest.param("[x](../notebooks/tour.ipynb)", "[x](notebooks.md#tour)", id="a notebook has a line of its own"),
        pytest.param("```\n[x](nowhere.md)\n```", "```\n[x](nowhere.md)\n```", id="an example stays as it is"),
        pytest.param("[x](https://example.org)", "[x](https://example.org)", id="an address"),
    ],
)
def test_links_lead_to_where_things_stand_in_the_site(text: str, as_site: str, tmp_path: Path):
    assert fitted(text, "docs/page.md", {"docs/page.md": "page.md", "README.md": "index.md"}, tmp_path) == as_site


def test_every_page_has_a_place_in_the_menu_and_one_that_was_forgotten_has_one_too(pages):
    text = files("coordeval.flows").joinpath("site/mkdocs.yml").read_text()
    whole = menu(text, pages)
    assert "OTHERS" not in whole
    assert '- More: ["faq.md"]' in menu(text.replace(" faq.md", " tutorial.md"), pages)


def test_a_folder_with_something_else_in_it_is_not_built_over(pages, tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SiteError, match="holds no site; give a folder that is empty or new"):
        build(tmp_path, pages)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_without_the_extra_it_says_which_and_how_to_have_it_here(pages, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(building, "find_spec", lambda name: None)
    with pytest.raises(SiteError, match="this is a checkout, so `make setup-dev` brings it"):
        build(tmp_path / "site", pages)
    monkeypatch.setattr(building, "sources", lambda: (tmp_path, tmp_path))
    with pytest.raises(SiteError, match=r"pip install 'coordeval\[docs\]'"):
        build(tmp_path / "site", pages)
    assert os.listdir(tmp_path) == []


def test_every_command_and_option_is_on_the_page(pages):
    text = pages["reference/commands.md"]
    missing = []

    def look(name, command):
        if hasattr(command, "commands"):
            for part, below in command.commands.items():
                look(f"{name} {part}", below)
        elif f"## {name}\n" not in text:
            missing.append(name)

    look("coordeval", typer.main.get_command(app))
    assert missing == []
    assert "| `--policy` | `common`, `available`, `fallback_half`, `fallback_market` | `common` |" in text


@pytest.mark.parametrize(("title", "model"), SECTIONS, ids=[title for title, _ in SECTIONS])
def test_every_key_of_a_study_file_says_what_it_is(title: str, model, pages):
    told = meanings(model)
    assert [key for key in model.model_fields if key not in told and key not in ("source", "provider")] == []
    assert f"## {title}\n" in pages["reference/study-file.md"]
    assert SELECTS in pages["reference/study-file.md"]


def test_every_public_name_and_table_is_in_the_reference(pages):
    assert sorted(name for names in KINDS.values() for name in names) == sorted(coordeval.__all__)
    tables = re.findall(r"^## (\w+)$", pages["reference/tables.md"], re.MULTILINE)
    assert {"markets", "outcomes", "forecasts", "cells", "calls", "draws", "refused_rows"} <= set(tables)


def test_the_drawings_are_what_the_code_draws_now():
    """But for figures, which move whenever a statistic is mended: `make pictures` draws them anew."""
    shapes = {name: (HERE / name).read_text() for name in drawn()}
    assert [
        name for name, now in drawn().items() if re.sub(r"[-\d.]", "", shapes[name]).strip() != re.sub(r"[-\d.]", "", now)
    ] == []


def test_an_example_of_a_docstring_becomes_a_block():
    assert fenced("Says.\n\n>>> 1 + 1\n2\n>>> 3\n3\n\nMore.") == "Says.\n\n```pycon\n>>> 1 + 1\n2\n>>> 3\n3\n```\n\nMore."
