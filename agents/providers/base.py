"""What a model provider is: a name that a study's `[model]` gives, the keys that it takes there, and the model made of them.

A provider of your own is one class of this shape, by the entry point group `coordeval.models` or in a Python file that the
study names (`provider = "my_model.py"`). docs/models.md shows a whole one, and `coordeval.agents.providers.kit` tries it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from coordeval.agents.messages import Model
from coordeval.agents.prices import PriceBook

Money = Literal["paid", "not paid", "simulated"]
"""What becomes of a study's dollars: paid to somebody, not paid because replies are replayed, or made up."""


class ModelSettings(BaseModel):
    """The keys of `[model]` that every provider has; a provider adds its own. All of them are part of a study's identity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    provider: str
    max_tokens: int = Field(default=4000, ge=1)
    """The output cap of one call."""
    takes_tools: bool = Field(default=True, exclude=True)
    """False: it takes no tools but those that it answers with, and is given none. No part of identity."""

    @property
    def model_id(self) -> str:
        """The model id that requests carry: the key `id`, where a provider has one."""
        return str(getattr(self, "id", ""))

    @property
    def sampling_parameters(self) -> dict[str, Any]:
        """The sampling parameters that the study fixes."""
        return dict(getattr(self, "sampling", {}))

    @property
    def secrets(self) -> tuple[str, ...]:
        """Environment variables that hold keys: they leave the environment before foreign code is loaded."""
        return ()

    def check(self) -> list[str]:
        """Warnings about these settings together. Raises CoordevalError for what the model would refuse."""
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a provider is given beside its settings."""

    prices: PriceBook = field(default_factory=PriceBook.bundled)
    call_seconds: float = 600.0
    """One call, from connecting to the last byte."""
    data: Path = Path("data")
    """Where datasets are kept."""
    asks: bool = True
    """False: the model is made for its identity only, so no key is needed, and nothing is asked of it."""
    asking: Sequence[str] = ()
    """The study's configurations that call a model."""


class Provider(Protocol):
    """A source of models. It is a class; nothing is made of it but models."""

    name: ClassVar[str]
    """What `provider` in `[model]` says."""
    about: ClassVar[str]
    """One sentence for `coordeval models`."""
    needs: ClassVar[str]
    """What a user must bring, such as the variable of a key; "nothing"."""
    money: ClassVar[Money]
    settings: ClassVar[type[ModelSettings]]

    @staticmethod
    def model(settings: Any, around: Around) -> Model:
        """The model. Raises CoordevalError where something is missing that it needs; sends nothing."""
        ...
