"""Who names the planted first cause: the rules alone, a tree search by the simulated model, and one pass at equal tokens.

The simulated model's weaknesses are stated (`agents.simulated_diagnosing`): how it fares says that the search works as it
should, and nothing about a real model.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from coordeval.agents.cell import Settings
from coordeval.agents.simulated import SimulatedModel, SimulatedParameters
from coordeval.analysis.audit import Rule, diagnose, evidence, suspects
from coordeval.analysis.audit.exhibits import Exhibits, exhibits
from coordeval.analysis.audit.inquiry import Inquiry, taxonomy
from coordeval.analysis.audit.searching import TOKENS, Searched, one_pass, search
from coordeval.analysis.selftest.audit_plants import PLANTS
from coordeval.analysis.selftest.audit_world import ELEMENTS, Frames

MODEL: Final = Settings(model=SimulatedModel.name, max_tokens=800)
WAYS: Final = ("rules", "tree search", "one pass")
Caused = Callable[[int], tuple[Frames, Mapping[str, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How one way of looking did on the same forecasts."""

    way: str
    named: int
    """Forecasts of which it names the planted first cause."""
    of: int
    accused: int
    """Forecasts without a fault of which it says that rows prove one: not a sign that sound forecasts show too."""
    sound: int
    asks: float | None
    """Mean for each forecast; null of the rules, which ask nobody."""
    tokens: float | None

    @property
    def right(self) -> float:
        return self.named / self.of


def ways(studies: int, rules: Sequence[Rule], caused: Caused, *, seed: int = 0, each: int = 20) -> tuple[Way, ...]:
    """`studies` studies, of each `each` forecasts that have a first cause and half as many without; WAYS in order."""
    named, accused = dict.fromkeys(WAYS, 0), dict.fromkeys(WAYS, 0)
    asks, tokens = dict.fromkeys(WAYS, 0), dict.fromkeys(WAYS, 0)
    causes, of, sound = taxonomy(rules), 0, 0
    by_chance = {rule.name for rule in rules if rule.chance}
    for n in range(studies):
        frames, planted = caused(seed + 1_000 + n)
        known = evidence(frames, elements=ELEMENTS)
        rows = suspects(known, rules)
        every = sorted(frames["forecasts"]["forecast_id"], key=lambda one: (one[-4:], one))  # of all configurations alike
        chosen = [one for one in every if one in planted][:each] + [one for one in every if one not in planted][: each // 2]
        for forecast in chosen:
            first = diagnose(known, forecast, rules, rows).first
            found = exhibits(known, forecast)
            tree = asyncio.run(search(_asked(found, causes, forecast, seed)))
            alone = asyncio.run(one_pass(_asked(found, causes, forecast, seed), until=tree.tokens))
            told: Mapping[str, tuple[str | None, Searched | None]] = {
                "rules": (None if first is None else first.rule, None),
                "tree search": (tree.cause, tree),
                "one pass": (alone.cause, alone),
            }
            of, sound = of + (forecast in planted), sound + (forecast not in planted)
            for way, (cause, searched) in told.items():
                if forecast in planted:
                    named[way] += cause == PLANTS[planted[forecast]].rule
                else:
                    accused[way] += cause is not None and cause not in by_chance
                if searched is not None:
                    asks[way], tokens[way] = asks[way] + searched.asks, tokens[way] + searched.tokens
    all_ = of + sound
    return tuple(
        Way(
            way=way, named=named[way], of=of, accused=accused[way], sound=sound,
            asks=None if way == "rules" else asks[way] / all_, tokens=None if way == "rules" else tokens[way] / all_,
        )
        for way in WAYS
    )  # fmt: skip


def _asked(found: Exhibits, causes: Mapping[str, str], forecast: str, seed: int) -> Inquiry:
    model = SimulatedModel(SimulatedParameters(seed=seed + 1))
    return Inquiry.about(
        found, causes, model, tokens=2 * TOKENS, settings=MODEL, inquiry_id=f"selftest {forecast}", market_id="selftest"
    )
