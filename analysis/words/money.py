"""What a study cost, in words that are never mixed: paid, replayed (not paid), simulated."""

from collections.abc import Mapping
from typing import Any, Literal

from coordeval.analysis.base.numerals import usd

Kind = Literal["paid", "replayed", "simulated", "imported"]


def money_kind(content: object, *, simulated: bool) -> Kind:
    """Whose money a study of this `content` (JSON values) spends: nobody's where replies are replayed or simulated.

    It is the model that costs: a live model is paid for in a simulated world too, and a simulated one never is.
    `simulated` decides where the content names no model.

    >>> from coordeval.analysis.words.money import money_kind
    >>> money_kind({"model": {"provider": "anthropic"}, "markets": {"source": "simulated"}}, simulated=True)
    'paid'
    """
    values = content if isinstance(content, Mapping) else {}
    if "imported" in values:
        return "imported"
    model = values.get("model")
    provider = model.get("provider") if isinstance(model, Mapping) else None
    if provider == "recorded" or "published" in values:
        return "replayed"
    if provider == "simulated" or (provider is None and simulated):
        return "simulated"
    return "paid"


def money_line(kind: Kind, *, paid: float | None, attributed: float | None) -> str:
    """One sentence on a study's money, in USD; None where a price is not known.

    >>> from coordeval.analysis.words.money import money_line
    >>> money_line("replayed", paid=0.0, attributed=109.65)
    'Nothing was paid: the replies are replayed. Their attributed price is $109.65.'
    """
    if kind == "imported":
        return "What they cost is not in the file." if attributed is None else f"Cost, as the file says: {usd(attributed)}."
    price = "not known" if attributed is None else usd(attributed)
    if kind == "replayed":
        return f"Nothing was paid: the replies are replayed. Their attributed price is {price}."
    if kind == "simulated":
        return f"No money was spent: the dollars are simulated. The attributed price is {price}."
    spent = "an amount that is not known" if paid is None else usd(paid)
    return f"Paid: {spent}. The attributed price, with what was shared charged to each, is {price}."


def total(amounts: Mapping[str, float | None] | list[Any]) -> float | None:
    """The sum; None where one is not known."""
    values = list(amounts.values()) if isinstance(amounts, Mapping) else amounts
    return None if any(value is None for value in values) else float(sum(values))
