"""The replies of a published run as a provider: replayed, and paid by nobody."""

from typing import ClassVar, Literal

from coordeval.agents.messages import Model
from coordeval.agents.providers.base import Around, ModelSettings, Money
from coordeval.agents.recorded import published_recording
from coordeval.market_data.traces100 import install


class RecordedModelSection(ModelSettings):
    """Replies of a published run, replayed."""

    provider: Literal["recorded"]
    recording: Literal["coordination-traces-100"]
    """Whose replies."""

    @property
    def model_id(self) -> str:
        return "claude-opus-4-6"


class Recorded:
    """A published run's replies."""

    name: ClassVar[str] = "recorded"
    about: ClassVar[str] = "the replies of a published run, replayed (coordination-traces-100)"
    needs: ClassVar[str] = "nothing; the dataset is downloaded once"
    money: ClassVar[Money] = "not paid"
    settings: ClassVar[type[ModelSettings]] = RecordedModelSection

    @staticmethod
    def model(settings: RecordedModelSection, around: Around) -> Model:
        recorded = published_recording(install(around.data))
        recorded.require(list(around.asking))
        return recorded
