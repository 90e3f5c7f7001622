"""What passes through the panel: what agents say, and what is said of it."""

from dataclasses import dataclass

from coordeval.configurations.acts import Act


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What one agent said in one round: its probability of YES in [0, 1], why, and how it read the question."""

    agent: int
    role: str
    round: int
    ask: int
    probability: float
    rationale: str
    reading: str

    @property
    def statement(self) -> str:
        """How another agent gets to read it."""
        return f"Probability: {self.probability:.3f}\nReading: {self.reading}\nRationale: {self.rationale}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one agent wrote where no probability was asked. `parts` holds the items where its role asks for a list."""

    agent: int
    role: str
    round: int
    ask: int
    text: str
    parts: tuple[str, ...]
    acts: tuple[Act, ...] = ()
    """What was committed to, where that was asked for (`Panel.commit`)."""

    @property
    def statement(self) -> str:
        return self.text


Said = Estimate | Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """A sentence about what agents said, such as their median. Made by `Panel.statistic` only."""

    text: str
    of: tuple[Said, ...]

    @property
    def round(self) -> int:
        return max(said.round for said in self.of)


Material = Said | Statistic
"""What an agent can be shown."""
