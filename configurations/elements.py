"""The seven elements of a coordination layer (arXiv 2605.03310), declared as data by every configuration.

A misspelt or wrongly shaped element is refused where it is declared (pydantic), not read as another one.
"""

from dataclasses import asdict
from typing import Any, Literal, Self

from pydantic import model_validator
from pydantic.dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A role that the configuration asks, and what it answers with."""

    role: str
    answers: Literal["estimate", "report", "message", "proposal", "submission"]
    sees_price: bool = True
    """False: the market's price is in no request to this role, whatever the study shows to others."""
    tools: Literal["given", "optional", "withheld"] = "given"
    """Whether it has the tools that its arm of the study gives: "withheld": in no ask; "optional": an ask may withhold them
    (`without_tools=True`). Nothing adds tools that the arm does not give."""

    def __repr__(self) -> str:
        # what stands at its default is left out: configurations that were declared before it keep their identity
        blind = "" if self.sees_price else ", sees_price=False"
        tools = "" if self.tools == "given" else f", tools={self.tools!r}"
        return f"Endpoint(role={self.role!r}, answers={self.answers!r}{blind}{tools})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Elements:
    """What makes a configuration what it is. The report prints it, and the conformance check holds runs against it."""

    endpoints: tuple[Endpoint, ...]
    topology: tuple[tuple[str, str], ...]
    """Directed edges between roles: (who spoke, who was shown it)."""
    authority: str
    """Whose word decides."""
    synchronisation: str
    """In which order agents act, and who waits for whom."""
    aggregation: str
    """How estimates become the forecast."""
    termination: str
    """When the exchange ends."""
    failure_handling: Literal["exclude", "abort"]
    """exclude: go on with the agents that answered, while they are the majority; abort: the cell fails."""

    @model_validator(mode="after")
    def _the_price_stays_hidden(self) -> Self:
        for speaker, listener in self.topology:
            if listener in self.blind and speaker not in self.blind:
                raise ValueError(
                    f"{listener!r} does not see the price, and {speaker!r}, which does, would tell it; "
                    "declare sees_price=False for both, or leave the edge out"
                )
        return self

    @property
    def blind(self) -> frozenset[str]:
        """The roles that do not see the price."""
        return frozenset(endpoint.role for endpoint in self.endpoints if not endpoint.sees_price)

    def as_dict(self) -> dict[str, Any]:
        """As JSON; of an endpoint `sees_price` only where it is false, and `tools` only where they are not just given."""
        given = asdict(self)
        for endpoint in given["endpoints"]:
            if endpoint["sees_price"]:
                del endpoint["sees_price"]
            if endpoint["tools"] == "given":
                del endpoint["tools"]
        return given
