"""A model looks through what is stored of one forecast for the first cause of its fault: asked, paid and kept like all.

Its asks go through the draws, the budget, the pacing and the prices of a study's model, and nothing is asked that nobody
agreed to. What it found is a row of `findings`, so that whoever opens the forecast sees it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson

from coordeval.agents.budget import SERVER_TOKENS
from coordeval.agents.draws import CommonDraws
from coordeval.agents.messages import content_hash
from coordeval.agents.prices import utc_today
from coordeval.analysis.audit import Evidence
from coordeval.analysis.audit.exhibits import exhibits
from coordeval.analysis.audit.inquiry import Inquiry, taxonomy
from coordeval.analysis.audit.registry import load
from coordeval.analysis.audit.searching import Searched, one_pass, search
from coordeval.flows.costs.consent import Door, agreed_to_at_most
from coordeval.flows.study.evaluation import data_directory
from coordeval.flows.study.flight import Flight
from coordeval.flows.study.schema import Study
from coordeval.flows.study.study import LoadedStudy, load_study
from coordeval.flows.study.wiring import build_model, price_book
from coordeval.ledger import Ledger, Reader
from coordeval.market_data.errors import CoordevalError

KIND: Final = "diagnosis"
"""Of the rows of `findings` that hold what a model found."""
_STUDIES: Final = """
    SELECT DISTINCT s.name, s.simulated, s.content FROM cells c JOIN studies s USING (study_id)
    WHERE c.forecast_id = ? AND c.study_id = ?
