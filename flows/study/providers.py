"""Which provider a study's `[model]` names: one that is installed, or a Python file of the user's own."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from coordeval.agents.providers import ModelSettings, Provider, from_file, load
from coordeval.flows.study.reading import StudyError
from coordeval.market_data.plugins import PluginError


def secrets_of(settings: ModelSettings) -> tuple[str, ...]:
    """The variables of keys that this process may use: the model's own, and those of the built-in providers."""
    return (*dict.fromkeys((*settings.secrets, "ANTHROPIC_API_KEY", "OPENAI_API_KEY")),)


def provider_of(settings: ModelSettings, directory: Path) -> tuple[type[Provider], ModelSettings, tuple[Path, ...]]:
    """(the provider, its own checked settings, the file that defines it).

    `directory` is the study's, where a file is looked for. Raises PluginError or StudyError.
    """
    files: tuple[Path, ...] = ()
    if settings.provider.endswith(".py"):
        files = (directory / settings.provider,)
        provider = from_file(files[0])
    else:
        try:
            provider = load().of(settings.provider)
        except PluginError as error:
            raise StudyError(f"model.provider = {settings.provider!r}: {error}") from error
    if isinstance(settings, provider.settings):
        return provider, settings, files
    try:
        return provider, provider.settings.model_validate(settings.model_dump()), files
    except ValidationError as error:
        raise StudyError("\n".join(f"model.{_problem(problem)}" for problem in error.errors())) from error


def _problem(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "(the section)"
    return f"{where} = {error['input']!r}: {error['msg'].removeprefix('Value error, ')}"
