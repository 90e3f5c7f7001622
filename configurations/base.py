"""What a configuration is: a class with a name, parameters, its seven elements, and one coroutine."""

import hashlib
import inspect
import sys
from collections.abc import Collection, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from coordeval.configurations.elements import Elements
from coordeval.configurations.panel import Forecast, Panel, PanelError


class Configuration(BaseModel):
    """A coordination structure. Subclass it, declare `name` and `elements`, and write `forecast` with the panel's verbs.

    Annotated fields are its parameters; a study file sets them (a TOML list is a `list[...]`, not a tuple). Role texts are
    read from a folder `roles/` beside the class's own file, else from the ones that come with the project. A {name} in
    one is filled by the ask's details (`delegate` fills {task}, `revise` {agents}); a brace that means itself is doubled.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: ClassVar[str]
    elements: ClassVar[Elements]
    files: ClassVar[tuple[str, ...]] = ()
    """Parameters that name a file, beside the study's; what is in it is part of the study's identity."""

    def refuses(self, markets: Collection[str]) -> str | None:
        """Why it may not forecast these markets (ids); None where it may."""
        del markets
        return None

    async def forecast(self, panel: Panel) -> Forecast:
        """Ask, show, pool, and return `panel.conclude(...)`."""
        raise NotImplementedError

    @classmethod
    def roles(cls) -> dict[str, str]:
        """Every declared role's text. Raises PanelError for a role without a file."""
        return {endpoint.role: cls.role_text(endpoint.role) for endpoint in cls.elements.endpoints}

    @classmethod
    def role_text(cls, role: str) -> str:
        source = getattr(sys.modules.get(cls.__module__), "__file__", None)
        own = Path(source).parent / "roles" / f"{role}.md" if source else None
        if own is not None and own.is_file():
            return own.read_text(encoding="utf-8")
        if (built_in := project_role(role)) is not None:
            return built_in
        raise PanelError(f"{cls.name}: no text for role {role!r}; write it to {own or f'roles/{role}.md beside the class'}")

    def identity(self) -> Mapping[str, Any]:
        """Everything about it that could change a forecast: parameters, role texts, elements and its code (see `_code`)."""
        return {
            "name": self.name,
            "parameters": self.model_dump(mode="json"),
            "roles": {role: _sha(text) for role, text in self.roles().items()},
            "elements": _sha(repr(self.elements)),
            "code": _sha("\x1f".join(_code(cls) for cls in type(self).__mro__ if _declares(cls))),
        }


def project_role(role: str) -> str | None:
    """The text of a role that comes with the project; None where none of that name does."""
    text = files("coordeval.configurations").joinpath(f"roles/{role}.md")
    return text.read_text(encoding="utf-8") if text.is_file() else None


def own_roles(roles: Mapping[str, str]) -> list[str]:
    """Of a configuration's roles (name -> hash of its text, as in `identity`) those whose text is not the project's own."""
    own = {role: project_role(role) for role in roles}
    return [role for role, digest in roles.items() if (text := own[role]) is None or _sha(text) != digest]


def _declares(cls: type) -> bool:
    return issubclass(cls, Configuration) and cls is not Configuration


def _code(cls: type) -> str:
    """The whole module that a class stands in, helpers included; what that module imports is not part of it."""
    for thing in (sys.modules.get(cls.__module__), cls):
        try:
            source = inspect.getsource(thing)  # type: ignore[arg-type]
        except (OSError, TypeError):
            continue
        # by whichever name it imports the panel, it is the same code: ledgers from before there was one import name go on
        return f"{cls.__qualname__}\x1f{source.replace('from coordeval.configurations', 'from configurations')}"
    return repr(cls)  # defined at a prompt: there is no source to hash


def code_hash(cls: type) -> str:
    """Of the module that a class stands in: for what a configuration decides by, where that is another module's."""
    return _sha(_code(cls))


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
