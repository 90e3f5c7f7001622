"""Markup to text: nothing that a page says is run, expanded or looked at twice."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordeval.market_data.evidence.html_text import decoded, page_text
from coordeval.market_data.evidence.passages import GAP, clean, clean_line, relevant
from coordeval.market_data.evidence.wikitext import is_redirect, plain, subject


@pytest.mark.parametrize(
    ("why", "wikitext", "text"),
    [
        ("bold and links", "'''Foo''' is a [[bar|Bar]] of [[Baz]].", "Foo is a Bar of Baz."),
        (
            "references go, with what is nested in them",
            "A.<ref name=x>{{cite web|url=u}} [[L]]</ref> B.<ref name=x />",
            "A. B.",
        ),
        ("comments go", "A<!-- {{ [[ hidden -->B", "AB"),
        ("a comment that never ends hides the rest, as in the wiki", "A<!-- rest", "A"),
        ("an inline template shows its values", "It is {{convert|5|km|abbr=on}} {{nowrap|long}}.", "It is 5 km long."),
        ("a box shows names and values", "{{Infobox x\n| seats = 12\n| empty =\n}}\nText", "seats: 12\nText"),
        ("a link within a box keeps its bar", "{{Infobox x\n| head = [[A|B]]\n}}", "head: B"),
        ("categories go, captions stay", "[[Category:X]][[File:a.jpg|thumb|200px|A [[cap]]]] T", "A cap\nT"),
        ("image options are no caption", "[[File:a.jpg|thumb|right]]T", "T"),
        ("a table shows its cells", '{| class="w"\n! H !! I\n|-\n| style="x" | a || b\n|-\n| c\n|}', "H | I\na | b\nc"),
        ("a table's caption is a line", "{|\n|+ Polls\n! H\n|-\n| a\n|}", "Polls\nH\na"),
        ("external links show their label", "See [http://x.example a label] and [http://y.example].", "See a label and ."),
        ("headings and lists", "== Head ==\n* one\n# two", "Head\none\ntwo"),
        ("entities", "a&nbsp;&amp;&#32;b &lt;b&gt;", "a & b <b>"),
        ("tags go, their content stays", "x<sub>2</sub><br/>y", "x2\ny"),
        ("what never ends is text", "A {{open [[link|label", "A open link|label"),
        ("a stray end is dropped", "A}} B]] C</ref>", "A B C"),
        ("a template's end does not leave its table", "{{a|\n{|\n| x }} y\n|}\n}}", "x y"),
        ("wiki switches", "__NOTOC__A", "A"),
    ],
)
def test_wikitext_to_text(why, wikitext, text):
    assert plain(wikitext) == text, why


@pytest.mark.parametrize(
    ("html", "title", "text"),
    [
        (
            "<html><head><title>T &amp; U</title><style>x</style></head><body><p>A<p>B<script>bad()</script></body>",
            "T & U",
            "A\nB",
        ),
        ("<!-- <p>no</p> --><div>a<br>b</div><td>c</td>", "", "a\nb\nc"),
        ("a <![endif]> b <![x[ c", "", "a b <![x[ c"),
        ("<title>one</title><svg><title>two</title></svg>x", "one", "twox"),
        ("5 < 6 <b>and</b> 7 > 6", "", "5 < 6 and 7 > 6"),
        ("<script>var a = '<p>';", "", ""),
        ("<!-- open <p>x</p>", "", "<!-- open\nx"),
    ],
)
def test_html_to_text(html, title, text):
    assert page_text(html) == (title, text)


@pytest.mark.parametrize(
    ("body", "charset", "text"),
    [
        ("é".encode(), None, "é"),
        (b"<meta charset='latin-1'>\xe9", None, "<meta charset='latin-1'>é"),
        (b"\xe9", "latin-1", "é"),
        (b"\xe9", "no-such-charset", "\ufffd"),
        (b"x", "hex", "x"),
    ],
)
def test_decoding_never_fails(body, charset, text):
    assert decoded(body, charset) == text


UNITS = ("{{", "[[", "<ref>", "<!--", "{|\n|-\n| a || b\n", "'''a''b", "|", "[http://", "{{a|b", "[[File:", "<a ", "<a b='",
         "</", "<![CDATA[", "<!", "<?", "&#", "<script>", "<title>", "= ", "\n|}", "9", " =", "}}", "]]", "\n")  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    "read", [plain, page_text, lambda text: plain("{{x|" + text + "}}")], ids=["wikitext", "html", "box"]
)
def test_a_hostile_page_takes_time_linear_in_its_length(unit, read):
    """300 kB; a quadratic reader needs minutes for some of these."""
    text = unit * (300_000 // len(unit))
    start = time.process_time()
    read(text)
    assert time.process_time() - start < 60


@given(st.lists(st.sampled_from([*UNITS, "x", "]]", "}}", "</ref>", "-->", "#redirect [[y]]"]), max_size=40).map("".join))
def test_any_mixture_of_markup_is_read(text):
    plain(text), subject(text), page_text(text)


@given(st.text())
def test_clean_text_holds_no_control_or_bidirectional_character(text):
    cleaned = clean(text)
    assert not {unicodedata.category(c) for c in cleaned if c != "\n"} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert clean(cleaned) == cleaned
    assert "\n" not in clean_line(text)
    cleaned.encode()


def test_the_subject_is_what_the_revision_calls_itself():
    assert subject("{{Infobox|'''no'''\n|x=1}}\n'''''The [[trial]] of X''''' was") in ("The trial of X", "no")
    assert subject("'''The [[court|trial]] of X''' was") == "The trial of X"
    assert subject("plain") == ""


@pytest.mark.parametrize(
    ("text", "redirect"), [("#REDIRECT [[A]]", True), (" #redirect[[A]]", True), ("A #redirect", False)]
)
def test_redirects_are_seen(text, redirect):
    assert is_redirect(text) is redirect


def test_passages_that_bear_on_the_question_are_kept_in_order_and_gaps_are_marked():
    text = "\n".join(["Lead.", "Nothing here.", "The rate rose.", "More of nothing.", "The bank and the rate.", "End."])
    assert relevant(text, ["rate", "bank"], 80) == text
    text = "\n".join([text, "x" * 50])
    assert relevant(text, ["rate", "bank"], 69) == f"Lead.\n{GAP}\nThe rate rose.\n{GAP}\nThe bank and the rate.\n{GAP}"
    assert relevant(text, [], 10_000) == text
    assert relevant("x" * 50, [], 10) == "x" * 10 + f" {GAP}"


def test_a_box_of_facts_at_the_top_leaves_room_for_the_text():
    text = "fact: 1; " * 100 + "\nThe rate rose."
    shown = relevant(text, ["rate"], 90)
    assert shown.endswith(f"{GAP}\nThe rate rose.")
    assert len(shown) < 90
