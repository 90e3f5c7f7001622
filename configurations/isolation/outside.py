"""An isolated configuration as the run sees it: the panel is here, the plugin's code is in a worker process."""

import asyncio
import base64
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from coordeval.configurations.base import Configuration, _sha
from coordeval.configurations.elements import Elements
from coordeval.configurations.isolation.frames import frame
from coordeval.configurations.isolation.processes import asked, nursery
from coordeval.configurations.isolation.serving import Serving
from coordeval.configurations.panel import Forecast, Panel
from coordeval.market_data.plugins import PluginError


class Isolated(Configuration):
    """The stand-in for a configuration of a plugin file that this process never loads. Its identity is the same."""

    file: ClassVar[Path]
    told: ClassVar[Mapping[str, Any]]
    """What the plugin says of itself, as `described` has it."""
    closed: ClassVar[tuple[str, ...]]
    """What the system closes to its processes: "files", "network", "processes"."""

    given: dict[str, Any]
    parameters: dict[str, Any]
    """All of them, defaults too, as JSON."""
    code: str

    @classmethod
    def made(cls, parameters: Mapping[str, Any]) -> Self:
        pickled = base64.b64encode(pickle.dumps(dict(parameters))).decode()
        answer = asked(cls.file, {"do": "create", "name": cls.name, "parameters": pickled})
        try:
            identity = answer["identity"]
            return cls(given={"pickled": pickled}, parameters=identity["parameters"], code=identity["code"])
        except (KeyError, TypeError, ValueError) as error:
            raise PluginError(f"plugin file {cls.file}: {cls.name} gives no identity ({error})") from error

    @classmethod
    def roles(cls) -> dict[str, str]:
        return {endpoint.role: str(cls.told["roles"][endpoint.role]) for endpoint in cls.elements.endpoints}

    def identity(self) -> Mapping[str, Any]:
        return {
            "name": self.name,
            "parameters": self.parameters,
            "roles": {role: _sha(text) for role, text in self.roles().items()},
            "elements": _sha(repr(self.elements)),
            "code": self.code,
        }

    async def forecast(self, panel: Panel) -> Forecast:
        """Raises what the configuration raised, or WorkerEnded. However it ends, its process is gone then."""
        wanted = {
            "do": "forecast",
            "name": self.name,
            "parameters": self.given["pickled"],
            "code": self.code,
            "question": panel.question,
            "market_price": panel.market_price,
            "facts": dict(panel.facts),
        }
        worker = nursery().start(self.file)
        reader, writer = await asyncio.open_connection(sock=worker.socket)
        serving = Serving(panel, worker, reader, writer)
        try:
            writer.write(frame(wanted))
            return await serving.to_the_end()
        finally:
            serving.over()


def isolated(file: Path) -> list[type[Isolated]]:
    """A stand-in for each configuration that a plugin file holds. Raises PluginError where it cannot be loaded."""
    if not file.is_file():
        raise PluginError(f"plugin file {file} does not exist")
    file = file.resolve()
    answer = asked(file, {"do": "describe"})
    try:
        closed = tuple(str(what) for what in answer["closed"])
        return [_stand_in(file, row, closed) for row in answer["rows"]]
    except (KeyError, TypeError, ValueError) as error:
        raise PluginError(f"plugin file {file}: it does not say what its configurations are ({error})") from error


def _stand_in(file: Path, row: Mapping[str, Any], closed: tuple[str, ...]) -> type[Isolated]:
    members = {
        "__doc__": str(row["about"]),
        "__module__": __name__,
        "name": str(row["name"]),
        "elements": Elements(**row["elements"]),
        "file": file,
        "told": row,
        "closed": closed,
    }
    made: type[Isolated] = type(Isolated)(f"Isolated_{row['name']}"[:100], (Isolated,), members)  # type: ignore[misc]
    return made
