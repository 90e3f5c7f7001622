"""What is asked about a market: key words and addresses, taken from nothing but what was known when it opened.

The extraction is a fixed function of the text: the same question asks the same things every time. What comes out are
bare words, so that no operator of a search engine (`intitle:`, a leading `-`, quotation marks) survives from a question.
"""

import re
from dataclasses import dataclass

from coordeval.market_data.errors import DataError
from coordeval.market_data.types import Market

_MONTH = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    "|nov(?:ember)?|dec(?:ember)?"
)
_DATE = re.compile(rf"\b(?:\d{{1,2}}\s+)?(?:{_MONTH})\b\.?\s+\d{{1,4}}(?:st|nd|rd|th)?\b(?:,?\s+\d{{4}}\b)?", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")
_URL = re.compile(r"https?://[^\s<>\"'`\])}|\\^]+")
_POSSESSIVE = ("'s", "’s")
_FUNCTION_WORDS = (
    "a about above after again against all an and any are as at be been before being below between both but by can could "
    "day days did do does during each either end ends ever fewer first for from get gets had has have he her his how if in "
    "into is it its least less market more most month months next no nor not of off on once only or other over own per "
    "question resolve resolves same she should so some such than that the their them then there these they this those "
    "through to too under until up upon us very was week weeks were what when where which while who whom whose will win "
    "wins with within without would year years yes you your"
)
_STOP = frozenset(_FUNCTION_WORDS.split())
_MOST, _NAMES, _FEWEST = 8, 5, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Everything that a provider is told of a market."""

    market_id: str
    text: str
    urls: tuple[str, ...] = ()
    """Pages that the question itself names, such as its resolution source."""

    def __post_init__(self) -> None:
        if not self.market_id.strip():
            raise DataError("an evidence query needs the id of the market that its documents belong to; it is empty")

    @staticmethod
    def of(market: Market) -> "Query":
        """From the whitelist of fields known at opening; nothing else of the market is read."""
        facts = market.known_at_opening()
        return Query(
            market_id=market.id,
            text=facts["question"],
            urls=addresses(f"{facts['question']}\n{facts['description']}"),
        )

    @property
    def words(self) -> tuple[str, ...]:
        return key_words(self.text)

    @property
    def ladder(self) -> tuple[tuple[str, ...], ...]:
        """Searches from narrow to wide, for engines that want every word: all words, the names, the first names."""
        names = [word for word in self.words if not word[0].islower()]
        rungs = (self.words[:_MOST], tuple(names[:_NAMES]), tuple(names[:_FEWEST]))
        return tuple(dict.fromkeys(rung for rung in rungs if rung))


def key_words(text: str) -> tuple[str, ...]:
    """The words that carry the question, in its order, each once; dates, single letters and function words go.

    >>> key_words("Will the Bank of Japan raise rates before March 31, 2026?")
    ('Bank', 'Japan', 'raise', 'rates')
    """
    kept: dict[str, str] = {}
    for found in _WORD.findall(_DATE.sub(" ", text)):
        word = found[:-2] if found.endswith(_POSSESSIVE) else found
        if len(word) > 1 and (word.lower() not in _STOP or word.isupper()):  # US and WHO are names
            kept.setdefault(word.lower(), word)
    return tuple(kept.values())


def addresses(text: str) -> tuple[str, ...]:
    """The web addresses in a text, without the punctuation that follows them and without fragments."""
    found = (match.rstrip(".,;:!?*_").partition("#")[0] for match in _URL.findall(text))
    return tuple(dict.fromkeys(url for url in found if url.partition("//")[2].strip("/")))
