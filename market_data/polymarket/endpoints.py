"""Where Polymarket's three public services are, and where a stand-in serves them: one server, three paths."""

from dataclasses import dataclass

from coordeval.market_data.http import Service

REQUESTS_PER_SECOND = 2.0
"""The advice of the one measured cookbook; the documented limits (Gamma `/markets` 300 per 10 s) are higher."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    gamma: Service
    clob: Service
    data: Service

    @staticmethod
    def live(requests_per_second: float = REQUESTS_PER_SECOND) -> "Endpoints":
        """The venue itself. No service needs a key."""
        return Endpoints(
            gamma=Service(
                name="Gamma", base_url="https://gamma-api.polymarket.com", requests_per_second=requests_per_second
            ),
            clob=Service(name="CLOB", base_url="https://clob.polymarket.com", requests_per_second=requests_per_second),
            data=Service(
                name="Data API", base_url="https://data-api.polymarket.com", requests_per_second=requests_per_second
            ),
        )

    @staticmethod
    def at(base_url: str, requests_per_second: float | None = None) -> "Endpoints":
        """A stand-in: `/gamma`, `/clob` and `/data` below `base_url`."""
        base = base_url.rstrip("/")
        gamma, clob, data = (
            Service(name=name, base_url=f"{base}/{path}", requests_per_second=requests_per_second)
            for name, path in (("Gamma", "gamma"), ("CLOB", "clob"), ("Data API", "data"))
        )
        return Endpoints(gamma=gamma, clob=clob, data=data)
