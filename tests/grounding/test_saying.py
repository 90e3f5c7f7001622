"""What words say that each buys, and whether they agree; where they are not clear, nothing is read."""

import pytest

from coordeval.grounding.game import RULES
from coordeval.grounding.saying import agrees, spoken


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("I take 3 timber and 2 iron, you take stone 4.", (3, 0, 2), (0, 4, 0)),
        ("player 1: timber 3, stone 4; player 2: nothing", (3, 4, 0), (0, 0, 0)),
        ("Let's say you buy three units of iron while I buy ten stone", (0, 10, 0), (0, 0, 3)),
        ("6 timber for you and 4 timber for me", (4, 0, 0), (6, 0, 0)),
        ("I'll take 3 timber, and 2 iron for you", (3, 0, 0), (0, 0, 2)),
        ("We each take 5 timber and 5 stone.", (5, 5, 0), (5, 5, 0)),
        ("Each of us takes 3 iron; my stone: 2", (0, 2, 3), (0, 0, 3)),
        ("I buy no iron and 4 stone.", (0, 4, 0), None),
        ("My projects: A needs timber 3 and earns 9. I take 2 timber.", (2, 0, 0), None),
        ("Last round I took 3 timber. Now I take 4 timber.", (4, 0, 0), None),
        ("I take 3 timber or 4 timber.", None, None),  # not clear which
        ("I take nothing, or 2 iron.", None, None),
        ("There are 10 units of timber available.", None, None),
        ("I will buy 4x timber and you will buy 6 x timber.", (4, 0, 0), (6, 0, 0)),
        ("- Me: 4 timber, 6 stone\n- You: 6 timber, 3 iron", (4, 6, 0), (6, 0, 3)),
        ("I get 3 iron (9 coins) and 4 timber; you get 3 iron.", (4, 0, 3), (0, 0, 3)),
        ("I can use up to 6 iron.", None, None),
        ("Perfect, confirmed. I'll submit 4 timber and 6 stone.", (4, 6, 0), None),
        ("That leaves 4 timber for you and 2 iron for me.", (0, 0, 2), (4, 0, 0)),
        ("My plan: 4 timber + 6 stone. Your plan: 6 timber + 3 iron.", (4, 6, 0), (6, 0, 3)),
        ("We both buy 5 timber, and I additionally buy 3 iron.", (5, 0, 3), (5, 0, 0)),
        ("Sounds good.", None, None),
        ("Timber is scarce; 300 is a number.", None, None),
        ("", None, None),
    ],
)
def test_who_is_said_to_buy_what(text: str, first, second):
    assert spoken(text, 0, RULES.names) == (first, second)
    assert spoken(text, 1, RULES.names) == ((second, first) if "player" not in text else (first, second))


def test_who_is_no_player_names_players_by_number():
    said = "I advise player 1 to buy 3 timber and player 2 to buy 2 iron."
    assert spoken(said, 2, RULES.names) == ((3, 0, 0), (0, 0, 2))
    bold = "**Player 1 (me):** timber: 4, stone: 6\n**Player 2 (you):** iron 3, timber 6"
    assert spoken(bold, 0, RULES.names) == ((4, 6, 0), (6, 0, 3))
    assert spoken("I buy 3 timber.", 2, RULES.names) == (None, None)


@pytest.mark.parametrize(
    ("text", "does"),
    [
        ("Agreed.", True),
        ("Yes, let's do that.", True),
        ("OK, deal!", True),
        ("I do not agree.", False),
        ("I agree, but take one iron less.", False),
        ("I would accept if you took less.", False),
        ("No deal. ", False),
        ("How about this?", False),
        ("That is not what I meant. But okay, agreed.", False),
        ("My numbers differ. Agreed.", True),
    ],
)
def test_words_of_agreement(text: str, does: bool):
    assert agrees(text) is does
