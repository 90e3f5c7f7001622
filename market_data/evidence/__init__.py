"""Evidence as of a date, keyless and real: Wikipedia revisions, Wayback captures, GDELT headlines, through the one gate."""

from coordeval.market_data.evidence.gdelt import Gdelt
from coordeval.market_data.evidence.mediawiki import MediaWiki
from coordeval.market_data.evidence.provider import Composite, EvidenceProvider, Found
from coordeval.market_data.evidence.query import Query
from coordeval.market_data.evidence.services import Services
from coordeval.market_data.evidence.wayback import Wayback
from coordeval.market_data.http import HttpClient

__all__ = ["Composite", "EvidenceProvider", "Found", "Gdelt", "MediaWiki", "Query", "Services", "Wayback", "keyless"]


def keyless(client: HttpClient, services: Services | None = None) -> Composite:
    """The three providers that need no key, as one; `services` is a stand-in's, the real ones where it is None."""
    at = services or Services.live()
    return Composite([MediaWiki(client, at.mediawiki), Wayback(client, at.wayback), Gdelt(client, at.gdelt)])
