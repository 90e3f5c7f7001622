"""What was paid for is found again, whatever changed that cannot change a reply; and what is paid again is said before."""

import asyncio
from pathlib import Path

import orjson
import pytest

from coordeval.agents.anthropic_model import AnthropicModel
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, read
from tests.agents.messages_server import KEY
from tests.flows.run.test_books import Answering
from tests.thinned import first_of

STUDY = """
name = "kept"
replicates = 1
configurations = [{configurations}]
[markets]
source = "simulated"
count = 2
[model]
provider = "anthropic"
id = "{model}"
max_tokens = 500
base_url = "{url}"
prompt_cache = {cache}
"""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    running = Answering()
    yield running
    running.stop()


def run(folder: Path, url: str, *, cache=True, model="claude-opus-4-6", configurations='"independent_ensemble"'):
    """Runs the study with these settings on the folder's ledger; gives back the plan and the warnings."""
    file, path = folder / "kept.toml", folder / "l.duckdb"
    file.write_text(STUDY.format(url=url, cache=str(cache).lower(), model=model, configurations=configurations))
    loaded = load_study(file)
    with Ledger.open(path, purpose="test") as ledger:
        evaluation = open_evaluation(loaded, path, ledger)
        made = plan(evaluation, pull(evaluation))
        asyncio.run(run_chunks(evaluation, made.chunks))
    return made, loaded


def as_landed(monkeypatch, *, cache: bool, url: str | None = None) -> None:
    """The model's identity as the landed version wrote it: the cache as set, the address as spelled."""

    def identity(self):
        own = self._identity(url or self._url)
        return {**own, "prompt_cache": cache}

    monkeypatch.setattr(AnthropicModel, "identity", property(identity))


@pytest.mark.parametrize(
    ("before", "now"),
    first_of(
        [
            ({"cache": True}, {"cache": False}),
            ({"cache": True}, {"cache": True}),
            ({"cache": False}, {"cache": False}),
            ({"cache": False}, {"cache": True}),
        ]
    ),
)
def test_what_the_landed_version_stored_is_found_with_and_without_a_cache(tmp_path, server, monkeypatch, before, now):
    with monkeypatch.context() as landed:
        as_landed(landed, **before)
        made, _ = run(tmp_path, server.url, **before)
    assert made.to_run == 2
    asked = len(server.seen)
    again, loaded = run(tmp_path, server.url + "/", **now)
    assert (again.to_run, again.notes, len(server.seen)) == (0, (), asked)
    more, loaded = run(tmp_path, server.url, **now, configurations='"independent_ensemble", "single_agent"')
    assert more.to_run == 2
    assert len(server.seen) == asked, "the draws are shared"
    with Ledger.open(tmp_path / "l.duckdb", purpose="test") as ledger:
        assert ledger.books(loaded.id).paid_micro_usd == asked * 10_000, "and stay in the books of the study"


def test_another_name_of_this_machine_asks_nothing_again(tmp_path, server):
    run(tmp_path, server.url)
    asked = len(server.seen)
    made, _ = run(tmp_path, server.url.replace("127.0.0.1", "localhost"))
    assert (made.to_run, len(server.seen)) == (0, asked)


def test_a_forecast_found_under_a_former_identity_stands_under_it(tmp_path, server, monkeypatch):
    with monkeypatch.context() as landed:
        as_landed(landed, cache=False)
        run(tmp_path, server.url, cache=False)
    run(tmp_path, server.url, cache=False)
    stored = read(tmp_path / "l.duckdb").query("SELECT identity FROM cells")["identity"]
    assert {orjson.loads(identity)["model"]["prompt_cache"] for identity in stored} == {False}


def test_what_another_model_will_cost_again_is_said_before_it_is_asked(tmp_path, server):
    run(tmp_path, server.url)
    made, _ = run(tmp_path, server.url, model="claude-opus-5")
    [note] = made.notes
    assert note == (
        "2 forecasts that were made before are made again, because what was asked has changed (model, settings): "
        "6 model calls, which cost $0.06 last time, each of them anew"
    )


def test_calls_that_a_changed_configuration_shares_are_not_called_new(tmp_path, server):
    run(tmp_path, server.url)
    made, _ = run(tmp_path, server.url, configurations='{ name = "independent_ensemble", agents = 4 }')
    [note] = made.notes
    assert (
        "(configuration): 6 model calls, which cost $0.06 last time, at most: a call with the same bytes is shared" in note
    )
    assert len(server.seen) == 8, "three of four agents were asked before"
