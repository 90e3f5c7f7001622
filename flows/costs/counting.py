"""The tokens of a sample's prompts by the server's own count: the simulator counts four characters for each."""

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import polars as pl

from coordeval.agents.messages import Request
from coordeval.agents.providers import Around
from coordeval.flows.costs.sample import Sample
from coordeval.flows.study.study import LoadedStudy
from coordeval.market_data.errors import CoordevalError


def counted(sample: Sample, loaded: LoadedStudy) -> Sample:
    """The sample with its prompts' tokens scaled to what the study's server counts in some of them, free of charge.

    A sample of the model's own calls is counted already, and comes back as it is. Raises CoordevalError where the provider
    counts nothing, or its server cannot be asked.
    """
    if not sample.requests:
        return sample
    model: Any = loaded.provider.model(loaded.study.model, Around(call_seconds=loaded.study.run.call_seconds))
    if not hasattr(model, "count_tokens"):
        raise CoordevalError(
            f"--count-tokens: provider {loaded.study.model.provider!r} has no count of tokens; leave it out"
        )
    theirs = asyncio.run(_theirs(model, [_request(text, loaded) for text, _ in sample.requests]))
    ratio = theirs / sum(tokens for _, tokens in sample.requests)
    scaled = (pl.col("input_tokens") * ratio).round().cast(pl.Int64)
    words = f"{sample.source}, its prompts counted by the server ({ratio:.2f} times the simulator's tokens)"
    return replace(sample, calls=sample.calls.with_columns(input_tokens=scaled), source=words)


async def _theirs(model: Any, requests: list[Request]) -> int:
    try:
        return sum([await model.count_tokens(request) for request in requests])
    finally:
        if (close := getattr(model, "aclose", None)) is not None:
            await close()


def _request(text: str, loaded: LoadedStudy) -> Request:
    body = orjson.loads(text)
    return Request(
        model=loaded.study.model_name,
        system=body["system"],
        messages=body["messages"],
        tools=body["tools"],
        max_tokens=body["max_tokens"],
        sampling={},
    )
