"""Evidence for a study: each provider is searched once per market, as of the study's moment, before any agent is asked.

So every configuration has the same documents, and a search that was answered is never made again. What a provider or the
gate held back is stored with its reason.
"""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime

import httpx
import orjson

from coordeval.flows.run.planning import as_of_times
from coordeval.flows.run.waiting import told
from coordeval.flows.study.evaluation import Evaluation
from coordeval.flows.study.sections import EvidenceSection
from coordeval.flows.terminal import Terminal
from coordeval.ledger import Reader, row_of
from coordeval.ledger.information import known_markets
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.evidence import EvidenceProvider, Gdelt, MediaWiki, Query, Services, Wayback
from coordeval.market_data.http import HttpClient, Patience
from coordeval.market_data.texts import admitted

Transport = httpx.AsyncBaseTransport


async def gather(
    evaluation: Evaluation,
    market_ids: Sequence[str],
    *,
    transport: Transport | None = None,
    patience: Patience | None = None,
    on_market: Callable[[int, int], None] = lambda done, total: None,
    say: Callable[[str], object] | None = None,
) -> int:
    """Search what was not searched yet; returns how many searches were made. Each market's documents are stored at once.

    An arm with evidence of its own has searches of its own. Raises CoordevalError where a provider could not be asked to the
    end: then no agent is asked, since some configurations' evidence would be thinner than the study says. What was found
    stays; run again, it goes on. `say` is told now and then how far it is (default: the terminal's second stream).
    """
    sections = dict.fromkeys(arm.study.evidence for arm in evaluation.loaded.arms)
    found = [
        await _searched_for(evaluation, section, market_ids, transport, patience, on_market, say)
        for section in sections
        if section.providers
    ]
    return sum(found)


async def _searched_for(
    evaluation: Evaluation,
    section: EvidenceSection,
    market_ids: Sequence[str],
    transport: Transport | None,
    patience: Patience | None,
    on_market: Callable[[int, int], None],
    say: Callable[[str], object] | None,
) -> int:
    """What one section of evidence asks for; arms may have others."""
    times = as_of_times(evaluation.loaded, evaluation.reader, market_ids)
    made, problems, done = 0, [], 0
    names = ", ".join(section.providers)

    def words() -> str:
        return f"waiting for evidence ({names}): {done} of {len(market_ids)} markets"

    async with AsyncExitStack() as open_:
        open_.enter_context(told(words, say or Terminal(stderr=True).print))
        client = await open_.enter_async_context(HttpClient(contact=section.contact, transport=transport, patience=patience))
        providers = _providers(client, section.providers, section.base_url)
        for number, market in enumerate(known_markets(evaluation.reader, market_ids), start=1):
            as_of = times[market.id]
            for provider in providers:
                shown, _ = admitted(market, as_of, "show")  # no address that was added later is looked up
                query = Query.of(shown)
                asked = asked_of(section, query)
                if _searched(evaluation.reader, market.id, as_of, provider.name, asked):
                    continue
                try:
                    found = await provider.search(query, as_of, section.limit)
                except CoordevalError as error:
                    problems.append(f"{provider.name}, market {market.id}: {error}")
                    continue
                made += 1
                if not found.complete:
                    problems += [f"{r.item}, market {market.id}: {r.reason}" for r in found.refusals if r.kind == "provider"]
                    continue
                evaluation.ledger.write_all(
                    {
                        "documents": [row_of(document) for document in found.documents],
                        "evidence_searches": [
                            {
                                "market_id": market.id,
                                "as_of": as_of,
                                "provider": provider.name,
                                "query": asked,
                                "ranks_by_todays_index": provider.ranks_by_todays_index,
                                "documents": orjson.dumps([document.id for document in found.documents]).decode(),
                                "refusals": orjson.dumps([[r.kind, r.item, r.reason] for r in found.refusals]).decode(),
                                "requests": found.requests,
                                "searched_at": evaluation.clock(),
                            }
                        ],
                    }
                )
            done = number
            on_market(number, len(market_ids))
    if problems:
        raise CoordevalError(
            f"evidence: {len(problems)} searches failed, the first: {problems[0]}; nothing was asked of a model. "
            "What was found is stored: run the same command again, or take the provider out of [evidence]"
        )
    return made


def _providers(client: HttpClient, names: Sequence[str], base_url: str | None) -> list[EvidenceProvider]:
    services = Services.at(base_url) if base_url else Services.live()
    known: dict[str, EvidenceProvider] = {
        "mediawiki": MediaWiki(client, services.mediawiki),
        "wayback": Wayback(client, services.wayback),
        "gdelt": Gdelt(client, services.gdelt),
    }
    return [known[name] for name in names]


def asked_of(section: EvidenceSection, query: Query) -> str:
    """Everything beside market, moment and provider that could change what a search finds, as JSON."""
    what = {"text": query.text, "urls": query.urls, "limit": section.limit, "base_url": section.base_url}
    return orjson.dumps(what).decode()


def _searched(reader: Reader, market_id: str, as_of: datetime, provider: str, asked: str) -> bool:
    sql = "SELECT count(*) FROM evidence_searches WHERE market_id = ? AND as_of = ? AND provider = ? AND query = ?"
    return bool(reader.query(sql, [market_id, as_of, provider, asked]).item())
