"""`coordeval docs`: the documentation, in a browser or in a folder."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from coordeval.flows.cli.options import JsonOption
from coordeval.flows.terminal import Terminal, print_result

console = Terminal()


def docs(
    build: Annotated[Path | None, typer.Option(help="Build the site into this folder; else into your cache, once.")] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser, where this is a terminal.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Open the documentation: a site on this machine that needs no network. Needs the extra `docs`."""
    import webbrowser

    import typer.main

    from coordeval.flows.cli.main import app
    from coordeval.flows.site import building
    from coordeval.flows.site.generated import generated_pages

    pages = generated_pages(typer.main.get_command(app))
    site = building.kept(pages) if build is None else building.build(build, pages)
    first = site.first.absolute()
    if as_json:
        print_result({"page": str(first), "pages": site.pages, "built": site.built})
        return
    console.print(f"{first}: {site.pages} pages{'' if site.built else ', built before'}", soft_wrap=True)
    if build is None and browser and sys.stdout.isatty():
        webbrowser.open(first.as_uri())
