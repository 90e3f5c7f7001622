"""A configuration as plain JSON values: what it is, what it takes, its seven elements and its role texts."""

import inspect
from typing import Any

from coordeval.configurations.base import Configuration


def described(cls: type[Configuration]) -> dict[str, Any]:
    """`isolated` is null where it runs in the run's own process, else what its worker process is closed to.

    Raises whatever a plugin's own attributes raise.
    """
    if (told := getattr(cls, "told", None)) is not None:
        return {**told, "isolated": list(cls.closed)}  # type: ignore[attr-defined]
    parameters = {
        key: {
            "type": getattr(field.annotation, "__name__", str(field.annotation)),
            "default": None if field.is_required() else repr(field.get_default(call_default_factory=True)),
            "description": field.description or "",
        }
        for key, field in cls.model_fields.items()
    }
    return {
        "name": cls.name,
        "about": inspect.cleandoc(cls.__doc__ or "").strip(),
        "parameters": parameters,
        "elements": cls.elements.as_dict(),
        "roles": cls.roles(),
        "isolated": None,
    }
