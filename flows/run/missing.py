"""What the open forecasts of a study would cost, reckoned from those that were answered."""

from dataclasses import dataclass

from coordeval.ledger import Reader


@dataclass(frozen=True, slots=True)
class Missing:
    """Of a study's open forecasts."""

    open: int
    micro_usd: int
    """What those of configurations that have answered ones would cost, at the mean paid so far."""
    unknown: int
    """Those of configurations without one that was answered and priced."""

    def __str__(self) -> str:
        rest = f", and {self.unknown} more of which nothing is known yet" if self.unknown else ""
        if self.unknown == self.open:
            return f"what the {self.open} open forecasts would cost is not known: none of their kind was answered"
        about = f"{self.open - self.unknown} open forecasts would cost about ${self.micro_usd / 1e6:.2f} more"
        return f"{about}, as the answered ones did{rest}"


def missing(reader: Reader, study_id: str) -> Missing | None:
    """What is open, and what it would cost; None where nothing is."""
    rows = reader.query(
        """
        SELECT count(*) FILTER (f.status IS NULL OR (f.status = 'failed' AND f.retryable)) AS open,
            avg(f.paid_micro_usd) FILTER (f.status = 'answered') AS mean
        FROM cells c LEFT JOIN forecasts f USING (forecast_id) WHERE c.study_id = $study GROUP BY c.arm, c.configuration
        """,
        {"study": study_id},
    ).to_dicts()
    rows = [row for row in rows if row["open"]]
    if not rows:
        return None
    return Missing(
        open=sum(row["open"] for row in rows),
        micro_usd=round(sum(row["open"] * row["mean"] for row in rows if row["mean"] is not None)),
        unknown=sum(row["open"] for row in rows if row["mean"] is None),
    )
