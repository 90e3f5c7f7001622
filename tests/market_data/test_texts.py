"""A market's own text at as-of: which additions are cut, which dates are read, what tells an outcome and what is a rule."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordeval.agents.scaffold import Ask, first_message
from coordeval.agents.toolbox import Toolbox
from coordeval.market_data.dates import dates_in
from coordeval.market_data.errors import DataError
from coordeval.market_data.gate import MarketView
from coordeval.market_data.telling import later_dates, resolution_language
from coordeval.market_data.texts import without_additions
from coordeval.market_data.types import Market

AS_OF = datetime(2026, 1, 1, 12, tzinfo=UTC)
RULES = "Resolves YES if it passes."
LATE = [
    "Additional context (Jan 5, 2026): the vote passed, resolves YES",
    "Additional context (January 2026): the vote passed",
    "**Market clarification** (5 January 2026): it counts",
    "Market clarification: it counts",
    "Update (Jan 5, 2026): passed",
    "UPDATE: passed",
    "Update 2026-01-05 (PST) (AI summary of creator comment): it counts",
    "EDIT: passed",
    "[Edit 5/1/2026] passed",
    "Edited on 2026/01/05 - passed",
    "Note added 5 January",
    "Note added 5 January 2026: passed",
    "Clarification (2026-01-01): of the very day, perhaps of its evening",
    "Correction - 05.01.2026: passed",
    "Creator's note (6th of January, 2026): passed",
    "(updated on Jan 5, 2026) passed",
]
EARLY = [
    "Additional context (Dec 5, 2025): the vote is on Jan 20, 2026",
    "Update 2025-12-30 (PST) (AI summary of creator comment): it counts",
    "EDIT: Dec 5, 2025 - it counts",
    "Note added 5 December 2025: it counts",
]
PROSE = [
    "Updates of the list count. The source updates daily.",
    "Update the list daily and read it.",
    "Any clarification by the league will be followed.",
    "Note: only the official count matters.",
    "The edited video counts.",
]


@pytest.mark.parametrize("addition", LATE)
@pytest.mark.parametrize("join", ["\n", "\n\n", " "])
def test_an_addition_of_a_later_date_or_of_none_is_cut_with_all_that_follows(addition, join):
    text = f"{RULES}{join}{addition}\nAdditional context (Dec 1, 2025): earlier, but below"
    kept, why = without_additions(text, AS_OF)
    assert kept.rstrip(" (*") == RULES
    assert "addition" in why
    assert without_additions(kept, AS_OF) == (kept, "")


@pytest.mark.parametrize("text", [f"{RULES}\n{text}" for text in (*EARLY, *PROSE)])
def test_what_is_older_or_no_addition_at_all_stays(text):
    assert without_additions(text, AS_OF) == (text, "")


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-01-05", (1, 5), (1, 5)),
        ("2026-01-05T23:59:00Z", (1, 5), (1, 5)),
        ("2026/01/05", (1, 5), (1, 5)),
        ("Jan 5, 2026", (1, 5), (1, 5)),
        ("January 5th 2026", (1, 5), (1, 5)),
        ("Sept. 5, 2026", (9, 5), (9, 5)),
        ("5 January 2026", (1, 5), (1, 5)),
        ("5th of Jan, 2026", (1, 5), (1, 5)),
        ("05-Jan-2026", (1, 5), (1, 5)),
        ("01/05/2026", (1, 5), (5, 1)),
        ("31.01.2026", (1, 31), (1, 31)),
        ("January 2026", (1, 1), (1, 31)),
        ("1767600000", (1, 5), (1, 5)),
        ("1767600000000", (1, 5), (1, 5)),
    ],
)
def test_dates_are_read_in_every_common_form(text, first, last):
    [written] = dates_in(f"It was so on {text}, they say.")
    assert (written.first, written.last) == (date(2026, *first), date(2026, *last))


@pytest.mark.parametrize("text", ["", "5 January", "12.5 of 2026 votes", "1.2026", "2026-13-45", "id 20260105123456789"])
def test_what_is_no_date_with_a_year_is_none(text):
    assert dates_in(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "The vote passed, resolves YES.",
        "This market resolved to NO.",
        "It has been settled.",
        "The market was resolved yesterday.",
        "The outcome was a tie.",
        'Resolved as "Yes"',
    ],
)
def test_a_sentence_that_tells_the_end_is_found(text):
    assert resolution_language(f"{RULES} {text}")


@pytest.mark.parametrize(
    "text",
    [
        RULES,
        "Otherwise, this market will resolve to No.",
        'This market will resolve to "Yes" if X wins, and "No" otherwise.',
        "If no deal is signed, this market resolves NO.",
        "The dispute must have been settled by then.",
        "Nobody can say how it ends.",
    ],
)
def test_a_rule_tells_no_end(text):
    assert resolution_language(text) == []


def test_dates_later_than_as_of_are_found_but_for_those_allowed():
    text = "Opened 2025-12-01, closes 2026-03-31; signed on January 7th, 2026."
    assert later_dates(text, AS_OF, {date(2026, 3, 31)}) == ["January 7th, 2026"]


# --- no byte of a prompt


SENTINELS = {"question": "Zquestion", "description": "Zdescription", "category": "Zcategory"}
MOMENTS = st.one_of(st.none(), st.integers(-400, 400).map(lambda hours: AS_OF + timedelta(hours=hours)))


@given(
    MOMENTS,
    st.sampled_from(["show", "cut", "refuse"]),
    st.sampled_from(LATE + EARLY),
    st.sampled_from(["question", "description"]),
)
def test_no_byte_of_a_prompt_is_of_a_text_whose_moment_is_unknown_or_later_unless_the_study_says_so(
    known, says, addition, where
):
    texts = {**SENTINELS, where: f"{SENTINELS[where]}. {addition} Zaddition"}
    market = Market(id="m", source="x", event_id="e", simulated=False, text_known_at=known, **texts)
    in_time = known is not None and known <= AS_OF
    if says == "refuse" and not in_time:
        with pytest.raises(DataError, match="undated_text"):
            MarketView(market, AS_OF, [], [], undated_text=says)
        return
    view = MarketView(market, AS_OF, [], [], undated_text=says)
    ask = Ask(ordinal=0, agent=0, round=0, role="forecaster", role_text="Forecast.", answer="estimate")
    prompt = first_message(view, ask, show_price=True) + Toolbox(view).run("market_details", {}).content
    assert "Zquestion" in prompt
    for name in ("description", "category"):
        assert (SENTINELS[name] in prompt) == (in_time or says == "show")
    allowed = in_time or (addition in EARLY and (where == "question" or says == "show"))
    assert ("Zaddition" in prompt) == allowed
    held = [refusal for refusal in view.refusals if refusal.kind == "text"]
    assert bool(held) == (not in_time and (says == "cut" or addition in LATE))


def test_what_is_shown_as_before_keeps_its_fingerprint():
    market = Market(id="m", source="x", event_id="e", simulated=False, question="Will it?", description=RULES)
    before = MarketView(market, AS_OF, [], [], undated_text="show")
    seen = Market(
        id="m", source="x", event_id="e", simulated=False, question="Will it?", description=RULES, text_known_at=AS_OF
    )
    assert before.fingerprint == MarketView(seen, AS_OF, [], [], undated_text="cut").fingerprint
    assert before.fingerprint != MarketView(market, AS_OF, [], [], undated_text="cut").fingerprint
