"""What a study may be called, since its name also names a folder; and the one arm whose name is ours."""

import re
from pathlib import Path
from typing import Final, Literal

GAMES: Final[Literal["grounding"]] = "grounding"
"""What `studies.source` says of a study of games, which no command that is about forecasts looks at."""

PROBE: Final = "memorisation_probe"
"""The arm that shows one agent the question and nothing else; no configuration, so it is never compared with one."""

RULE: Final = (
    "a study's name also names a folder, on every system: 1 to 100 of a-z, 0-9, '.', '_' and '-', beginning with a letter "
    "or digit, not ending in '.', and not a device of Windows such as con, nul or com1"
)
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9_-])?")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?")


def allowed(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and _DEVICE.fullmatch(name) is None


def named_after(file: Path) -> str:
    """A name like that of the file: "My study.toml" gives my-study."""
    like = re.sub(r"[^a-z0-9._-]+", "-", file.stem.lower()).strip("-._")[:80].rstrip("-._")
    return like if allowed(like) else f"study-{like}".rstrip("-")
