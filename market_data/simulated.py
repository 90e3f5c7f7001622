"""A world whose truth is known: markets with latent probabilities, dated evidence, a price path and drawn outcomes.

For market m of event e, with z and w standard normal, one stream of random numbers per event and one per market:

    logit p_m = latent_mean + latent_sd · (√ρ · z_e + √(1 − ρ) · z_m)           ρ = latent_correlation
    outcome_m = 1 if Φ(√κ · w_e + √(1 − κ) · w_m) < p_m else 0                  κ = outcome_correlation; P(1) = p_m
    signal_j  = logit p_m + evidence_noise · N(0, 1)                            what document j states, as a probability
    logit price_t = E[logit p_m | prior, signals up to t] + price_noise · AR(1) up to as-of

Everything up to as-of is a function of the latent probability alone. What comes later, and every undated page, gives
the outcome away: a gate that leaks shows in agents that become too good. An event with a YES may resolve early, as real
ones do, so a resolution time gives the outcome away too.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from math import isfinite, sqrt
from typing import Literal

import numpy as np

from coordeval.market_data.errors import DataError
from coordeval.market_data.types import Document, Market, Outcome, PricePoint

SIGNAL = re.compile(r"index for YES stands at ([01]\.\d+)")
"""How a document states its signal, a probability of YES: the sentence that a simulated agent looks for."""

_EVENT, _MARKET, _LATER = range(3)  # streams of random numbers; only _LATER knows the outcome
_FIRST_DAY = datetime(2025, 1, 6, tzinfo=UTC)
_DAY = 1440  # minutes
_PRICES_BEFORE, _PRICES_AFTER = 28, 12

_THEMES = (
    ("Economics", "the central bank of {}", ("lower its key rate", "start a bond programme", "raise its growth outlook")),
    ("Politics", "the parliament of {}", ("pass the budget bill", "replace its speaker", "call an early vote")),
    ("Health", "the health agency of {}", ("approve the fever vaccine", "lift its travel notice", "open a second trial")),
    (
        "Science",
        "the {} Observatory",
        ("confirm the new comet", "publish its sky survey", "put its main mirror back in use"),
    ),
    ("Sports", "the {} Rovers", ("win their league", "change their head coach", "reach the cup final")),
    (
        "Technology",
        "the chip maker {} Semiconductor",
        ("ship its new processor", "open a second plant", "settle its patent case"),
    ),
    (
        "Climate",
        "the weather office of {}",
        ("declare a drought", "record a monthly heat record", "issue a red flood warning"),
    ),
    ("Culture", "the {} Film Festival", ("honour a first-time director", "sell 90,000 tickets", "announce a new venue")),
    (
        "Transport",
        "the port of {}",
        ("reopen its north quay", "handle 200,000 containers in a month", "sign a rail contract"),
    ),
    ("Energy", "the grid operator of {}", ("switch on the new sea cable", "order a power cut", "approve the wind tender")),
)
_HEADS = ("Val", "Mor", "Kel", "Ost", "Bran", "Tir", "Sul", "Hal", "Nor", "Esk", "Dra", "Lum", "Pel", "Quor", "Ver", "Yar")
_MIDDLES = ("a", "e", "i", "o", "an", "er", "in", "os", "ul", "av", "em", "ir")
_TAILS = ("doria", "gard", "mere", "stan", "via", "thal", "burg", "nia", "port", "wick", "land", "mark")
_TITLES = ("Weekly briefing", "Field report", "Desk note", "Survey of observers", "Reading of the filings", "Round-up")
_OPENINGS = (
    "People close to {} spoke to us this week.",
    "We went through everything that {} has published lately.",
    "Four observers who follow {} compared notes.",
    "A public meeting about {} drew a large crowd.",
    "Suppliers and neighbours of {} answered our questions.",
)
_TONES = ("Most of it speaks against the event.", "The picture is mixed.", "Most of it points towards the event.")
_OWNERS = ("Our desk's", "The panel's", "This bureau's")
_SOURCES = ("Invented Wire", "Fictional Gazette", "Made-up Monitor")


@dataclass(frozen=True, slots=True)
class _Record:
    market: Market
    truth: float
    outcome: Outcome
    prices: tuple[PricePoint, ...]
    documents: tuple[Document, ...]


@dataclass(frozen=True, slots=True)
class _Event:
    """What the markets of one event share."""

    id: str
    category: str
    place: str
    subject: str
    variants: tuple[str, ...]
    opened_at: datetime
    as_of_minute: int
    """Minutes from opening to as-of; drawn before any outcome."""
    close_minute: int


@dataclass(kw_only=True)
class SimulatedWorld:
    """`count` simulated markets. The same seed and index give the same market, whatever `count` is.

    Correlations are in [0, 1]; standard deviations are in logits (`latent_sd` and `evidence_noise` above 0).
    `flipped` ends every market the other way: what was knowable at as-of keeps its bytes, so a leak can be tested for.
    """

    count: int = 100
    seed: int = 1
    latent_mean: float = -0.3
    latent_sd: float = 1.9
    latent_correlation: float = 0.6
    outcome_correlation: float = 0.5
    evidence_noise: float = 0.9
    price_noise: float = 0.35
    price_memory: float = 0.9
    """Lag-one autocorrelation of the price noise, in [0, 1]."""
    undated_rate: float = 0.4
    """Share of markets with a page whose date nobody knows."""
    flipped: bool = False
    name: str = field(default="simulated", init=False)
    simulated: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        rules = {
            "count": (self.count >= 1, "at least 1"),
            "seed": (self.seed >= 0, "a whole number from 0"),
            "latent_mean": (isfinite(self.latent_mean), "a finite number of logits"),
            "latent_sd": (0 < self.latent_sd < float("inf"), "a positive number of logits"),
            "evidence_noise": (0 < self.evidence_noise < float("inf"), "a positive number of logits"),
            "price_noise": (0 <= self.price_noise < float("inf"), "a number of logits from 0"),
        }
        for name in ("latent_correlation", "outcome_correlation", "price_memory", "undated_rate"):
            rules[name] = (0 <= getattr(self, name) <= 1, "a number from 0 to 1")
        for name, (kept, rule) in rules.items():
            if not kept:
                raise DataError(f"simulated world: {name} is {getattr(self, name)!r}; it must be {rule}")

    def markets(self) -> list[Market]:
        return [record.market for record in self._records]

    def prices(self) -> list[PricePoint]:
        return [point for record in self._records for point in record.prices]

    def documents(self) -> list[Document]:
        return [document for record in self._records for document in record.documents]

    def outcomes(self) -> list[Outcome]:
        return [record.outcome for record in self._records]

    def truth(self, market_id: str) -> float:
        """The latent probability that the market's outcome was drawn from, in (0, 1): for test benches only."""
        try:
            return self._truths[market_id]
        except KeyError:
            first, last = self._records[0].market.id, self._records[-1].market.id
            raise DataError(f"no market {market_id!r} in this simulated world; its ids run from {first} to {last}") from None

    @cached_property
    def _truths(self) -> dict[str, float]:
        return {record.market.id: record.truth for record in self._records}

    @cached_property
    def _records(self) -> list[_Record]:
        records: list[_Record] = []
        event = 0
        while len(records) < self.count:
            records += self._build_event(event, first_index=len(records) + 1)
            event += 1
        return records[: self.count]

    @property
    def _family(self) -> str:
        """What the ids of this world's markets begin with."""
        return f"sim-{self.seed}"

    def _timed(self, number: int, event: _Event) -> _Event:
        """When event `number` opens and closes; a world with a clock says otherwise."""
        return event

    def _random(self, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(stream, number)))

    def _build_event(self, number: int, first_index: int) -> list[_Record]:
        """The whole event of 1 to 3 markets, so that a smaller `count` cuts a list and changes no market."""
        random = self._random(_EVENT, number)
        size = int(random.choice((1, 2, 3), p=(0.6, 0.25, 0.15)))
        shared_latent, shared_outcome = random.standard_normal(2)
        category, subject, variants = _THEMES[random.integers(len(_THEMES))]
        place = "".join(part[random.integers(len(part))] for part in (_HEADS, _MIDDLES, _TAILS))
        close = int(random.integers(40, 121)) * _DAY
        event = _Event(
            id=f"{self._family}-e{number + 1:04d}",
            category=category,
            place=place,
            subject=subject.format(place),
            variants=tuple(variants[i] for i in random.permutation(len(variants))),
            opened_at=_FIRST_DAY + timedelta(minutes=int(random.integers(300 * _DAY))),
            as_of_minute=round(close * random.uniform(0.5, 0.8)),
            close_minute=close,
        )
        from scipy.special import expit, ndtr  # here, and so below: 0.3 s that who only reads a ledger need not wait

        event = self._timed(number, event)
        early_end = int(random.integers(event.as_of_minute + 4 * _DAY, event.close_minute + 1))

        indices = range(first_index, first_index + size)
        streams = [self._random(_MARKET, index) for index in indices]
        rho, kappa = self.latent_correlation, self.outcome_correlation
        latents = [
            self.latent_mean + self.latent_sd * (sqrt(rho) * shared_latent + sqrt(1 - rho) * stream.standard_normal())
            for stream in streams
        ]
        drawn = [
            bool(ndtr(sqrt(kappa) * shared_outcome + sqrt(1 - kappa) * stream.standard_normal()) < expit(latent))
            for stream, latent in zip(streams, latents, strict=True)
        ]
        outcomes = [yes != self.flipped for yes in drawn]
        end = early_end if any(outcomes) else event.close_minute
        return [
            self._build_market(event, position, index, streams[position], latents[position], outcomes[position], end)
            for position, index in enumerate(indices)
        ]

    def _build_market(
        self, event: _Event, position: int, index: int, stream: np.random.Generator, latent: float, yes: bool, end: int
    ) -> _Record:
        from scipy.special import expit

        market_id = f"{self._family}-{index:04d}"
        close = event.opened_at + timedelta(minutes=event.close_minute)
        market = Market(
            id=market_id,
            source="simulated",
            event_id=event.id,
            simulated=True,
            reference_time=event.opened_at + timedelta(minutes=event.as_of_minute),
            text_known_at=event.opened_at,  # made for the opening
            question=f"Will {event.subject} {event.variants[position]} by {close:%Y-%m-%d}?",
            description=(
                "Simulated market: every name and event in it is invented. It resolves YES if official records show that "
                f"this happened by {close:%Y-%m-%d}, and NO otherwise."
            ),
            category=event.category,
            opened_at=event.opened_at,
            scheduled_close=close,
        )
        minutes = np.sort(stream.integers(60, event.as_of_minute, size=int(stream.integers(4, 9))))
        signals = latent + self.evidence_noise * stream.standard_normal(len(minutes))
        documents = [
            _evidence(market_id, event, n, int(minute), float(expit(signal)), stream)
            for n, (minute, signal) in enumerate(zip(minutes, signals, strict=True), start=1)
        ]
        path = self._path_before(event, minutes, signals, stream)

        later = self._random(_LATER, index)
        documents += self._documents_after(market_id, event, yes, end, later)
        path += _path_after(path[-1][1], event.as_of_minute, end, yes, later)
        value: Literal[0, 1] = 1 if yes else 0
        return _Record(
            market=market,
            truth=float(expit(latent)),
            outcome=Outcome(
                market_id=market_id, status="resolved", value=value, resolved_at=event.opened_at + timedelta(minutes=end)
            ),
            prices=tuple(
                PricePoint(
                    market_id=market_id,
                    knowable_at=event.opened_at + timedelta(minutes=minute),
                    price=round(min(max(float(expit(level)), 0.01), 0.99), 3),
                    kind="simulated",
                )
                for minute, level in path
            ),
            documents=tuple(documents),
        )

    def _path_before(
        self, event: _Event, minutes: np.ndarray, signals: np.ndarray, stream: np.random.Generator
    ) -> list[tuple[int, float]]:
        """(minute, logit price) up to as-of: the posterior mean of a normal prior and normal signals, plus AR(1) noise.

        With n signals so far: (latent_mean/latent_sd² + Σ signal/evidence_noise²) / (1/latent_sd² + n/evidence_noise²).
        """
        times = np.sort(stream.integers(0, event.as_of_minute - 600, size=_PRICES_BEFORE - 1))
        times = np.append(times, event.as_of_minute - stream.integers(5, 600))
        shocks = stream.standard_normal(_PRICES_BEFORE)
        prior, weight = 1 / self.latent_sd**2, 1 / self.evidence_noise**2
        seen = np.searchsorted(minutes, times, side="right")
        sums = np.concatenate(([0.0], np.cumsum(signals)))[seen]
        belief = (self.latent_mean * prior + sums * weight) / (prior + seen * weight)
        noise, path = 0.0, []
        for step, (time, level) in enumerate(zip(times, belief, strict=True)):
            keep = self.price_memory if step else 0.0
            noise = keep * noise + sqrt(1 - keep**2) * float(shocks[step])
            path.append((int(time), float(level) + self.price_noise * noise))
        return path

    def _documents_after(
        self, market_id: str, event: _Event, yes: bool, end: int, later: np.random.Generator
    ) -> list[Document]:
        """Pages from when the market ended and, for some markets, one without a date: each states the outcome."""
        answer, index = ("YES", "0.99") if yes else ("NO", "0.01")
        text = f"It is now known how this ended: the answer is {answer}. Our desk's index for YES stands at {index}."
        minutes: list[int | None] = [int(m) for m in end + np.sort(later.integers(0, 3 * _DAY, size=2))]
        if later.random() < self.undated_rate:
            minutes.append(None)
        return [
            Document(
                market_id=market_id,
                knowable_at=None if minute is None else event.opened_at + timedelta(minutes=minute),
                title=f"{'Archived page' if minute is None else 'Result'} on {event.place}, no. {n}",
                text=text,
                source="Invented Archive",
            )
            for n, minute in enumerate(minutes, start=1)
        ]


