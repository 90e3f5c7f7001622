"""`coordeval verify`: whatever the suite stores is whole and is made again byte for byte; each change of a row is found."""

import asyncio
import json
import shutil
from pathlib import Path

import duckdb
import pytest

from coordeval.flows.run import guard
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import Evaluation, open_evaluation
from coordeval.flows.study.study import load_study
from coordeval.flows.verify.found import Verified
from coordeval.flows.verify.verifying import verify
from coordeval.ledger import Ledger, read
from coordeval.market_data.traces100 import NAME as PUBLISHED_NAME
from tests.flows.cli.conftest import coordeval  # noqa: F401  the fixture
from tests.flows.cli.conftest import run as command
from tests.flows.conftest import ROOT
from tests.flows.prospective.conftest import STUDY as AHEAD
from tests.flows.prospective.conftest import day
from tests.flows.run.harness import HEAD, PLUGIN, Model
from tests.thinned import first_of

SMALL = """
name = "small"
replicates = 1
configurations = ["market_price", "peer_critique_debate"]
[markets]
source = "simulated"
count = 2
[agents]
memorisation_probe = true
[model]
provider = "simulated"
"""


def store(folder: Path, text: str, model: Model | None = None) -> Path:
    study, path = folder / "study.toml", folder / "ledger.duckdb"
    study.write_text(text)
    loaded = load_study(study)
    with Ledger.open(path, purpose="test") as ledger:
        if model is None:
            evaluation = open_evaluation(loaded, path, ledger)
        else:
            evaluation = Evaluation.start(loaded, path, ledger, model)
        guard.run(run_chunks(evaluation, plan(evaluation, pull(evaluation)).chunks))
    return path


def structures(folder: Path) -> tuple[Path, str]:
    text = (ROOT / "studies" / "structures.toml").read_text()
    assert "count = 20" in text
    return store(folder, text.replace("count = 20", "count = 1")), "structures"


def references(folder: Path) -> tuple[Path, str]:
    text = (ROOT / "studies" / "embedded.toml").read_text()
    assert "count = 100" in text
    return store(folder, text.replace("count = 100", "count = 2")), "embedded"


def faulty_replies(folder: Path) -> tuple[Path, str]:
    """Malformed, refused and truncated ones, far more than usual."""
    rates = "[model.parameters]\nmalformed_rate = 0.4\nrefusal_rate = 0.1\ntruncation_rate = 0.1\n"
    return store(folder, SMALL.replace("count = 2", "count = 4") + rates), "small"


def plugin(folder: Path, *, isolate: bool = False) -> tuple[Path, str]:
    """One of a study's own, known by its file only; its first agent has no answer."""
    body = "    said = await panel.ask_each('forecaster', 3)\n    return panel.conclude(fmean(s.probability for s in said))"
    body = body.replace("    ", "        ")
    source = HEAD + PLUGIN.replace("NAME", "mine").replace("HANDLING", "exclude").replace("BODY", body)
    (folder / "mine.py").write_text(source)
    text = SMALL.replace('"peer_critique_debate"', '"mine"').replace(
        "replicates = 1", 'replicates = 1\nplugins = ["mine.py"]'
    )
    return store(folder, text + ("[run]\nisolate = true\n" if isolate else "")), str(folder / "study.toml")


def isolated(folder: Path) -> tuple[Path, str]:
    return plugin(folder, isolate=True)


def ahead(folder: Path) -> tuple[Path, str]:
    """Forecast before the outcomes, committed to, and resolved."""
    from coordeval.flows.prospective.daily import forecast_day, resolve_day

    study, path = folder / "ahead.toml", folder / "ledger.duckdb"
    study.write_text(AHEAD)
    for n in range(2):
        forecast_day(study, path, now=day(n))
    resolve_day(study, path, now=day(9))
    return path, "ahead"


def imported(folder: Path) -> tuple[Path, str]:
    rows = [f"q{i},{i % 2},0.{i + 1}" for i in range(8)]
    (folder / "mine.csv").write_text("\n".join(["question_id,outcome,probability", *rows]))
    assert command("import", "forecasts", folder / "mine.csv", "--name", "mine", "--ledger", folder / "ledger.duckdb") == 0
    return folder / "ledger.duckdb", "mine"


STORED = [faulty_replies, plugin, ahead, imported, references, structures, isolated]
"""The last three, which take longest, are among the proofs."""


