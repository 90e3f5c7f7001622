"""The section [markets] of a prospective study: which open markets are forecast, how many a day, and from where."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from coordeval.market_data.texts import UndatedText


class OpenMarkets(BaseModel):
    """Markets that are still open: picked day by day by this rule, forecast as of that moment, scored once they resolve."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    source: Literal["open"]
    venue: str = Field(min_length=1)
    """"simulated", a venue of `coordeval markets sources`, or a Python file with one."""
    closes_after_days: float = Field(default=7, ge=0, le=10_000)
    """The announced deadline lies at least that far ahead of the moment of picking."""
    closes_within_days: float = Field(default=30, gt=0, le=10_000)
    """And at most that far."""
    min_volume: float = Field(default=0, ge=0)
    """In the venue's own unit."""
    price_between: tuple[float, float] = (0.0, 1.0)
    """The last price of YES at the moment of picking."""
    price_days: float = Field(default=15, gt=0, le=1000)
    """Days of prices before the moment of picking."""
    per_day: int = Field(default=10, ge=1, le=10_000)
    """New markets a day."""
    per_event: int = Field(default=1, ge=1, le=1000)
    """Over the whole study; each market is forecast once."""
    seed: int = Field(default=1, ge=0)
    """The order in which eligible markets are taken, and the seed of the simulated venue."""
    undated_text: UndatedText = "cut"
    """As in a sample of pulled markets."""
    base_url: str | None = None
    """Another address of the venue, such as a stand-in's."""
    contact: str = ""
    """How the venue reaches you."""

    @model_validator(mode="after")
    def _ranges(self) -> "OpenMarkets":
        if self.closes_after_days >= self.closes_within_days:
            raise ValueError(
                f"closes_after_days = {self.closes_after_days:g} is not below closes_within_days = "
                f"{self.closes_within_days:g}, so no market could be picked"
            )
        low, high = self.price_between
        if not 0 <= low < high <= 1:
            raise ValueError(f"price_between = [{low:g}, {high:g}]: write two prices from 0 to 1, the lower one first")
        return self
