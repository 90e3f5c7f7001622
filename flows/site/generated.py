"""Every page that is read from the code when the site is built."""

import json
import re
from collections.abc import Mapping
from typing import Any

from coordeval.flows.site.commands import commands_page
from coordeval.flows.site.measures import measures_pages
from coordeval.flows.site.python_api import python_page
from coordeval.flows.site.references import configurations_page
from coordeval.flows.site.staging import sources
from coordeval.flows.site.study_keys import study_file_page
from coordeval.flows.site.tables import tables_page

MEASURES = "reference/measures/"


def generated_pages(command: Any) -> dict[str, str]:
    """Page of the site -> its Markdown. `command`: the command line, as click has it."""
    return {
        "reference/commands.md": commands_page(command),
        "reference/study-file.md": study_file_page(),
        "reference/configurations.md": configurations_page(),
        "reference/python.md": python_page(),
        "reference/tables.md": tables_page(),
        "design/index.md": _decisions(),
        **{f"{MEASURES}{room}.md": text for room, text in measures_pages().items()},
    }


def menu(text: str, generated: Mapping[str, str]) -> str:
    """mkdocs.yml with the pages that it names by one word only (YAML takes JSON for a list), and those that it forgot."""
    measures = [page for page in generated if page.startswith(MEASURES)]
    docs, _ = sources()
    design = ["design/index.md", *(f"design/{path.name}" for path in sorted((docs / "design").glob("*.md")))]
    text = text.replace("MEASURES", json.dumps(measures)).replace("DESIGN", json.dumps(design))
    pages = (path.relative_to(docs).as_posix() for path in sorted(docs.rglob("*.md")))
    others = [page for page in pages if not re.search(rf"[ \"]{re.escape(page)}[\"\n]", text)]
    return text.replace("OTHERS", json.dumps(others)) if others else re.sub(r".*OTHERS\n", "", text)


def _decisions() -> str:
    docs, _ = sources()
    rows = [
        f"- [{path.read_text(encoding='utf-8').partition(chr(10))[0].removeprefix('# ')}]({path.name})"
        for path in sorted((docs / "design").glob("*.md"))
    ]
    return "\n".join(
        [
            "# Decisions",
            "",
            "What was not obvious has a page: the choice, what was tried, what would change it.",
            "",
            *rows,
            "",
        ]
    )
