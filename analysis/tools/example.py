"""Answers with a planted, varying benefit from tools: what examples and the self-test start from."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from coordeval.analysis.base.checks import Floats, Ints
from coordeval.analysis.base.scipy_parts import special
from coordeval.analysis.tools.answers import Paired, mean_of_rows
from coordeval.analysis.tools.gate import ROWS

DRAWS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolWorld:
    """Answers, what a gate may know before it decides, and the truth."""

    answers: Paired
    features: Floats
    """(cases, 3): the price's logit, how far the first estimates are from it, and how long the texts are."""
    utility: Floats
    """(cases,): the true expected utility of tools, given the case and its outcome."""
    need: Floats
    """(cases,): the true expected squared error without tools."""


def tool_world(
    markets: int = 120, *, replicates: int = 2, benefit: float = 1.0, noise: float = 0.4, rng: np.random.Generator
) -> ToolWorld:
    """Markets in events of two, answered without tools and with them.

    A market has a latent logit x and how much tools can tell of it, t in [0, 1], which its texts' length shows in part.
    Without tools an agent sees x with the error 2.2 t + 0.2, with tools with 0.3 + 0.5 (1 − t): where there is nothing to
    find, tools mislead a little. `benefit` scales what they change; `noise` is fresh in every draw. The agent calls in 60%
    of all draws, whatever the market: it does not know when it needs to.
    """
    events = (markets + 1) // 2
    event = np.repeat(np.arange(events), 2)[:markets]
    x = 0.9 * rng.standard_normal(events)[event] + 1.1 * rng.standard_normal(markets)
    y = (rng.random(markets) < special.expit(x)).astype(np.float64)
    told = rng.beta(1.2, 1.2, markets)
    wrong = rng.standard_normal((2, markets))
    bare = x + (0.2 + 2.2 * told) * wrong[0]
    helped = bare + benefit * (x + (0.3 + 0.5 * (1 - told)) * wrong[1] - bare)
    shape = (markets, replicates)
    first = bare[:, None, None] + noise * rng.standard_normal((*shape, DRAWS))
    called = rng.random(shape) < 0.6
    centre = np.where(called, helped[:, None], bare[:, None])
    given = special.expit(centre + noise * rng.standard_normal(shape))
    without = np.median(special.expit(first), axis=2)
    price = special.expit(x + 0.6 * rng.standard_normal(markets))
    known = np.clip(told + 0.15 * rng.standard_normal(markets), 0, 1)
    features = np.stack([special.logit(price), np.abs(bare - special.logit(price)), known], axis=1)
    z = np.linspace(-6, 6, 241)
    one = np.exp(-z * z / 2)
    middle = one * special.ndtr(z) * special.ndtr(-z)  # the median of three

    def expected(mean: Floats, density: Floats) -> Floats:
        errors = (special.expit(mean[:, None] + noise * z) - y[:, None]) ** 2
        return np.asarray(errors @ (density / density.sum()), np.float64)

    need = expected(bare, middle)
    return ToolWorld(
        answers=_paired(
            event, y, (without - y[:, None]) ** 2, (given - y[:, None]) ** 2, np.asarray(2.0 * called, np.float64)
        ),
        features=features,
        utility=need - expected(helped, one),
        need=need,
    )


def tool_example() -> Paired:
    """A small one."""
    return tool_world(40, rng=np.random.default_rng(1)).answers


def _paired(event: Ints, y: Floats, without: Floats, given: Floats, calls: Floats) -> Paired:
    names = tuple(f"m{i:03}" for i in range(len(event)))
    return Paired(
        case=("single_agent",) * len(event),
        market=names,
        configuration=("single_agent",) * len(event),
        event=event,
        outcome=y,
        without=without,
        given=given,
        calls=calls,
        cost=np.stack([np.full(len(event), c) for c in (0.01, 0.022, 0.03)], axis=1),
        left_out=0,
    )


def gate_rows(world: ToolWorld) -> pl.DataFrame:
    """The rows that a gate is fitted on (`tools.gate.ROWS`), one per market and replicate in which a call is known."""
    made, used = world.answers, mean_of_rows(world.answers.used)
    price, apart, known = world.features.T
    columns: dict[str, Any] = {
        "market_id": made.market,
        "event_id": [f"e{e:03}" for e in made.event],
        "price": price,
        "from_price": apart,
        "description": known,
        "used": [None if np.isnan(value) else value for value in used],
    }
    frame = pl.DataFrame(columns)
    parts = [frame.with_columns(without=pl.Series(made.without[:, r])) for r in range(made.without.shape[1])]
    missing = [pl.lit(None).cast(kind).alias(name) for name, kind in ROWS.items() if name not in parts[0].columns]
    return pl.concat(parts).with_columns(missing).select(list(ROWS))
