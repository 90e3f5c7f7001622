"""Rules about games: what was agreed against what was handed in, and games that say less than they seem to.

They look at a `GameEvidence`: the frames that every rule knows, with the games beside them. Rules of the general kind that
mean something of a game (`OF_EVERY_STUDY`) look at the same frames.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

import polars as pl

from coordeval.analysis.audit.evidence import Evidence
from coordeval.analysis.audit.rule import Finding, Rule
from coordeval.analysis.base.numerals import counted
from coordeval.grounding.agreements import SOURCES, understood
from coordeval.grounding.game import Game, Round
from coordeval.grounding.modes import counted as modes_of
from coordeval.grounding.saying import agrees

OF_EVERY_STUDY: Final = ("broken_record", "identical_requests", "silent_fallback", "truncated_replies", "unequal_conditions")
"""General rules, by name, that are asked of games too; all others are about probabilities, markets or tools."""


@dataclass(frozen=True, kw_only=True)
class GameEvidence(Evidence):
    """Evidence of a study of games."""

    games: Mapping[str, tuple[str, Game]] = field(default_factory=dict)
    """forecast_id -> (arm, game)."""


Looks = Callable[[Game, Round], tuple[int, list[str]]]


class _OfGames(Rule):
    """A rule that looks at games, arm by arm."""

    needs = ()

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        games = cast(GameEvidence, evidence).games
        for arm in sorted({arm for arm, _ in games.values()}):
            yield from self.of_arm(arm, {key: game for key, (own, game) in games.items() if own == arm})

    def of_arm(self, arm: str, games: Mapping[str, Game]) -> Iterator[Finding]:
        raise NotImplementedError

    def of_rounds(
        self,
        arm: str,
        games: Mapping[str, Game],
        unit: str,
        says: str,
        looked: Callable[[Game, Round], tuple[int, list[str]]],
    ) -> Iterator[Finding]:
        """`looked`: (how many things a round has, what is wrong with which of them). `says` has {n} and {of}."""
        whole, rows = 0, []
        for key, game in games.items():
            for played in game.rounds:
                there, wrong = looked(game, played)
                whole += there
                rows += [_row(arm, key, game, played.number, words) for words in wrong]
        told = f"{arm}: {says.format(n=f'{len(rows):,}', of=f'{whole:,}')}"
        yield from self.found(pl.DataFrame(rows or {"id": []}), whole, unit, told, count=len(rows))


class AgreementBroken(Rule):
    """Referential binding as a finding, each way of reading apart."""

    name = "agreement_broken"
    severity = "warning"
    looks_for = "players who agreed to buy something and submitted something else"
    stage = "talk"
    modes = ("2.6",)
    needs = ()

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        games = cast(GameEvidence, evidence).games
        for arm in sorted({arm for arm, _ in games.values()}):
            own = {(g.instance.id, g.replicate): (key, g) for key, (of, g) in games.items() if of == arm}
            for mode in modes_of(game for _, game in own.values()):
                if mode.mode != "referential_binding" or mode.source not in SOURCES:
                    continue
                rows = []
                for one in mode.found:
                    key, game = own[one.instance_id, one.replicate]
                    rows.append(_row(arm, key, game, one.round, f"player {(one.player or 0) + 1}: {one.what}"))
                parts = counted(mode.chances, "agreed part")
                says = f"{arm}: {len(rows):,} of {parts} (read by {mode.source}) were not handed in as agreed"
                yield from self.found(pl.DataFrame(rows or {"id": []}), mode.chances, "agreed parts", says, count=len(rows))


class Forfeited(_OfGames):
    name = "forfeited_submissions"
    severity = "warning"
    looks_for = "submissions that stayed invalid after a corrective re-ask: what such rounds got is no plan of anybody"
    stage = "answer"
    modes = ("3.1",)

    def of_arm(self, arm: str, games: Mapping[str, Game]) -> Iterator[Finding]:
        def looked(game: Game, played: Round) -> tuple[int, list[str]]:
            why = {
                one.player: f"{one.name}: {one.what}"
                for one in game.mishaps
                if one.round == played.number and one.then == "forfeited"
            }
            gone = [player for player, units in enumerate(played.submitted) if units is None]
            return len(played.submitted), [f"player {player + 1}: {why.get(player, 'nothing valid')}" for player in gone]

        yield from self.of_rounds(arm, games, "submissions", "{n} of {of} submissions were forfeited", looked)


class EndlessTalk(_OfGames):
    name = "endless_talk"
    severity = "note"
    looks_for = "talks that did not end by themselves, but because all exchanges were spent"
    stage = "talk"
    modes = ("1.5",)

    def of_arm(self, arm: str, games: Mapping[str, Game]) -> Iterator[Finding]:
        def looked(game: Game, played: Round) -> tuple[int, list[str]]:
            cut = [one for one in game.mishaps if one.round == played.number and one.name == "endless talk"]
            return int(any(m.step == "talk" for m in played.messages)), [one.what for one in cut[:1]]

        yield from self.of_rounds(arm, games, "talks", "{n} of {of} talks were cut off at the last exchange", looked)


class UnreadAgreements(_OfGames):
    """What is counted of agreements says nothing of these: they are neither kept nor broken."""

    name = "unread_agreements"
    severity = "note"
    looks_for = "talks in which somebody says that it agrees, and no amounts can be read for both"
    stage = "reading"

    def of_arm(self, arm: str, games: Mapping[str, Game]) -> Iterator[Finding]:
        def looked(game: Game, played: Round) -> tuple[int, list[str]]:
            said = [m for m in played.messages if m.step == "talk" and agrees(m.text)]
            parts, _ = understood(played, game.instance.rules)
            unread = bool(said) and None in parts
            return int(bool(said)), [f"player {said[-1].player + 1}: {said[-1].text[:160]}"] if unread else []

        yield from self.of_rounds(
            arm,
            games,
            "agreements in words",
            "in {n} of {of} talks somebody agrees, and it is not clear to what",
            looked,
        )


RULES: Final[tuple[type[Rule], ...]] = (AgreementBroken, Forfeited, EndlessTalk, UnreadAgreements)


def _row(arm: str, key: str, game: Game, number: int, says: str) -> dict[str, object]:
    return {
        "table": "games",
        "id": f"{key[:12]} round {number + 1}",
        "configuration": arm,
        "market_id": game.instance.id,
        "forecast_id": key,
        "says": says,
    }
