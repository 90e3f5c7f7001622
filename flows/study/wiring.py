"""From a study's words to the objects they name: its source of markets and its model."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from coordeval.agents.batching import Batches
from coordeval.agents.beside_waves import Insistent, TakingUp
from coordeval.agents.budget import Budgeted, Shares, worst_cases
from coordeval.agents.messages import Model
from coordeval.agents.pacing import Paced
from coordeval.agents.prices import PriceBook, restored, users_prices, utc_today
from coordeval.agents.providers import Around
from coordeval.agents.several import Several, SeveralBatches
from coordeval.agents.waves import Waves
from coordeval.flows.study.flight import Flight
from coordeval.flows.study.reading import StudyError
from coordeval.flows.study.schema import Study
from coordeval.flows.study.sections import PublishedMarkets, SimulatedMarkets
from coordeval.flows.study.study import LoadedStudy
from coordeval.ledger import Ledger
from coordeval.ledger.books import Books
from coordeval.market_data.simulated import SimulatedWorld
from coordeval.market_data.traces100 import CoordinationTraces, install
from coordeval.market_data.types import MarketSource


def build_source(loaded: LoadedStudy, data: Path) -> MarketSource:
    """The study's markets; a dataset that is not in `data` yet is fetched."""
    match loaded.study.markets:
        case SimulatedMarkets(count=count, seed=seed):
            return SimulatedWorld(count=count, seed=seed)
        case PublishedMarkets():
            return CoordinationTraces(install(data))
        case _:
            raise StudyError(
                "markets that are pulled or picked into the ledger are there already; they have no source to build"
            )


def build_model(loaded: LoadedStudy, data: Path, ledger: Ledger, flight: Flight) -> Model:
    """The study's model with its wrappers, innermost first: live, `flight`, budget, pacing, so that a budget sees every
    attempt.

    Draws come above.
    """
    study = loaded.study
    book = price_book(study)
    around = Around(
        prices=book,
        call_seconds=study.run.call_seconds,
        data=data,
        asking=[name for name, c in loaded.configurations.items() if c.elements.endpoints],
    )
    own = loaded.provider.model(study.model, around)
    named = {name: loaded.providers[name].model(section, around) for name, section in study.models.items()}
    model: Model = Several(own, named) if named else own
    if loaded.money != "paid":
        return model
    for one in (own, *named.values()):
        loaded.warnings += getattr(one, "warnings", [])
    so_far, open_batches = ledger.books(loaded.id), ledger.open_batches(loaded.id)
    in_batches = [row for batch in open_batches for row in batch.held.values()]
    if in_batches:
        loaded.warnings.append(
            f"{len(in_batches)} calls of earlier runs are in {len(open_batches)} batches; their replies are taken up"
        )
    if uncertain := so_far.uncertain - len(in_batches):
        uncertain_micro_usd = so_far.uncertain_micro_usd - sum(row["worst_micro_usd"] or 0 for row in in_batches)
        loaded.warnings.append(
            f"{uncertain} calls of earlier runs may have been charged although no reply is stored (in flight when a "
            f"run was killed, or lost): up to ${uncertain_micro_usd / 1e6:.2f}, which counts against budget_usd"
        )
    spent = counted(study, so_far)
    limit = None if study.budget_usd is None else int(study.budget_usd * 1_000_000)
    if limit is not None or study.budget.given:
        _priced(study, book)
    booked = partial(
        Budgeted,
        limit_micro_usd=limit,
        spent_micro_usd=spent,
        served=so_far.served,
        store=ledger,
        price_book=book,
        shares=_shares(study, ledger, loaded.id),
    )
    batches = _batches(study, own, named)
    if study.run.batch and batches is None:
        raise StudyError(f"run.batch: a {study.model.provider} model takes no batches; run without --batch")
    sent = flight.over(model)
    if batches is not None and (study.run.batch or open_batches):
        patience = study.run.patience_minutes * 60
        waves = Waves(model, batches, ledger, study_id=loaded.id, patience=patience, open_batches=open_batches)
        flight.on_halt.append(waves.halt)
        if study.run.batch:
            return Insistent(booked(waves, batch=True), waves, tries=study.run.tries)
        sent = TakingUp(sent, waves)
    return Paced(
        booked(sent),
        concurrency=study.run.concurrent_calls,
        requests_per_minute=study.run.requests_per_minute,
        tokens_per_minute=study.run.tokens_per_minute,
        patience=study.run.patience_minutes * 60,
        tries=study.run.tries,
    )


def _batches(study: Study, own: Model, named: Mapping[str, Model]) -> Batches | None:
    """Where calls go that go out in batches; None where some model takes none."""
    models = {study.model_name: own}
    for name, model in named.items():
        model_id = study.models[name].model_id
        if study.run.batch and model_id in models:
            raise StudyError(
                f"run.batch: models.{name} has the id {model_id!r} of another model, and in batches the replies of the two "
                "would not be told apart; run without --batch"
            )
        models[model_id] = model
    parts = {model_id: getattr(model, "batches", None) for model_id, model in models.items()}
    if None in parts.values():
        return None
    return parts[study.model_name] if len(parts) == 1 else SeveralBatches({k: v for k, v in parts.items() if v is not None})


def identity_model(loaded: LoadedStudy, name: str) -> Model:
    """One of the study's models ("": its own) for its identity alone: nothing is asked of it, and it needs no key."""
    section = loaded.study.models[name] if name else loaded.study.model
    return loaded.providers[name].model(section, Around(asks=False))


def _priced(study: Study, book: PriceBook) -> None:
    """Raises StudyError where a budget is set and the price of a named model is not known; of [model] the budget says so."""
    for name, section in study.models.items():
        if book.price(section.model_id, utc_today(), 1) is None:
            raise StudyError(
                f"models.{name}: a budget is set, but the price of {section.model_id!r} is not known, so it cannot be kept; "
                f"add [prices.{section.model_id!r}] to the study, or remove the budget"
            )


def price_book(study: Study) -> PriceBook:
    """The bundled list prices; over them the user's own file, if there is one; over both the study's `[prices]`."""
    return PriceBook.bundled().with_overrides(users_prices()).with_overrides(study.prices)


def _shares(study: Study, ledger: Ledger, study_id: str) -> Shares | None:
    """The limits of parts of a study, with what they have spent; None where there are none."""
    if not study.budget.given:
        return None
    return Shares(
        cell=None if study.budget.cell_usd is None else int(study.budget.cell_usd * 1_000_000),
        configurations={name: int(usd * 1_000_000) for name, usd in study.budget.configurations.items()},
        spent=ledger.spent_by_cell(study_id),
    )


def stored_prices(content: Mapping[str, Any]) -> PriceBook:
    """The same for a stored study's content."""
    return PriceBook.bundled().with_overrides(users_prices()).with_overrides(restored(content.get("prices") or {}))


def counted(study: Study, so_far: Books) -> int:
    """What counts against a study's budget, in millionths of a dollar: of what is not known, the worst case."""
    book = price_book(study)
    unpriced = [(call.model, call.request_bytes, call.max_tokens) for call in so_far.unpriced]
    return so_far.paid_micro_usd + so_far.uncertain_micro_usd + worst_cases(book, unpriced, utc_today())
