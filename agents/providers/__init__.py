"""Model providers: where a study's model comes from. The built-in ones come through the same door as anybody's."""

from coordeval.agents.providers.base import Around, ModelSettings, Money, Provider
from coordeval.agents.providers.registry import GROUP, from_file, load

__all__ = ["GROUP", "Around", "ModelSettings", "Money", "Provider", "from_file", "load"]
