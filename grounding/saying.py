"""Numbers and names in free text: which units of which resource somebody says that each player buys, and whether it agrees.

Read are "I take 3 timber and 2 iron, you take stone 4", "player 1: timber 3; player 2: nothing", "3 stone for you", "each
of us takes 5 timber", number words up to twelve. A sentence that speaks of projects, prices, supplies or earlier rounds
names no plan. Where one text gives a player two different amounts of one resource, what it means for that player is
unclear, and nothing is read: a guess would be a finding of ours about our own guess.
"""

import re
from functools import lru_cache
from typing import Final

from coordeval.grounding.game import PLAYERS, Units

Spoken = tuple[Units | None, Units | None]
"""Units of player 1 and of player 2, as far as a text gives them; None: it does not, or not clearly."""
NOTHING: Final[Spoken] = (None, None)

_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_WORDS: Final = {word: n for n, word in enumerate(_NUMBERS)} | {"zero": 0}  # "no iron" is none of it
_ELSE: Final = re.compile(
    r"\b(needs?|earns?|earned|costs?|coins?|supply|supplies|budget|per run|runs?|projects?|left over|available|"
    r"up to|at most|maximum|last round|previous round|earlier|before|would have|round \d)\b",
    re.IGNORECASE,
)
_AGREES: Final = re.compile(
    r"\b(agreed?|agree to|deal|accept(ed)?|confirm(ed)?|sounds good|works for me|let'?s do (it|that|this)|yes|okay|ok)\b",
    re.IGNORECASE,
)
_DENIES: Final = re.compile(
    r"\b(not|no deal|disagree|cannot|can'?t|don'?t|won'?t|reject|unless|if you|instead|rather|but)\b", re.IGNORECASE
)


def agrees(text: str) -> bool:
    """Whether a text says that it agrees, in a sentence that takes nothing back."""
    return any(_AGREES.search(part) and not _DENIES.search(part) for part in _sentences(text))


@lru_cache(maxsize=8192)
def spoken(text: str, speaker: int, names: tuple[str, ...]) -> Spoken:
    """What `speaker` (0 or 1; another number for somebody who is no player) says that each player buys."""
    reader = _Reader(speaker)
    for sentence in _sentences(text):
        if not _ELSE.search(sentence):
            reader.read(sentence, _tokens(names))
    return reader.units(0, names), reader.units(1, names)


def _sentences(text: str) -> list[str]:
    """Without what stands in brackets and has a digit in it: "3 iron (9 coins)" speaks of a plan, not of a price."""
    return [part for part in re.split(r"(?<=[.!?])\s+|[;\n]", re.sub(r"\([^()]*\d[^()]*\)", "", text)) if part.strip()]


@lru_cache(maxsize=64)
def _tokens(names: tuple[str, ...]) -> re.Pattern[str]:
    kinds = "|".join(re.escape(name) for name in names)
    number = rf"\d+|{'|'.join(_WORDS)}"
    whom = r"(?P<fme>me|myself)|(?P<fyou>you|yourself)|player (?P<fn>[12])|(?P<feach>each(?: of us)?)"
    each = r"\b(?:we|both|us)(?: \w+)? each\b|\beach(?: of us)?\b|\bwe both\b|\bboth of us\b"
    return re.compile(
        rf"\b(?P<for>for (?:{whom}))\b|(?P<each>{each})|\bplayer (?P<n>[12])\b"
        rf"|\b(?P<me>i|i'll|i'd|me|my|mine)\b|\b(?P<you>you|you'll|you'd|your|yours)\b"
        rf"|\b(?P<count>{number})\s*[x×]?\s*(?:units?\s+)?(?:of\s+)?(?P<kind>{kinds})\b"
        rf"|\b(?P<kind2>{kinds})\s*[:=x×]?\s*(?P<count2>\d+)\b|(?P<nothing>\bnothing\b)",
        re.IGNORECASE,
    )


class _Reader:
    """What a text says so far: amounts go to whoever was named last before them, or by "for" right after them."""

    def __init__(self, speaker: int) -> None:
        self.speaker = speaker
        self._said: list[list[tuple[str, int]]] = [[], []]
        self._nothing = [False, False]

    def read(self, sentence: str, tokens: re.Pattern[str]) -> None:
        about: tuple[int, ...] = ()
        waiting: list[tuple[str, int]] = []
        for token in tokens.finditer(sentence):
            if token["for"]:
                whom = self._whom(token["fme"], token["fyou"], token["fn"], token["feach"])
                self._for(whom, about, waiting)
                waiting = []
            elif token["count"] or token["count2"]:
                count, kind = token["count"] or token["count2"], token["kind"] or token["kind2"]
                amount = kind.lower(), _WORDS[count.lower()] if count.lower() in _WORDS else int(count)
                waiting.append(amount)
                for player in about:
                    self._said[player].append(amount)
            elif token["nothing"]:
                for player in about:
                    self._nothing[player] = True
            else:
                about, waiting = self._whom(token["me"], token["you"], token["n"], token["each"]), []

    def _for(self, whom: tuple[int, ...], about: tuple[int, ...], waiting: list[tuple[str, int]]) -> None:
        """Of amounts that somebody was said to take only the last one is meant by "for" after them."""
        meant = waiting[-1:] if about else waiting
        for player in about:
            for amount in meant:
                self._said[player].remove(amount)
        for player in whom:
            self._said[player] += meant

    def _whom(self, me: str | None, you: str | None, number: str | None, each: str | None) -> tuple[int, ...]:
        if number:
            return (int(number) - 1,)
        if each:
            return PLAYERS
        if self.speaker not in PLAYERS:
            return ()
        return (self.speaker,) if me else (1 - self.speaker,) if you else ()

    def units(self, player: int, names: tuple[str, ...]) -> Units | None:
        amounts = dict[str, set[int]]()
        for kind, count in self._said[player]:
            amounts.setdefault(kind, set()).add(count)
        if any(len(counts) > 1 for counts in amounts.values()) or bool(amounts) == self._nothing[player]:
            return None  # unclear, or said to be something and nothing, or not said at all
        return tuple(next(iter(amounts.get(name, {0}))) for name in names)
