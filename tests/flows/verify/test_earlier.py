"""What an earlier scaffold sent under the same identity is no fault of the ledger, and nothing else passes for it."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from coordeval.agents import scaffold
from coordeval.agents.messages import Request
from coordeval.flows.verify.earlier import as_sent
from coordeval.market_data.gate import MarketView
from coordeval.market_data.types import Market

MARKET = Market(id="m", source="s", event_id="e", simulated=True, question="Will it?")
ASK = scaffold.Ask(ordinal=0, agent=0, round=0, role="r", role_text="role\u2028    text", answer="estimate")


def request(description: str) -> Request:
    view = MarketView(replace(MARKET, description=description), datetime(2026, 1, 1, tzinfo=UTC), [], [])
    said = [{"role": "user", "content": scaffold.first_message(view, ASK, show_price=True)}]
    later = [{"role": "assistant", "content": "Because.\r    So."}]
    return Request(model="m", system="", messages=[*said, *later], tools=[], max_tokens=9, sampling={})


TEXTS = {
    "a lone carriage return": ("Rules.\rAs of: tomorrow", 2),
    "a line separator and a newline": ("Rules.\u2028More.\nMore.", 2),
    "one that indents itself": ("Rules.\u2029    More.", 2),
    "returns before a line of Windows": ("a\r\r\nb\x85c", 2),
    "lines of Windows": ("a\r\nb\r\n    c", 1),
    "newlines only": ("a\n    b", 1),
}
"""Name -> (a description, in how many forms it was ever sent)."""


@pytest.mark.parametrize("what", TEXTS)
def test_a_request_is_known_in_the_form_in_which_it_was_sent_once(what, monkeypatch):
    text, forms = TEXTS[what]
    now = request(text)
    monkeypatch.setattr(scaffold, "_LINE_END", re.compile("\n"))
    before = request(text)
    assert list(as_sent(now)) == [now.encoded, before.encoded][:forms]
    assert (now.encoded == before.encoded) == (forms == 1)
    assert request(text + " ").encoded not in as_sent(now), "another text is another request"