"""
_TEXTS: Final = "SELECT ask, turn, position, arguments, result FROM tool_calls WHERE forecast_id = ?"
_KEPT: Final = """
    SELECT detail FROM findings WHERE kind = ? AND starts_with(finding_id, ?) ORDER BY created_at DESC, finding_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a model found, who it was, and what it took."""

    way: str
    """tree search or one pass."""
    model: str
    simulated: bool
    found: Searched
    usd: float | None
    """In full; null where a price is not known."""
    paid_usd: float | None
    at: datetime

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        values = {name: getattr(self, name) for name in ("way", "model", "simulated", "usd", "paid_usd")}
        return values | {"at": self.at.isoformat(), **self.found.as_json()}


def model_of(reader: Reader, forecast_id: str, study_id: str, file: Path | None) -> LoadedStudy:
    """The study whose model is asked: that of `file`; without one the forecast's own, where its model is simulated.

    Raises CoordevalError where a file has to be named, since a stored study holds no key, no prices and no budget.
    """
    if file is not None:
        return load_study(file, changes={"run.batch": False})
    [row] = reader.query(_STUDIES, [forecast_id, study_id]).to_dicts()
    model = orjson.loads(row["content"]).get("model") or {}
    if model.get("provider") != "simulated":
        raise CoordevalError(
            f"the model of {row['name']} is no simulated one: name a study file whose [model] is to be asked, with its "
            "prices and its budget, as in --model my-study.toml"
        )
    known = {"name": "diagnosis", "configurations": ["single_agent"], "model": model}
    return LoadedStudy(Study.model_validate({**known, "markets": {"source": "simulated", "count": 1}}), Path())


def ask(
    ledger: Path,
    known: Evidence,
    forecast_id: str,
    loaded: LoadedStudy,
    door: Door,
    console: Any,
    *,
    tokens: int,
    max_usd: Decimal | None = None,
    alone: bool = False,
    told: Callable[[str], None] = lambda _: None,
) -> Asked:
    """What the model of `loaded` finds within `tokens`: by a tree search, or `alone` by one pass. Stores it.

    Raises NotAgreed where nobody said yes to what it may cost, CoordevalError where the model or the ledger cannot be had,
    where `tokens` do not hold a single ask, or where they may cost more than `max_usd`.
    """
    least = SERVER_TOKENS + loaded.study.model.max_tokens
    if tokens <= least:
        raise CoordevalError(
            f"--tokens {tokens}: one ask may take more than {least:,} (a reply of up to {loaded.study.model.max_tokens:,} "
            "tokens and what the server adds), so not one could be made; give more, or lower model.max_tokens"
        )
    most = _most(loaded, tokens)
    if max_usd is not None and loaded.money == "paid" and (most is None or most > max_usd):
        worth = "an amount that is not known, since no price of its model is" if most is None else f"up to ${most:,.2f}"
        raise CoordevalError(f"--max-usd {max_usd}: {tokens:,} tokens may cost {worth}; give fewer --tokens")
    agreed_to_at_most(loaded, ledger, console, door, "this diagnosis", most)
    with Ledger.open(ledger, purpose="coordeval diagnose") as open_:
        made = asyncio.run(_ask(open_, ledger, known, forecast_id, loaded, tokens, alone, told))
        open_.write("findings", [_row(known, forecast_id, loaded, made)])
    return made


async def _ask(
    ledger: Ledger, path: Path, known: Evidence, forecast_id: str, loaded: LoadedStudy, tokens: int, alone: bool,
    told: Callable[[str], None],
) -> Asked:  # fmt: skip
    rows = Reader(path).query(_TEXTS, [forecast_id]).rows()
    texts = {(ask, turn, position): f"{arguments}\n{result}" for ask, turn, position, arguments, result in rows}
    market = str(known.cells.filter(forecast_id=forecast_id)["market_id"][0])
    found = exhibits(known, forecast_id, texts)
    model = build_model(loaded, data_directory(path), ledger, Flight())
    try:
        inquiry = Inquiry.about(
            found,
            taxonomy(load().made()),
            CommonDraws(model, ledger, ledger.known_draws([market])),
            tokens=tokens,
            settings=loaded.study.settings(),
            inquiry_id=f"{KIND} {forecast_id}",
            market_id=market,
        )
        told(f"{loaded.study.model_name} looks through {len(found.rows)} rows, within {tokens:,} tokens")
        done = await (one_pass(inquiry) if alone else search(inquiry))
    finally:
        if (close := getattr(model, "aclose", None)) is not None:
            await close()
    calls = inquiry.agents.calls
    return Asked(
        way="one pass" if alone else "tree search",
        model=loaded.study.model_name,
        simulated=loaded.money == "simulated",
        found=done,
        usd=_usd([call["attributed_micro_usd"] for call in calls]),
        paid_usd=_usd([call["paid_micro_usd"] for call in calls]),
        at=datetime.now(UTC),
    )


def _most(loaded: LoadedStudy, tokens: int) -> float | None:
    """USD that so many tokens cost at most, whichever of them are read and whichever written; None: not known."""
    book, name, today = price_book(loaded.study), loaded.study.model_name, utc_today()
    read = book.worst_case(name, today, input_tokens=tokens, output_tokens=0)
    written = book.worst_case(name, today, input_tokens=0, output_tokens=tokens)
    return None if read is None or written is None else max(read, written) / 1e6


def _usd(micro: list[int | None]) -> float | None:
    return None if None in micro else sum(amount for amount in micro if amount is not None) / 1e6


def _row(known: Evidence, forecast_id: str, loaded: LoadedStudy, made: Asked) -> dict[str, Any]:
    """One of a forecast for each model, way and budget: the same again stands in place of what was there."""
    key = content_hash("diagnosis/1", [loaded.study.model_name, made.way, made.found.budget])
    return {
        "finding_id": f"{_key(forecast_id)}{key}",
        "study_id": str(known.study.get("study_id", "")),
        "kind": KIND,
        "severity": "note",
        "detail": orjson.dumps(made.as_json()).decode(),
        "created_at": made.at,
    }


def _key(forecast_id: str) -> str:
    return f"{KIND} {forecast_id} "


def kept(reader: Reader, forecast_id: str) -> list[dict[str, Any]]:
    """What models found about this forecast, the last one first, as `Asked.as_json`."""
    return [orjson.loads(detail) for detail in reader.query(_KEPT, [KIND, _key(forecast_id)])["detail"]]