@pytest.mark.parametrize("made", first_of(STORED, 4, ids=lambda made: made.__name__))
def test_every_stored_study_is_whole_and_sends_the_same_bytes_again(tmp_path, made):
    path, study = made(tmp_path)
    before = path.read_bytes()
    found = verify(read(path), study)
    assert found.verdict == "whole", [(part.name, part.faults[:3]) for part in found.parts if part.wrong]
    replay = part(found, "replay")
    forecasts = read(path).query("SELECT count(*) FROM forecasts").item()
    if made is imported:
        assert sum(replay.not_looked.values()) == forecasts
    else:
        assert (replay.looked, dict(replay.not_looked)) == (forecasts, {}), "each of them, and none is left out"
    assert path.read_bytes() == before, "it changes nothing"


@pytest.mark.proof
def test_the_published_study_is_whole(tmp_path, published):
    from coordeval.flows.markets.importing import import_dataset

    path = tmp_path / "ledger.duckdb"
    import_dataset(PUBLISHED_NAME, published, path)
    found = verify(read(path), PUBLISHED_NAME)
    assert found.verdict == "whole", [(part.name, part.faults[:3]) for part in found.parts if part.wrong]
    assert part(found, "requests").looked > 1_000


def part(found: Verified, name: str):
    return next(one for one in found.parts if one.name == name)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory) -> Path:
    return store(tmp_path_factory.mktemp("verify"), SMALL)


