"""`coordeval models`: which providers there are, and what is known of their models: what they take and what they cost."""

from typing import Annotated, Any

import typer

from coordeval.flows.cli.options import JsonOption
from coordeval.flows.terminal import Terminal, print_result, table
from coordeval.market_data.text import one_line

console = Terminal()


def models(
    model: Annotated[str | None, typer.Argument(help="One model's id: its prices by date, and what it takes.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the model providers, and the models whose prices and capabilities are known; what is broken is named."""
    found = described(model)
    if as_json:
        print_result(found)
        return
    for row in found["providers"] if model is None else ():
        console.print(f"{row['name']}: {one_line(row['about'])}; needs {one_line(row['needs'])}", soft_wrap=True)
    for name, reason in found["quarantined"].items() if model is None else ():
        console.print(f"{one_line(name)} could not be loaded: {one_line(reason)}", style="red", soft_wrap=True)
    headings = ("model", "from", "up to", "in / out", "cache", "least")
    rows = table(*headings, numbers=(2, 3, 4, 5), whole=tuple(range(6)))
    for row in found["models"]:
        least = f"{row['least_cached_tokens']:,}" if row["least_cached_tokens"] else "?"
        for price in row["prices"]:
            rows.add_row(row["id"], *_shown(price), least)
        if not row["prices"]:
            rows.add_row(row["id"], "not known", "", "", "", least)
    console.print(rows)
    console.print(
        "USD per million tokens in and out, written to and read from a cache, for prompts up to so many; least: the "
        "shortest prompt that is cached; --json has batch rates and sources. Your own prices: [prices] in the study, or "
        f"{found['users_file']}. A model that is not here has cost null until it is given a price.",
        soft_wrap=True,
    )


def _shown(price: dict[str, Any]) -> tuple[str, str, str, str]:
    up_to = "" if price["prompt_up_to"] is None else f"{price['prompt_up_to'] / 1000:g}k"
    tokens, cache = (
        f"{price[one]:g} / {price[other]:g}" for one, other in (("input", "output"), ("cache_write_5m", "cache_read"))
    )
    return price["valid_from"] or "", up_to, tokens, cache


def described(model: str | None = None) -> dict[str, Any]:
    """Providers, what is known of each model, the user's own file of prices. Raises CoordevalError for an unknown model."""
    from coordeval.agents.capabilities import base_id, listed
    from coordeval.agents.prices import PriceBook, users_file, users_prices
    from coordeval.agents.providers import load
    from coordeval.market_data.errors import CoordevalError, choose

    book = PriceBook.bundled().with_overrides(users_prices())
    known = {row["id"]: row for row in listed()}
    ids = sorted(known.keys() | book.models)
    if model is not None:
        name = model if model in book.models else base_id(model)
        if name not in ids:
            raise CoordevalError(choose("model", model, ids))
        ids = [name]
    registry = load()
    unknown = dict.fromkeys(("temperature", "least_cached_tokens", "thinking", "effort", "strict"))
    return {
        "providers": [
            {
                "name": name,
                "about": cls.about,
                "needs": cls.needs,
                "money": cls.money,
                "keys": sorted(cls.settings.model_fields),
            }
            for name, cls in registry.classes.items()
        ],
        "quarantined": dict(registry.quarantined),
        "models": [{**unknown, **known.get(id_, {}), "id": id_, "prices": book.as_json(id_)} for id_ in ids],
        "users_file": str(users_file() or "the file that COORDEVAL_PRICES names"),
    }
