"""Where the three evidence services are, how often each may be asked, and the same for a stand-in."""

from dataclasses import dataclass

from coordeval.market_data.http import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The paths of the three do not collide, so that one stand-in serves all of them."""

    mediawiki: Service
    wayback: Service
    gdelt: Service

    @staticmethod
    def live() -> "Services":
        """Wikimedia asks for serial requests, web.archive.org's CDX for 30 a minute, GDELT for one in five seconds.

        Wikimedia's policy also wants a way to reach the user: give the HttpClient a `contact`.
        """
        return Services(
            mediawiki=Service(name="MediaWiki", base_url="https://en.wikipedia.org", requests_per_second=1.0),
            wayback=Service(name="Wayback", base_url="https://web.archive.org", requests_per_second=0.5),
            gdelt=Service(name="GDELT", base_url="https://api.gdeltproject.org", requests_per_second=0.2),
        )

    @staticmethod
    def at(base_url: str) -> "Services":
        """A stand-in. Documents then carry its address as their source, so they cannot pass for real ones."""
        base = base_url.rstrip("/")
        mediawiki, wayback, gdelt = (
            Service(name=name, base_url=base, requests_per_second=None) for name in ("MediaWiki", "Wayback", "GDELT")
        )
        return Services(mediawiki=mediawiki, wayback=wayback, gdelt=gdelt)
