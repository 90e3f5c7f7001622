"""What comes in by a file, a reply or an address ends in an answer or in one message; nothing that breaks a rule is taken.

The cases that were found once stand in FOUND and are tried first.
"""

import json
import shutil
import tempfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coordeval.agents.messages import MOST_TOKENS, Reply
from coordeval.agents.replies import read_reply
from coordeval.flows.dashboard.view import View, parsed
from coordeval.flows.imports.reading import understood
from coordeval.flows.imports.wanted import Wanted
from coordeval.flows.run.workers.places import ShardError
from coordeval.flows.run.workers.shards import decoded, encoded
from coordeval.flows.study.study import load_study
from coordeval.ledger.journal_head import Head
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.files import write_whole

FOUND = {
    "an address of 51 parts": "?" + "&".join(f"a{i}=1" for i in range(51)),
    "a shard whose text is no UTF-8": [(0.140625, 128)],
}
TEMPLATE = files("coordeval.flows").joinpath("study/templates/study.toml").read_text().replace("{name}", "fuzzed")
LIGHT = settings(max_examples=60, deadline=None, derandomize=True)

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def folder() -> Any:
    path = Path(tempfile.mkdtemp())
    yield path
    shutil.rmtree(path)


def one_message(do: Callable[[], Any]) -> Any:
    """What it gives; None where it says in one message of the project's own why not. Everything else is a fault."""
    try:
        return do()
    except CoordevalError:
        return None


LINES = st.sampled_from(
    [
        "replicates = {}",
        "max_price_age_hours = {}",
        "budget_usd = {}",
        "as_of = {}",
        "plugins = {}",
        "configurations = {}",
        "[run]\nconcurrent_calls = {}",
        "[agents]\nmax_turns = {}",
        "[bounds]\nseconds = {}",
        "[evidence]\nproviders = {}",
    ]
)
TOML = st.sampled_from(
    [
        "0",
        "-1",
        "1e400",
        "nan",
        "inf",
        "true",
        '""',
        '"\\u0000"',
        "[]",
        "[[]]",
        "{}",
        "{a = 1}",
        "2026-01-01",
        "9" * 40,
        "'../x'",
        '["../../etc/passwd"]',
    ]
)


@LIGHT
@given(
    lines=st.lists(st.tuples(LINES, TOML), min_size=1, max_size=3), noise=st.text(max_size=10), where=st.integers(0, 3000)
)
def test_a_study_file_loads_or_says_what_is_wrong(folder, lines, noise, where):
    text = TEMPLATE[:where] + noise + TEMPLATE[where:] if noise else TEMPLATE
    head, sections = text.partition("[markets]")[0], "".join(text.partition("[markets]")[1:])
    top = [line.format(value) for line, value in lines if not line.startswith("[")]
    below = [line.format(value) for line, value in lines if line.startswith("[")]
    file = folder / "study.toml"
    file.write_bytes("\n".join([head, *top, sections, *below]).encode("utf-8", "surrogatepass"))
    loaded = one_message(lambda: load_study(file))
    if loaded is not None:
        assert 1 <= loaded.study.replicates <= 1000
        assert loaded.study.budget_usd is None or loaded.study.budget_usd > 0
        assert orjson.dumps(loaded.content), "its content can be stored"


@LIGHT
@given(value=VALUES, cut=st.integers(0, 200), raw=st.binary(max_size=60))
def test_a_reply_is_a_reply_or_no_message_and_its_numbers_are_numbers(value, cut, raw):
    message = {
        "model": "m",
        "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "x"}],
        "usage": {"input_tokens": 1},
    }
    bodies = [raw, json.dumps(value).encode(), json.dumps({**message, "usage": value}).encode()[:cut]]
    for name in ("usage", "content", "model", "stop_reason"):
        bodies.append(json.dumps({**message, name: value}).encode())
    for body in bodies:
        made = read_reply(body, kind="application/json", asked="m", seconds=1.0, pricing=lambda model, usage: 0)
        if isinstance(made, Reply):
            counts = (made.usage.input_tokens, made.usage.output_tokens, made.usage.cache_read_tokens)
            assert all(type(n) is int and 0 <= n <= MOST_TOKENS for n in counts)
            assert orjson.loads(made.encoded()), "it can be stored"


@LIGHT
@given(
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), max_size=3),
    cut=st.floats(0, 1),
    raw=st.binary(max_size=80),
)
@example(flips=FOUND["a shard whose text is no UTF-8"], cut=0.0, raw=b"")
def test_a_shard_is_whole_or_is_refused(flips, cut, raw):
    entry = ("draws", "d1", orjson.dumps({"draw_id": "d1", "reply": "x" * 200}))
    whole = encoded([entry], study="s", version="0")
    content = bytearray(whole)
    for place, change in flips:
        content[int(place * (len(content) - 1))] ^= change
    for one in (bytes(content), whole[: int(cut * len(whole))], raw):
        try:
            [found] = decoded(one, "x.parquet", study="s") or [None]
        except ShardError:
            continue
        assert found == ("draws", "d1", {"draw_id": "d1", "reply": "x" * 200})


@LIGHT
@example(search=FOUND["an address of 51 parts"])
@given(
    search=st.text(max_size=80)
    | st.sampled_from(["?decile=", "?replicate=", "?policy=", "?study="]).flatmap(
        lambda name: st.text(max_size=30).map(lambda text: name + text)
    )
)
def test_an_address_of_the_dashboard_is_a_view(search):
    view, odd = parsed(search)
    assert isinstance(view, View)
    assert view.decile is None or 0 <= view.decile <= 9
    assert all(isinstance(name, str) for name in odd)
    assert parsed(view.href("/x").partition("/x")[2]) == (view, ()), "and its own address leads to it again"


CELLS = st.sampled_from(
    [
        "",
        "0.5",
        "50%",
        "1.2",
        "-0.1",
        "nan",
        "inf",
        "yes",
        "no",
        "1",
        "0",
        "=1+1",
        "\x00",
        "2026-01-01",
        "9" * 30,
        "0,5",
        '"',
        "é",
    ]
)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=4), noise=st.binary(max_size=4))
def test_a_file_of_forecasts_is_read_or_refused_row_by_row(folder, rows, noise):
    file = folder / "f.csv"
    lines = ["question_id,probability,outcome", *(f"q{i}{a},{b},{c}" for i, (a, b, c) in enumerate(rows))]
    write_whole(file, "\n".join(lines).encode() + noise)

    def read() -> list[tuple[Any, ...]]:
        with understood([file], Wanted(name="fuzzed")) as (_, con, _file):
            return con.execute("SELECT probability_p FROM kept WHERE probability_p IS NOT NULL").fetchall()

    for (probability,) in one_message(read) or []:
        assert 0 <= probability <= 1


@LIGHT
@given(content=st.binary(max_size=300))
def test_a_journal_s_head_is_read_or_known_to_be_damaged(folder, content):
    path = folder / "j.journal"
    Head.path(path).write_bytes(content)
    head = Head.read(path)
    assert head.damaged or head == Head()
