"""The information-control certificate as a value: what every configuration was given alike, and what differed.

`run.control` takes it from the stored bytes of a study. A comparison of configurations means something only where it is
held, so a report that is given one that is not shows the difference in place of the comparison.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from coordeval.agents.capabilities import base_id

Status = Literal["same", "differs", "not recorded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One value of a field, and how many requests of each configuration carry it."""

    value: str
    draws: Mapping[str, int]
    example: str
    """draw_id of a request that carries it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One thing that must be the same everywhere. `values` holds what was found, the most frequent first."""

    name: str
    status: Status
    detail: str
    values: tuple[Value, ...]
    """Of a field compared per market: those of the first market where it differs. Of long texts: where they differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """How many replies came from a model, by its own word, and which model was asked for them."""

    asked: str
    served: str
    draws: int

    @property
    def alike(self) -> bool:
        """The same model, or the dated snapshot that its alias stands for."""
        return base_id(self.served) == base_id(self.asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """One arm of a study held against its first: exactly what the arm declares may differ between their requests."""

    first: str
    second: str
    declared: tuple[str, ...]
    """The factors that the study says are different."""
    differs: tuple[str, ...]
    """Those that are, by the stored identities."""
    problems: tuple[str, ...]
    """What differs and was not declared, or was declared and does not differ."""
    held: bool | None
    """None: nothing is planned of one of the two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The certificate. A comparison of configurations means something only where it is `held`."""

    study_id: str
    study: str
    simulated: bool
    imported: bool
    draws: Mapping[str, int]
    """Requests per configuration that asks a model; a draw that several share counts for each."""
    baselines: tuple[str, ...]
    """Configurations that ask no model, so there is nothing to hold fixed."""
    probes: tuple[str, ...]
    """Labels that are left out of everything else here, because they are a probe: they differ on purpose."""
    unasked: tuple[str, ...]
    """Configurations that should ask a model and of which no request is stored: pending or failed."""
    fields: tuple[Field, ...]

    answered: tuple[Answered, ...] = ()
    """Who answered, the most frequent first; empty where that was not recorded."""

    @property
    def substituted(self) -> str | None:
        """A sentence where another model than the one asked answered, because the results are about that one; else None."""
        others = [one for one in self.answered if not one.alike]
        if not others:
            return None
        total = sum(one.draws for one in self.answered)
        who = ", ".join(f"{one.served} ({one.draws} of {total} replies)" for one in others)
        asked = ", ".join(sorted({one.asked for one in others}))
        return f"{asked} was asked, and {who} answered: what is reported here is about the model that answered"

    @property
    def held(self) -> bool | None:
        """True: all fields are the same; False: one differs; None: none differs, but something is not stored."""
        statuses = {field.status for field in self.fields}
        return False if "differs" in statuses else None if "not recorded" in statuses or self.unasked else True

    @property
    def differences(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if field.status == "differs")

    @property
    def incomparable(self) -> str | None:
        """Why a difference between configurations says nothing of coordination; None where nothing is known to differ."""
        if self.held is not False:
            return None
        what = ", ".join(field.name for field in self.differences)
        return f"the configurations were not given the same {what}, so a difference between them is not one of coordination"

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        values: dict[str, Any] = orjson.loads(orjson.dumps(self))
        return {"held": self.held, **values}