DEBATE = "(SELECT forecast_id FROM cells WHERE configuration = 'peer_critique_debate' ORDER BY 1 LIMIT 1)"
DRAW = f"(SELECT draw_id FROM calls WHERE forecast_id = {DEBATE} ORDER BY ask, turn LIMIT 1)"
TAMPERED = {
    "a study's content": ("UPDATE studies SET content = replace(content, 'small', 'smell')", {"studies"}),
    "a cell's as-of time": (f"UPDATE cells SET as_of = as_of + INTERVAL 1 DAY WHERE forecast_id = {DEBATE}", {"identities"}),
    "an identity": (
        f"UPDATE cells SET identity = replace(identity, 'critic', 'cynic') WHERE forecast_id = {DEBATE}",
        {"identities"},
    ),
    "a request's bytes": (
        f"UPDATE draws SET request = replace(request, 'forecaster', 'fortuneteller') WHERE draw_id = {DRAW}",
        {"requests", "replay"},
    ),
    "a request with its hash": (
        f"UPDATE draws SET request = ' ' || request WHERE draw_id = {DRAW}",
        {"requests", "replay"},
    ),
    "which draw it was": (f"UPDATE draws SET k = k + 1 WHERE draw_id = {DRAW}", {"draws"}),
    "a reply's number": (
        f"UPDATE draws SET reply = regexp_replace(reply, '\"probability\":0\\.\\d', '\"probability\":0.9') "
        f"WHERE draw_id IN (SELECT draw_id FROM calls WHERE forecast_id = {DEBATE} AND round = 0)",
        {"replay"},
    ),
    "a reply's price": (
        f"UPDATE draws SET micro_usd = coalesce(micro_usd, 0) + 1 WHERE draw_id = {DRAW}",
        {"sums"},
    ),
    "a view's facts": ("UPDATE views SET facts = replace(facts, 'question', 'guess')", {"views"}),
    "a document": (
        "UPDATE documents SET text = text || '.' WHERE document_id = (SELECT min(document_id) FROM documents)",
        {"documents", "views"},
    ),
    "a lost document": ("DELETE FROM documents", {"documents", "views"}),
    "a lost draw": (f"DELETE FROM draws WHERE draw_id = {DRAW}", {"keys", "replay"}),
    "a lost market": ("DELETE FROM markets WHERE market_id = (SELECT min(market_id) FROM markets)", {"keys"}),
    "a lost forecast": (f"DELETE FROM forecasts WHERE forecast_id = {DEBATE}", {"keys"}),
    "a lost call": (f"DELETE FROM calls WHERE forecast_id = {DEBATE} AND round = 1", {"sums", "replay", "telemetry"}),
    "a doubled cell": ("INSERT INTO cells FROM cells LIMIT 1", {"doubles"}),
    "a forecast's number": (f"UPDATE forecasts SET probability = 0.987 WHERE forecast_id = {DEBATE}", {"replay"}),
    "an estimate's number": (
        f"UPDATE estimates SET probability = 0.987 WHERE forecast_id = {DEBATE}",
        {"replay", "telemetry"},
    ),
    "who was shown what": (f"DELETE FROM messages WHERE forecast_id = {DEBATE}", {"replay", "telemetry"}),
    "what was made of a conversation": ("UPDATE telemetry SET spread = spread + 0.1", {"telemetry"}),
    "a tool's result": ("UPDATE tool_calls SET result = result || ' '", {"replay"}),
    "the tokens of a forecast": (f"UPDATE forecasts SET input_tokens = 1 WHERE forecast_id = {DEBATE}", {"sums", "replay"}),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_changed_row_is_found_and_named(untouched, tmp_path, what):
    sql, wanted = TAMPERED[what]
    path = Path(shutil.copy(untouched, tmp_path / "ledger.duckdb"))
    with duckdb.connect(str(path)) as con:
        con.execute(sql)
    found = verify(read(path), "small")
    wrong = {one.name for one in found.parts if one.wrong}
    assert wanted <= wrong, f"{wrong} found it"
    assert wrong <= wanted | {"replay", "sums", "views", "draws", "telemetry"}, "and what builds on it, nothing else"
    assert found.verdict == "broken"
    assert found.began is not None


def test_where_it_began_is_the_first_request_that_differs(untouched, tmp_path):
    path = Path(shutil.copy(untouched, tmp_path / "ledger.duckdb"))
    said = (
        f"FROM calls JOIN draws USING (draw_id) WHERE forecast_id = {DEBATE} AND round = 0 AND contains(reply, 'rationale')"
    )
    [(draw, forecast)] = read(path).query(f"SELECT draw_id, forecast_id {said} LIMIT 1").rows()
    with duckdb.connect(str(path)) as con:
        changed = 'replace(reply, \'"rationale":"\', \'"rationale":"Oh! \')'
        con.execute(f"UPDATE draws SET reply = {changed} WHERE draw_id = ?", [draw])
    replay = part(verify(read(path)), "replay")
    fault = next(fault for fault in replay.faults if forecast[:12] in fault.where)
    assert "the request differs in messages.0.content" in fault.says
    assert "Oh!" in fault.says, "with the words that are stored and those that are sent"


def test_what_other_code_made_is_not_replayed_and_that_is_said(untouched, tmp_path, monkeypatch):
    from coordeval.agents import cell

    monkeypatch.setattr(cell, "system_prompt", lambda: "Another scaffold.")
    found = verify(read(untouched))
    assert found.verdict == "whole"
    [reason] = part(found, "replay").not_looked
    assert "another version of the scaffold" in reason
    assert "could not be looked at" in found.says


def test_a_plugin_that_is_known_by_its_file_only_is_asked_for(tmp_path):
    path, study = plugin(tmp_path)
    by_name = part(verify(read(path), "small"), "replay")
    assert by_name.not_looked["configuration mine is not here: give the study file, whose plugins are then loaded"] == 2
    (tmp_path / "mine.py").write_text((tmp_path / "mine.py").read_text() + "\n# another line\n")
    # another study by now, whose plugin is not what made these forecasts
    assert command("verify", study, "--ledger", path) == 1


def test_the_command_answers_first_in_words_and_ends_with_a_status(untouched, tmp_path, coordeval):  # noqa: F811
    ended = coordeval("verify", "small", "--ledger", untouched)
    assert ended.status == 0
    assert ended.out.splitlines()[0].startswith("study small is as it was stored: ")
    assert "SIMULATED" in ended.out
    path = Path(shutil.copy(untouched, tmp_path / "ledger.duckdb"))
    with duckdb.connect(str(path)) as con:
        con.execute(TAMPERED["a forecast's number"][0])
    ended = coordeval("verify", "--ledger", path)
    assert ended.status == 1
    assert "where it began: replay, forecast" in ended.out
    assert "probability is" in ended.out
    ended = coordeval("verify", "--ledger", path, "--json")
    told = json.loads(ended.out)
    assert (ended.status, told["verdict"], told["began"]["part"]) == (1, "broken", "replay")


def test_a_replay_asks_nobody(untouched, monkeypatch):
    import socket

    def refuse(*arguments, **named):
        raise AssertionError("it went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert verify(read(untouched)).verdict == "whole"


def test_asyncio_is_left_as_it_was(untouched):
    async def within() -> str:
        return await asyncio.to_thread(lambda: verify(read(untouched)).verdict)

    assert asyncio.run(within()) == "whole"