def _evidence(
    market_id: str, event: _Event, number: int, minute: int, probability: float, stream: np.random.Generator
) -> Document:
    """A page of prose that states `probability`, in [0.01, 0.99] and to two decimals, in the sentence `SIGNAL` finds."""
    title, opening, owner, source = (
        options[stream.integers(len(options))] for options in (_TITLES, _OPENINGS, _OWNERS, _SOURCES)
    )
    stated = min(max(probability, 0.01), 0.99)
    tone = _TONES[(stated > 0.4) + (stated > 0.6)]
    return Document(
        market_id=market_id,
        knowable_at=event.opened_at + timedelta(minutes=minute),
        title=f"{title} on {event.place}, no. {number}",
        text=f"{opening.format(event.subject)} {tone} {owner} index for YES stands at {stated:.2f}.",
        source=source,
    )


def _path_after(level: float, as_of: int, end: int, yes: bool, later: np.random.Generator) -> list[tuple[int, float]]:
    """(minute, logit price) from after as-of until the market ends: a noisy walk to a near-certain price."""
    from scipy.special import logit

    target = float(logit(0.985 if yes else 0.015))
    times = np.sort(later.integers(as_of + 1, end, size=_PRICES_AFTER - 1))
    noise = 0.3 * later.standard_normal(_PRICES_AFTER - 1)
    shares = (times - as_of) / (end - as_of)
    path = [(int(t), level + float(s) * (target - level) + float(e)) for t, s, e in zip(times, shares, noise, strict=True)]
    return [*path, (end, target)]
