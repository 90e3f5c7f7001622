"""A model around another one: it is the one within to everybody who asks who it is."""

from collections.abc import Mapping
from typing import Any

from coordeval.agents.messages import Model


class Wrapped:
    """What every model around another one shares; `complete` is its own."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def identity(self) -> Mapping[str, Any]:
        return self._model.identity

    @property
    def former_identities(self) -> list[Mapping[str, Any]]:
        return list(getattr(self._model, "former_identities", ()))

    async def aclose(self) -> None:
        """Closes the model within, where it has anything to close."""
        if (close := getattr(self._model, "aclose", None)) is not None:
            await close()
