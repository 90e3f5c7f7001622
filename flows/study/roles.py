"""What is said of roles: whose texts the simulator does not obey, who sees no price, and from whom tools are withheld."""

from collections.abc import Mapping
from typing import Any

import orjson

from coordeval.configurations.base import own_roles
from coordeval.ledger import Reader, Study

_IDENTITIES = "SELECT configuration, min(identity) AS identity FROM cells WHERE study_id = ? GROUP BY ALL ORDER BY ALL"


def roles_not_read(identities: Mapping[str, Mapping[str, Any]]) -> str | None:
    """A sentence naming the roles whose text is a user's own; None where there is none. `identities`: of configurations, by
    label."""
    own = [f"{role!r} ({label})" for label, identity in identities.items() for role in own_roles(identity["roles"])]
    if not own:
        return None
    return (
        f"The simulated model does not read role texts: {', '.join(own)} {'is' if len(own) == 1 else 'are'} a plain "
        "forecaster to it, so what these texts ask for shows with a real model only"
    )


def stored_roles_not_read(reader: Reader, study: Study) -> str | None:
    """The same of a stored study; None where another model was asked, or no identity is stored."""
    if study.content.get("model", {}).get("provider") != "simulated":
        return None
    rows = reader.query(_IDENTITIES, [study.study_id]).iter_rows()
    stored = {label: orjson.loads(identity).get("configuration") for label, identity in rows if identity}
    return roles_not_read({label: one for label, one in stored.items() if one and "roles" in one})


def blind_roles(elements: Mapping[str, Any]) -> set[str]:
    """The roles of declared elements that do not see the price; elements may be words where a study was imported."""
    return {str(end["role"]) for end in _declared(elements) if end.get("sees_price", True) is False}


def roles_without_tools(elements: Mapping[str, Any]) -> dict[str, str]:
    """Role -> "withheld" where it has no tools in any ask, "optional" where an ask may withhold them; no other role."""
    return {str(end["role"]): str(end["tools"]) for end in _declared(elements) if end.get("tools", "given") != "given"}


def _declared(elements: Mapping[str, Any]) -> list[dict[str, Any]]:
    ends = elements.get("endpoints")
    return [end for end in ends if isinstance(end, dict)] if isinstance(ends, list) else []
