"""A small study of games, played once for all tests of this folder by players that are as simple as can be."""

from pathlib import Path

import pytest

from coordeval.flows.grounding.running import run_games
from coordeval.flows.grounding.study import LoadedGames, load_games
from coordeval.flows.run import guard
from coordeval.flows.run.ending import End
from coordeval.flows.terminal import Terminal

PLAYERS = '''
"""Players who say a little, and buy by a hash of what they read."""
import re
import zlib

from coordeval.agents.messages import Reply, Usage
from coordeval.agents.providers import ModelSettings


class Settings(ModelSettings):
    stubborn: bool = False


class Simple:
    def __init__(self, stubborn):
        self.identity = {"model": "simple", "stubborn": stubborn}
        self.stubborn = stubborn

    async def complete(self, request, slot):
        text = request.messages[0]["content"]
        form = re.search(r"submit_(\\w+)`\\.$", text)[1]
        word = zlib.crc32(f"{text}{slot.replicate}".encode())
        units = 99 if self.stubborn else 1 + word % 5
        content = {
            "words": {"text": f"I take {1 + word % 3} timber.", "done": False},
            "message": {"text": "See the plan.", "plan": [{"who": "me", "resource": "timber", "units": 2}], "done": True},
            "proposal": {"text": "Hm.", "acts": [], "done": True},
            "submission": {"purchases": [{"resource": "timber", "units": units}]},
        }[form]
        block = {"type": "tool_use", "id": "toolu_1", "name": f"submit_{form}", "input": content}
        usage = Usage(input_tokens=len(text) // 4, output_tokens=20)
        return Reply(content=[block], stop_reason="tool_use", model=request.model, usage=usage, micro_usd=5, seconds=0.1)


class Provider:
    name = "simple"
    about = "simple players"
    needs = "nothing"
    money = "simulated"
    settings = Settings

    @staticmethod
    def model(settings, around):
        return Simple(settings.stubborn)
'''
STUDY = """
name = "{name}"
replicates = 2
conditions = [
    "solo",
    "oracle",
    "chance",
    "fair_split",
    "pair",
    {{ name = "pair", label = "no talk", talk = false }},
    {{ name = "pair", label = "structured", structured = true }},
    {{ name = "pair", label = "record", repair = "shared_record" }},
]
[instances]
count = 3
[model]
provider = "players.py"
{more}
"""


def study(folder: Path, name: str = "small", more: str = "") -> Path:
    """The file of a study of games, with its players beside it."""
    (folder / "players.py").write_text(PLAYERS)
    file = folder / f"{name}.toml"
    file.write_text(STUDY.format(name=name, more=more))
    return file


def played(loaded: LoadedGames, ledger: Path) -> End:
    end: End = guard.run(run_games(loaded, ledger, Terminal(quiet=True)))
    return end


@pytest.fixture(scope="package")
def small(tmp_path_factory) -> tuple[LoadedGames, Path]:
    """(the study, the ledger in which it was played)."""
    folder = tmp_path_factory.mktemp("games")
    loaded = load_games(study(folder))
    assert played(loaded, folder / "ledger.duckdb").status == "complete"
    return loaded, folder / "ledger.duckdb"
