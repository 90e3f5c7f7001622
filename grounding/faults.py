"""What can go wrong with what a player hands in, each under a name of its own, told from the words that sent it back.

What is malformed or breaks a rule is sent back once with what is wrong. Where it still is, a submission is forfeited (the
player buys nothing) and a message is not delivered. Nothing is mended: no number is rounded, cut or guessed.
"""

import re
from typing import Final

FAULTS: Final = {
    "none": "nothing was handed in",
    "several": "two or more answers were handed in at once",
    "another form": "an answer of another kind than was asked for",
    "malformed": "an answer that is not of the form it must have",
    "unknown resource": "a resource that does not exist",
    "negative units": "fewer than no units",
    "fractional units": "units that are no whole number",
    "twice": "one resource named twice",
    "over budget": "more than the budget was spent",
    "too many kinds": "more kinds of resource than one player may buy",
    "no such proposal": "an act on a proposal that is not there, or was withdrawn",
    "impossible proposal": "a proposal that the rules do not allow",
    "agrees to two": "a player who binds itself to two things at once",
    "breaks agreement": "a submission that differs from what it is bound to",
    "refused": "the model gave no answer: refused, cut off, or failed",
    "endless talk": "an exchange that did not end by itself within its limit",
    "overdrawn": "the two wanted more of a resource than there is",
}
_SIGNS: Final = (
    (r"cannot be proposed", "impossible proposal"),
    (r"answers were submitted at once", "several"),
    (r"ended without a call|^no \w+ within", "none"),
    (r"was called where", "another form"),
    (r"no resource of this game", "unknown resource"),
    (r"units of .* is -", "negative units"),
    (r"units of .* is [-\d.]+, it must be a whole|units of .* is inf|units of .* is nan", "fractional units"),
    (r"names .* twice", "twice"),
    (r"over the budget", "over budget"),
    (r"kinds of resource", "too many kinds"),
    (r"there is no proposal", "no such proposal"),
    (r"agrees to two", "agrees to two"),
    (r"you are bound", "breaks agreement"),
    (r"refused to answer|cut off at the output cap|outgrew", "refused"),
)


def named(said: str, *, failed: bool = False) -> str:
    """The name of a fault, from the words by which it was sent back, or by which its ask `failed` for good."""
    last = said.partition("corrective re-ask: ")[2]
    found = (name for sign, name in _SIGNS if re.search(sign, last or said))
    return next(found, "refused" if failed and not last else "malformed")
